"""Read tasks as one short text, and back: how they reach a data source, which Spark hands nothing but options. Pure.

Whoever sets options can write such a text, so that reading one only ever makes plain data: MessagePack with fixed types,
compressed, in base64.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import starmap
from typing import Any

import msgspec

from pi_datasource.model import Point, ReadTask

_Run = tuple[int, int]  # first index, number
# Columns compress better than rows, as in a pickled task.
_Points = msgspec.defstruct(
    "_Points",
    [(field.name, list[field.type]) for field in msgspec.structs.fields(Point)],  # type: ignore[name-defined]
    array_like=True,
)


class _Task(msgspec.Struct, array_like=True):
    """A task without its points, and where these stand in the list of all points."""

    task: ReadTask
    points: tuple[_Run, ...]


class _Tasks(msgspec.Struct, array_like=True):
    points: _Points  # type: ignore[valid-type]
    tasks: list[_Task]


_DECODER = msgspec.msgpack.Decoder(_Tasks)


def dumps(tasks: Sequence[ReadTask]) -> str:
    """``tasks`` as text; a point of several tasks is in it once."""
    numbers: dict[Point, int] = {}
    for task in tasks:
        for point in task.points:
            numbers.setdefault(point, len(numbers))
    columns = _Points(*([getattr(point, name) for point in numbers] for name in Point.__struct_fields__))
    carried = [
        _Task(replace(task, points=()), tuple(_runs(numbers[point] for point in task.points)))
        for task in tasks
    ]
    packed = zlib.compress(msgspec.msgpack.encode(_Tasks(columns, carried)))
    return base64.b64encode(packed).decode()


def loads(text: str) -> list[ReadTask]:
    """The inverse of ``dumps``.

    Raises:
        ValueError: the text is not one of ``dumps``.
    """
    try:
        found = _DECODER.decode(zlib.decompress(base64.b64decode(text, validate=True)))
        columns: Any = msgspec.structs.astuple(found.points)
        points = tuple(starmap(Point, zip(*columns, strict=True)))
        return [_task(each, points) for each in found.tasks]
    except (ValueError, TypeError, OverflowError, zlib.error, msgspec.DecodeError) as cause:
        message = "does not hold read tasks; leave it out"
        raise ValueError(message) from cause


def _task(carried: _Task, points: Sequence[Point]) -> ReadTask:
    task = replace(carried.task, points=tuple(_of_runs(points, carried.points)))
    if any(
        moment.tzinfo is None
        for moment in (task.window.start, task.window.end, task.ingestion_time, *task.starts)
    ):
        message = "a time has no zone"
        raise ValueError(message)
    if task.starts and len(task.starts) != len(task.points):
        message = f"{len(task.points)} points have {len(task.starts)} starts"
        raise ValueError(message)
    return task


def _runs(numbers: Iterable[int]) -> list[_Run]:
    """``numbers`` as runs of consecutive ones, in their order."""
    runs: list[_Run] = []
    for number in numbers:
        first, count = runs[-1] if runs else (0, 0)
        if count and number == first + count:
            runs[-1] = (first, count + 1)
        else:
            runs.append((number, 1))
    return runs


def _of_runs(points: Sequence[Point], runs: Sequence[_Run]) -> Iterable[Point]:
    for first, count in runs:
        if first < 0 or count < 0 or first + count > len(points):
            message = f"there are {len(points)} points"
            raise ValueError(message)
        yield from points[first : first + count]
