"""Answers kept for as long as the page shows them: however many readers there are, the tables are asked once."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pi_datasource.errors import PIError

__all__ = ["Answers", "Failed", "Ready", "Waiting"]

_log = logging.getLogger(__name__)
_MOST_KEPT = 500
_FAILURE_FRESH_S = 3.0


@dataclass(frozen=True)
class Ready:
    """An answer, and how many seconds ago it was found."""

    data: dict[str, Any]
    age_s: float


@dataclass(frozen=True)
class Waiting:
    """There is no answer yet; the question has been under way for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Failed:
    """There is no answer; ``words`` say why, for a person."""

    words: str


@dataclass
class _Asked:
    future: Future[dict[str, Any]]
    started: float
    finished: float | None = None
    earlier: tuple[dict[str, Any], float] | None = None  # shown while the new answer takes its time


class Answers:
    """Asks each question once per ``fresh_s`` seconds, in the background, and waits ``patience_s`` at most."""

    def __init__(
        self,
        *,
        fresh_s: float,
        patience_s: float = 8.0,
        workers: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._clock = clock
        self._lock = Lock()
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="dashboard")

    def get(self, key: Hashable, ask: Callable[[], dict[str, Any]]) -> Ready | Waiting | Failed:
        """The answer to the question ``key``, from ``ask`` unless one is known that is fresh."""
        with self._lock:
            asked = self._current(key, ask)
        wait([asked.future], timeout=self._patience_s)
        return self._told(asked)

    def close(self) -> None:
        """Starts no further question."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _current(self, key: Hashable, ask: Callable[[], dict[str, Any]]) -> _Asked:
        known = self._asked.get(key)
        if known is not None and not self._is_stale(known):
            self._asked.move_to_end(key)
            return known
        asked = _Asked(self._pool.submit(ask), self._clock())
        if known is not None and known.future.exception() is None:
            asked.earlier = (known.future.result(), known.finished or known.started)
        asked.future.add_done_callback(lambda _: setattr(asked, "finished", self._clock()))
        self._asked[key] = asked
        while len(self._asked) > _MOST_KEPT:
            self._asked.popitem(last=False)
        return asked

    def _is_stale(self, asked: _Asked) -> bool:
        if not asked.future.done():
            return False
        if asked.finished is None:  # it is being noted this very moment
            return False
        failed = asked.future.exception() is not None
        return self._clock() - asked.finished >= (
            min(_FAILURE_FRESH_S, self._fresh_s) if failed else self._fresh_s
        )

    def _told(self, asked: _Asked) -> Ready | Waiting | Failed:
        now = self._clock()
        if not asked.future.done():
            if asked.earlier is not None:
                data, found = asked.earlier
                return Ready(data, now - found)
            return Waiting(now - asked.started)
        error = asked.future.exception()
        if error is None:
            return Ready(asked.future.result(), now - (asked.finished or now))
        if isinstance(error, PIError):
            return Failed(str(error))
        _log.error("A panel could not be made", exc_info=error)
        return Failed(
            f"an unexpected error ({type(error).__name__}); the log of pi-datasource dashboard has it"
        )
