"""How long a server that is down, or refuses further requests, is waited for before the failure is raised."""

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
TOLD_EVERY_S = 600.0
_PASSING = (TOO_MANY_REQUESTS, 502, 503)


class Outage:
    """Time since the first of a row of calls that found no server or a rate limit; at most ``patience_s`` is waited."""

    def __init__(self, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience_s, self._clock = patience_s, clock
        self._since: float | None = None
        self._told_at = 0.0

    def should_wait(self, error: ServerError) -> bool:
        """Whether ``error`` is one that passes with time, and there is time left."""
        if self._patience_s <= 0 or not is_temporary(error):
            return False
        now = self._clock()
        if self._since is None:
            self._since, self._told_at = now, now - TOLD_EVERY_S
        left_s = self._since + self._patience_s - now
        if left_s <= 0:
            return False
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            log.warning("%s; waiting for it for up to %.0f s more (wait_for_server)", error, left_s)
        return True

    def over(self) -> None:
        """Takes note of an answer."""
        if self._since is not None:
            log.warning("the PI server answers again after %.0f s", self._clock() - self._since)
        self._since = None


def is_temporary(error: ServerError) -> bool:
    """Whether waiting may help: no connection, or 429, 502 or 503, after all retries; not a certificate without trust.

    A time-out is no outage where a connection was made for the request: such a server is slow. On a connection that was
    kept from earlier requests, silence may as well mean that a firewall has forgotten it.
    """
    if error.status in _PASSING:
        return True
    cause = error.__cause__
    if isinstance(error, ServerTimeout):
        return isinstance(cause, requests.ConnectTimeout) or deadline_adapter.was_silent(cause)
    refused = isinstance(cause, (requests.exceptions.SSLError, requests.exceptions.InvalidURL))
    return isinstance(error, ServerUnreachable) and not refused
