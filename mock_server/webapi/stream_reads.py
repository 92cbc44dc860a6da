"""Reads of events for calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mock_server.archive.interpolation import reader, values_at
from mock_server.archive.plots import plot_values
from mock_server.archive.spans import grid, synced_grid
from mock_server.plant.data_archive import TooManyEvents
from mock_server.plant.events import I64, Block, chained, side_by_side
from mock_server.plant.point import Point
from mock_server.webapi.call import Call
from mock_server.webapi.filter_expression import filter_of


@dataclass(frozen=True)
class RecordedRequest:
    """The parameters of a recorded call; both bounds are ticks and inclusive, in either direction."""

    low: int
    high: int
    newest_first: bool
    boundary: str
    limit: int


def recorded_request(call: Call, streams: int = 1) -> RecordedRequest:
    """The window, direction, boundary type and limit of a recorded call on that many streams."""
    low, high, newest_first = window(call)
    boundary = call.choice("boundaryType", "Inside", ("Inside", "Outside", "Interpolated"))
    return RecordedRequest(low, high, newest_first, boundary, call.max_count(streams=streams))


def window(call: Call) -> tuple[int, int, bool]:
    """The earlier and the later end of the call's range, and whether the range is reversed."""
    start, end = call.time("startTime", "*-1d"), call.time("endTime", "*")
    return min(start, end), max(start, end), end < start


def read_recorded(call: Call, points: Sequence[Point], request: RecordedRequest) -> Block:
    """The requested recorded events, a stream for each point."""
    if call.text("filterExpression"):
        return side_by_side([_read_filtered(call, point, request) for point in points])
    call.flag("includeFilteredValues")
    if request.boundary == "Inside":
        return _inside(call, points, request, request.limit)
    return side_by_side([_with_bounds(call, point, request, request.limit) for point in points])


def newest_values(call: Call, points: Sequence[Point]) -> Block:
    """The newest value of each stream."""
    return call.archive.snapshot(points, now=call.now)


def current_values(call: Call, points: Sequence[Point]) -> Block:
    """One value of each stream: at `time`, or the newest."""
    if not call.text("time"):
        return newest_values(call, points)
    instants = instant_array([call.time("time", "*")])
    return _of_each(call, points, lambda point: values_at(reader(call.archive, point, call.now), instants))


def interpolated_values(call: Call, points: Sequence[Point]) -> Block:
    """The values at every `interval` of the range, aligned to `syncTime` if it is given."""
    instants = _interpolation_grid(call, len(points))
    return _filtered_values(call, points, instants)


def values_at_times(call: Call, points: Sequence[Point]) -> Block:
    """The values at each `time`, ascending unless `sortOrder` says otherwise."""
    instants = sorted(call.times("time"), reverse=call.descending)
    call.check_size("time", len(instants) * len(points))
    return _filtered_values(call, points, instant_array(instants))


def plotted_values(call: Call, points: Sequence[Point]) -> Block:
    """The events that preserve the shape of the trend over `intervals` pixels."""
    low, high, newest_first = window(call)
    intervals = call.integer("intervals", 24, low=1)
    call.check_size("intervals", intervals * len(points))
    plotted = _of_each(
        call, points, lambda point: plot_values(reader(call.archive, point, call.now), low, high, intervals)
    )
    return plotted.reversed() if newest_first else plotted


READS: dict[str, Callable[[Call, Sequence[Point]], Block]] = {
    "value": current_values,
    "end": newest_values,
    "interpolated": interpolated_values,
    "interpolatedattimes": values_at_times,
    "plot": plotted_values,
}
"""The methods of streams and stream sets that take nothing but a read, by the last segment of their paths."""


def _interpolation_grid(call: Call, streams: int) -> I64:
    low, high, newest_first = window(call)
    span = call.span("interval", "1h")
    assert span is not None
    call.check_size("interval", ((high - low) // span.typical + 1) * streams)
    if call.text("syncTime") and call.server.generation.has("syncTime"):
        outside = call.choice("syncTimeBoundaryType", "Inside", ("Inside", "Outside")) == "Outside"
        synced = synced_grid(low, high, span, call.time("syncTime", "*"), call.zone, outside=outside)
        return synced[::-1] if newest_first else synced
    return grid(high, low, span, call.zone) if newest_first else grid(low, high, span, call.zone)


def _filtered_values(call: Call, points: Sequence[Point], instants: I64) -> Block:
    def read(point: Point) -> Block:
        condition = filter_of(call, point)
        values = values_at(reader(call.archive, point, call.now), instants)
        return values if condition is None else condition.applied(values)

    return _of_each(call, points, read)


def _of_each(call: Call, points: Sequence[Point], read: Callable[[Point], Block]) -> Block:
    """The blocks of all streams as one; also for no stream."""
    return (
        side_by_side([read(point) for point in points])
        if points
        else call.archive.window([], 0, 0, now=call.now)
    )


def _read_filtered(call: Call, point: Point, request: RecordedRequest) -> Block:
    """The events that satisfy the filter: reads more until the limit is reached or no event is left.

    Raises:
        TooManyEvents: when that takes more events than the archive collects.
    """
    condition = filter_of(call, point)
    assert condition is not None
    reach, most = max(request.limit, 1000), call.server.max_collect
    while True:
        rows = _rows(call, point, request, min(reach, most + 1))
        if len(rows.ticks) > most:
            raise TooManyEvents
        kept = condition.applied(rows)
        if len(kept.ticks) >= request.limit or len(rows.ticks) < reach:
            return kept.head(request.limit)
        reach *= 4


def _rows(call: Call, point: Point, request: RecordedRequest, limit: int) -> Block:
    if request.boundary == "Inside":
        return _inside(call, [point], request, limit)
    return _with_bounds(call, point, request, limit)


def _inside(call: Call, points: Sequence[Point], request: RecordedRequest, limit: int) -> Block:
    return call.archive.window(
        points, request.low, request.high, now=call.now, limit=limit, newest_first=request.newest_first
    )


def _with_bounds(call: Call, point: Point, request: RecordedRequest, limit: int) -> Block:
    """One stream with the boundary values of types Outside and Interpolated, cut to the limit."""
    blocks = [
        _bound(call, point, request, request.low, call.archive.last_before),
        _inside(call, [point], request, limit),
    ]
    if request.boundary == "Outside" or request.low < request.high:
        blocks.append(_bound(call, point, request, request.high, call.archive.first_after))
    if request.newest_first:
        blocks.reverse()
    return chained([block for block in blocks if block is not None]).head(limit)


def _bound(
    call: Call, point: Point, request: RecordedRequest, instant: int, neighbour: Callable[..., Block]
) -> Block | None:
    """The boundary value at one end of the window, if no event is exactly there."""
    if len(call.archive.window([point], instant, instant, now=call.now, limit=1).ticks):
        return None
    outside = request.boundary == "Outside"
    return neighbour(point, instant, now=call.now) if outside else _interpolated(call, point, instant)


def _interpolated(call: Call, point: Point, instant: int) -> Block | None:
    """The interpolated value at an instant; None before the first event and after now."""
    if instant > call.now or not len(call.archive.last_before(point, instant, now=call.now).ticks):
        return None
    return values_at(reader(call.archive, point, call.now), instant_array([instant]))


def instant_array(instants: Sequence[int]) -> I64:
    """The instants as an array."""
    return np.array(instants, dtype=np.int64)
