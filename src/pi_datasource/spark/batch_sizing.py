"""How far the next micro-batch goes: bounded in time, and in about how many events it holds. Pure.

How many events a span of time holds is known to the server alone; ``count`` asks it. Few questions are asked: the span
that fitted last time is tried first, and small ones before large ones, because counting costs the archive time.
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
SHORTEST_SPAN = timedelta(milliseconds=1)  # even if it holds too much: a stream always advances
QUESTIONS = 10  # with a growth of 8, from ten minutes to all of an archive
_GROWTH = 8.0
_NOTHING = timedelta(0)
_AIM = 0.9  # of the bound
_ENOUGH = 0.5  # of the bound: a span that holds so much is not worth another question


@dataclass
class Budget:
    """Spans of about at most ``max_events`` events; remembers the last one."""

    max_events: int
    span: timedelta = FIRST_SPAN

    def end(self, start: datetime, horizon: datetime, count: Count) -> datetime:
        """The end of a span from ``start`` that holds at most ``max_events`` by ``count``, at most ``horizon``.

        A span that no question has shown to fit is taken only when there is none shorter to try. A span that the server
        does not count, because it is too long for it, is taken for one that holds too much.

        Raises:
            ServerError: the server does not count ``FIRST_SPAN`` either.
        """
        whole = horizon - start
        span, fits, over = min(self.span, whole), _NOTHING, whole
        for _ in range(QUESTIONS):
            try:
                events = count(Window(start, start + span))
            except ServerError as refused:
                if not fits and span <= FIRST_SPAN:
                    raise
                log.info("the events of %s are not counted (%s); a shorter time is read", span, refused)
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
    """The span to ask for after one that held ``share`` of the bound, between one that fits and one that may not."""
    scaled = span * min(_GROWTH, _AIM / max(share, 1e-9))
    if fits and over <= span * _GROWTH and not fits < scaled < over:
        scaled = fits + (over - fits) / 2
    return max(SHORTEST_SPAN, min(scaled, over))


def silent_end(start: datetime, horizon: datetime, step: timedelta, count: Count) -> datetime:
    """The end of the time from ``start`` on in which ``count`` finds nothing, up to ``horizon``, to within ``step``."""
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
