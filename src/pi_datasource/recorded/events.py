"""Events as columns, whether they were extracted by ``fast_rows`` or parsed one by one: what every later step works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from pi_datasource import time_strings
from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import MICROSECOND
from pi_datasource.recorded import arrays
from pi_datasource.recorded.arrays import Float64, Int64, UInt8
from pi_datasource.recorded.fast_rows import EXACT_INTEGER, FastRows
from pi_datasource.recorded.wire import FLAGS, TimedValue
from pi_datasource.redaction import shorten

TICKS_PER_MICROSECOND = 10
TICKS_PER_SECOND = 10_000_000
_SEVENTH_DIGIT = re.compile(r"\.\d{6}(\d)")
_TWO_BITS: dict[bool | None, int] = {False: 0, True: 1, None: 2}


@dataclass(frozen=True, eq=False)
class Columns:
    """Events as columns, those of one stream after those of another, each in server order.

    ``ticks`` count 100 ns since 1970 UTC, PI's own unit. ``flags`` hold two bits for each of ``FLAGS`` (0 false, 1 true,
    2 not sent). ``values`` are the numbers. Events with any other value are dictionary-encoded: row ``non_numeric[i]`` holds
    ``dictionary[indices[i]]``, an item that several rows may share and whose timestamp then belongs to none of them.
    """

    ticks: Int64
    values: Float64
    flags: UInt8
    non_numeric: Int64
    indices: Int64
    dictionary: Sequence[TimedValue]

    def slice(self, start: int, stop: int) -> Columns:
        """The rows ``[start, stop)``."""
        low, high = np.searchsorted(self.non_numeric, (start, stop)).tolist()
        return Columns(
            self.ticks[start:stop],
            self.values[start:stop],
            self.flags[start:stop],
            self.non_numeric[low:high] - start,
            self.indices[low:high],
            self.dictionary,
        )


class Events(NamedTuple):
    """The events of one stream: the rows ``[start, stop)`` of columns that several streams share."""

    columns: Columns
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of events."""
        return self.stop - self.start

    @property
    def ticks(self) -> Int64:
        """Their times."""
        return self.columns.ticks[self.start : self.stop]

    def to_columns(self) -> Columns:
        """The columns of these events only."""
        return self.columns.slice(self.start, self.stop)

    def slice(self, start: int, stop: int) -> Events:
        """The events ``[start, stop)``, counted from the first one."""
        return Events(self.columns, self.start + start, self.start + stop)


_NO_TICKS = np.empty(0, np.int64)
EMPTY = Events(
    Columns(_NO_TICKS, np.empty(0, np.float64), np.empty(0, np.uint8), _NO_TICKS, _NO_TICKS, ()), 0, 0
)


def from_items(items: Sequence[TimedValue]) -> Columns:
    """Parsed events as columns.

    Raises:
        UnexpectedReply: an event without a usable timestamp.
    """
    values, non_numeric = _numbers(items)
    flags = np.zeros(len(items), np.uint8)
    for place, name in enumerate(FLAGS):
        flags |= _two_bits(list(map(attrgetter(name), items))) << np.uint8(2 * place)
    ticks = parse_ticks([item.Timestamp for item in items])
    dictionary = [items[row] for row in non_numeric.tolist()]
    return Columns(ticks, values, flags, non_numeric, np.arange(len(non_numeric)), dictionary)


def concat(parts: Sequence[Events]) -> Columns:
    """The events of all ``parts`` in order, without a copy where they are adjacent rows of the same columns."""
    spans: list[Events] = []
    for part in parts:
        if spans and spans[-1].columns is part.columns and spans[-1].stop == part.start:
            spans[-1] = spans[-1]._replace(stop=part.stop)
        else:
            spans.append(part)
    if len(spans) == 1:
        return spans[0].to_columns()
    pieces = [span.to_columns() for span in spans] or [EMPTY.columns]
    offsets = np.cumsum([0, *(len(piece.ticks) for piece in pieces[:-1])])
    dictionary, firsts = _merge_dictionaries([piece.dictionary for piece in pieces])
    return Columns(
        np.concatenate([piece.ticks for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.flags for piece in pieces]),
        np.concatenate([piece.non_numeric + offset for piece, offset in zip(pieces, offsets, strict=True)]),
        np.concatenate([piece.indices + first for piece, first in zip(pieces, firsts, strict=True)]),
        dictionary,
    )


