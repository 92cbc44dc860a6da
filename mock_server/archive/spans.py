"""AF time spans, `10m`, `1h30m`, `1d`, `1mo`, and grids of instants in steps of them."""

import re
from datetime import timedelta, tzinfo
from typing import NamedTuple

import numpy as np

from mock_server.plant import ticks
from mock_server.plant.checkpoints import checkpoint
from mock_server.plant.events import I64
from mock_server.plant.pitime import UNIT_NAMES, UNIT_TICKS, shifted_by_months

_PART = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*([a-z]+)")
_CLOCK = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?\Z")
_SHORTEST_MONTH = 28 * ticks.PER_DAY
_AVERAGE_MONTH = 2_629_746 * ticks.PER_SECOND


class BadSpan(ValueError):
    """The text is not a positive time span."""


class Span(NamedTuple):
    """A length of time; months and days follow the local time of a zone, ticks do not."""

    months: int
    days: int
    ticks: int

    @property
    def least(self) -> int:
        """A lower bound of its length in ticks (a day may lose an hour)."""
        return self.months * _SHORTEST_MONTH + self.days * 23 * 3_600 * ticks.PER_SECOND + self.ticks

    @property
    def typical(self) -> int:
        """Its average length in ticks."""
        return self.months * _AVERAGE_MONTH + self.days * ticks.PER_DAY + self.ticks

    def after(self, start: int, times: int, zone: tzinfo) -> int:
        """The instant `times` spans after `start` (before it when negative), days as `zone` counts them.

        Results outside the years 1 to 9999 are clipped to one tick outside.
        """
        try:
            return min(max(self._after(start, times, zone), ticks.FIRST - 1), ticks.LAST + 1)
        except (ValueError, OverflowError):
            return ticks.LAST + 1 if times > 0 else ticks.FIRST - 1

    def _after(self, start: int, times: int, zone: tzinfo) -> int:
        moved = start
        if self.months or self.days:
            local = ticks.to_datetime(start).astimezone(zone)
            local = shifted_by_months(local, self.months * times) + timedelta(days=self.days * times)
            moved = ticks.from_datetime(local) + start % ticks.PER_MICROSECOND
        return moved + self.ticks * times


def parse(text: str) -> Span:
    """Parse a time span; a number without a unit is in seconds.

    Raises:
        BadSpan: when the text is not a time span, or one that is not positive.
    """
    cleaned = text.strip().lower()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", cleaned):
        cleaned += "s"
    span = _clock(cleaned) or _parts(cleaned, text)
    if span.least <= 0:
        raise BadSpan(text)
    return span


def _clock(text: str) -> Span | None:
    match = _CLOCK.match(text)
    if match is None:
        return None
    hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
    fraction = int((match[4] or "").ljust(7, "0"))
    return Span(0, 0, (hours * 3_600 + minutes * 60 + seconds) * ticks.PER_SECOND + fraction)


def _parts(cleaned: str, text: str) -> Span:
    months = days = exact = at = 0
    while at < len(cleaned):
        match = _PART.match(cleaned, at)
        if match is None:
            raise BadSpan(text)
        at = match.end()
        whole, _, fraction = match[1].partition(".")
        unit = "ms" if match[2] in ("ms", "millisecond", "milliseconds") else UNIT_NAMES.get(match[2], "")
        count = int(whole or 0)
        if unit in ("s", "m", "h", "ms"):
            size = ticks.PER_MILLISECOND if unit == "ms" else UNIT_TICKS[unit]
            exact += count * size + int(fraction.ljust(9, "0")) * size // 10**9
        elif not unit or fraction.strip("0"):
            raise BadSpan(text)
        elif unit in ("d", "w"):
            days += count * (7 if unit == "w" else 1)
        else:
            months += count * (12 if unit == "y" else 1)
    if months > 120_000 or days > 3_660_000 or exact > ticks.LAST:
        raise BadSpan(text)
    return Span(months, days, exact)


def grid(start: int, end: int, span: Span, zone: tzinfo) -> I64:
    """The instants from `start` in steps of `span` up to and including `end`, descending when it is earlier."""
    direction = 1 if end >= start else -1
    if not span.months and not span.days:
        return np.arange(start, end + direction, direction * span.ticks, dtype=np.int64)
    instants: list[int] = []
    count = 0
    while (span.after(start, count, zone) - end) * direction <= 0:  # ends: each step is at least `least`
        checkpoint()
        instants.append(span.after(start, count, zone))
        count += direction
    return np.array(instants, dtype=np.int64)


def synced_grid(low: int, high: int, span: Span, sync: int, zone: tzinfo, *, outside: bool) -> I64:
    """The instants in [low, high] that are a whole number of spans from `sync`, ascending.

    With `outside` also the nearest before `low` and after `high`, unless the bound itself is one.
    """
    count = (low - sync) // span.typical
    while span.after(sync, count, zone) > low:
        count -= 1
    while span.after(sync, count + 1, zone) <= low:
        count += 1
    first = span.after(sync, count, zone)
    instants = [first] if first == low or outside else []
    instant = span.after(sync, count + 1, zone)
    while instant <= high:
        checkpoint()
        instants.append(instant)
        count += 1
        instant = span.after(sync, count + 1, zone)
    if outside and (not instants or instants[-1] < high):
        instants.append(instant)
    return np.array(instants, dtype=np.int64)
