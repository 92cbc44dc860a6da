"""Events as columns: what every later step works on, whether they were lifted out of a body or parsed one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi_datasource import time_strings
from pi_datasource.errors import UnexpectedReply
from pi_datasource.recorded import arrays
from pi_datasource.recorded.fast_rows import FastRows
from pi_datasource.recorded.wire import FLAGS, TimedValue
from pi_datasource.redaction import shorten

TICKS_PER_MICROSECOND = 10
EXACT_INTEGER = 2**53  # a double holds every integer up to here
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SEVENTH_DIGIT = re.compile(r"\.\d{6}(\d)")
_TWO_BITS: dict[bool | None, int] = {False: 0, True: 1, None: 2}

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Columns:
    """Events as columns, those of one stream after those of another, each in server order.

    ``ticks`` count 100 ns since 1970 UTC, PI's own unit. ``flags`` hold two bits for each of ``FLAGS`` (0 false, 1 true,
    2 not sent). ``values`` are the numbers; the rows at ``odd`` hold anything else: ``odd_items[code]`` for each of
    ``odd_codes``. Rows that hold the same may share an item, whose timestamp is then no row's.
    """

    ticks: Int64
    values: Float64
    flags: UInt8
    odd: Int64
    odd_codes: Int64
    odd_items: Sequence[TimedValue]

    def rows(self, first: int, after: int) -> Columns:
        """The rows from ``first`` up to, not including, ``after``."""
        if first == 0 and after == len(self.ticks):
            return self
        low, high = np.searchsorted(self.odd, (first, after)).tolist()
        return Columns(
            self.ticks[first:after],
            self.values[first:after],
            self.flags[first:after],
            self.odd[low:high] - first,
            self.odd_codes[low:high],
            self.odd_items,
        )


class Events(NamedTuple):
    """The events of one stream: the rows ``[first, after)`` of columns that others share."""

    columns: Columns
    first: int
    after: int

    @property
    def size(self) -> int:
        """The number of events."""
        return self.after - self.first

    @property
    def ticks(self) -> Int64:
        """Their times."""
        return self.columns.ticks[self.first : self.after]

    def own(self) -> Columns:
        """Their columns alone."""
        return self.columns.rows(self.first, self.after)

    def cut(self, first: int, after: int) -> Events:
        """The events from ``first`` up to, not including, ``after``."""
        return Events(self.columns, self.first + first, self.first + after)


_NO_TICKS = np.empty(0, np.int64)
NONE = Events(
    Columns(_NO_TICKS, np.empty(0, np.float64), np.empty(0, np.uint8), _NO_TICKS, _NO_TICKS, ()),
    0,
    0,
)


def of(items: Sequence[TimedValue]) -> Columns:
    """Parsed events as columns.

    Raises:
        UnexpectedReply: an event without a usable timestamp.
    """
    values, odd = _numbers(items)
    flags = np.zeros(len(items), np.uint8)
    for place, name in enumerate(FLAGS):
        flags |= _two_bits(list(map(attrgetter(name), items))) << np.uint8(2 * place)
    ticks = ticks_of([item.Timestamp for item in items])
    return Columns(ticks, values, flags, odd, np.arange(len(odd)), [items[row] for row in odd.tolist()])


def joined(parts: Sequence[Events]) -> Columns:
    """All events of ``parts``, one after the other; without copying where they lie side by side already."""
    spans: list[Events] = []
    for part in parts:
        if spans and spans[-1].columns is part.columns and spans[-1].after == part.first:
            spans[-1] = Events(part.columns, spans[-1].first, part.after)
        else:
            spans.append(part)
    if len(spans) == 1:
        return spans[0].own()
    pieces = [span.own() for span in spans] or [NONE.columns]
    offsets = np.cumsum([0, *(len(piece.ticks) for piece in pieces[:-1])])
    items, firsts = _gathered([piece.odd_items for piece in pieces])
    return Columns(
        np.concatenate([piece.ticks for piece in pieces]),
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.flags for piece in pieces]),
        np.concatenate([piece.odd + offset for piece, offset in zip(pieces, offsets, strict=True)]),
        np.concatenate([piece.odd_codes + first for piece, first in zip(pieces, firsts, strict=True)]),
        items,
    )


def _gathered(parts: Sequence[Sequence[TimedValue]]) -> tuple[list[TimedValue], list[int]]:
    """All items, those of a list that comes again only once, and for each part the place of its first."""
    items: list[TimedValue] = []
    places: dict[int, int] = {}
    for part in parts:
        if id(part) not in places:
            places[id(part)] = len(items)
            items += part
    return items, [places[id(part)] for part in parts]


def woven(lifted: FastRows, parsed: Columns, places: Int64) -> Columns:
    """The lifted rows with the parsed events put where they stood: at ``places`` of the whole."""
    size = len(lifted.ticks) + len(parsed.ticks)
    at_lifted = np.ones(size, np.bool_)
    at_lifted[places] = False
    ticks, values = np.empty(size, np.int64), np.empty(size, np.float64)
    ticks[at_lifted], ticks[places] = lifted.ticks, parsed.ticks
    values[at_lifted], values[places] = lifted.values, parsed.values
    flags = np.full(size, _tail_flags(lifted.tail), np.uint8)
    flags[places] = parsed.flags
    odd = np.concatenate([np.flatnonzero(at_lifted)[lifted.odd], places[parsed.odd]])
    codes = np.concatenate([lifted.odd_codes, parsed.odd_codes + len(lifted.odd_items)])
    order = np.argsort(odd, kind="stable")
    return Columns(ticks, values, flags, odd[order], codes[order], [*lifted.odd_items, *parsed.odd_items])


def ticks_of(texts: Sequence[str]) -> Int64:
    """Timestamps as PI writes them, 0 to 7 fraction digits → ticks; further digits are cut, never rounded.

    Raises:
        UnexpectedReply: a text that is no timestamp.
    """
    try:
        exact = arrays.texts(texts).cast(pa.timestamp("ns", "UTC"))
    except pa.ArrowInvalid:  # outside 1677 to 2262, or no timestamp at all
        return np.array([_one(text) for text in texts], np.int64)
    return arrays.values_of(exact, np.int64) // 100


def ticks_at(moment: datetime) -> int:
    """The ticks of an aware moment."""
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * TICKS_PER_MICROSECOND


def text_of_ticks(ticks: int) -> str:
    """ISO 8601 in UTC as PI writes it: as many of 7 fraction digits as are needed."""
    seconds, fraction = divmod(ticks, 10_000_000)
    whole = str(np.datetime64(seconds, "s"))
    return whole + (f".{fraction:07d}".rstrip("0") if fraction else "") + "Z"


def _one(text: str) -> int:
    try:
        moment = time_strings.parse_wire(text)
    except ValueError as cause:
        message = f"an event's Timestamp cannot be read: {shorten(str(cause))}"
        raise UnexpectedReply(message) from cause
    seventh = _SEVENTH_DIGIT.search(text)
    return ticks_at(moment) + (int(seventh[1]) if seventh else 0)


def _numbers(items: Sequence[TimedValue]) -> tuple[Float64, Int64]:
    """The numbers among the values, and the rows that are not concise_errors one (they hold NaN)."""
    raw = [item.Value for item in items]
    types = set(map(type, raw))
    plain = types <= {float} or (types <= {float, int} and all(map(_is_plain, raw)))
    if plain and not any(item.Errors for item in items):
        return np.array(raw, np.float64), np.empty(0, np.int64)
    odd = [row for row, item in enumerate(items) if item.Errors or not _is_plain(item.Value)]
    for row in odd:
        raw[row] = np.nan
    return np.array(raw, np.float64), np.array(odd, np.int64)


def _is_plain(value: Any) -> bool:
    kind = type(value)  # exactly: a bool is an int to isinstance
    return kind is float or (kind is int and -EXACT_INTEGER <= value <= EXACT_INTEGER)


def _two_bits(values: list[bool | None]) -> UInt8:
    for value, bits in _TWO_BITS.items():
        if values.count(value) == len(values):
            return np.full(len(values), bits, np.uint8)
    return np.array([_TWO_BITS[value] for value in values], np.uint8)


def _tail_flags(tail: bytes) -> int:
    sent = msgspec.json.decode(b'{"Timestamp":""' + tail, type=TimedValue)
    return sum(_TWO_BITS[getattr(sent, name)] << (2 * place) for place, name in enumerate(FLAGS))
