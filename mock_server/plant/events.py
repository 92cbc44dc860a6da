"""Events: single ones as objects, many as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant.point import Point

I64 = NDArray[np.int64]


class Kind:
    """The kind of an event's value; integers, because comparing columns with enum members is ten times slower."""

    NUMBER: Final = 0
    DIGITAL: Final = 1
    SYSTEM: Final = 2
    STRING: Final = 3
    TIMESTAMP: Final = 4


QUESTIONABLE, SUBSTITUTED, ANNOTATED, BAD = 1, 2, 4, 8  # bits of `Block.flags`


class State(NamedTuple):
    """A named state; `is_system` distinguishes PI's system states from those of the point's digital set."""

    name: str
    code: int
    is_system: bool


class Event(NamedTuple):
    """One recorded value; `ticks` counts 100 ns since 1970-01-01 UTC.

    `value` is a float (Float32, Float64), an int (Int32), a str (String, and ISO text for Timestamp points)
    or a `State` (Digital points, and system states on any point).
    """

    ticks: int
    value: "float | int | str | State"
    good: bool
    questionable: bool
    substituted: bool
    annotated: bool


@dataclass(frozen=True)
class Block:
    """The events of several points as columns: stream `i` owns rows `bounds[i]` up to `bounds[i + 1]`.

    `number` is set where `kind` is NUMBER. `code` is the code of a state, selects the text of a string, or is the
    value of a timestamp in ticks.
    """

    points: Sequence[Point]
    bounds: I64
    ticks: I64
    kind: NDArray[np.uint8]
    number: NDArray[np.float64]
    code: I64
    flags: NDArray[np.uint8]

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns, in the order of the constructor."""
        return self.ticks, self.kind, self.number, self.code, self.flags

    @property
    def counts(self) -> I64:
        """Rows of each stream."""
        return self.bounds[1:] - self.bounds[:-1]

    def take(self, rows: I64, bounds: I64) -> "Block":
        """The given rows, divided among the same points by `bounds`."""
        return Block(self.points, bounds, *(column[rows] for column in self.columns))

    def keep(self, wanted: NDArray[np.bool_]) -> "Block":
        """The rows where `wanted` holds."""
        if wanted.all():
            return self
        kept = np.concatenate(([0], np.cumsum(wanted)))[self.bounds]
        return self.take(np.flatnonzero(wanted), kept)

    def with_state(self, code: int, rows: NDArray[np.bool_]) -> "Block":
        """The block with the values of these rows replaced by a system state."""
        return replace(
            self,
            kind=np.where(rows, Kind.SYSTEM, self.kind).astype(np.uint8),
            number=np.where(rows, 0.0, self.number),
            code=np.where(rows, code, self.code),
            flags=np.where(rows, BAD, self.flags).astype(np.uint8),
        )

    def extended(self, places: I64, others: "Block", *, before: bool) -> "Block":
        """The block with the streams of `others` appended to (or put `before`) its streams at `places`."""
        own, added = np.zeros((2, 2, len(self.points)), dtype=np.int64)
        own[0], own[1] = self.bounds[:-1], self.counts
        added[0, places], added[1, places] = len(self.ticks) + others.bounds[:-1], others.counts
        parts = (added, own) if before else (own, added)
        first, counts = (np.column_stack([part[row] for part in parts]).ravel() for row in (0, 1))
        both = _joined([self, others], self.points, self.bounds)
        return both.take(spans(first, counts), offsets(own[1] + added[1]))

    def head(self, limit: int) -> "Block":
        """The first `limit` rows of each stream."""
        if (self.counts <= limit).all():
            return self
        return self.keep(np.arange(len(self.ticks)) - np.repeat(self.bounds[:-1], self.counts) < limit)

    def reversed(self) -> "Block":
        """The rows of each stream in reverse order."""
        first, after = self.bounds[:-1], self.bounds[1:]
        rows = np.repeat(first + after - 1, self.counts) - np.arange(len(self.ticks))
        return self.take(rows, self.bounds)


def offsets(counts: I64) -> I64:
    """`bounds` for streams of these lengths."""
    bounds = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=bounds[1:])
    return bounds


def spans(first: I64, counts: I64) -> I64:
    """The numbers `first[i]` up to `first[i] + counts[i]`, concatenated."""
    bounds = offsets(counts)
    return np.arange(int(bounds[-1])) + np.repeat(first - bounds[:-1], counts)


def single(point: Point, ticks: int, kind: int, *, number: float = 0, code: int = 0, flags: int = 0) -> Block:
    """A block of one event."""
    return uniform(point, np.array([ticks], dtype=np.int64), kind, number=number, code=code, flags=flags)


def uniform(point: Point, at: I64, kind: int, *, number: float = 0, code: int = 0, flags: int = 0) -> Block:
    """A block of events of one stream that differ only in their timestamps."""
    count = len(at)
    return Block(
        [point],
        np.array([0, count]),
        at,
        np.full(count, kind, dtype=np.uint8),
        np.full(count, number, dtype=np.float64),
        np.full(count, code, dtype=np.int64),
        np.full(count, flags, dtype=np.uint8),
    )


def side_by_side(blocks: Sequence[Block]) -> Block:
    """One block with the streams of all blocks."""
    points = [point for block in blocks for point in block.points]
    return _joined(blocks, points, offsets(np.concatenate([block.counts for block in blocks])))


def chained(blocks: Sequence[Block]) -> Block:
    """The rows of several blocks of the same single stream, concatenated."""
    return _joined(blocks, blocks[0].points, offsets(np.array([sum(len(block.ticks) for block in blocks)])))


def _joined(blocks: Sequence[Block], points: Sequence[Point], bounds: I64) -> Block:
    columns = zip(*(block.columns for block in blocks), strict=True)
    return Block(points, bounds, *map(np.concatenate, columns))
