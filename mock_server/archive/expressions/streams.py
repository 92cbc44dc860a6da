"""Functions of performance equations that read streams or times."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

import numpy as np

from mock_server.archive.expressions.functions import text
from mock_server.archive.expressions.grammar import Name, Node
from mock_server.archive.expressions.values import CalcFailed, Instant, Value, number, values_of
from mock_server.archive.interpolation import Reader, recorded_at, values_at
from mock_server.archive.summaries import Ends, Figures, event_weighted, time_weighted
from mock_server.plant import ticks
from mock_server.plant.events import ANNOTATED, BAD, QUESTIONABLE, SUBSTITUTED, State

_NO_SAMPLES = np.array([], dtype=np.int64)


class RowContext(Protocol):
    """What a function can read about the row it is computed for."""

    @property
    def zone(self) -> tzinfo:
        """The zone of naive times and of days."""

    def value(self, node: Node, row: int) -> Value:
        """The value of an argument."""

    def now(self, row: int) -> Instant:
        """The row's instant."""

    def time(self, text: str, base: Instant) -> Instant:
        """The instant of a PI time relative to `base`."""

    def stream(self, node: Node) -> Reader:
        """The stream an argument names."""

    def flags(self, node: Node, row: int) -> int:
        """The quality flags of a stream at the row."""


Arguments = tuple[Node, ...]


class StreamFunction(NamedTuple):
    """A function with its least and greatest number of arguments; the first may have to name a stream."""

    least: int
    most: int
    compute: Callable[[RowContext, Arguments, int], Value]
    reads_stream: bool = True


def _instant(rows: RowContext, nodes: Arguments, at: int, row: int) -> Instant:
    """The time that argument `at` gives, by default the row's own."""
    if len(nodes) <= at:
        return rows.now(row)
    value = rows.value(nodes[at], row)
    if isinstance(value, str):
        return rows.time(value, rows.now(row))
    if not isinstance(value, Instant):
        raise CalcFailed
    return value


def _range(rows: RowContext, nodes: Arguments, row: int) -> tuple[int, int]:
    """The time range of arguments 1 and 2; a relative one is relative to the other."""
    start, end = nodes[1], nodes[2]
    if _is_relative(start):
        high = _instant(rows, nodes, 2, row)
        low = rows.time(f"*{start.text}", high)  # type: ignore[union-attr]
    elif _is_relative(end):
        low = _instant(rows, nodes, 1, row)
        high = rows.time(f"*{end.text}", low)  # type: ignore[union-attr]
    else:
        low, high = _instant(rows, nodes, 1, row), _instant(rows, nodes, 2, row)
    if low.ticks > high.ticks:
        raise CalcFailed
    return low.ticks, high.ticks


def _is_relative(node: Node) -> bool:
    return isinstance(node, Name) and node.text[:1] in "+-"


def _figure(summary_type: str, *, by_event: bool = False) -> StreamFunction:
    """A summary of a stream over a range; a fourth argument is the minimum percentage of good data."""

    def compute(rows: RowContext, nodes: Arguments, row: int) -> Value:
        stream, edges = rows.stream(nodes[0]), np.array(_range(rows, nodes, row), dtype=np.int64)
        figures = _figures(stream, edges, by_event=by_event)
        if len(nodes) > 3 and (figures.value("PercentGood", 0) or 0.0) < number(rows.value(nodes[3], row)):
            raise CalcFailed
        value = figures.value(summary_type, 0)
        if value is None:
            raise CalcFailed
        return value

    return StreamFunction(3, 4, compute)


def _figures(stream: Reader, edges: "np.ndarray", *, by_event: bool) -> Figures:
    if by_event:
        return event_weighted(stream, edges, Ends(earlier=True, later=True), None)
    return time_weighted(stream, edges, _NO_SAMPLES, None)


def _value_at(rows: RowContext, nodes: Arguments, row: int) -> Value:
    if len(nodes) == 1:
        return rows.value(nodes[0], row)
    instant = np.array([_instant(rows, nodes, 1, row).ticks], dtype=np.int64)
    return values_of(values_at(rows.stream(nodes[0]), instant))[0]


def _neighbour(mode: str, *, time: bool) -> StreamFunction:
    def compute(rows: RowContext, nodes: Arguments, row: int) -> Value:
        found = recorded_at(rows.stream(nodes[0]), _instant(rows, nodes, 1, row).ticks, mode)
        if found is None:
            raise CalcFailed
        return Instant(int(found.ticks[0])) if time else values_of(found)[0]

    return StreamFunction(1, 2, compute)


