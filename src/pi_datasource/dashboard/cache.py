"""Answers kept for as long as the page shows them: however many readers there are, the tables are asked once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from pi_datasource.dashboard.thread_pool import Overloaded, Workers
from pi_datasource.errors import PIError

__all__ = ["Answers", "Busy", "Failed", "Ready", "Waiting"]

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


@dataclass(frozen=True)
class Busy:
    """The question was not taken, as too many others wait already; ``words`` say so, for a person."""

    words: str


@dataclass
class _Asked:
    future: Future[dict[str, Any]]
    started: float
    finished: float | None = None
    earlier: tuple[dict[str, Any], float] | None = None  # shown while the new answer takes its time


class Answers:
    """Asks each question once per ``fresh_s`` seconds, in the background, and waits ``patience_s`` at most.

    ``workers`` questions are asked at once and ``most_waiting`` wait for their turn. Whoever waits for an answer takes no
    thread, so that any number of them leaves room for others.
    """

    def __init__(
        self,
        *,
        fresh_s: float,
        patience_s: float = 8.0,
        workers: int = 4,
        most_waiting: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._clock = clock
        self._lock = Lock()
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()
        self._workers = Workers(workers, most_waiting)
        self._wakes: set[Callable[[], None]] = set()
        self._closed = False

    async def get(self, key: Hashable, ask: Callable[[], dict[str, Any]]) -> Ready | Waiting | Failed | Busy:
        """The answer to the question ``key``, from ``ask`` unless one is known that is fresh."""
        if self._closed:
            return Failed("the dashboard is stopping")
        try:
            with self._lock:
                asked = self._current(key, ask)
        except Overloaded as full:
            return Busy(str(full))
        await self._until_done(asked.future)
        return self._status_rows(asked)

    def close(self) -> None:
        """Whoever waits for an answer waits no longer, and no further question is asked."""
        self._closed = True
        for wake in list(self._wakes):
            wake()

    async def _until_done(self, future: Future[dict[str, Any]]) -> None:
        """Returns when ``future`` is done, at the latest after ``patience_s``, or by ``close``."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        if future.done():
            return
        self._wakes.add(wake)
        future.add_done_callback(lambda _: wake())
        try:
            await asyncio.wait_for(done.wait(), self._patience_s)
        except asyncio.TimeoutError:
            return
        finally:
            self._wakes.discard(wake)

    def _current(self, key: Hashable, ask: Callable[[], dict[str, Any]]) -> _Asked:
        known = self._asked.get(key)
        if known is not None and not self._is_stale(known):
            self._asked.move_to_end(key)
            return known
        try:
            asked = _Asked(self._workers.submit(ask), self._clock())
        except Overloaded:
            if known is None or known.future.exception() is not None:
                raise
            return known  # better an old answer than none
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

    def _status_rows(self, asked: _Asked) -> Ready | Waiting | Failed:
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
