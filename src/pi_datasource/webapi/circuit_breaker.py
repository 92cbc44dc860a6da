"""A circuit breaker: a server that is down is not asked by every task."""

from __future__ import annotations

import time
from collections.abc import Callable

from pi_datasource.errors import Call, ServerError, ServerUnreachable

FAILURES = 3  # calls in a row, each of which was sent again as often as ``max_retries`` allows
REST_S = 30.0
_DOWN = (502, 503)


class Breaker:
    """Counts calls that found no server; from the ``FAILURES``-th in a row on, only one call in ``REST_S`` is let through.

    Any other answer, even a refusal, shows that the server is there, and lets everything through again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._closed_until = 0.0
        self._words = ""

    def check(self, call: Call) -> None:
        """Returns when ``call`` may be sent.

        Raises:
            ServerUnreachable: not yet; the message repeats what the last call that was sent has found.
        """
        if self._in_a_row < FAILURES:
            return
        left = self._closed_until - self._clock()
        if left > 0:
            message = (
                f"not sent, because {self._in_a_row} calls in a row found no PI Web API; it is asked again in "
                f"{left:.0f} s (the last one: {self._words})"
            )
            raise ServerUnreachable(message, call=call)
        self._closed_until = self._clock() + REST_S  # the others wait for what this call finds

    def failed(self, error: ServerError) -> None:
        """Takes note of a call that failed for good."""
        if not (isinstance(error, ServerUnreachable) or error.status in _DOWN):
            self.answered()
            return
        self._in_a_row += 1
        self._words = str(error)
        self._closed_until = self._clock() + REST_S

    def answered(self) -> None:
        """Takes note of an answer."""
        self._in_a_row = 0
