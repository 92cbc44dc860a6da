"""A cache of replies about points: lists and configurations that can be minutes old, as PI Web API has it."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from mock_server.plant import ticks
from mock_server.webapi.messages import Request, Response

_MOST_BYTES = 16_000_000
_BYTES_BESIDE = 1_000  # memory of a reply besides its body and its address
_CACHED = ("/piwebapi/points", "/piwebapi/dataservers/")


class StaleCache:
    """Caches replies about points (not their data) for up to `age`; 0 caches nothing.

    `Cache-Control: no-cache` bypasses it. The cached replies take at most 16 MB.
    """

    def __init__(self, age: timedelta = timedelta(0)) -> None:
        if age < timedelta(0):
            msg = f"the age of a cache must be 0 (none) or more, not {age}"
            raise ValueError(msg)
        self.age = age
        self._kept: OrderedDict[tuple[str, str, str], tuple[int, Response]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def answer(self, request: Request, now: int, serve: Callable[[], Response]) -> Response:
        """The cached reply if it is fresh enough at `now` (ticks), else a new one."""
        if not self.age or request.method != "GET" or not request.path.lower().startswith(_CACHED):
            return serve()
        key = (request.origin, request.path, request.query)
        oldest = now - int(self.age.total_seconds() * ticks.PER_SECOND)
        with self._lock:
            made, kept = self._kept.get(key, (None, None))
        fresh = "no-cache" in request.headers.get("cache-control", "").lower()
        if kept is not None and made is not None and oldest < made <= now and not fresh:
            return kept
        response = serve()
        if response.status == 200:
            self._keep(key, now, oldest, response)
        return response

    def _keep(self, key: tuple[str, str, str], now: int, oldest: int, response: Response) -> None:
        with self._lock:
            _, old = self._kept.pop(key, (0, None))
            self._bytes += _size(key, response) - (_size(key, old) if old else 0)
            self._kept[key] = (now, response)
            while self._kept and (self._bytes > _MOST_BYTES or next(iter(self._kept.values()))[0] <= oldest):
                place, (_, dropped) = self._kept.popitem(last=False)
                self._bytes -= _size(place, dropped)


def _size(key: tuple[str, str, str], response: Response) -> int:
    return len(response.body) + sum(map(len, key)) + _BYTES_BESIDE
