"""Threads that ask the tables: a few of them, with a short queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any

__all__ = ["Overloaded", "Workers"]


_Call = tuple[Future[Any], Callable[[], Any]]


class Overloaded(Exception):
    """There is no room for one more call; the message says why, for a person."""


class Workers:
    """Runs calls in ``threads`` threads at most, while ``most_waiting`` others wait for one.

    The program ends when the running calls have ended, which ``Backend.close`` sees to: a daemon thread inside duckdb's
    engine would crash it.
    """

    def __init__(self, threads: int, most_waiting: int) -> None:
        self._most_threads = threads
        self._most_waiting = most_waiting
        self._lock = Lock()
        self._running = 0
        self._waiting: deque[_Call] = deque()

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """The result of ``call``, to come.

        Raises:
            Overloaded: too many calls wait already, or no thread can be started.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._running < self._most_threads and self._started((future, call)):
                self._running += 1
            elif len(self._waiting) < self._most_waiting:
                self._waiting.append((future, call))
            else:
                message = (
                    f"{self._running + len(self._waiting)} questions to the tables are under way; "
                    "ask again in a moment"
                )
                raise Overloaded(message)
        return future

    def _started(self, call: _Call) -> bool:
        try:
            Thread(target=self._work, args=(call,), name="dashboard").start()
        except RuntimeError as cause:
            if self._running:  # a thread that there is does it later
                return False
            message = f"this machine lets the dashboard start no thread ({cause}); ask again in a moment"
            raise Overloaded(message) from cause
        return True

    def _work(self, first: _Call) -> None:
        """Runs calls until none waits: an idle thread would keep the program from ending."""
        following: _Call | None = first
        while following is not None:
            future, call = following
            try:
                result, failure = call(), None
            except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
                result, failure = None, error
            following = self._next()  # first: whoever sees the result finds the room that it has left
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
            del future, call, result, failure  # what they hold is kept no longer

    def _next(self) -> _Call | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None
