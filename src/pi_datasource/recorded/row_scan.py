"""Where the rows of a reply body stand: found by their fixed parts, each checked byte by byte. Pure.

A row is ``,{"Timestamp":"…Z","Value":VALUE`` plus a tail that many rows share, such as ``,"Good":true}``. ``,{"`` followed by
a name cannot stand inside a JSON string, where a quote is escaped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi_datasource.recorded import arrays

HEAD = b',{"Timestamp":"'
_SHORTEST_TIME, _LONGEST_TIME = len("2024-05-01T06:00:00"), len("2024-05-01T06:00:00.1234567")
_BETWEEN = b'","Value":'  # after the Z that ends a timestamp

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Int64 = NDArray[np.int64]


class Spans(NamedTuple):
    """Places in a text: each row's start (its comma), time, Z, value, value's end, and end (after its brace)."""

    starts: Int64
    times: Int64
    zulus: Int64
    values: Int64
    value_ends: Int64
    ends: Int64

    def only(self, chosen: Bools) -> Spans:
        """Those that are chosen."""
        return Spans(*(each[chosen] for each in self))


def between_braces(text: Bytes, tail: bytes) -> Spans:
    """Rows that reach from one closing brace to the next: all whose value is a number."""
    braces = np.flatnonzero(text == ord("}"))
    return _rows(text, braces[:-1] + 1, braces[1:] + 1, tail)


def between_heads(text: Bytes, tail: bytes) -> Spans:
    """What reaches from one row's head to the next: rows of any value, and more behind the last one of a stream."""
    opened = np.flatnonzero(text == ord("{"))
    heads = opened[(opened > 0) & (opened <= len(text) - len(HEAD))] - 1
    heads = heads[same(text, heads, HEAD)]
    return _rows(text, heads[:-1], heads[1:], tail)


def same(text: Bytes, places: Int64, wanted: bytes) -> Bools:
    """Whether ``wanted`` stands at each place; all of it must lie within the text."""
    width = len(wanted)
    found = np.ones(len(places), np.bool_)
    if not len(places):
        return found
    windows = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))[places]
    step = 8 if width >= 8 else 1  # the last word may overlap the one before it
    for at in (*range(0, width - step, step), width - step):
        words = np.ndarray((len(places),), f"<u{step}", windows, offset=at, strides=(width,))
        found &= words == int.from_bytes(wanted[at : at + step], "little")
    return found


def slices(text: Bytes, starts: Int64, ends: Int64, kind: pa.DataType) -> pa.Array:
    """The bytes from each start to its end, as strings or binary; the spans rise and do not overlap."""
    edges = np.empty(2 * len(starts) + 1, np.int32)
    edges[0:-1:2], edges[1::2] = starts, ends
    edges[-1] = edges[-2] if len(starts) else 0
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(text)]
    return pa.Array.from_buffers(kind, 2 * len(starts), buffers).take(
        arrays.numbers(np.arange(0, 2 * len(starts), 2), pa.int64())
    )


def _rows(text: Bytes, starts: Int64, ends: Int64, tail: bytes) -> Spans:
    """Those of the spans that begin as a row and end with the tail."""
    shortest = len(HEAD) + _SHORTEST_TIME + len(b"Z") + len(_BETWEEN) + 1 + len(tail)
    roomy = ends - starts >= shortest
    starts, ends = starts[roomy], ends[roomy]
    fits = same(text, starts, HEAD)
    fits &= same(text, ends - len(tail), tail)
    starts, ends = starts[fits], ends[fits]
    times = starts + len(HEAD)
    zulus = _zulus(text, times)
    spans = Spans(starts, times, zulus, zulus + 1 + len(_BETWEEN), ends - len(tail), ends)
    spans = spans.only((zulus > 0) & (spans.values < spans.value_ends))
    return spans.only(same(text, spans.zulus + 1, _BETWEEN))


def _zulus(text: Bytes, times: Int64) -> Int64:
    """Where the Z of each timestamp stands; 0 where there is none, or where no fraction of 1 to 7 digits precedes it."""
    found = np.zeros(len(times), np.int64)
    for length in (*range(_LONGEST_TIME, _SHORTEST_TIME + 1, -1), _SHORTEST_TIME):
        open_ = np.flatnonzero(found == 0)
        if not len(open_):
            break
        places = times[open_] + length
        ends = text[places] == ord("Z")
        found[open_[ends]] = places[ends]
    return found
