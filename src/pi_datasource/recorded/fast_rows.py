"""Plain rows out of a reply body, all at once: what looks like the rest is lifted, what does not is left to a parser.

An archive page is thousands of rows that differ in a timestamp and a value only. Such rows are found, checked byte by byte
and cast without an object for each; of states and texts each different one is parsed once. In the body every run of rows
is replaced by ``[first,after]``, its row numbers. The *skeleton* that is left is ordinary JSON and much smaller: structure,
failures and flagged rows are parsed from it exactly.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi_datasource.recorded import arrays, row_scan
from pi_datasource.recorded.row_scan import Bools, Bytes, Int64, Spans
from pi_datasource.recorded.wire import TimedValue
from pi_datasource.webapi.envelope import NOT_JSON

_ROW = re.compile(
    rb'\{"Timestamp":"[^"\\]*Z","Value":(?:-?\d[\d.eE+-]*|"[^"\\]*"|\{[^{}\\]*\})((?:,"\w+":(?:true|false|null))*\})'
)
_SAMPLES = 9
_WORTH = 64  # rows: below, setting up costs more than parsing
_BLOCK = 1 << 22  # bytes looked at together: what is in a cache need not come from memory
_MUCH = 8  # one part in so many of a block, not lifted as numbers, is worth a look for states and texts
_NEEDS_DIGITS = 2.0**53  # from here on a double may not hold every integer: the parser keeps its digits

Float64 = NDArray[np.float64]
_PARSER = msgspec.json.Decoder(TimedValue)


@dataclass(frozen=True)
class FastRows:
    """Rows of ``ticks`` (100 ns since 1970 UTC) and ``values``, and the body without them.

    The rows at ``odd`` hold no number but ``odd_items[code]`` for each of ``odd_codes``, without its timestamp. ``tail`` is the
    end of each row from after its value, such as ``,"Good":true}``.
    """

    skeleton: bytes
    ticks: Int64
    values: Float64
    tail: bytes
    odd: Int64
    odd_codes: Int64
    odd_items: Sequence[TimedValue]


class _Part(NamedTuple):
    """Rows found in a block: where they stand in the body, and what they hold; the code of a number is -1."""

    starts: Int64
    ends: Int64
    ticks: Int64
    values: Float64
    codes: Int64

    def only(self, chosen: Bools | Int64) -> _Part:
        """The rows that are chosen, or those of these numbers."""
        return _Part(
            self.starts[chosen],
            self.ends[chosen],
            self.ticks[chosen],
            self.values[chosen],
            self.codes[chosen],
        )


_NO_PLACES = np.empty(0, np.int64)
_NO_ROWS = _Part(_NO_PLACES, _NO_PLACES, _NO_PLACES, np.empty(0, np.float64), _NO_PLACES)


def lift(body: bytes) -> FastRows | None:
    """The plain rows of ``body`` and the skeleton without them; None where lifting is not worth it or not possible."""
    tail = _usual_tail(body)
    if tail is None or body.count(tail, 0, 1 << 16) < min(_WORTH, len(body) >> 10):
        return None
    items: list[TimedValue] = []
    parts = [part for low, high in _blocks(body) for part in _parts(body, low, high, tail, items)]
    if not parts:
        return None
    whole = _Part(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if len(whole.starts) < _WORTH:
        return None
    if items:
        whole = whole.only(np.argsort(whole.starts, kind="stable"))
    odd = np.flatnonzero(whole.codes >= 0)
    skeleton = _skeleton(body, whole.starts, whole.ends)
    return FastRows(skeleton, whole.ticks, whole.values, tail, odd, whole.codes[odd], items)


def _usual_tail(body: bytes) -> bytes | None:
    """What most of the first plain rows end with: rows with an odd flag are fewer."""
    tails = Counter(match[1] for match, _ in zip(_ROW.finditer(body), range(_SAMPLES), strict=False))
    return tails.most_common(1)[0][0] if tails else None


def _blocks(body: bytes) -> list[tuple[int, int]]:
    """Spans that tile the body; a row that lies across a border is left to the parser."""
    edges = [*range(0, len(body), _BLOCK), len(body)]
    return list(itertools.pairwise(edges))


def _parts(body: bytes, low: int, high: int, tail: bytes, items: list[TimedValue]) -> Iterator[_Part]:
    """The rows in ``body[low:high]``; what those with a code hold is added to ``items``."""
    size = high - low
    if size <= len(row_scan.HEAD) + len(tail):
        return
    text = np.frombuffer(body, np.uint8, size, low)
    numbers = _numbers(text, tail)
    rest = size - int((numbers.ends - numbers.starts).sum())
    parts = [numbers, _others(text, tail, items)] if rest > size // _MUCH else [numbers]
    for part in parts:
        if len(part.starts):
            yield part._replace(starts=part.starts + low, ends=part.ends + low)


def _numbers(text: Bytes, tail: bytes) -> _Part:
    """Rows whose value is a number that a double holds exactly; none if any of their texts is no time or no number."""
    spans = row_scan.between_braces(text, tail)
    spans = spans.only(_starts_a_number(text, spans.values))
    try:
        ticks = _ticks(text, spans)
        texts = row_scan.slices(text, spans.values, spans.value_ends, pa.string()).cast(pa.float64())
        values = arrays.values_of(texts, np.float64)
    except pa.ArrowInvalid:
        return _NO_ROWS
    part = _Part(spans.starts, spans.ends, ticks, values, np.full(len(ticks), -1))
    return part.only(np.abs(values) < _NEEDS_DIGITS)


def _others(text: Bytes, tail: bytes, items: list[TimedValue]) -> _Part:
    """Rows whose value is a state or a text: each different one is parsed once."""
    spans = row_scan.between_heads(text, tail)
    first = text[spans.values]
    spans = spans.only((first == ord('"')) | (first == ord("{")))
    found = row_scan.slices(text, spans.values, spans.value_ends, pa.binary()).dictionary_encode()
    codes = np.array([_parsed(value, tail, items) for value in arrays.bytes_of(found.dictionary)], np.int64)
    codes = codes[arrays.values_of(found.indices, np.int32)]
    spans, codes = spans.only(codes >= 0), codes[codes >= 0]
    try:
        ticks = _ticks(text, spans)
    except pa.ArrowInvalid:
        return _NO_ROWS
    return _Part(spans.starts, spans.ends, ticks, np.full(len(ticks), np.nan), codes)


def _parsed(value: bytes, tail: bytes, items: list[TimedValue]) -> int:
    """The number that the value gets in ``items``; -1 for what is no value, as behind the last row of a stream."""
    try:
        items.append(_PARSER.decode(b'{"Timestamp":"","Value":' + value + tail))
    except NOT_JSON:
        return -1
    return len(items) - 1


def _ticks(text: Bytes, spans: Spans) -> Int64:
    times = row_scan.slices(text, spans.times, spans.zulus + 1, pa.string()).cast(pa.timestamp("ns", "UTC"))
    return arrays.values_of(times, np.int64) // 100


def _starts_a_number(text: Bytes, places: Int64) -> Bools:
    """A digit, or a minus and a digit: what Arrow casts besides (``inf``, ``nan``, blanks) is no JSON."""
    first = text[places]
    second = text[places + 1]
    minus: Bools = (first == ord("-")) & _is_digit(second)
    return minus | _is_digit(first)


def _is_digit(letters: Bytes) -> Bools:
    digits: Bools = (letters >= ord("0")) & (letters <= ord("9"))
    return digits


def _skeleton(body: bytes, starts: Int64, ends: Int64) -> bytes:
    """The body with each run of adjacent rows replaced by their numbers."""
    first_of_run = np.flatnonzero(np.concatenate(([True], starts[1:] != ends[:-1])))
    after_run = np.append(first_of_run[1:], len(starts))
    pieces: list[bytes] = []
    at = 0
    for first, after, start, end in zip(
        first_of_run.tolist(),
        after_run.tolist(),
        starts[first_of_run].tolist(),
        ends[after_run - 1].tolist(),
        strict=True,
    ):
        pieces += (body[at:start], b",[%d,%d]" % (first, after))
        at = end
    pieces.append(body[at:])
    return b"".join(pieces)
