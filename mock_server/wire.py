"""Events as PI Web API prints them: JSON bytes, assembled from columns without an object per event."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mock_server import ticks
from mock_server.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED, Block, Kind
from mock_server.point import Points
from mock_server.process import json_texts
from mock_server.sensors import DIGITAL_SETS, SYSTEM_STATES

VALUE_FIELDS = (
    "Timestamp",
    "Value",
    "UnitsAbbreviation",
    "Good",
    "Questionable",
    "Substituted",
    "Annotated",
)
_ALL = frozenset(VALUE_FIELDS)
_NUMBER_DTYPE: dict[str, type[np.generic]] = {"Float32": np.float32, "Int32": np.int64}
_NUMBER_TYPES = ("Float32", "Float64", "Int32")
_TYPE_CODES = {point_type: code for code, point_type in enumerate(_NUMBER_TYPES)}
_SETS = {each.name: each for each in DIGITAL_SETS}
# Where each set stands in the table of state texts, the system set first.
_SET_PLACES = {
    each.name: place
    for place, each in enumerate(sorted(DIGITAL_SETS, key=lambda each: each is not SYSTEM_STATES))
}
_CODES = 256
_COMMA = ord(",")


class _Traits(NamedTuple):
    """What decides how the events of some points are printed, for each point and in sum."""

    types: NDArray[np.int8]  # places in `_NUMBER_TYPES`, -1 for what is no number
    present: frozenset[int]  # the types that occur
    sets: I64  # places in the table of states
    units: tuple[str, ...]  # those that occur
    tails: NDArray[np.int32]  # where the texts of a point's units begin in the table of tails


@lru_cache(maxsize=16)
def _traits(points: Points) -> _Traits:
    types = np.array([_TYPE_CODES.get(point.point_type, -1) for point in points], dtype=np.int8)
    sets = np.array([_SET_PLACES.get(point.digital_set_name, 0) for point in points], dtype=np.int64)
    units = [point.engineering_units for point in points]
    places = {each: place * 16 for place, each in enumerate(dict.fromkeys(units))}
    tails = np.array([places[each] for each in units], dtype=np.int32)
    return _Traits(types, frozenset(types.tolist()), sets, tuple(places), tails)


def timed_values(block: Block, fields: frozenset[str] = _ALL) -> list[bytes]:
    """For each stream of the block its events as a JSON list, with those of `VALUE_FIELDS` asked for."""
    return [b"".join((b"[", events, b"]")) for events in event_texts(block, fields)]


def event_texts(block: Block, fields: frozenset[str] = _ALL) -> list[memoryview]:
    """The same without brackets and as views to be joined, so that large lists need not be copied twice."""
    if not len(block.ticks):
        return [memoryview(b"")] * len(block.points)
    # Every row starts with a comma, of which the first of each list is left out.
    rows = pc.binary_join_element_wise(*_pieces(block, fields), _scalar(b""))
    text = memoryview(rows.buffers()[2])
    ends = np.frombuffer(rows.buffers()[1], np.int32, len(rows) + 1, rows.offset * 4)[block.bounds].tolist()
    return [text[first + 1 : after] for first, after in pairwise(ends)]


def printed_numbers(point_type: str, number: NDArray[np.float64]) -> NDArray[np.float64]:
    """The doubles a client gets when it parses the numbers this module prints for such a point."""
    if point_type != "Float32":
        return number
    return np.array(orjson.loads(_dump_numbers(point_type, number)), dtype=np.float64)


def state_json(code: int, set_name: str) -> bytes:
    """The enumeration value of a state, of the system set if that is the set's name."""
    known = _SETS[set_name]
    name = known.states[code]
    return orjson.dumps({"Name": name, "Value": code, "IsSystem": known is SYSTEM_STATES})


