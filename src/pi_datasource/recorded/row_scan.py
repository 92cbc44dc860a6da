"""Finds the rows of a reply body by their fixed parts, each compared byte by byte. Pure.

A row is ``,{"Timestamp":"…Z","Value":VALUE`` and a suffix that many rows share, such as ``,"Good":true}``. ``,{"`` followed by
a name cannot occur inside a JSON string, where a quote is escaped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pi_datasource.recorded import arrays
from pi_datasource.recorded.arrays import Bools, Int64, UInt8

PREFIX = b',{"Timestamp":"'
_SHORTEST_TIME, _LONGEST_TIME = len("2024-05-01T06:00:00"), len("2024-05-01T06:00:00.1234567")
_TIME_TO_VALUE = b'","Value":'  # after the Z that ends a timestamp


class RowOffsets(NamedTuple):
    """Offsets in a text: each row's start (its comma), time, Z, value, end of the value, and end (after its brace)."""

    starts: Int64
    times: Int64
    zulus: Int64
    values: Int64
    value_ends: Int64
    ends: Int64

    def filter(self, mask: Bools) -> RowOffsets:
        """The rows where ``mask`` is true."""
        return RowOffsets(*(each[mask] for each in self))


def between_braces(text: UInt8, suffix: bytes) -> RowOffsets:
    """Rows that reach from one closing brace to the next: all rows with a numeric value."""
    braces = np.flatnonzero(text == ord("}"))
    return _complete_rows(text, braces[:-1] + 1, braces[1:] + 1, suffix)


def between_prefixes(text: UInt8, suffix: bytes) -> RowOffsets:
    """What reaches from one row's prefix to the next: rows of any value, and whatever follows the last row of a stream."""
    opened = np.flatnonzero(text == ord("{"))
    starts = opened[(opened > 0) & (opened <= len(text) - len(PREFIX))] - 1
    starts = starts[_matches(text, starts, PREFIX)]
    return _complete_rows(text, starts[:-1], starts[1:], suffix)


def substrings(text: UInt8, starts: Int64, ends: Int64, kind: pa.DataType) -> pa.Array:
    """The bytes from each start to its end, as strings or binary; the spans ascend and do not overlap."""
    offsets = np.empty(2 * len(starts) + 1, np.int32)
    offsets[0:-1:2], offsets[1::2] = starts, ends
    offsets[-1] = offsets[-2] if len(starts) else 0
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    spans = pa.Array.from_buffers(kind, 2 * len(starts), buffers)
    return spans.take(arrays.fixed_width(np.arange(0, 2 * len(starts), 2), pa.int64()))


def _matches(text: UInt8, offsets: Int64, wanted: bytes) -> Bools:
    """Whether ``wanted`` is found at each offset; all of it must lie within the text."""
    width = len(wanted)
    found = np.ones(len(offsets), np.bool_)
    if not len(offsets):
        return found
    windows = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))[offsets]
    step = 8 if width >= 8 else 1  # the last word may overlap the one before it
    for at in (*range(0, width - step, step), width - step):
        words = np.ndarray((len(offsets),), f"<u{step}", windows, offset=at, strides=(width,))
        found &= words == int.from_bytes(wanted[at : at + step], "little")
    return found


def _complete_rows(text: UInt8, starts: Int64, ends: Int64, suffix: bytes) -> RowOffsets:
    """The spans that begin as a row does and end with ``suffix``."""
    shortest = len(PREFIX) + _SHORTEST_TIME + len(b"Z") + len(_TIME_TO_VALUE) + 1 + len(suffix)
    long_enough = ends - starts >= shortest
    starts, ends = starts[long_enough], ends[long_enough]
    fits = _matches(text, starts, PREFIX)
    fits &= _matches(text, ends - len(suffix), suffix)
    starts, ends = starts[fits], ends[fits]
    times = starts + len(PREFIX)
    zulus = _find_zulus(text, times)
    rows = RowOffsets(starts, times, zulus, zulus + 1 + len(_TIME_TO_VALUE), ends - len(suffix), ends)
    rows = rows.filter((zulus > 0) & (rows.values < rows.value_ends))
    return rows.filter(_matches(text, rows.zulus + 1, _TIME_TO_VALUE))


def _find_zulus(text: UInt8, times: Int64) -> Int64:
    """The offset of each timestamp's Z; 0 if there is none, or if it does not follow whole seconds or 1 to 7 digits."""
    found = np.zeros(len(times), np.int64)
    for length in (*range(_LONGEST_TIME, _SHORTEST_TIME + 1, -1), _SHORTEST_TIME):
        missing = np.flatnonzero(found == 0)
        if not len(missing):
            break
        offsets = times[missing] + length
        ends = text[offsets] == ord("Z")
        found[missing[ends]] = offsets[ends]
    return found