def _merge_dictionaries(parts: Sequence[Sequence[TimedValue]]) -> tuple[list[TimedValue], list[int]]:
    """All items, those of a repeated part only once, and for each part the index of its first."""
    merged: list[TimedValue] = []
    firsts: dict[int, int] = {}
    for part in parts:
        if id(part) not in firsts:
            firsts[id(part)] = len(merged)
            merged += part
    return merged, [firsts[id(part)] for part in parts]


def interleave(fast: FastRows, parsed: Columns, rows: Int64) -> Columns:
    """The fast rows and the parsed events in the order of the body; ``rows`` are the row numbers of the parsed ones."""
    size = len(fast.ticks) + len(parsed.ticks)
    is_fast = np.ones(size, np.bool_)
    is_fast[rows] = False
    ticks, values = np.empty(size, np.int64), np.empty(size, np.float64)
    ticks[is_fast], ticks[rows] = fast.ticks, parsed.ticks
    values[is_fast], values[rows] = fast.values, parsed.values
    flags = np.full(size, _suffix_flags(fast.suffix), np.uint8)
    flags[rows] = parsed.flags
    non_numeric = np.concatenate([np.flatnonzero(is_fast)[fast.non_numeric], rows[parsed.non_numeric]])
    indices = np.concatenate([fast.indices, parsed.indices + len(fast.dictionary)])
    order = np.argsort(non_numeric, kind="stable")
    dictionary = [*fast.dictionary, *parsed.dictionary]
    return Columns(ticks, values, flags, non_numeric[order], indices[order], dictionary)


def parse_ticks(texts: Sequence[str]) -> Int64:
    """Timestamps as PI writes them, with 0 to 7 fraction digits, as ticks; further digits are cut, never rounded.

    Raises:
        UnexpectedReply: a text is not a timestamp.
    """
    try:
        return arrays.to_ticks(arrays.strings(texts))
    except pa.ArrowInvalid:
        return np.array([_parse_one(text) for text in texts], np.int64)


def ticks_at(moment: datetime) -> int:
    """The ticks of an aware moment."""
    return (moment - time_strings.EARLIEST) // MICROSECOND * TICKS_PER_MICROSECOND


def text_of_ticks(ticks: int) -> str:
    """ISO 8601 in UTC as PI writes it: with as many of 7 fraction digits as are needed."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    whole = str(np.datetime64(seconds, "s"))
    return whole + (f".{fraction:07d}".rstrip("0") if fraction else "") + "Z"


def _parse_one(text: str) -> int:
    try:
        moment = time_strings.parse_wire(text)
    except ValueError as cause:
        message = f"an event's Timestamp cannot be read: {shorten(str(cause))}"
        raise UnexpectedReply(message) from cause
    seventh = _SEVENTH_DIGIT.search(text)
    return ticks_at(moment) + (int(seventh[1]) if seventh else 0)


def _numbers(items: Sequence[TimedValue]) -> tuple[Float64, Int64]:
    """The numbers among the values, NaN for any other, and the rows of those others."""
    raw = [item.Value for item in items]
    types = set(map(type, raw))
    exact = types <= {float} or (types <= {float, int} and all(map(_is_exact, raw)))
    if exact and not any(item.Errors for item in items):
        return np.array(raw, np.float64), np.empty(0, np.int64)
    others = [row for row, item in enumerate(items) if item.Errors or not _is_exact(item.Value)]
    for row in others:
        raw[row] = np.nan
    return np.array(raw, np.float64), np.array(others, np.int64)


def _is_exact(value: Any) -> bool:
    """Whether the value is a number that a double holds exactly."""
    kind = type(value)  # exactly: a bool is an int to isinstance
    return kind is float or (kind is int and -EXACT_INTEGER <= value <= EXACT_INTEGER)


def _two_bits(values: list[bool | None]) -> UInt8:
    for value, bits in _TWO_BITS.items():
        if values.count(value) == len(values):
            return np.full(len(values), bits, np.uint8)
    return np.array([_TWO_BITS[value] for value in values], np.uint8)


def _suffix_flags(suffix: bytes) -> int:
    sent = msgspec.json.decode(b'{"Timestamp":""' + suffix, type=TimedValue)
    return sum(_TWO_BITS[getattr(sent, name)] << (2 * place) for place, name in enumerate(FLAGS))
