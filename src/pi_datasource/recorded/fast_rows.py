"""Extracts the regular rows of a reply body all at once; what is left is small and goes to a JSON parser.

An archive page is thousands of rows that differ in timestamp and value only. Such rows are found, checked byte by byte and
cast without an object for each; a state or text that occurs in many rows is parsed once. In the body each run of these rows
is replaced by ``[first,after]``, its row numbers. The *residual JSON* that is left, with the structure, failures and all other
rows, is parsed as usual.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from pi_datasource.recorded import arrays, row_scan
from pi_datasource.recorded.arrays import Bools, Float64, Int64, UInt8
from pi_datasource.recorded.row_scan import RowOffsets
from pi_datasource.recorded.wire import TimedValue
from pi_datasource.webapi.envelope import NOT_JSON

_ROW = re.compile(
    rb'\{"Timestamp":"[^"\\]*Z","Value":(?:-?\d[\d.eE+-]*|"[^"\\]*"|\{[^{}\\]*\})((?:,"\w+":(?:true|false|null))*\})'
)
_SAMPLED_ROWS = 9
_MIN_ROWS = 64  # below, setting up costs more than parsing
_BLOCK_BYTES = 1 << 22  # scanned together: small enough for the CPU's cache
_SCAN_AGAIN = (
    8  # a block with at least a part in so many that is not numeric rows is scanned for states and texts
)
EXACT_INTEGER = 2**53  # a double holds every integer up to here

_PARSER = msgspec.json.Decoder(TimedValue)


@dataclass(frozen=True)
class FastRows:
    """Rows of ``ticks`` (100 ns since 1970 UTC) and ``values``, and the body without them.

    Rows that hold no number are dictionary-encoded: row ``non_numeric[i]`` holds ``dictionary[indices[i]]``, without its
    timestamp. ``suffix`` is what follows the value in each row, such as ``,"Good":true}``.
    """

    residual_json: bytes
    ticks: Int64
    values: Float64
    suffix: bytes
    non_numeric: Int64
    indices: Int64
    dictionary: Sequence[TimedValue]


class _Rows(NamedTuple):
    """Rows of a block: their offsets in the body and what they hold; the dictionary index of a number is -1."""

    starts: Int64
    ends: Int64
    ticks: Int64
    values: Float64
    indices: Int64

    def take(self, chosen: Bools | Int64) -> _Rows:
        """The rows where the mask is true, or of these row numbers."""
        starts, ends, ticks, values, indices = self
        return _Rows(starts[chosen], ends[chosen], ticks[chosen], values[chosen], indices[chosen])


def extract(body: bytes) -> FastRows | None:
    """The regular rows of ``body`` and the JSON without them; None if there are too few to be worth it."""
    suffix = _common_suffix(body)
    if suffix is None or body.count(suffix, 0, 1 << 16) < min(_MIN_ROWS, len(body) >> 10):
        return None
    dictionary: list[TimedValue] = []
    edges = [*range(0, len(body), _BLOCK_BYTES), len(body)]  # a row across an edge is left to the parser
    blocks = [
        rows for low, high in itertools.pairwise(edges) for rows in _scan(body, low, high, suffix, dictionary)
    ]
    if not blocks:
        return None
    rows = _Rows(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))
    if len(rows.starts) < _MIN_ROWS:
        return None
    if dictionary:
        rows = rows.take(np.argsort(rows.starts, kind="stable"))
    non_numeric = np.flatnonzero(rows.indices >= 0)
    residual = _residual_json(body, rows.starts, rows.ends)
    return FastRows(
        residual, rows.ticks, rows.values, suffix, non_numeric, rows.indices[non_numeric], dictionary
    )


def _common_suffix(body: bytes) -> bytes | None:
    """What most of the first rows end with: rows with a flag that differs are fewer."""
    suffixes = Counter(match[1] for match in itertools.islice(_ROW.finditer(body), _SAMPLED_ROWS))
    return suffixes.most_common(1)[0][0] if suffixes else None


def _scan(body: bytes, low: int, high: int, suffix: bytes, dictionary: list[TimedValue]) -> Iterator[_Rows]:
    """The rows in ``body[low:high]``; values that are not numbers are added to ``dictionary``."""
    size = high - low
    if size <= len(row_scan.PREFIX) + len(suffix):
        return
    text = np.frombuffer(body, np.uint8, size, low)
    left = size
    for find in (_numeric_rows, partial(_non_numeric_rows, dictionary=dictionary)):
        if left <= size // _SCAN_AGAIN:
            return
        try:
            rows = find(text, suffix)
        except (
            pa.ArrowInvalid
        ):  # a timestamp or number in an unusual form: the parser reads all rows of the block
            continue
        left -= int((rows.ends - rows.starts).sum())
        if len(rows.starts):
            yield rows._replace(starts=rows.starts + low, ends=rows.ends + low)


def _numeric_rows(text: UInt8, suffix: bytes) -> _Rows:
    """Rows with a number that a double holds exactly.

    Raises:
        pa.ArrowInvalid: one of their texts is not a time or not a number.
    """
    offsets = row_scan.between_braces(text, suffix)
    offsets = offsets.filter(_starts_a_number(text, offsets.values))
    ticks = _ticks(text, offsets)
    numbers = row_scan.substrings(text, offsets.values, offsets.value_ends, pa.string())
    values = arrays.to_numpy(numbers.cast(pa.float64()), np.float64)
    rows = _Rows(offsets.starts, offsets.ends, ticks, values, np.full(len(ticks), -1))
    return rows.take(np.abs(values) < EXACT_INTEGER)  # the parser keeps all digits of a larger integer


def _non_numeric_rows(text: UInt8, suffix: bytes, dictionary: list[TimedValue]) -> _Rows:
    """Rows with a state or a text, each different one parsed once; raises as ``_numeric_rows`` does."""
    offsets = row_scan.between_prefixes(text, suffix)
    first = text[offsets.values]
    offsets = offsets.filter((first == ord('"')) | (first == ord("{")))
    encoded = row_scan.substrings(text, offsets.values, offsets.value_ends, pa.binary()).dictionary_encode()
    parsed = [_add_parsed(value, suffix, dictionary) for value in arrays.to_bytes(encoded.dictionary)]
    indices = np.array(parsed, np.int64)[arrays.to_numpy(encoded.indices, np.int32)]
    offsets, indices = offsets.filter(indices >= 0), indices[indices >= 0]
    ticks = _ticks(text, offsets)
    return _Rows(offsets.starts, offsets.ends, ticks, np.full(len(ticks), np.nan), indices)


def _add_parsed(value: bytes, suffix: bytes, dictionary: list[TimedValue]) -> int:
    """Adds the value to ``dictionary`` and returns its index; -1 for what follows the last row of a stream."""
    try:
        dictionary.append(_PARSER.decode(b'{"Timestamp":"","Value":' + value + suffix))
    except NOT_JSON:
        return -1
    return len(dictionary) - 1


def _ticks(text: UInt8, offsets: RowOffsets) -> Int64:
    return arrays.to_ticks(row_scan.substrings(text, offsets.times, offsets.zulus + 1, pa.string()))


def _starts_a_number(text: UInt8, offsets: Int64) -> Bools:
    """A digit, or a minus and a digit: Arrow casts ``inf``, ``nan`` and blanks as well, which are not JSON."""
    first = text[offsets]
    digits = np.where(first == ord("-"), text[offsets + 1], first)
    found: Bools = (digits >= ord("0")) & (digits <= ord("9"))
    return found


def _residual_json(body: bytes, starts: Int64, ends: Int64) -> bytes:
    """The body with each run of adjacent rows replaced by their row numbers."""
    first_of_run = np.flatnonzero(np.concatenate(([True], starts[1:] != ends[:-1])))
    after_run = np.append(first_of_run[1:], len(starts))
    columns = (first_of_run, after_run, starts[first_of_run], ends[after_run - 1])
    pieces: list[bytes] = []
    at = 0
    for first, after, start, end in zip(*(column.tolist() for column in columns), strict=True):
        pieces += (body[at:start], b",[%d,%d]" % (first, after))
        at = end
    pieces.append(body[at:])
    return b"".join(pieces)
