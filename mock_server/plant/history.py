"""The recorded events of a data server; every read of events goes through this module.

All bounds are inclusive ticks; `now` is the instant as of which the archive is read: later events do not exist yet.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import changes, signals
from mock_server.plant.change_feed import Feed, feed, refresh
from mock_server.plant.data_archive import Archive, Window
from mock_server.plant.events import BAD, I64, Block, Kind, offsets, side_by_side, single
from mock_server.plant.instruments import Instruments, Recipe, instruments
from mock_server.plant.point import Point, Points
from mock_server.plant.sensors import NO_DATA, PT_CREATED
from mock_server.plant.signals import Query

_MOST_SLOTS_IN_FEED = 50_000


class History(Archive):
    """The recorded events of the points of one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._instruments = lru_cache(maxsize=8)(partial(instruments, recipe))

    def read(self, points: Sequence[Point], wanted: Window) -> Block:
        """The events of a window of each point.

        Work and memory grow with what is returned, not with the window, when there is a limit.
        """
        low, high, now, limit, newest_first = wanted
        devices = self._instruments(Points.of(points))
        created = devices.created
        lows, highs = np.maximum(created, low), np.full(len(points), min(high, now))
        query = Query(np.maximum(lows, created + 1), highs, now, limit, newest_first)
        first, end = signals.slots_of(devices, lows, highs)
        block = _read(devices, query, (first, np.maximum(first, end)))
        block = _with_creations(block, created, (created >= low) & (created <= highs))
        block = block.reversed() if newest_first else block
        return block if limit is None else block.head(limit)

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """The newest event of each point; a point created later shows "No Data" at `now`."""
        newest = super().snapshot(points, now=now)
        if (newest.counts == 1).all():
            return newest
        each = [self.last_before(point, now + 1, now=now) for point in points]
        return side_by_side([block if len(block.ticks) else no_data(block.points[0], now) for block in each])

    def changes(self, point: Point, after: int, until: int) -> Feed:
        """The events that became visible, changed or disappeared in (after, until], in the order of the changes.

        Where they would be too many to hold at once, a single Refresh tells to read everything again from its instant
        on.
        """
        devices = self._instruments(Points.of((point,)))
        horizon = int(changes.horizon(devices.period)[0]) if devices.change_odds else 0
        low = max(after - horizon, point.created_ticks)
        if (until - low) // int(devices.period[0]) > _MOST_SLOTS_IN_FEED:
            return refresh(self.value_at(point, low, now=until), until)
        news = feed(devices, point.created_ticks, after, until)
        if not after < point.created_ticks <= until:
            return news
        creation = single(point, point.created_ticks, Kind.SYSTEM, code=PT_CREATED, flags=BAD)
        return news.after(creation)

    def value_at(self, point: Point, instant: int, *, now: int) -> Block:
        """The value at exactly `instant`: recorded, interpolated, held, or "No Data" outside the record."""
        if instant > now:
            return no_data(point, instant)
        exact = self.window([point], instant, instant, now=now, limit=1, newest_first=True)
        if len(exact.ticks):
            return exact
        made_up = self.interpolated(point, instant, now=now)
        return made_up if made_up is not None else no_data(point, instant)

    def interpolated(self, point: Point, instant: int, *, now: int) -> Block | None:
        """The value between the neighbours of an instant without an event; None before the point's first event.

        Numbers of a point without `step` are interpolated linearly; other values, and those without a good number on
        both sides, are held.
        """
        before = self.last_before(point, instant, now=now)
        if not len(before.ticks):
            return None
        after = self.first_after(point, instant, now=now)
        number, kind = float(before.number[0]), int(before.kind[0])
        on_a_line = len(after.ticks) and kind == after.kind[0] == Kind.NUMBER and not point.sensor.step
        if on_a_line:
            share = (instant - int(before.ticks[0])) / (int(after.ticks[0]) - int(before.ticks[0]))
            number += share * (float(after.number[0]) - number)
            number = float(np.float32(number)) if point.point_type == "Float32" else number
        return single(
            point, instant, kind, number=number, code=int(before.code[0]), flags=int(before.flags[0]) & BAD
        )


def no_data(point: Point, instant: int) -> Block:
    """The system state of a point without a value."""
    return single(point, instant, Kind.SYSTEM, code=NO_DATA, flags=BAD)


def _read(devices: Instruments, query: Query, slots: tuple[I64, I64], further: int = 0) -> Block:
    """The wanted events of the slots from `slots[0]` up to `slots[1]`.

    With a limit, reads the slots that most likely hold that many events, then more of the streams that have too few.
    """
    if query.limit is None:
        return signals.generate(devices, *slots, query)
    first, end = slots
    edge = (end if query.newest else first) * devices.period
    reach = signals.reach(devices, edge, query.limit, backwards=query.newest) + further
    tried = np.minimum(end - first, reach)
    low, high = (end - tried, end) if query.newest else (first, first + tried)
    block = signals.generate(devices, low, high, query)
    short = np.flatnonzero((block.counts < query.limit) & (tried < end - first))
    if not len(short):
        return block
    lacking = query.limit - int(block.counts[short].min())
    rest = query._replace(low=query.low[short], high=query.high[short], limit=lacking)
    left = (first[short], low[short]) if query.newest else (high[short], end[short])
    more = _read(devices.of(short), rest, left, further * 4 + 32)
    return block.extended(short, more, before=query.newest)


def _with_creations(block: Block, created: I64, within: NDArray[np.bool_]) -> Block:
    """The block with a "Pt Created" event at the start of each stream whose creation lies in the window."""
    new = np.flatnonzero(within)
    if not len(new):
        return block
    bounds = offsets(block.counts + within)
    at = bounds[new]
    old = np.ones(int(bounds[-1]), dtype=np.bool_)
    old[at] = False

    values = (created[new], Kind.SYSTEM, 0.0, PT_CREATED, BAD)
    columns = []
    for column, value in zip(block.columns, values, strict=True):
        longer = np.empty(len(old), dtype=column.dtype)
        longer[old], longer[at] = column, value
        columns.append(longer)
    return Block(block.points, bounds, *columns)