def _pieces(block: Block, fields: frozenset[str]) -> list[pa.Array | pa.Scalar]:
    """The columns whose rows joined are the events."""
    traits = _traits(Points.of(block.points))
    has_tail = not fields <= {"Timestamp", "Value"}
    end = b"," if has_tail else b"}"
    pieces: list[pa.Array | pa.Scalar] = []
    if "Timestamp" in fields:
        opening = b',{"Timestamp":"'
        pieces += _times(block.ticks, opening, b'Z"' + (b',"Value":' if "Value" in fields else end))
    else:
        pieces.append(_scalar(b',{"Value":' if "Value" in fields else b",{"))
    if "Value" in fields:
        pieces.append(_values(block, traits, end))
    return [*pieces, _tails(block, traits, fields)] if has_tail else pieces


def _times(instants: I64, opening: bytes, closing: bytes) -> list[pa.Array]:
    """The pieces of timestamps without their `Z`, which `closing` begins with."""
    second = instants // ticks.PER_SECOND
    in_second = instants - second * ticks.PER_SECOND
    day = second // 86_400
    millis = in_second // ticks.PER_MILLISECOND
    rest = in_second - millis * ticks.PER_MILLISECOND
    return [
        _days(day, opening),
        _taken(_seconds(), second - day * 86_400),
        _taken(_millis(), millis + np.where(rest == 0, 1000, 0)),
        _taken(_rests(closing), rest),
    ]


