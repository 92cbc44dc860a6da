"""Events as JSON bytes, assembled from columns without an object per event."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from mock_server.plant.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED, Block, Kind
from mock_server.plant.number_format import number_array
from mock_server.plant.point import Point, Points
from mock_server.plant.process import text_of
from mock_server.plant.sensors import DIGITAL_SETS, GRADES, NUMERIC_TYPES, SYSTEM_STATES
from mock_server.webapi.json.text_columns import Column, joined_columns, table
from mock_server.webapi.json.timestamps import timestamp_columns

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
_TYPE_CODES = {point_type: code for code, point_type in enumerate(NUMERIC_TYPES)}
_SETS = {each.name: each for each in DIGITAL_SETS}
# Where each set stands in the table of state texts, the system set first.
_SET_PLACES = {
    each.name: place
    for place, each in enumerate(sorted(DIGITAL_SETS, key=lambda each: each is not SYSTEM_STATES))
}
_CODES = 256
_COMMA = ord(",")


class _Traits(NamedTuple):
    """The properties of some points that determine the JSON of their events."""

    types: NDArray[np.int8]  # indexes into `NUMERIC_TYPES`, -1 for other types
    present: frozenset[int]  # the types that occur
    sets: I64  # indexes into the table of states
    units: tuple[str, ...]  # those that occur
    tails: NDArray[np.int32]  # where the tails of a point's units begin in their table


@lru_cache(maxsize=16)
def _traits(points: Points) -> _Traits:
    types = np.array([_TYPE_CODES.get(point.point_type, -1) for point in points], dtype=np.int8)
    sets = np.array([_SET_PLACES.get(point.digital_set_name, 0) for point in points], dtype=np.int64)
    units = [point.engineering_units for point in points]
    places = {each: place * 16 for place, each in enumerate(dict.fromkeys(units))}
    tails = np.array([places[each] for each in units], dtype=np.int32)
    return _Traits(types, frozenset(types.tolist()), sets, tuple(places), tails)


def timed_values(block: Block, fields: frozenset[str] = _ALL) -> list[bytes]:
    """For each stream of the block its events as a JSON list, with the given members of `VALUE_FIELDS`."""
    return [b"".join((b"[", events, b"]")) for events in event_texts(block, fields)]


def event_texts(block: Block, fields: frozenset[str] = _ALL) -> list[memoryview]:
    """The same without brackets, as views: large lists are copied only once, when they are joined."""
    if not len(block.ticks):
        return [memoryview(b"")] * len(block.points)
    # Every row starts with a comma, of which the first of each list is left out.
    text, ends = joined_columns(len(block.ticks), _columns(block, fields))
    return [text[first + 1 : after] for first, after in pairwise(ends[block.bounds].tolist())]


def state_json(code: int, set_name: str) -> bytes:
    """The enumeration value of a state of that set."""
    known = _SETS[set_name]
    name = known.states[code]
    return orjson.dumps({"Name": name, "Value": code, "IsSystem": known is SYSTEM_STATES})


def _columns(block: Block, fields: frozenset[str]) -> list[Column]:
    """The text columns of the events."""
    traits = _traits(Points.of(block.points))
    has_tail = not fields <= {"Timestamp", "Value"}
    end = b"," if has_tail else b"}"
    columns: list[Column] = []
    if "Timestamp" in fields:
        start = b',{"Timestamp":"'
        columns += timestamp_columns(block.ticks, start, b'Z"' + (b',"Value":' if "Value" in fields else end))
    else:
        columns.append(Column(_constant(b',{"Value":' if "Value" in fields else b",{"), 0))
    if "Value" in fields:
        columns.append(_values(block, traits, end))
    return [*columns, _tails(block, traits, fields)] if has_tail else columns


def _values(block: Block, traits: _Traits, end: bytes) -> Column:
    """The text of each value followed by `end`, from a table of the numbers by type and then of other values."""
    type_of_row = np.repeat(traits.types, block.counts)
    pool: list[pa.Array] = []
    place = np.empty(len(block.ticks), dtype=np.int32)
    size = 0
    for code, point_type in enumerate(NUMERIC_TYPES):
        if code not in traits.present:
            continue
        rows = slice(None) if len(traits.present) == 1 else np.flatnonzero(type_of_row == code)
        pool.append(_number_texts(point_type, block.number[rows], end))
        place[rows] = np.arange(size, size + len(pool[-1]), dtype=np.int32)
        size += len(pool[-1])
    rows = np.flatnonzero(block.kind != Kind.NUMBER)
    if len(rows):
        texts, which = _other_texts(block, traits.sets, rows, end)
        place[rows] = size + which
        pool += texts
    return Column(pa.concat_arrays(pool), place)


def _number_texts(point_type: str, number: NDArray[np.float64], end: bytes) -> pa.Array:
    if not len(number):
        return table([])
    raw = np.frombuffer(number_array(point_type, number), np.uint8).copy()
    raw[-1] = _COMMA
    commas = np.flatnonzero(raw == _COMMA)
    raw[commas] = end[0]
    starts = np.concatenate((np.ones(1, dtype=np.int32), (commas + 1).astype(np.int32)))
    return pa.Array.from_buffers(pa.binary(), len(number), [None, pa.py_buffer(starts), pa.py_buffer(raw)])


def _other_texts(block: Block, sets: I64, rows: I64, end: bytes) -> tuple[list[pa.Array], I64]:
    """The texts of values that are not numbers, and for each row the index of its text."""
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
    return pool, which


def _strings(block: Block, owner: I64, code: I64, end: bytes) -> pa.Array:
    texts: list[bytes] = []
    for place, first, after in _runs(owner):
        texts += _string_texts(block.points[place], code[first:after].tolist(), end)
    return table(texts)


def _string_texts(point: Point, codes: Sequence[int], end: bytes) -> list[bytes]:
    """The texts of a String point's events as JSON, each followed by `end`."""
    if point.sensor.texts:
        known = {code: orjson.dumps(text_of(point, code)) + end for code in set(codes)}
        return [known[code] for code in codes]
    if point.sensor.name == "GRADE":
        grades = _grades(end)
        return [grades[code % len(GRADES)] for code in codes]
    start = b'"' + point.plant[:3].encode() + b"-"  # letters, digits and a dash need no escaping
    return [b'%b%07d"%b' % (start, code, end) for code in codes]


