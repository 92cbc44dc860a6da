"""Caches query results for as long as pages show them: the tables are queried once, however many pages are open."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import BoundedSemaphore, Event, Lock
from typing import Any

from pi_datasource.errors import PIError

_log = logging.getLogger(__name__)
_MAX_ENTRIES = 500
_FAILURE_TTL_S = 3.0

Result = dict[str, Any]


@dataclass(frozen=True)
class Ready:
    """A result and its age in seconds."""

    data: Result
    age_s: float


@dataclass(frozen=True)
class Waiting:
    """There is no result yet; the query has been running for this long."""

    seconds: float


@dataclass(frozen=True)
class Failed:
    """The query failed; ``message`` is written for users."""

    message: str


@dataclass(frozen=True)
class Busy:
    """The query was rejected because too many others are waiting; ``message`` is written for users."""

    message: str


@dataclass
class _Entry:
    future: Future[Result]
    started: float
    finished: float | None = None
    previous: tuple[Result, float] | None = None  # served while the new result is on its way


class ResultCache:
    """Runs each query at most once per ``ttl_s`` seconds, in the background; ``get`` waits up to ``wait_s`` for it.

    ``workers`` queries run at once and ``max_waiting`` more are queued. Waiting for a result blocks no thread, so any
    number of requests can wait.

    The process exits when the running queries have ended, which ``Backend.close`` sees to: the threads are not daemons,
    because a daemon thread inside duckdb's engine would crash it.

    Raises:
        RuntimeError: this machine allows no more threads.
    """

    def __init__(
        self,
        *,
        ttl_s: float,
        wait_s: float = 8.0,
        workers: int = 4,
        max_waiting: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl_s = ttl_s
        self._wait_s = wait_s
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._max_queries = workers + max_waiting
        self._slots = BoundedSemaphore(self._max_queries)
        self._pool = ThreadPoolExecutor(workers, "dashboard")
        self._start_threads(workers)
        self._wakes: set[Callable[[], None]] = set()
        self._closed = False

    async def get(self, key: Hashable, query: Callable[[], Result]) -> Ready | Waiting | Failed | Busy:
        """The result for ``key``: the cached one while it is fresh, else that of ``query``."""
        if self._closed:
            return Failed("the dashboard is stopping")
        with self._lock:
            entry = self._current(key, query)
        if entry is None:
            return Busy(f"{self._max_queries} queries are already running or waiting; try again in a moment")
        await self._until_done(entry.future)
        return self._state(entry)

    def close(self) -> None:
        """Ends every wait and rejects further queries."""
        self._closed = True
        for wake in list(self._wakes):
            wake()

    def _start_threads(self, workers: int) -> None:
        """Starts all threads now: a pool that cannot start one later queues the call and raises nevertheless."""
        started = Event()
        try:
            for _ in range(workers):
                self._pool.submit(started.wait)
        finally:
            started.set()

    def _submit(self, query: Callable[[], Result]) -> Future[Result] | None:
        if not self._slots.acquire(blocking=False):
            return None

        def run() -> Result:
            try:
                return query()
            finally:
                self._slots.release()  # before the result is set: whoever sees it finds the slot free

        return self._pool.submit(run)

    async def _until_done(self, future: Future[Result]) -> None:
        """Returns when ``future`` is done, after ``wait_s`` or on ``close``, whichever is first."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        if future.done():
            return
        self._wakes.add(wake)
        future.add_done_callback(lambda _: wake())
        try:
            await asyncio.wait_for(done.wait(), self._wait_s)
        except asyncio.TimeoutError:
            return
        finally:
            self._wakes.discard(wake)

    def _current(self, key: Hashable, query: Callable[[], Result]) -> _Entry | None:
        """The entry of ``key`` with a fresh result, or one on its way; None if too many queries are waiting."""
        known = self._entries.get(key)
        if known is not None and not self._is_stale(known):
            self._entries.move_to_end(key)
            return known
        if known is not None and known.future.exception() is not None:
            known = None
        future = self._submit(query)
        if future is None:
            return known  # a stale result is better than none
        entry = _Entry(future, self._clock())
        if known is not None:
            entry.previous = (known.future.result(), known.finished or known.started)
        future.add_done_callback(lambda _: setattr(entry, "finished", self._clock()))
        self._entries[key] = entry
        while len(self._entries) > _MAX_ENTRIES:
            self._entries.popitem(last=False)
        return entry

    def _is_stale(self, entry: _Entry) -> bool:
        if not entry.future.done() or entry.finished is None:  # None: its callback is about to run
            return False
        failed = entry.future.exception() is not None
        return self._clock() - entry.finished >= (min(_FAILURE_TTL_S, self._ttl_s) if failed else self._ttl_s)

    def _state(self, entry: _Entry) -> Ready | Waiting | Failed:
        now = self._clock()
        if not entry.future.done():
            if entry.previous is not None:
                data, found = entry.previous
                return Ready(data, now - found)
            return Waiting(now - entry.started)
        error = entry.future.exception()
        if error is None:
            return Ready(entry.future.result(), now - (entry.finished or now))
        if isinstance(error, PIError):
            return Failed(str(error))
        _log.error("A query of the dashboard failed", exc_info=error)
        return Failed(
            f"an unexpected error ({type(error).__name__}); the log of pi-datasource dashboard has it"
        )
