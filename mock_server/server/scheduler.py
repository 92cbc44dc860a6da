"""Scheduling of requests: one computes at a time, in time slices, so that long requests do not delay short ones.

Replies are computed in Python, where parallel threads only contend for the interpreter. So one request computes while
the others wait; one that exceeds its slice pauses at its next `checkpoint` until the others have had theirs.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anyio import CapacityLimiter, from_thread, to_thread

from mock_server.plant import checkpoints
from mock_server.plant.data_archive import ArchiveError

SLICE_S = 0.03
"""How long a request may compute while others wait."""
MOST_IN_PROGRESS = 128
"""How many requests can have begun and not ended; further ones wait until one ends."""
_NEW_IN_A_ROW = 32  # so that many short requests do not starve long ones

T = TypeVar("T")


class Abandoned(Exception):
    """Nobody waits for the result: the client has disconnected, or the server stops."""


class QueryTimeout(ArchiveError):
    """The query exceeded its time limit."""

    def __init__(self) -> None:
        super().__init__("[-10722] PINET: Timeout on PI RPC or System Call.")


class Scheduler:
    """Runs one computation at a time: new ones first, mostly, then paused ones."""

    def __init__(self) -> None:
        self.closed = False
        self._lock = threading.Lock()
        self._busy = False
        self._new: deque[Callable[[], None]] = deque()
        self._paused: deque[Callable[[], None]] = deque()
        self._new_in_a_row = 0
        self._in_progress = asyncio.Semaphore(MOST_IN_PROGRESS)
        self._threads = CapacityLimiter(MOST_IN_PROGRESS)

    def close(self) -> None:
        """End every computation at its next checkpoint."""
        self.closed = True

    async def run(
        self, compute: Callable[[], T], is_gone: Callable[[], Coroutine[Any, Any, bool]], limit_s: float
    ) -> T:
        """Run `compute` in a thread, where `checkpoint` may pause it, and return its result.

        `is_gone` tells whether the client has disconnected; `limit_s` is the time limit of one query.
        """
        async with self._in_progress:
            await self._turn()
            try:
                computation = Computation(self, is_gone, limit_s)
                return await to_thread.run_sync(computation.run, compute, limiter=self._threads)
            finally:
                self._pass_on()

    def pause(self) -> None:
        """Pass the turn to the next in line and return when this thread has it again."""
        turn = threading.Event()
        with self._lock:
            if not self._new and not self._paused:
                return
            self._paused.append(turn.set)
        self._pass_on()
        turn.wait()

    async def _turn(self) -> None:
        """Wait for this task's turn."""
        loop, home = asyncio.get_running_loop(), threading.get_ident()
        turn: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if threading.get_ident() == home:
                _resolve(turn)
            else:
                loop.call_soon_threadsafe(_resolve, turn)

        with self._lock:
            if not self._busy:
                self._busy = True
                return
            self._new.append(wake)
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock:
                waiting = wake in self._new
                if waiting:
                    self._new.remove(wake)
            if not waiting:  # it already had the turn
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        with self._lock:
            queue = self._next_queue()
            wake = queue.popleft() if queue else None
            self._busy = wake is not None
        if wake is not None:
            wake()

    def _next_queue(self) -> "deque[Callable[[], None]]":
        if self._new and (not self._paused or self._new_in_a_row < _NEW_IN_A_ROW):
            self._new_in_a_row += 1
            return self._new
        self._new_in_a_row = 0
        return self._paused


class Computation:
    """One request while it computes; `clock` counts seconds."""

    def __init__(
        self,
        scheduler: Scheduler,
        is_gone: Callable[[], Coroutine[Any, Any, bool]],
        limit_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._scheduler = scheduler
        self._is_gone = is_gone
        self._limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._since = clock()

    def run(self, compute: Callable[[], T]) -> T:
        """The result of `compute`, whose checkpoints use this computation."""
        token = checkpoints.current.set(self)
        self._since = self._clock()
        try:
            return compute()
        finally:
            checkpoints.current.reset(token)

    def begin_query(self) -> None:
        """Restart the time limit."""
        self._spent_s = -(self._clock() - self._since)

    def checkpoint(self) -> None:
        """Pause if the slice is used up and others wait.

        Raises:
            Abandoned: when nobody waits for the result.
            QueryTimeout: when the request has computed for too long.
        """
        slice_s = self._clock() - self._since
        if slice_s < SLICE_S:
            return
        if self._spent_s + slice_s > self._limit_s:
            raise QueryTimeout
        if self._scheduler.closed or from_thread.run(self._is_gone):
            raise Abandoned
        self._spent_s += slice_s
        self._scheduler.pause()
        self._since = self._clock()


def _resolve(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_result(None)
