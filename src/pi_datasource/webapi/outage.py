"""A server that is down or limits its request rate: how long a call waits for it, and when none is sent at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import requests

from pi_datasource.errors import Call, ServerError, ServerTimeout, ServerUnreachable
from pi_datasource.webapi import deadline_adapter
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

PAUSE_S = 10.0
LOGGED_EVERY_S = 600.0
FAILURES = 3  # calls in a row, each of which was sent again as often as ``max_retries`` allows
REST_S = 30.0
_DOWN = (502, 503)
_TEMPORARY = (TOO_MANY_REQUESTS, *_DOWN)


class Outage:
    """An outage: calls in a row that found no server or a rate limit; it is waited for up to ``patience_s``."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._clock = patience_s, clock
        self._since: float | None = None
        self._logged_at = 0.0

    def should_wait(self, error: ServerError) -> bool:
        """Whether ``error`` is temporary, and there is time left to wait."""
        if self._patience_s <= 0 or not is_temporary(error):
            return False
        now = self._clock()
        if self._since is None:
            self._since, self._logged_at = now, now - LOGGED_EVERY_S
        left_s = self._since + self._patience_s - now
        if left_s <= 0:
            return False
        if now - self._logged_at >= LOGGED_EVERY_S:
            self._logged_at = now
            log.warning("%s; waiting for it for up to %.0f s more (wait_for_server)", error, left_s)
        return True

    def over(self) -> None:
        """Records an answer: the outage is over."""
        if self._since is not None:
            log.warning("the PI server answers again after %.0f s", self._clock() - self._since)
        self._since = None


class Breaker:
    """A circuit breaker, so that a server that is down is not asked by every task.

    It opens after ``FAILURES`` calls in a row that found no server: then it lets one call through every ``REST_S``.

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


def is_temporary(error: ServerError) -> bool:
    """Whether waiting may help: no connection, or 429, 502 or 503, after all retries; not a certificate without trust.

    A time-out on a connection made for the request is not an outage: the server is slow. On a reused connection, silence
    may also mean that a firewall has dropped it.
    """
    if error.status in _TEMPORARY:
        return True
    cause = error.__cause__
    if isinstance(error, ServerTimeout):
        return isinstance(cause, requests.ConnectTimeout) or deadline_adapter.was_silent(cause)
    refused = isinstance(cause, (requests.exceptions.SSLError, requests.exceptions.InvalidURL))
    return isinstance(error, ServerUnreachable) and not refused
