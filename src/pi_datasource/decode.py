"""Events → one Arrow RecordBatch. Pure; no Python object per row is built beyond what the parser makes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pi_datasource import schema
from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import Point
from pi_datasource.reply import TimedValue, moment
from pi_datasource.values import value_columns


@dataclass
class Numbering:
    """How far one point's ``sequence`` has counted: carried from page to page."""

    timestamp_us: int | None = None
    next: int = 0


@dataclass(frozen=True)
class Rows:
    """Consecutive events of one point, in server order."""

    point: Point
    items: Sequence[TimedValue]
    units: str | None
    numbering: Numbering


def timestamps(texts: list[str]) -> pa.Array:
    """Timestamps as PI writes them → ``timestamp[us, UTC]``, cut and never rounded.

    Raises:
        UnexpectedReply: a text that is no timestamp.
    """
    try:
        exact = pa.array(texts, pa.string()).cast(pa.timestamp("ns", "UTC"))
        return pc.floor_temporal(exact, unit="microsecond").cast(schema.TIMESTAMP)
    except pa.ArrowInvalid:  # outside 1677 to 2262, or no timestamp at all
        return pa.array([moment(text) for text in texts], schema.TIMESTAMP)


def to_batch(
    groups: Sequence[Rows], target: pa.Schema, ingestion_time: datetime, pattern: str | None
) -> pa.RecordBatch:
    """Events of several points as one batch of ``target``, in the order given.

    Raises:
        UnexpectedReply: an event without a usable timestamp, or a point's events out of order.
    """
    items = [item for group in groups for item in group.items]
    lengths = [len(group.items) for group in groups]
    stamps = timestamps([item.Timestamp for item in items])
    columns = value_columns(items, [group.point.point_type for group in groups], lengths)
    columns["timestamp"] = stamps
    columns["sequence"] = _sequences(groups, lengths, stamps)
    columns["ingestion_timestamp"] = _repeated([ingestion_time], [len(items)], schema.TIMESTAMP)
    for name, texts in _labels(groups, pattern).items():
        columns[name] = _repeated(texts, lengths, pa.string())
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def failure_rows(
    points: Sequence[tuple[Point, str]],
    start: datetime,
    target: pa.Schema,
    ingestion_time: datetime,
    pattern: str | None,
) -> pa.RecordBatch:
    """One ``read_failure`` row per (point, JSON text), at the window's start (table catalogue, section 1)."""
    groups = [Rows(point, [TimedValue("")], None, Numbering()) for point, _ in points]
    size = len(points)
    columns: dict[str, pa.Array] = {name: pa.nulls(size, target.field(name).type) for name in target.names}
    columns["timestamp"] = pa.array([start] * size, schema.TIMESTAMP)
    columns["sequence"] = pa.array([0] * size, pa.int32())
    columns["value_kind"] = pa.array([schema.READ_FAILURE] * size)
    columns["value_string"] = pa.array([text for _, text in points], pa.string())
    columns["ingestion_timestamp"] = pa.array([ingestion_time] * size, schema.TIMESTAMP)
    columns.update({name: pa.array(texts, pa.string()) for name, texts in _labels(groups, pattern).items()})
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def _labels(groups: Sequence[Rows], pattern: str | None) -> dict[str, list[str | None]]:
    """The text columns that are the same in all rows of a point."""
    points = [group.point for group in groups]
    labels: dict[str, list[str | None]] = {
        "tag_webid": [point.web_id for point in points],
        "tag_name": [point.name for point in points],
        "units": [group.units or group.point.units or None for group in groups],
        "point_type": [point.point_type for point in points],
        "tag_path": [point.path for point in points],
        "server_name": [point.server for point in points],
    }
    if pattern is not None:
        expression = re.compile(pattern)
        matches = [expression.search(point.name) for point in points]
        for name in expression.groupindex:
            labels[name] = [match[name] if match else None for match in matches]
    return labels


def _repeated(values: Sequence[Any], lengths: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Each value as often as its length says."""
    if len(values) == 1:
        return pa.repeat(pa.scalar(values[0], kind), lengths[0])
    indices = pa.concat_arrays([pa.repeat(pa.scalar(i, pa.int32()), n) for i, n in enumerate(lengths)])
    return pa.array(values, kind).take(indices)


def _sequences(groups: Sequence[Rows], lengths: Sequence[int], stamps: pa.Array) -> pa.Array:
    """Numbers among equal timestamps; remembers in each group where its next page goes on."""
    micros = stamps.cast(pa.int64())
    numbers = [0] * len(micros)
    spans = [range(end - n, end) for end, n in zip(itertools.accumulate(lengths), lengths, strict=True)]
    filled = [(group.numbering, span) for group, span in zip(groups, spans, strict=True) if span]
    borders = {span.start - 1 for _, span in filled}  # from one point to the next, time may go back
    steps = pc.subtract(micros.slice(1), micros.slice(0, max(len(micros) - 1, 0)))
    falls = set(pc.indices_nonzero(pc.less(steps, 0)).to_pylist()) - borders
    heads = {span.start: micros[span.start].as_py() for _, span in filled}
    falls |= {s.start for n, s in filled if n.timestamp_us is not None and heads[s.start] < n.timestamp_us}
    if falls:
        raise _disorder(groups, lengths, min(falls))
    for carried, span in filled:
        head = heads[span.start]
        numbers[span.start] = carried.next if head == carried.timestamp_us else 0
    for row in pc.indices_nonzero(pc.equal(steps, 0)).to_pylist():
        if row not in borders:
            numbers[row + 1] = numbers[row] + 1
    for carried, span in filled:
        carried.timestamp_us = micros[span.stop - 1].as_py()
        carried.next = numbers[span.stop - 1] + 1
    return pa.array(numbers, pa.int32())


def _disorder(groups: Sequence[Rows], lengths: Sequence[int], row: int) -> UnexpectedReply:
    names = [group.point.name for group, length in zip(groups, lengths, strict=True) for _ in range(length)]
    return UnexpectedReply(
        f"the server sent the events of {names[row]} out of order, which would lose some of them"
    )
