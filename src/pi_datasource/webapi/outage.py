"""How long to wait for a server that is down or limits its request rate, before the failure is raised."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import requests

from pi_datasource.errors import ServerError, ServerTimeout, ServerUnreachable
from pi_datasource.webapi import deadline_adapter
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

PAUSE_S = 10.0
LOGGED_EVERY_S = 600.0
_TEMPORARY = (TOO_MANY_REQUESTS, 502, 503)


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
