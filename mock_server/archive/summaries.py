"""Summaries of a stream over intervals: total, average, minimum, maximum, deviation, count, percentage of good data.

Time-weighted values are those of the curve that `recorded` shows with boundaryType Interpolated: a good number is
held until the next event, or interpolated to it where both are numbers and the stream has no step; a bad value is
excluded until the next event. Event-weighted values count each event once. Events are read in pages, so that memory
does not grow with the interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.archive.interpolation import Reader, values_at
from mock_server.archive.paging import collected
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import BAD, I64, Block, Kind, chained, spans
from mock_server.plant.hashing import F64
from mock_server.plant.number_format import printed_numbers
from mock_server.plant.sensors import NUMERIC_TYPES

SUMMARY_TYPES = (
    "Total",
    "Average",
    "Minimum",
    "Maximum",
    "Range",
    "StdDev",
    "PopulationStdDev",
    "Count",
    "PercentGood",
    "TotalWithUOM",
)
WITHOUT_NUMBERS = ("Count", "PercentGood")
Bools = NDArray[np.bool_]
Keep = Callable[[Block], Bools]
"""Which rows of a stream satisfy a filter."""


class Ends(NamedTuple):
    """Whether an interval includes events exactly at its start and end."""

    earlier: bool
    later: bool


@dataclass
class Figures:
    """Running sums of each interval; `good` and `whole` are seconds, or numbers of events.

    `spread` is the weighted sum of squared deviations from the `mean`: sums of squares would cancel a small deviation
    around a large mean.
    """

    start: I64
    end: I64
    by_event: bool
    good: F64
    whole: F64
    mean: F64
    spread: F64
    least: F64
    least_at: I64
    most: F64
    most_at: I64

    def value(self, summary_type: str, at: int) -> float | int | None:
        """One summary of interval `at`, or None when there are not enough good values."""
        good, whole = float(self.good[at]), float(self.whole[at])
        if summary_type == "Count":
            return int(good) if self.by_event else good
        if summary_type == "PercentGood":
            return 100.0 * good / whole if whole else None
        if not np.isfinite(self.least[at]) or (good == 0 and summary_type not in _EXTREMES):
            return None
        if summary_type in _EXTREMES:
            least, most = float(self.least[at]), float(self.most[at])
            return {"Minimum": least, "Maximum": most, "Range": most - least}[summary_type]
        if summary_type in ("StdDev", "PopulationStdDev"):
            return self._deviation(at, sample=summary_type == "StdDev")
        mean = float(self.mean[at])
        if summary_type == "Average":
            return mean
        return mean * good if self.by_event else mean * good * ticks.PER_SECOND / ticks.PER_DAY

    def _deviation(self, at: int, *, sample: bool) -> float | None:
        good, spread = float(self.good[at]), float(self.spread[at])
        if not self.by_event:
            return float(np.sqrt(spread / good))
        if good < 2:
            return None
        return float(np.sqrt(spread / (good - 1 if sample else good)))

    def add(self, owner: I64, whole: F64, good: F64, one: F64, two: F64) -> None:
        """Add pieces to the intervals `owner`: their weights, the good part of it, and their values at both ends."""

        def total(parts: F64) -> F64:
            return np.bincount(owner, parts, minlength=len(self.start)).astype(np.float64)

        counted = np.flatnonzero(good > 0)
        origin = np.zeros(len(self.start))  # a value of the interval, so that equal values have no spread
        origin[owner[counted[::-1]]] = one[counted[::-1]]
        one, two = one - origin[owner], two - origin[owner]
        weight = total(good)
        mean = total(good * (one + two) / 2) / np.where(weight > 0, weight, 1.0)
        one, two = one - mean[owner], two - mean[owner]
        both = self.good + weight
        share, distance = weight / np.where(both > 0, both, 1.0), origin + mean - self.mean
        self.spread += total(good * (one * one + one * two + two * two) / 3)
        self.spread += distance * distance * self.good * share
        self.mean += np.where(self.good > 0, distance * share, origin + mean)
        self.whole += total(whole)
        self.good = both

    def time(self, summary_type: str, at: int, time_type: str) -> int:
        """The timestamp of a summary."""
        if time_type == "MostRecentTime":
            return int(self.end[at])
        if time_type == "Auto" and np.isfinite(self.least[at]):
            extreme = {"Minimum": self.least_at, "Maximum": self.most_at}.get(summary_type)
            if extreme is not None:
                return int(extreme[at])
        return int(self.start[at])


_EXTREMES = ("Minimum", "Maximum", "Range")


def time_weighted(stream: Reader, edges: I64, samples: I64, keep: Keep | None) -> Figures:
    """The summaries of the intervals between ascending `edges`, weighted by time.

    A value counts while `keep` holds; it is evaluated at every event, or with `samples` at those instants only.
    """
    figures = _figures(edges, by_event=False)
    low, high = int(edges[0]), int(edges[-1])
    cuts = np.unique(np.concatenate((edges, samples[(samples > low) & (samples < high)])))
    cuts = np.unique(np.append(cuts, stream.now + 1)) if low <= stream.now < high else cuts
    for first, last, events in collected(stream.archive, stream.point, low, high, now=stream.now):
        after = min(last + 1, high)
        beyond = events if after <= last else chained([events, stream.events(after, after)])
        here = np.unique(np.concatenate(([first, after], cuts[(cuts >= first) & (cuts <= after)])))
        rows = _with_values_at(stream, beyond, here)
        _add_curve(figures, stream, rows, _kept(stream, rows, samples, keep))
    return figures


def event_weighted(stream: Reader, edges: I64, ends: Ends, keep: Keep | None) -> Figures:
    """The summaries of the intervals between ascending `edges`, with equal weight for every event."""
    figures = _figures(edges, by_event=True)
    for _, _, events in collected(
        stream.archive, stream.point, int(edges[0]), int(edges[-1]), now=stream.now
    ):
        _add_events(figures, events if keep is None else events.keep(keep(events)), ends)
    return figures


def _figures(edges: I64, *, by_event: bool) -> Figures:
    count = len(edges) - 1
    start, end = edges[:-1], edges[1:]
    good, whole, mean, spread = np.zeros((4, count))
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    return Figures(start, end, by_event, good, whole, mean, spread, least, start.copy(), most, start.copy())


def _is_good_number(rows: Block) -> Bools:
    good: Bools = (rows.kind == Kind.NUMBER) & (rows.flags & BAD == 0)
    return good


def _with_values_at(stream: Reader, events: Block, instants: I64) -> Block:
    """The events and, where there is none, a value at each of the instants, in time order."""
    missing = instants[~np.isin(instants, events.ticks)]
    rows = chained([events, values_at(stream, missing)])
    return rows.take(np.argsort(rows.ticks, kind="stable"), rows.bounds)


def _kept(stream: Reader, rows: Block, samples: I64, keep: Keep | None) -> Bools:
    """For each row whether the filter holds from it on; `samples` start no later than the rows."""
    if keep is None:
        return np.ones(len(rows.ticks), dtype=np.bool_)
    if not len(samples):
        held: Bools = keep(rows)
        return held
    governing = np.searchsorted(samples, rows.ticks, side="right") - 1
    asked = samples[governing[0] : governing[-1] + 1]
    sampled: Bools = keep(values_at(stream, asked))[governing - governing[0]]
    return sampled


def _add_curve(figures: Figures, stream: Reader, rows: Block, kept: Bools) -> None:
    """Add the pieces of the curve between neighbouring rows, which include the ends of intervals."""
    number = printed_numbers(stream.point.point_type, rows.number)
    numeric = _is_good_number(rows)
    good = numeric if stream.point.point_type in NUMERIC_TYPES else rows.flags & BAD == 0
    owner = np.clip(np.searchsorted(figures.start, rows.ticks[:-1], side="right") - 1, 0, None)
    seconds = np.diff(rows.ticks) / ticks.PER_SECOND
    seconds[~kept[:-1]] = 0.0
    weight = np.where(good[:-1], seconds, 0.0)
    straight = numeric[:-1] & numeric[1:] & (not stream.step)
    one, two = number[:-1], np.where(straight, number[1:], number[:-1])
    figures.add(owner, seconds, weight, one, two)
    _add_extremes(figures, rows, numeric & kept, Ends(earlier=True, later=True))


def _add_events(figures: Figures, events: Block, ends: Ends) -> None:
    numeric = _is_good_number(events)
    good = numeric if events.points[0].point_type in NUMERIC_TYPES else events.flags & BAD == 0
    number = np.where(numeric, printed_numbers(events.points[0].point_type, events.number), 0.0)
    low, high = _rows_of(figures, events, ends)
    rows, owner = spans(low, high - low), np.repeat(np.arange(len(low)), high - low)
    figures.add(owner, np.ones(len(rows)), good[rows].astype(np.float64), number[rows], number[rows])
    _add_extremes(figures, events, numeric, ends)


def _rows_of(figures: Figures, rows: Block, ends: Ends) -> tuple[I64, I64]:
    """The first row of each interval and the first one after it."""
    low = np.searchsorted(rows.ticks, figures.start, side="left" if ends.earlier else "right")
    high = np.searchsorted(rows.ticks, figures.end, side="right" if ends.later else "left")
    return low, np.maximum(low, high)


def _add_extremes(figures: Figures, rows: Block, counted: Bools, ends: Ends) -> None:
    number = printed_numbers(rows.points[0].point_type, rows.number)
    low, high = _rows_of(figures, rows, ends)
    small, large = np.where(counted, number, np.inf), np.where(counted, number, -np.inf)
    for at in paced(np.flatnonzero(high > low).tolist()):
        first, after = int(low[at]), int(high[at])
        least, most = first + int(small[first:after].argmin()), first + int(large[first:after].argmax())
        if small[least] < figures.least[at]:
            figures.least[at], figures.least_at[at] = small[least], rows.ticks[least]
        if large[most] > figures.most[at]:
            figures.most[at], figures.most_at[at] = large[most], rows.ticks[most]