def _days(day: I64, opening: bytes) -> pa.Array:
    first = int(day.min())
    many = int(day.max()) - first + 1
    if many > 2_000:  # few events over many years: only the days there are
        days, place = np.unique(day, return_inverse=True)
        return _taken(_binary([_day(each, opening) for each in days.tolist()]), place)
    return _taken(_day_table(first // 64, (first + many - 1) // 64, opening), day - first // 64 * 64)


@lru_cache(maxsize=64)
def _day_table(first: int, last: int, opening: bytes) -> pa.Array:
    """The days of the spans of 64 from `first` to `last`."""
    return _binary([_day(each, opening) for each in range(first * 64, (last + 1) * 64)])


def _day(day: int, opening: bytes) -> bytes:
    if not ticks.FIRST <= day * ticks.PER_DAY <= ticks.LAST:
        return b""
    return opening + ticks.to_iso(day * ticks.PER_DAY)[:11].encode()


def _values(block: Block, traits: _Traits, end: bytes) -> pa.Array:
    """The text of each value with `end` behind it: numbers by type, then what is none, put in order."""
    type_of_row = np.repeat(traits.types, block.counts)
    pool: list[pa.Array] = []
    place = np.empty(len(block.ticks), dtype=np.int32)
    size = 0
    for code, point_type in enumerate(_NUMBER_TYPES):
        if code not in traits.present:
            continue
        rows = slice(None) if len(traits.present) == 1 else np.flatnonzero(type_of_row == code)
        pool.append(_number_texts(point_type, block.number[rows], end))
        place[rows] = np.arange(size, size + len(pool[-1]), dtype=np.int32)
        size += len(pool[-1])
    rows = np.flatnonzero(block.kind != Kind.NUMBER)
    if not len(rows):
        return pool[0] if len(pool) == 1 else pa.concat_arrays(pool).take(pa.array(place))
    texts, which = _other_texts(block, traits.sets, rows, end)
    place[rows] = size + which
    return pa.concat_arrays([*pool, texts]).take(pa.array(place))


def _number_texts(point_type: str, number: NDArray[np.float64], end: bytes) -> pa.Array:
    if not len(number):
        return _binary([])
    raw = np.frombuffer(_dump_numbers(point_type, number), np.uint8).copy()
    raw[-1] = _COMMA
    commas = np.flatnonzero(raw == _COMMA)
    raw[commas] = end[0]
    starts = np.concatenate((np.ones(1, dtype=np.int32), (commas + 1).astype(np.int32)))
    return pa.Array.from_buffers(pa.binary(), len(number), [None, pa.py_buffer(starts), pa.py_buffer(raw)])


def _other_texts(block: Block, sets: I64, rows: I64, end: bytes) -> tuple[pa.Array, I64]:
    """The texts of the values that are no numbers, and for each row which of them is its own."""
    owner = np.searchsorted(block.bounds, rows, side="right") - 1
    kind, code = block.kind[rows], block.code[rows]
    which = np.empty(len(rows), dtype=np.int64)
    pool = [_state_table(end)]
    states = np.flatnonzero((kind == Kind.SYSTEM) | (kind == Kind.DIGITAL))
    chosen = np.where(kind[states] == Kind.SYSTEM, 0, sets[owner[states]])
    which[states] = chosen * _CODES + code[states]
    size = len(pool[0])
    for wanted, texts in ((Kind.STRING, _strings), (Kind.TIMESTAMP, _instants)):
        places = np.flatnonzero(kind == wanted)
        if len(places):
            pool.append(texts(block, owner[places], code[places], end))
            which[places] = np.arange(size, size + len(places))
            size += len(places)
    return pa.concat_arrays(pool), which


def _strings(block: Block, owner: I64, code: I64, end: bytes) -> pa.Array:
    texts: list[bytes] = []
    for place, first, after in _runs(owner):
        texts += json_texts(block.points[place], code[first:after].tolist())
    return _binary([text + end for text in texts])


def _runs(owner: I64) -> Iterator[tuple[int, int, int]]:
    """Each owner of a sorted column with where its rows begin and end."""
    edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
    for first, after in pairwise(edges):
        yield int(owner[first]), first, after


def _instants(_block: Block, _owner: I64, code: I64, end: bytes) -> pa.Array:
    return pc.binary_join_element_wise(*_times(code, b'"', b'Z"' + end), _scalar(b""))


@lru_cache(maxsize=8)
def _state_table(end: bytes) -> pa.Array:
    """Every state there is, of each set at its place a text for each possible code."""
    return _binary(
        [
            state_json(code, name) + end if code in _SETS[name].states else b""
            for name in _SET_PLACES
            for code in range(_CODES)
        ]
    )


def _dump_numbers(point_type: str, number: NDArray[np.float64]) -> bytes:
    return orjson.dumps(
        np.ascontiguousarray(number, dtype=_NUMBER_DTYPE.get(point_type, np.float64)),
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _tails(block: Block, traits: _Traits, fields: frozenset[str]) -> pa.Array:
    """What follows the value: units and flags, one cached text for each combination."""
    return _taken(_tail_table(traits.units, fields), np.repeat(traits.tails, block.counts) + block.flags)


@lru_cache(maxsize=512)
def _tail_table(units: tuple[str, ...], fields: frozenset[str]) -> pa.Array:
    return _binary([_tail(each, flags, fields) for each in units for flags in range(16)])


def _tail(units: str, flags: int, fields: frozenset[str]) -> bytes:
    values = {
        "UnitsAbbreviation": units,
        "Good": not flags & BAD,
        "Questionable": bool(flags & QUESTIONABLE),
        "Substituted": bool(flags & SUBSTITUTED),
        "Annotated": bool(flags & ANNOTATED),
    }
    return orjson.dumps({name: value for name, value in values.items() if name in fields})[1:]


def _taken(table: pa.Array, places: NDArray[np.integer]) -> pa.Array:
    return pc.take(table, pa.array(places.astype(np.int32)), boundscheck=False)


def _binary(texts: list[bytes]) -> pa.Array:
    return pa.array(texts, pa.binary())


@lru_cache(maxsize=16)
def _scalar(text: bytes) -> pa.Scalar:
    return pa.scalar(text, pa.binary())


@lru_cache(maxsize=1)
def _seconds() -> pa.Array:
    return _binary([b"%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(86_400)])


@lru_cache(maxsize=1)
def _millis() -> pa.Array:
    """`.123`; from 1000 on the same without trailing zeros, for when nothing follows."""
    whole = [b".%03d" % each for each in range(1000)]
    return _binary([*whole, b"", *(text.rstrip(b"0") for text in whole[1:])])


@lru_cache(maxsize=16)
def _rests(closing: bytes) -> pa.Array:
    """The last four of seven digits without trailing zeros, and what closes the timestamp."""
    return _binary([closing, *((b"%04d" % each).rstrip(b"0") + closing for each in range(1, 10_000))])
