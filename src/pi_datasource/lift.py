"""Plain numbers out of a reply body, all at once: what looks like the rest is lifted, what does not is left to a parser.

An archive page is thousands of rows that differ in a timestamp and a number only. Such rows are found, checked byte by
byte and cast without an object for each; in the body every run of them is replaced by ``[first,after]``, its row numbers.
The *skeleton* that is left is ordinary JSON and much smaller: structure, failures, states, texts and flagged rows are
parsed from it exactly. A row is lifted only if it is ``,{"Timestamp":"…Z","Value":NUMBER`` plus a tail equal to that of
its neighbours; ``,{"`` followed by a name cannot stand inside a JSON string, where a quote is escaped.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_HEAD = b',{"Timestamp":"'
_SHORTEST_TIME, _LONGEST_TIME = len("2024-05-01T06:00:00"), len("2024-05-01T06:00:00.1234567")
_BETWEEN = b'","Value":'  # after the Z that ends a timestamp
_ROW = re.compile(rb'\{"Timestamp":"[^"\\]*Z","Value":-?\d[\d.eE+-]*((?:,"\w+":(?:true|false|null))*\})')
_SAMPLES = 9
_WORTH = 64  # rows: below, setting up costs more than parsing
_BLOCK = 1 << 22  # bytes looked at together: what is in a cache need not come from memory
_NEEDS_DIGITS = 2.0**53  # from here on a double may not hold every integer: the parser keeps its digits

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Lifted:
    """Rows of ``ticks`` (100 ns since 1970 UTC) and ``values``, and the body without them.

    ``tail`` is the end of each row from after its number, such as ``,"Good":true}``.
    """

    skeleton: bytes
    ticks: Int64
    values: NDArray[np.float64]
    tail: bytes


def lift(body: bytes) -> Lifted | None:
    """The plain rows of ``body`` and the skeleton without them; None where lifting is not worth it or not possible."""
    tail = _usual_tail(body)
    if tail is None or body.count(tail, 0, 1 << 16) < min(_WORTH, len(body) >> 10):
        return None
    blocks = [found for block in _blocks(body) if (found := _rows(body, *block, tail))]
    if not blocks:
        return None
    starts, ends, ticks, values = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    if len(starts) < _WORTH:
        return None
    return Lifted(_skeleton(body, starts, ends), ticks, values, tail)


def _usual_tail(body: bytes) -> bytes | None:
    """What most of the first plain rows end with: rows with an odd flag are fewer."""
    tails = Counter(match[1] for match, _ in zip(_ROW.finditer(body), range(_SAMPLES), strict=False))
    return tails.most_common(1)[0][0] if tails else None


def _blocks(body: bytes) -> list[tuple[int, int]]:
    """Spans that tile the body; a row that lies across a border is left to the parser."""
    edges = [*range(0, len(body), _BLOCK), len(body)]
    return list(itertools.pairwise(edges))


def _rows(
    body: bytes, low: int, high: int, tail: bytes
) -> tuple[Int64, Int64, Int64, NDArray[np.float64]] | None:
    """Start (its comma), end (after its brace), ticks and value of each plain row in ``body[low:high]``."""
    size = high - low
    if size <= len(_HEAD) + len(tail):
        return None
    text = np.frombuffer(body, np.uint8, size, low)
    braces = np.flatnonzero(text == ord("}"))
    starts, ends = braces[:-1] + 1, braces[1:] + 1
    shortest = len(_HEAD) + _SHORTEST_TIME + len(b"Z") + len(_BETWEEN) + 1 + len(tail)
    roomy = ends - starts >= shortest
    starts, ends = starts[roomy], ends[roomy]
    plain = _same(text, starts, _HEAD)
    plain[plain] = _same(text, ends[plain] - len(tail), tail)
    starts, ends = starts[plain], ends[plain]
    times = starts + len(_HEAD)
    zulu = _zulu(text, times)
    numbers = zulu + 1 + len(_BETWEEN)
    fits = (zulu > 0) & (numbers < ends - len(tail))
    fits[fits] = _same(text, zulu[fits] + 1, _BETWEEN)
    fits[fits] = _starts_a_number(text, numbers[fits])
    starts, ends, times, zulu, numbers = (part[fits] for part in (starts, ends, times, zulu, numbers))
    if not len(starts):
        return None
    cast = _cast(text, times, zulu + 1, numbers, ends - len(tail))
    if cast is None:
        return None
    ticks, values = cast
    sure = np.abs(values) < _NEEDS_DIGITS
    return starts[sure] + low, ends[sure] + low, ticks[sure], values[sure]


def _same(text: NDArray[np.uint8], places: Int64, wanted: bytes) -> NDArray[np.bool_]:
    """Whether ``wanted`` stands at each place; all of it must lie within the text."""
    width = len(wanted)
    if not len(places):
        return np.zeros(0, np.bool_)
    windows = np.ndarray((len(text) - width + 1,), f"V{width}", text, strides=(1,))
    there = windows[places]
    whole = width // 8 * 8
    same = np.ones(len(places), np.bool_)
    columns = there.view(np.uint8).reshape(len(places), width)
    if whole:
        words = np.ascontiguousarray(columns[:, :whole]).view("<u8")
        same = (words == np.frombuffer(wanted, "<u8", whole // 8)).all(axis=1)
    if whole < width:
        same &= (columns[:, whole:] == np.frombuffer(wanted[whole:], np.uint8)).all(axis=1)
    return same


def _zulu(text: NDArray[np.uint8], times: Int64) -> Int64:
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


def _starts_a_number(text: NDArray[np.uint8], places: Int64) -> NDArray[np.bool_]:
    """A digit, or a minus and a digit: what Arrow casts besides (``inf``, ``nan``, blanks) is no JSON."""
    first = text[places]
    second = text[places + 1]
    minus: NDArray[np.bool_] = (first == ord("-")) & _is_digit(second)
    return minus | _is_digit(first)


def _is_digit(letters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    digits: NDArray[np.bool_] = (letters >= ord("0")) & (letters <= ord("9"))
    return digits


def _cast(
    text: NDArray[np.uint8], times: Int64, time_ends: Int64, numbers: Int64, number_ends: Int64
) -> tuple[Int64, NDArray[np.float64]] | None:
    """Ticks and values; None if any of the texts is no time or no number, which the parser then says better."""
    count = len(times)
    edges = np.empty(4 * count + 1, np.int32)
    edges[0:-1:4], edges[1::4], edges[2::4], edges[3::4] = times, time_ends, numbers, number_ends
    edges[-1] = edges[-2]
    texts = pa.StringArray.from_buffers(4 * count, pa.py_buffer(edges), pa.py_buffer(text))
    places = np.arange(0, 4 * count, 4)
    try:
        nanoseconds = texts.take(pa.array(places)).cast(pa.timestamp("ns", "UTC"))
        values = texts.take(pa.array(places + 2)).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    ticks = np.frombuffer(nanoseconds.buffers()[1], np.int64, count, nanoseconds.offset * 8) // 100
    return ticks, values.to_numpy()


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