def _is_bad(rows: RowContext, nodes: Arguments, row: int) -> Value:
    """1 for a system state, or an argument that cannot be computed."""
    try:
        value = rows.value(nodes[0], row)
    except CalcFailed:
        return 1
    return int(isinstance(value, State) and value.is_system)


_FLAGS = {"a": ANNOTATED, "s": SUBSTITUTED, "q": QUESTIONABLE, "b": BAD}


def _is_set(rows: RowContext, nodes: Arguments, row: int) -> Value:
    flag = _FLAGS.get(text(rows.value(nodes[1], row)).lower()[:1])
    if flag is None:
        raise CalcFailed
    return int(bool(rows.flags(nodes[0], row) & flag))


def _parse_time(rows: RowContext, nodes: Arguments, row: int) -> Value:
    return rows.time(text(rows.value(nodes[0], row)), rows.now(row))


def _attribute(read: Callable[[Reader], Value]) -> StreamFunction:
    return StreamFunction(1, 1, lambda rows, nodes, _: read(rows.stream(nodes[0])))


def _calendar(read: Callable[[datetime], int]) -> StreamFunction:
    def compute(rows: RowContext, nodes: Arguments, row: int) -> Value:
        return read(ticks.to_datetime(_instant(rows, nodes, 0, row).ticks).astimezone(rows.zone))

    return StreamFunction(0, 1, compute, reads_stream=False)


def _midnight(move: Callable[[datetime], datetime]) -> StreamFunction:
    """An instant derived from local midnight at the start of the day."""

    def compute(rows: RowContext, nodes: Arguments, row: int) -> Value:
        local = ticks.to_datetime(_instant(rows, nodes, 0, row).ticks).astimezone(rows.zone)
        try:
            moved = move(local.replace(hour=0, minute=0, second=0, microsecond=0))
            return Instant(ticks.from_datetime(moved))
        except (OverflowError, ValueError) as error:
            raise CalcFailed from error

    return StreamFunction(0, 1, compute, reads_stream=False)


def _next_month(midnight: datetime) -> datetime:
    return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


STREAM_FUNCTIONS: dict[str, StreamFunction] = {
    "tagval": StreamFunction(1, 2, _value_at),
    "prevval": _neighbour("Before", time=False),
    "nextval": _neighbour("After", time=False),
    "prevevent": _neighbour("Before", time=True),
    "nextevent": _neighbour("After", time=True),
    "tagavg": _figure("Average"),
    "tagmean": _figure("Average", by_event=True),
    "tagmax": _figure("Maximum"),
    "tagmin": _figure("Minimum"),
    "tagtot": _figure("Total"),
    "rangeval": _figure("Range"),
    "stdev": _figure("StdDev"),
    "eventcount": _figure("Count", by_event=True),
    "pctgood": _figure("PercentGood"),
    "badval": StreamFunction(1, 1, _is_bad, reads_stream=False),
    "tagbad": StreamFunction(1, 1, _is_bad),
    "isset": StreamFunction(2, 2, _is_set),
    "tagname": _attribute(lambda stream: stream.point.name),
    "tagdesc": _attribute(lambda stream: stream.point.descriptor),
    "tageu": _attribute(lambda stream: stream.point.engineering_units),
    "tagtype": _attribute(lambda stream: stream.point.point_type),
    "tagspan": _attribute(lambda stream: stream.point.sensor.span),
    "tagzero": _attribute(lambda stream: stream.point.sensor.zero),
    "parsetime": StreamFunction(1, 1, _parse_time, reads_stream=False),
    "year": _calendar(lambda local: local.year),
    "month": _calendar(lambda local: local.month),
    "day": _calendar(lambda local: local.day),
    "hour": _calendar(lambda local: local.hour),
    "minute": _calendar(lambda local: local.minute),
    "second": _calendar(lambda local: local.second),
    "weekday": _calendar(lambda local: local.isoweekday() % 7 + 1),
    "yearday": _calendar(lambda local: local.timetuple().tm_yday),
    "daysec": _calendar(lambda local: local.hour * 3_600 + local.minute * 60 + local.second),
    "bod": _midnight(lambda midnight: midnight),
    "bom": _midnight(lambda midnight: midnight.replace(day=1)),
    "bonm": _midnight(_next_month),
    "noon": _midnight(lambda midnight: midnight.replace(hour=12)),
}