@lru_cache(maxsize=8)
def _grades(end: bytes) -> list[bytes]:
    return [orjson.dumps(grade) + end for grade in GRADES]


def _runs(owner: I64) -> Iterator[tuple[int, int, int]]:
    """Each owner in a sorted column with the bounds of its rows."""
    edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
    for first, after in pairwise(edges):
        yield int(owner[first]), first, after


def _instants(_block: Block, _owner: I64, code: I64, end: bytes) -> pa.Array:
    return joined_columns(len(code), timestamp_columns(code, b'"', b'Z"' + end)).array()


@lru_cache(maxsize=8)
def _state_table(end: bytes) -> pa.Array:
    """The states of all sets, with a text for each possible code."""
    return table(
        [
            state_json(code, name) + end if code in _SETS[name].states else b""
            for name in _SET_PLACES
            for code in range(_CODES)
        ]
    )


def _tails(block: Block, traits: _Traits, fields: frozenset[str]) -> Column:
    """Units and flags, which follow the value; one cached text for each combination."""
    return Column(_tail_table(traits.units, fields), np.repeat(traits.tails, block.counts) + block.flags)


@lru_cache(maxsize=512)
def _tail_table(units: tuple[str, ...], fields: frozenset[str]) -> pa.Array:
    return table([_tail(each, flags, fields) for each in units for flags in range(16)])


def _tail(units: str, flags: int, fields: frozenset[str]) -> bytes:
    values = {
        "UnitsAbbreviation": units,
        "Good": not flags & BAD,
        "Questionable": bool(flags & QUESTIONABLE),
        "Substituted": bool(flags & SUBSTITUTED),
        "Annotated": bool(flags & ANNOTATED),
    }
    return orjson.dumps({name: value for name, value in values.items() if name in fields})[1:]


@lru_cache(maxsize=16)
def _constant(text: bytes) -> pa.Array:
    return table([text])
