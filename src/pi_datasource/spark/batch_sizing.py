"""Batch sizing (admission control): how far a micro-batch goes, by time and by the number of events. Pure.

Only the server knows how many events a span of time holds; ``count`` asks it. Few requests are made: the span that
fitted last time is tried first, and short ones before long ones, because counting costs the archive time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pi_datasource.errors import ServerError
from pi_datasource.model import Window

log = logging.getLogger(__name__)

Count = Callable[[Window], float]

FIRST_SPAN = timedelta(minutes=10)
SHORTEST_SPAN = timedelta(milliseconds=1)  # used even if it holds too much: a stream always advances
MOST_COUNTS = 10  # with a growth of 8, from ten minutes to all of an archive
_GROWTH = 8.0
_NOTHING = timedelta(0)
_AIM = 0.9  # of the bound
_ENOUGH = 0.5  # of the bound: a span that holds this much is not worth another request


@dataclass
class Budget:
    """Finds spans of at most about ``max_events`` events; remembers the last one."""

    max_events: int
    span: timedelta = FIRST_SPAN

    def end(self, start: datetime, horizon: datetime, count: Count) -> datetime:
        """The end of a span from ``start`` that holds at most ``max_events`` by ``count``, at most ``horizon``.

        A span that was not shown to fit is used only if there is no shorter one to try. A span that is too long for the
        server to count is treated as one that holds too much.

        Raises:
            ServerError: the server does not count ``FIRST_SPAN`` either.
        """
        whole = horizon - start
        span, fits, over = min(self.span, whole), _NOTHING, whole
        for _ in range(MOST_COUNTS):
            try:
                events = count(Window(start, start + span))
            except ServerError as refused:
                if not fits and span <= FIRST_SPAN:
                    raise
                log.info(
                    "the server cannot count the events of %s (%s); trying a shorter span", span, refused
                )
                if fits:
                    break
                span = over = FIRST_SPAN
                continue
            share = events / self.max_events
            if share <= 1:
                fits = span
                if span == whole or share >= _ENOUGH:
                    break
            else:
                over = span
                if span <= SHORTEST_SPAN:
                    break
            span = _next(span, share, fits, over)
        chosen = fits or min(span, whole)
        self.span = max(self.span, chosen) if chosen == whole else chosen
        return start + chosen


def _next(span: timedelta, share: float, fits: timedelta, over: timedelta) -> timedelta:
    """The span to count after one that held ``share`` of the bound, between one that fits and one that may not."""
    scaled = span * min(_GROWTH, _AIM / max(share, 1e-9))
    if fits and over <= span * _GROWTH and not fits < scaled < over:
        scaled = fits + (over - fits) / 2
    return max(SHORTEST_SPAN, min(scaled, over))


def silent_end(start: datetime, horizon: datetime, step: timedelta, count: Count) -> datetime:
    """The end of the time after ``start`` in which ``count`` finds nothing, at most ``horizon``, to within ``step``."""
    silent, span = start, step
    while silent < horizon:
        reach = min(silent + span, horizon) if span < horizon - silent else horizon
        if count(Window(silent, reach)):
            break
        silent, span = reach, span * _GROWTH
    else:
        return horizon
    busy = reach
    while busy - silent > step:
        middle = silent + (busy - silent) / 2
        if count(Window(silent, middle)):
            busy = middle
        else:
            silent = middle
    return silent
