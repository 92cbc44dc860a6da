"""The exact events of a window, as objects or as an Arrow table."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from mock_server.plant import ticks
from mock_server.plant.events import ANNOTATED, BAD, QUESTIONABLE, SUBSTITUTED, Block, Event, Kind, State
from mock_server.plant.history import History
from mock_server.plant.number_format import printed_numbers
from mock_server.plant.point import Point
from mock_server.plant.process import text_of
from mock_server.plant.sensors import STATES, SYSTEM_STATES

_KIND_NAMES = np.array(["number", "digital", "system", "string", "timestamp"], dtype=object)  # by `Kind`
SCHEMA = pa.schema(
    [
        ("tag_name", pa.string()),
        ("ticks", pa.int64()),
        ("number", pa.float64()),
        ("text", pa.string()),
        ("state_code", pa.int32()),
        ("is_system", pa.bool_()),
        ("kind", pa.string()),
        ("good", pa.bool_()),
        ("questionable", pa.bool_()),
        ("substituted", pa.bool_()),
        ("annotated", pa.bool_()),
        ("units", pa.string()),
    ]
)
_POINTS_AT_ONCE = 64


def events(history: History, point: Point, low: int, high: int, visible: int) -> list[Event]:
    """The events with low <= ticks <= min(high, visible) of one point."""
    block = history.window([point], low, high, now=visible)
    numbers = printed_numbers(point.point_type, block.number)
    instants, kinds, _, codes, quality = (column.tolist() for column in block.columns)
    rows = zip(instants, kinds, numbers.tolist(), codes, quality, strict=True)
    return [
        Event(
            instant,
            _value(point, kind, number, code),
            not flags & BAD,
            *(bool(flags & bit) for bit in (QUESTIONABLE, SUBSTITUTED, ANNOTATED)),
        )
        for instant, kind, number, code, flags in rows
    ]


def table(history: History, points: Sequence[Point], low: int, high: int, visible: int) -> pa.Table:
    """The events of many points, with the columns of `SCHEMA`."""
    return pa.Table.from_batches(batches(history, points, low, high, visible), SCHEMA)


def batches(
    history: History, points: Sequence[Point], low: int, high: int, visible: int
) -> Iterator[pa.RecordBatch]:
    """The same as one batch for each point; only a few points are held at once."""
    for first in range(0, len(points), _POINTS_AT_ONCE):
        some = points[first : first + _POINTS_AT_ONCE]
        yield from _batches(history.window(some, low, high, now=visible))


def _value(point: Point, kind: int, number: float, code: int) -> float | int | str | State:
    if kind == Kind.NUMBER:
        return int(number) if point.point_type == "Int32" else number
    text = _text(point, kind, code)
    return State(text, code, kind == Kind.SYSTEM) if kind in (Kind.DIGITAL, Kind.SYSTEM) else text


def _text(point: Point, kind: int, code: int) -> str:
    if kind == Kind.STRING:
        return text_of(point, code)
    if kind == Kind.TIMESTAMP:
        return ticks.to_iso(code)
    return STATES[SYSTEM_STATES.name if kind == Kind.SYSTEM else point.digital_set_name][code]


def _batches(block: Block) -> Iterator[pa.RecordBatch]:
    for place, point in enumerate(block.points):
        rows = slice(int(block.bounds[place]), int(block.bounds[place + 1]))
        yield _batch(point, block, rows)


def _batch(point: Point, block: Block, rows: slice) -> pa.RecordBatch:
    kind, code, flags = block.kind[rows], block.code[rows], block.flags[rows]
    count = len(kind)
    is_number = kind == Kind.NUMBER
    is_state = (kind == Kind.DIGITAL) | (kind == Kind.SYSTEM)
    texts = np.full(count, None, dtype=object)
    for row in np.flatnonzero(~is_number).tolist():
        texts[row] = _text(point, int(kind[row]), int(code[row]))
    columns = [
        pa.repeat(point.name, count),
        pa.array(block.ticks[rows]),
        pa.array(printed_numbers(point.point_type, block.number[rows]), mask=~is_number),
        pa.array(texts, pa.string()),
        pa.array(np.where(is_state, code, 0).astype(np.int32), mask=~is_state),
        pa.array(kind == Kind.SYSTEM),
        pa.array(_KIND_NAMES[kind], pa.string()),
        *(pa.array(flags & bit != 0) if bit != BAD else pa.array(flags & BAD == 0) for bit in _FLAG_COLUMNS),
        pa.repeat(point.engineering_units, count),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


_FLAG_COLUMNS = (BAD, QUESTIONABLE, SUBSTITUTED, ANNOTATED)
