"""A circuit breaker: a server that is down is not asked by every task."""

from __future__ import annotations

import time
from collections.abc import Callable

from pi_datasource.errors import Call, ServerError, ServerUnreachable

FAILURES = 3  # calls in a row, each of which was sent again as often as ``max_retries`` allows
REST_S = 30.0
_DOWN = (502, 503)


class Breaker:
    """Opens after ``FAILURES`` calls in a row that found no server: then it lets one call through every ``REST_S``.

    Any other answer, even a refusal, shows that the server is up, and closes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._open_until = 0.0
        self._last_error = ""

    def check(self, call: Call) -> None:
        """Returns when ``call`` may be sent.

        Raises:
            ServerUnreachable: not yet; the message repeats the error of the last call that was sent.
        """
        if self._in_a_row < FAILURES:
            return
        left = self._open_until - self._clock()
        if left > 0:
            message = (
                f"not sent, because {self._in_a_row} calls in a row found no PI Web API; it is asked again in "
                f"{left:.0f} s (the last one: {self._last_error})"
            )
            raise ServerUnreachable(message, call=call)
        self._open_until = self._clock() + REST_S  # the other calls wait for the outcome of this one

    def failed(self, error: ServerError) -> None:
        """Records a call that failed after all retries."""
        if not (isinstance(error, ServerUnreachable) or error.status in _DOWN):
            self.answered()
            return
        self._in_a_row += 1
        self._last_error = str(error)
        self._open_until = self._clock() + REST_S

    def answered(self) -> None:
        """Records an answer."""
        self._in_a_row = 0
