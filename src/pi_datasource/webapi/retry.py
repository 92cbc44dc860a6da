"""The retry policy of every call: what is sent again, how often, after which pause, and what the log says about it.

All calls are safe to repeat: they read, and a batch holds only GETs. A time-out is not retried, because the answer would
be late again. No pause is longer than ``LONGEST_PAUSE_S``; one longer than ``LOGGED_PAUSE_S`` is logged as a warning.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import NamedTuple, TypeVar

from pi_datasource.errors import ServerError

log = logging.getLogger(__name__)

TOO_MANY_REQUESTS = 429
RETRIED = (TOO_MANY_REQUESTS, 500, 502, 503, 504)
LONGEST_PAUSE_S = 300.0  # whatever a server's Retry-After says
LOGGED_PAUSE_S = 10.0  # a longer pause is logged as a warning
LONGEST_BACK_OFF_S = 30.0
_JITTER_S = 0.3
_NUMBER = re.compile(r"\d+(\.\d*)?", re.ASCII)

_Answer = TypeVar("_Answer")


class Failure(Enum):
    """Why an attempt failed, if sending it again may help."""

    NOT_CONNECTED = "no connection could be made"
    DROPPED = "a kept connection was closed before a byte of the answer came"
    SILENT = "a kept connection brought no byte of the answer within the time-out"
    BROKEN = "the connection broke, or the answer is damaged or incomplete"
    UNREADABLE = "the answer is not PI Web API's"
    UNAVAILABLE = "the server answered 500, 502, 503 or 504"
    RATE_LIMITED = "the server answered 429"


# The most retries for one reason, if max_retries allows more. A wrong address should be reported within seconds; if a
# fresh connection is silent, too, the server is slow.
_MOST = {Failure.NOT_CONNECTED: 3, Failure.SILENT: 1, Failure.UNREADABLE: 2}


class Failed(NamedTuple):
    """A failed attempt; ``kind`` is None if sending it again would not help."""

    error: ServerError
    kind: Failure | None
    retry_after_s: float | None = None


@dataclass
class Attempts:
    """The attempts of one call: one, and at most ``max_retries`` more for all reasons together.

    ``retries`` is how many of those have been used.
    """

    max_retries: int
    retries: int = 0
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self._seen: Counter[Failure] = Counter()

    def seen(self, kind: Failure) -> int:
        """How many failures of this kind were followed by another attempt."""
        return self._seen[kind]

    def next_pause_s(self, kind: Failure | None, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait before the next attempt, which is counted; None if there is none."""
        if kind is None or self.retries >= self.max_retries:
            return None
        if self._seen[kind] >= _MOST.get(kind, self.max_retries):
            return None
        fresh = kind in (Failure.DROPPED, Failure.SILENT) and not self._seen[kind]  # no server has to recover
        limited = kind is Failure.RATE_LIMITED
        own_s = 0.0 if fresh else back_off_s(self.retries, limited=limited) + _JITTER_S * self.jitter()
        self._seen[kind] += 1
        self.retries += 1
        return max(own_s, bounded_s(retry_after_s))

    def start_over(self) -> None:
        """Resets the counts, after an outage has been waited for."""
        self.retries = 0
        self._seen.clear()


def back_off_s(attempt: int, *, limited: bool) -> float:
    """The pause after the attempt of this number, from 0 on, at most ``LONGEST_BACK_OFF_S``.

    0.2, 0.6, 1.8 … seconds; where requests are ``limited`` 1, 2, 4 …, as PI counts requests by the second (reference:
    limits).
    """
    return min(2.0**attempt if limited else 0.2 * 3.0**attempt, LONGEST_BACK_OFF_S)


def bounded_s(asked_s: float | None) -> float:
    """The pause that a server asks for, at most ``LONGEST_PAUSE_S``; 0 if it asks for none."""
    return min(asked_s or 0.0, LONGEST_PAUSE_S)


def retry_after_s(header: object, now: Callable[[], float] = time.time) -> float | None:
    """The seconds that a ``Retry-After`` asks for: a number, or the time until a date; None for anything else."""
    text = str(header).strip() if isinstance(header, (str, int, float)) else ""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def kind_of_status(status: int) -> Failure | None:
    """The kind of failure if an answer with this HTTP status is temporary, else None."""
    if status == TOO_MANY_REQUESTS:
        return Failure.RATE_LIMITED
    return Failure.UNAVAILABLE if status in RETRIED else None


def send(
    attempt: Callable[[], _Answer | Failed],
    attempts: Attempts,
    sleep: Callable[[float], None],
    before_retry: Callable[[Failed, float], None] = lambda _failed, _pause_s: None,
) -> _Answer:
    """The answer of the first ``attempt`` that succeeds.

    ``before_retry`` is called with each failed attempt that another one follows, and the pause that lies between.

    Raises:
        ServerError: that of the last attempt.
    """
    while True:
        outcome = attempt()
        if not isinstance(outcome, Failed):
            return outcome
        pause_s = attempts.next_pause_s(outcome.kind, outcome.retry_after_s)
        if pause_s is None:
            outcome.error.attempt = attempts.retries + 1
            raise outcome.error
        count = f" (retry {attempts.retries} of {attempts.max_retries})"
        report(str(outcome.error), pause_s, outcome.retry_after_s, count)
        before_retry(outcome, pause_s)
        if pause_s:
            sleep(pause_s)


def report(failure: str, pause_s: float, asked_s: float | None, count: str = "") -> None:
    """Logs a pause before something is sent again: as a warning if it is long or the server asks for a longer one."""
    asked = f"; the server asks for {asked_s:g} s" if asked_s else ""
    if (asked_s or 0) > pause_s:
        asked += f", more than the {LONGEST_PAUSE_S:g} s that are waited at most"
    level = logging.WARNING if pause_s > LOGGED_PAUSE_S else logging.INFO
    log.log(level, "%s; sending it again in %.1f s%s%s", failure, pause_s, count, asked)
