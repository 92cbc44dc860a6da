"""Values at given instants: recorded, interpolated, or found by a retrieval mode."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mock_server.archive.paging import pages
from mock_server.plant.data_archive import Archive
from mock_server.plant.events import BAD, I64, Block, Kind, chained, uniform
from mock_server.plant.point import Point
from mock_server.plant.sensors import NO_DATA

RETRIEVAL_MODES = ("Auto", "AtOrBefore", "Before", "AtOrAfter", "After", "Exact")
_PROBE = 256
_EVENTS_PER_LOOKUP = 10_000  # events read in bulk in the time of one look-up


@dataclass(frozen=True)
class Reader:
    """One stream as of `now`; without `step` its numbers are interpolated linearly."""

    archive: Archive
    point: Point
    now: int
    step: bool

    def events(self, low: int, high: int, limit: int | None = None) -> Block:
        """The events of a window, oldest first."""
        return self.archive.window([self.point], low, high, now=self.now, limit=limit)

    def around(self, low: int, high: int) -> Block:
        """The events of a window with the last one before it and the first one after it."""
        return self.with_neighbours(low, high, self.events(low, high))

    def with_neighbours(self, low: int, high: int, inside: Block) -> Block:
        """The given events of a window with their neighbours on both sides."""
        before = self.archive.last_before(self.point, low, now=self.now)
        after = self.archive.first_after(self.point, high, now=self.now)
        return chained([before, inside, after])


def reader(archive: Archive, point: Point, now: int, *, step: bool | None = None) -> Reader:
    """A reader of the stream; `step` overrides the point's own."""
    return Reader(archive, point, now, point.sensor.step if step is None else step)


def values_at(stream: Reader, instants: I64) -> Block:
    """One value at exactly each instant, in the given order: recorded, interpolated, held, or "No Data"."""
    order = np.argsort(instants, kind="stable")
    ordered = instants[order]
    values = chained([_between(block, stream, part) for block, part in _reads(stream, ordered)])
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return values.take(back, values.bounds)


def recorded_at(stream: Reader, instant: int, mode: str) -> Block | None:
    """The event that a retrieval mode finds at an instant, or None; of several with one timestamp the last."""
    for find in _FINDERS[mode]:
        found = find(stream, instant)
        if len(found.ticks):
            return found
    return None


def _exact(stream: Reader, instant: int) -> Block:
    return stream.archive.window([stream.point], instant, instant, now=stream.now, limit=1, newest_first=True)


def _before(stream: Reader, instant: int) -> Block:
    return stream.archive.last_before(stream.point, instant, now=stream.now)


def _after(stream: Reader, instant: int) -> Block:
    return stream.archive.first_after(stream.point, instant, now=stream.now)


_FINDERS: dict[str, tuple[Callable[[Reader, int], Block], ...]] = {
    "Auto": (_exact, _before, _after),
    "AtOrBefore": (_exact, _before),
    "Before": (_before,),
    "AtOrAfter": (_exact, _after),
    "After": (_after,),
    "Exact": (_exact,),
}


def _reads(stream: Reader, ordered: I64) -> Iterator[tuple[Block, I64]]:
    """The instants in parts, each with the events around it; only one part is held at a time."""
    if not len(ordered):
        yield stream.events(0, -1), ordered
        return
    low, high = int(ordered[0]), int(ordered[-1])
    if _is_sparse(stream, low, high, len(ordered)):
        for place, instant in enumerate(ordered.tolist()):
            yield stream.around(instant, instant), ordered[place : place + 1]
        return
    for first, last, events in pages(stream.archive, stream.point, low, high, now=stream.now):
        part = ordered[np.searchsorted(ordered, first) : np.searchsorted(ordered, last, side="right")]
        if len(part):
            yield stream.with_neighbours(first, last, events), part


def _is_sparse(stream: Reader, low: int, high: int, count: int) -> bool:
    """Whether single look-ups are cheaper than reading all events between the first and the last instant."""
    probe = stream.events(low, high, limit=_PROBE)
    if len(probe.ticks) < _PROBE:
        return False
    covered = int(probe.ticks[-1]) - low + 1
    return _PROBE * (high - low) // covered > count * _EVENTS_PER_LOOKUP


def _between(events: Block, stream: Reader, instants: I64) -> Block:
    """The values at instants whose neighbours are among the events."""
    if not len(events.ticks):
        return _no_data(stream.point, instants)
    at = np.searchsorted(events.ticks, instants, side="right") - 1
    here, after = np.maximum(at, 0), np.minimum(at + 1, len(events.ticks) - 1)
    exact = (at >= 0) & (events.ticks[here] == instants)
    kind, number = events.kind[here].copy(), events.number[here].copy()
    flags = np.where(exact, events.flags[here], events.flags[here] & BAD).astype(np.uint8)
    if not stream.step:
        line = ~exact & (at + 1 < len(events.ticks)) & (kind == Kind.NUMBER)
        line &= events.kind[after] == Kind.NUMBER
        number[line] = _on_the_line(events, stream.point, here[line], after[line], instants[line])
    number[kind != Kind.NUMBER] = 0.0
    bounds = np.array([0, len(instants)])
    found = Block([stream.point], bounds, instants, kind, number, events.code[here], flags)
    return found.with_state(NO_DATA, (at < 0) | (instants > stream.now))


def _on_the_line(events: Block, point: Point, here: I64, after: I64, instants: I64) -> "np.ndarray":
    share = (instants - events.ticks[here]) / (events.ticks[after] - events.ticks[here])
    number = events.number[here] + share * (events.number[after] - events.number[here])
    return number.astype(np.float32).astype(np.float64) if point.point_type == "Float32" else number


def _no_data(point: Point, instants: I64) -> Block:
    return uniform(point, instants, Kind.SYSTEM, code=NO_DATA, flags=BAD)
