"""Builds one Arrow RecordBatch of exactly the requested columns from events; no Python object per row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import Point, ReadTask
from pi_datasource.recorded import arrays, events
from pi_datasource.recorded.arrays import Bools, Int32, Int64
from pi_datasource.recorded.events import TICKS_PER_MICROSECOND, Events, ticks_at
from pi_datasource.recorded.values import value_columns


@dataclass
class SequenceCounter:
    """The next ``sequence`` of one point, kept from page to page."""

    timestamp_us: int | None = None
    next: int = 0


class PointEvents(NamedTuple):
    """Consecutive events of one point, in server order."""

    point: Point
    events: Events
    units: str | None
    counter: SequenceCounter


def to_batch(
    groups: Sequence[PointEvents], target: pa.Schema, ingestion_time: datetime, pattern: str | None
) -> pa.RecordBatch:
    """Events of several points as one batch of ``target``, a selection of the table's columns, in the order given.

    Raises:
        UnexpectedReply: a point's events are out of order.
    """
    merged = events.concat([group.events for group in groups])
    lengths = np.array([group.events.size for group in groups], np.int64)
    micros = merged.ticks // TICKS_PER_MICROSECOND
    sequences = _sequences(groups, lengths, micros)
    columns = value_columns(merged, *_point_types(groups, lengths, merged.non_numeric), set(target.names))
    columns["timestamp"] = arrays.fixed_width(micros, schema.TIMESTAMP)
    columns["sequence"] = arrays.fixed_width(sequences, pa.int32())
    columns["ingestion_timestamp"] = pa.repeat(_timestamp(ingestion_time), len(micros))
    group_of_row = arrays.fixed_width(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), pa.int32())
    for name, texts in _point_columns([(each.point, each.units) for each in groups], target, pattern).items():
        columns[name] = _expand(texts, group_of_row)
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def status_rows(
    details: Sequence[tuple[Point, str]], kind: str, task: ReadTask, target: pa.Schema, pattern: str | None
) -> pa.RecordBatch:
    """Status rows, stamped with the start of the window: one per point, with its JSON (table catalogue, section 1)."""
    size = len(details)
    columns: dict[str, pa.Array] = {name: pa.nulls(size, target.field(name).type) for name in target.names}
    columns["timestamp"] = pa.repeat(_timestamp(task.window.start), size)
    columns["sequence"] = arrays.fixed_width(np.zeros(size, np.int32), pa.int32())
    columns["value_kind"] = arrays.strings([kind] * size)
    columns["value_string"] = arrays.strings([text for _, text in details])
    columns["ingestion_timestamp"] = pa.repeat(_timestamp(task.ingestion_time), size)
    of_points = _point_columns([(point, None) for point, _ in details], target, pattern)
    columns.update({name: arrays.strings(texts) for name, texts in of_points.items()})
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


_POINT_COLUMNS: dict[str, Callable[[Point, str | None], str | None]] = {
    "tag_webid": lambda point, _: point.web_id,
    "tag_name": lambda point, _: point.name,
    "units": lambda point, units: units or point.units or None,
    "point_type": lambda point, _: point.point_type,
    "tag_path": lambda point, _: point.path,
    "server_name": lambda point, _: point.server,
}


def _point_columns(
    points: Sequence[tuple[Point, str | None]], target: pa.Schema, pattern: str | None
) -> dict[str, list[str | None]]:
    """The text columns of ``target`` that are the same in all rows of a point, with one value per point."""
    wanted = set(target.names)
    columns = {
        name: [column(point, units) for point, units in points]
        for name, column in _POINT_COLUMNS.items()
        if name in wanted
    }
    expression = re.compile(pattern) if pattern is not None else None
    if expression is not None and (groups := wanted & expression.groupindex.keys()):
        matches = [expression.search(point.name) for point, _ in points]
        columns.update({name: [match[name] if match else None for match in matches] for name in groups})
    return columns


def _timestamp(moment: datetime) -> pa.Scalar:
    return arrays.fixed_width(np.array([ticks_at(moment) // TICKS_PER_MICROSECOND]), schema.TIMESTAMP)[0]


def _expand(values: Sequence[str | None], group_of_row: pa.Array) -> pa.Array:
    """The value of each row's group."""
    if values and all(value == values[0] for value in values):
        return pa.repeat(arrays.strings(values[:1])[0], len(group_of_row))
    return arrays.strings(values).take(group_of_row)


def _point_types(
    groups: Sequence[PointEvents], lengths: Int64, non_numeric: Int64
) -> tuple[list[str], Int64]:
    """The different point types, and for each non-numeric row the index of its point's type."""
    types = [group.point.point_type for group in groups]
    indices = {kind: index for index, kind in enumerate(dict.fromkeys(types))}
    owners = np.searchsorted(np.cumsum(lengths), non_numeric, side="right")
    return list(indices), np.array([indices[kind] for kind in types], np.int64)[owners]


def _sequences(groups: Sequence[PointEvents], lengths: Int64, micros: Int64) -> Int32:
    """Numbers events with equal timestamps from 0 on, and keeps in each counter where the point's next page continues."""
    filled = np.flatnonzero(lengths)
    ends = np.cumsum(lengths)[filled]
    heads = ends - lengths[filled]
    counters = [groups[i].counter for i in filled.tolist()]
    steps = np.diff(micros)
    steps[heads[1:] - 1] = 1  # from one point to the next, time may go back
    continued = [
        (head, counter)
        for head, start, counter in zip(heads.tolist(), micros[heads].tolist(), counters, strict=True)
        if counter.timestamp_us is not None and start <= counter.timestamp_us
    ]
    backwards = [head for head, counter in continued if micros[head] != counter.timestamp_us]
    falls = [*(np.flatnonzero(steps < 0) + 1).tolist(), *backwards]
    if falls:
        raise _out_of_order(groups, lengths, min(falls))
    numbers = _count_repeats(steps == 0, len(micros))
    for head, counter in continued:
        changes = np.flatnonzero(steps[head:] != 0)
        numbers[head : head + (int(changes[0]) + 1 if len(changes) else len(micros))] += counter.next
    last = zip(counters, micros[ends - 1].tolist(), numbers[ends - 1].tolist(), strict=True)
    for counter, timestamp_us, number in last:
        counter.timestamp_us, counter.next = timestamp_us, number + 1
    return numbers


def _count_repeats(repeats: Bools, size: int) -> Int32:
    """0 for a row whose timestamp differs from that of the row before, else one more than that row's number."""
    numbers = np.zeros(size, np.int32)
    rows = np.flatnonzero(repeats) + 1
    if len(rows):
        starts = np.arange(size)
        starts[rows] = 0
        numbers[rows] = rows - np.maximum.accumulate(starts)[rows]
    return numbers


def _out_of_order(groups: Sequence[PointEvents], lengths: Int64, row: int) -> UnexpectedReply:
    point = groups[int(np.searchsorted(np.cumsum(lengths), row, side="right"))].point
    return UnexpectedReply(
        f"the server sent the events of {point.name} out of order, which would lose some of them"
    )
