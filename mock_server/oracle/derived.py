"""The truth about derived values: interpolation, summaries and plots.

Plain Python over the oracle's events, in exact fractions; it shares the definition with the code that answers calls,
and no code.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from mock_server.plant import ticks
from mock_server.plant.events import Event, State


@dataclass(frozen=True)
class Curve:
    """All events of a stream up to `as_of` (ticks); without `step` numbers lie on the line between events."""

    events: Sequence[Event]
    as_of: int
    step: bool

    def value_at(self, instant: int) -> Event | None:
        """The value at an instant, the last one recorded there if any; None outside the record."""
        place = bisect_right(self.events, instant, key=lambda event: event.ticks) - 1
        if place < 0 or instant > self.as_of:
            return None
        before = self.events[place]
        if before.ticks == instant:
            return before
        held = Event(instant, before.value, before.good, False, False, False)
        if self.step or place + 1 == len(self.events):
            return held
        one, two = _number(before), _number(self.events[place + 1])
        if one is None or two is None:
            return held
        share = Fraction(instant - before.ticks, self.events[place + 1].ticks - before.ticks)
        return held._replace(value=float(one + share * (two - one)))

    def inside(self, low: int, high: int) -> Sequence[Event]:
        """The events with low <= ticks <= high."""
        first = bisect_left(self.events, low, key=lambda event: event.ticks)
        return self.events[first : bisect_right(self.events, high, key=lambda event: event.ticks)]

    def drawn(self, low: int, high: int) -> list[Event]:
        """The events of a window, with an interpolated value at each end that has no event."""
        events = list(self.inside(low, high))
        if not events or events[0].ticks != low:
            events[:0] = [value] if (value := self.value_at(low)) else []
        if not events or events[-1].ticks != high:
            events += [value] if (value := self.value_at(high)) else []
        return events


@dataclass(frozen=True)
class Weighted:
    """Values weighted by seconds, or by 1 for each event."""

    parts: Sequence[tuple[Fraction, Fraction, Fraction]]
    """For each part its weight and the values at its two ends, between which it runs straight."""

    numbers: Sequence[tuple[Fraction, int]]
    """Every value that can be an extreme, and when it is."""

    whole: Fraction
    """The weight of everything, good or not."""

    @property
    def good(self) -> Fraction:
        """The weight of good values."""
        return sum((weight for weight, _, _ in self.parts), Fraction(0))

    def figure(self, summary_type: str, *, by_event: bool) -> float | None:
        """One summary value, or None when there are too few values."""
        if summary_type == "Count":
            return float(self.good)
        if summary_type == "PercentGood":
            return float(100 * self.good / self.whole) if self.whole else None
        if summary_type in ("Minimum", "Maximum", "Range"):
            return self._extreme(summary_type)
        if not self.good:
            return None
        mean = sum((weight * (one + two) / 2 for weight, one, two in self.parts), Fraction(0)) / self.good
        if summary_type == "Average":
            return float(mean)
        if summary_type == "Total":
            return float(mean * self.good / (1 if by_event else 86_400))
        return self._deviation(mean, by_event=by_event, sample=summary_type == "StdDev")

    def _extreme(self, summary_type: str) -> float | None:
        if not self.numbers:
            return None
        least, most = min(self.numbers)[0], max(self.numbers)[0]
        return float({"Minimum": least, "Maximum": most, "Range": most - least}[summary_type])

    def _deviation(self, mean: Fraction, *, by_event: bool, sample: bool) -> float | None:
        spread = sum(
            (w * ((a - mean) ** 2 + (a - mean) * (b - mean) + (b - mean) ** 2) / 3 for w, a, b in self.parts),
            Fraction(0),
        )
        if by_event and self.good < 2:
            return None
        return math.sqrt(spread / (self.good - 1 if by_event and sample else self.good))


def time_weighted(curve: Curve, low: int, high: int) -> Weighted:
    """The curve between two instants, weighted by seconds."""
    parts, drawn = [], curve.drawn(low, high)
    for here, after in pairwise(drawn):
        one, two = _number(here), _number(after)
        seconds = Fraction(after.ticks - here.ticks, ticks.PER_SECOND)
        if one is not None:
            parts.append((seconds, one, one if two is None or curve.step else two))
    last = drawn[-1] if drawn else None
    if last is not None and last.ticks < high and (one := _number(last)) is not None:
        # Nothing is known after `as_of`: the last value holds until one tick later.
        parts.append((Fraction(curve.as_of + 1 - last.ticks, ticks.PER_SECOND), one, one))
    numbers = [(number, event.ticks) for event in drawn if (number := _number(event)) is not None]
    return Weighted(parts, numbers, Fraction(high - low, ticks.PER_SECOND))


def event_weighted(curve: Curve, low: int, high: int, *, with_low: bool, with_high: bool) -> Weighted:
    """The events between two instants, each weighted 1, with those at the ends or without."""
    events = [
        event
        for event in curve.inside(low, high)
        if (with_low or event.ticks > low) and (with_high or event.ticks < high)
    ]
    numbers = [(number, event.ticks) for event in events if (number := _number(event)) is not None]
    parts = [(Fraction(1), number, number) for number, _ in numbers]
    return Weighted(parts, numbers, Fraction(len(events)))


def plotted(curve: Curve, low: int, high: int, intervals: int) -> list[Event]:
    """The events that a plot over equal intervals returns for a window, oldest first."""
    shown: list[Event] = []
    for number in range(intervals):
        start = low + (high - low) * number // intervals
        end = low + (high - low) * (number + 1) // intervals
        events = [each for each in curve.inside(start, end) if each.ticks < end or number == intervals - 1]
        shown += [event for place, event in enumerate(events) if place in _significant(events)]
    return shown


def _significant(events: Sequence[Event]) -> set[int]:
    numbers = [(number, at) for at, event in enumerate(events) if (number := _number(event)) is not None]
    bad = [place for place, event in enumerate(events) if not event.good]
    places = {0, len(events) - 1} | set(bad[:1])
    if numbers:
        places.add(min(numbers)[1])
        places.add(max(numbers, key=lambda pair: (pair[0], -pair[1]))[1])
    return places


def _number(event: Event) -> Fraction | None:
    """The event's value as a good number, or None."""
    if not event.good or isinstance(event.value, str | State):
        return None
    return Fraction(event.value)
