"""What the data server holds: every read of events, by HTTP or by the oracle, comes through here.

All bounds are inclusive ticks; `now` is the instant as of which the archive is read: later events do not
exist yet.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mock_server import signals, ticks
from mock_server.catalog import Point
from mock_server.events import BAD, I64, Block, Kind, offsets, side_by_side, single
from mock_server.sensors import NO_DATA, PT_CREATED


class History:
    """The recorded events of a seed's points."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def window(
        self,
        points: Sequence[Point],
        low: int,
        high: int,
        *,
        now: int = ticks.LAST,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Block:
        """The events with low <= ticks <= high of each point, at most `limit` each, oldest or newest first.

        Work and memory grow with what is returned, not with the window, when there is a limit.
        """
        made_by = signals.instruments(self._seed, points)
        created = np.fromiter((point.created_ticks for point in points), dtype=np.int64, count=len(points))
        lows, highs = np.maximum(created, low), np.full(len(points), min(high, now))
        first, end = signals.slots_of(made_by, lows, highs)
        end = np.maximum(first, end)
        reach = None if limit is None else limit + limit // 5 + 16
        while True:
            block, complete = _reach(made_by, (lows, highs), (first, end), reach, newest_first)
            if limit is None or (complete | (block.counts >= limit)).all():
                break
            reach = (reach or 0) * 4  # rare: more empty slots than the reserve allowed for
        block = block.reversed() if newest_first else block
        return block if limit is None else block.head(limit)

    def last_before(self, point: Point, instant: int, *, now: int) -> Block:
        """The last event before `instant`, or an empty block."""
        return self.window([point], ticks.FIRST, instant - 1, now=now, limit=1, newest_first=True)

    def first_after(self, point: Point, instant: int, *, now: int) -> Block:
        """The first event after `instant`, or an empty block."""
        return self.window([point], instant + 1, ticks.LAST, now=now, limit=1)

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """The newest event of each point; a point created later shows "No Data" at `now`."""
        newest = self.window(points, ticks.FIRST, now, now=now, limit=1, newest_first=True)
        if (newest.counts == 1).all():
            return newest
        each = [self.last_before(point, now + 1, now=now) for point in points]
        return side_by_side([block if len(block.ticks) else no_data(block.points[0], now) for block in each])

    def value_at(self, point: Point, instant: int, *, now: int) -> Block:
        """One value exactly at `instant`: recorded, interpolated, held, or "No Data" outside the record."""
        if instant > now:
            return no_data(point, instant)
        exact = self.window([point], instant, instant, now=now, limit=1, newest_first=True)
        if len(exact.ticks):
            return exact
        made_up = self.interpolated(point, instant, now=now)
        return made_up if made_up is not None else no_data(point, instant)

    def interpolated(self, point: Point, instant: int, *, now: int) -> Block | None:
        """The value between the neighbours of an instant without event; None before the point's first event.

        Numbers of a point without `step` lie on the line between their neighbours; everything else, and what
        has no good number on both sides, keeps the previous value.
        """
        before = self.last_before(point, instant, now=now)
        if not len(before.ticks):
            return None
        after = self.first_after(point, instant, now=now)
        number, kind = float(before.number[0]), Kind(int(before.kind[0]))
        on_a_line = len(after.ticks) and kind == after.kind[0] == Kind.NUMBER and not point.sensor.step
        if on_a_line:
            share = (instant - int(before.ticks[0])) / (int(after.ticks[0]) - int(before.ticks[0]))
            number += share * (float(after.number[0]) - number)
            number = float(np.float32(number)) if point.point_type == "Float32" else number
        return single(
            point, instant, kind, number=number, code=int(before.code[0]), flags=int(before.flags[0]) & BAD
        )


def no_data(point: Point, instant: int) -> Block:
    """The system state that stands where a point has no value."""
    return single(point, instant, Kind.SYSTEM, code=NO_DATA, flags=BAD)


def _reach(
    made_by: signals.Instruments,
    window: tuple[I64, I64],
    slots: tuple[I64, I64],
    reach: int | None,
    newest_first: bool,
) -> tuple[Block, NDArray[np.bool_]]:
    """The window's events from at most `reach` slots at one end of it, and which streams that covers whole."""
    first, end = slots
    if reach is not None and newest_first:
        first = np.maximum(first, end - reach)
    elif reach is not None:
        end = np.minimum(end, first + reach)
    block = signals.generate(made_by, first, end)
    stream = block.stream_of_row()
    created = np.fromiter((point.created_ticks for point in made_by.points), np.int64, len(made_by.points))
    seen = (block.ticks >= window[0][stream]) & (block.ticks <= window[1][stream])
    block = block.keep(seen & (block.ticks > created[stream]))
    whole = (first == slots[0]) & (end == slots[1])
    return _with_creations(block, created, window, first == slots[0]), whole


def _with_creations(block: Block, created: I64, window: tuple[I64, I64], reached: NDArray[np.bool_]) -> Block:
    """The block with "Pt Created" put first in each stream whose creation lies in the window."""
    new = np.flatnonzero((created >= window[0]) & (created <= window[1]) & reached)
    if not len(new):
        return block
    at = block.bounds[new]
    return Block(
        block.points,
        offsets(block.counts + np.bincount(new, minlength=len(created))),
        np.insert(block.ticks, at, created[new]),
        np.insert(block.kind, at, np.uint8(Kind.SYSTEM)),
        np.insert(block.number, at, 0.0),
        np.insert(block.code, at, PT_CREATED),
        np.insert(block.flags, at, np.uint8(BAD)),
    )
