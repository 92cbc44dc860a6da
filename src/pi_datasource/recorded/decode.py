"""Events → one Arrow RecordBatch of exactly the columns asked for; no Python object per plain row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi_datasource import schema
from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import Point
from pi_datasource.recorded import arrays, events
from pi_datasource.recorded.events import TICKS_PER_MICROSECOND, Events, Int64, ticks_at
from pi_datasource.recorded.values import value_columns

Int32 = NDArray[np.int32]


@dataclass
class Numbering:
    """How far one point's ``sequence`` has counted: carried from page to page."""

    timestamp_us: int | None = None
    next: int = 0


class Rows(NamedTuple):
    """Consecutive events of one point, in server order."""

    point: Point
    events: Events
    units: str | None
    numbering: Numbering


def to_batch(
    groups: Sequence[Rows], target: pa.Schema, ingestion_time: datetime, pattern: str | None
) -> pa.RecordBatch:
    """Events of several points as one batch of ``target``, a choice of the table's columns, in the order given.

    Raises:
        UnexpectedReply: a point's events are out of order.
    """
    whole = events.joined([group.events for group in groups])
    lengths = np.array([group.events.size for group in groups], np.int64)
    micros = whole.ticks // TICKS_PER_MICROSECOND
    sequences = _sequences(groups, lengths, micros)
    columns = value_columns(whole, *_odd_types(groups, lengths, whole.odd), set(target.names))
    columns["timestamp"] = arrays.numbers(micros, schema.TIMESTAMP)
    columns["sequence"] = arrays.numbers(sequences, pa.int32())
    columns["ingestion_timestamp"] = arrays.repeated(_moment(ingestion_time), len(micros))
    owners = _owners(lengths)
    for name, texts in _labels([(group.point, group.units) for group in groups], target, pattern).items():
        columns[name] = _repeated(texts, owners, len(micros))
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def status_rows(  # noqa: PLR0917 - what a row is made of
    points: Sequence[tuple[Point, str]],
    kind: str,
    start: datetime,
    target: pa.Schema,
    ingestion_time: datetime,
    pattern: str | None,
) -> pa.RecordBatch:
    """One row of ``kind``, which is no event, per (point, JSON text), at the window's start (table catalogue, section 1)."""
    size = len(points)
    columns: dict[str, pa.Array] = {name: pa.nulls(size, target.field(name).type) for name in target.names}
    columns["timestamp"] = arrays.repeated(_moment(start), size)
    columns["sequence"] = arrays.numbers(np.zeros(size, np.int32), pa.int32())
    columns["value_kind"] = arrays.texts([kind] * size)
    columns["value_string"] = arrays.texts([text for _, text in points])
    columns["ingestion_timestamp"] = arrays.repeated(_moment(ingestion_time), size)
    labels = _labels([(point, None) for point, _ in points], target, pattern)
    columns.update({name: arrays.texts(texts) for name, texts in labels.items()})
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


_LABELS: dict[str, Callable[[Point, str | None], str | None]] = {
    "tag_webid": lambda point, _: point.web_id,
    "tag_name": lambda point, _: point.name,
    "units": lambda point, units: units or point.units or None,
    "point_type": lambda point, _: point.point_type,
    "tag_path": lambda point, _: point.path,
    "server_name": lambda point, _: point.server,
}


def _labels(
    points: Sequence[tuple[Point, str | None]], target: pa.Schema, pattern: str | None
) -> dict[str, list[str | None]]:
    """The text columns of ``target`` that are the same in all rows of a point."""
    wanted = set(target.names)
    labels = {
        name: [label(point, units) for point, units in points]
        for name, label in _LABELS.items()
        if name in wanted
    }
    expression = re.compile(pattern) if pattern is not None else None
    if expression is not None and (groups := wanted & expression.groupindex.keys()):
        matches = [expression.search(point.name) for point, _ in points]
        labels.update({name: [match[name] if match else None for match in matches] for name in groups})
    return labels


def _owners(lengths: Int64) -> pa.Array:
    """For each row the number of its group."""
    return arrays.numbers(np.repeat(np.arange(len(lengths), dtype=np.int32), lengths), pa.int32())


def _moment(time: datetime) -> pa.Array:
    return arrays.numbers(np.array([ticks_at(time) // TICKS_PER_MICROSECOND]), schema.TIMESTAMP)


def _repeated(values: Sequence[str | None], owners: pa.Array, size: int) -> pa.Array:
    """Each value as often as its group has rows."""
    if values and all(value == values[0] for value in values):
        return arrays.repeated(arrays.texts(values[:1]), size)
    return arrays.texts(values).take(owners)


def _odd_types(groups: Sequence[Rows], lengths: Int64, odd: Int64) -> tuple[list[str], Int64]:
    """The types of points, and for each odd row the number of the type of its own."""
    types = [group.point.point_type for group in groups]
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(types))}
    owners = np.searchsorted(np.cumsum(lengths), odd, side="right")
    return list(numbers), np.array([numbers[kind] for kind in types], np.int64)[owners]


def _sequences(groups: Sequence[Rows], lengths: Int64, micros: Int64) -> Int32:
    """Numbers among equal timestamps; remembers in each group where its next page goes on."""
    filled = np.flatnonzero(lengths)
    ends = np.cumsum(lengths)[filled]
    heads = ends - lengths[filled]
    numberings = [groups[i].numbering for i in filled.tolist()]
    steps = np.diff(micros)
    steps[heads[1:] - 1] = 1  # from one point to the next, time may go back
    carried = [
        (head, numbering)
        for head, start, numbering in zip(heads.tolist(), micros[heads].tolist(), numberings, strict=True)
        if numbering.timestamp_us is not None and start <= numbering.timestamp_us
    ]
    backwards = [head for head, numbering in carried if micros[head] != numbering.timestamp_us]
    falls = [*(np.flatnonzero(steps < 0) + 1).tolist(), *backwards]
    if falls:
        raise _disorder(groups, lengths, min(falls))
    numbers = _counted(steps == 0, len(micros))
    for head, numbering in carried:
        changes = np.flatnonzero(steps[head:] != 0)
        numbers[head : head + (int(changes[0]) + 1 if len(changes) else len(micros))] += numbering.next
    last = zip(numberings, micros[ends - 1].tolist(), numbers[ends - 1].tolist(), strict=True)
    for numbering, timestamp_us, number in last:
        numbering.timestamp_us, numbering.next = timestamp_us, number + 1
    return numbers


def _counted(repeats: NDArray[np.bool_], size: int) -> Int32:
    """0 where a row does not repeat the timestamp before it, else one more than there."""
    numbers = np.zeros(size, np.int32)
    where = np.flatnonzero(repeats) + 1
    if len(where):
        starts = np.arange(size)
        starts[where] = 0
        numbers[where] = where - np.maximum.accumulate(starts)[where]
    return numbers


def _disorder(groups: Sequence[Rows], lengths: Int64, row: int) -> UnexpectedReply:
    owner = groups[int(np.searchsorted(np.cumsum(lengths), row, side="right"))]
    return UnexpectedReply(
        f"the server sent the events of {owner.point.name} out of order, which would lose some of them"
    )
