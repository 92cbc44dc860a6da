"""Events as PI Web API prints them: JSON bytes, assembled from columns without an object per event."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from mock_server import ticks
from mock_server.catalog import Point
from mock_server.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED, Block, Kind
from mock_server.process import text_of
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
_SETS = {each.name: each for each in DIGITAL_SETS}
_OBJECTS = NDArray[np.object_]


def timed_values(block: Block, fields: frozenset[str] = _ALL) -> list[bytes]:
    """For each stream of the block its events as a JSON list, with those of `VALUE_FIELDS` asked for."""
    if not len(block.ticks):
        return [b"[]"] * len(block.points)
    columns = [*_heads(block, fields), _tails(block, fields)]
    cells = np.empty((len(block.ticks), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        cells[:, place] = column
    edges = block.bounds.tolist()
    return [_json_list(cells[first:after]) for first, after in pairwise(edges)]


def _json_list(rows: _OBJECTS) -> bytes:
    """The rows, each of which starts with a comma, as a JSON list made by a single join."""
    pieces = rows.ravel().tolist()
    if not pieces:
        return b"[]"
    pieces[0] = b"[" + pieces[0][1:]
    pieces.append(b"]")
    return b"".join(pieces)


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


def _heads(block: Block, fields: frozenset[str]) -> list[Any]:
    """The columns up to the value; every row starts with a comma."""
    value = b'"Value":' if "Value" in fields else b""
    values = [_values(block)] if value else []
    if "Timestamp" not in fields:
        return [b",{" + value, *values]
    separator = b"," if value else b""
    return [*_times(block.ticks, b'Z"' + separator + value), *values]


def _times(instants: I64, closing: bytes) -> list[_OBJECTS]:
    day, in_day = np.divmod(instants, ticks.PER_DAY)
    second, in_second = np.divmod(in_day, ticks.PER_SECOND)
    millis, rest = np.divmod(in_second, ticks.PER_MILLISECOND)
    days, day_number = np.unique(day, return_inverse=True)
    day_texts = _column(
        [f',{{"Timestamp":"{ticks.to_iso(each * ticks.PER_DAY)[:11]}'.encode() for each in days.tolist()]
    )
    return [
        day_texts[day_number],
        _seconds()[second],
        _millis()[millis + np.where(rest == 0, 1000, 0)],
        _rests(closing)[rest],
    ]


def _values(block: Block) -> _OBJECTS:
    texts = np.empty(len(block.ticks), dtype=object)
    types = np.array([point.point_type for point in block.points])
    type_of_row = np.repeat(types, block.counts)
    for point_type in ("Float32", "Float64", "Int32"):
        rows = np.flatnonzero(type_of_row == point_type)
        if len(rows):
            texts[rows] = _dump_numbers(point_type, block.number[rows])[1:-1].split(b",")
    rows = np.flatnonzero(block.kind != Kind.NUMBER)
    owners = np.searchsorted(block.bounds, rows, side="right") - 1
    for row, owner, kind, code in zip(
        rows.tolist(), owners.tolist(), block.kind[rows].tolist(), block.code[rows].tolist(), strict=True
    ):
        texts[row] = _other_value(block.points[owner], kind, code)
    return texts


def _other_value(point: Point, kind: int, code: int) -> bytes:
    if kind in (Kind.SYSTEM, Kind.DIGITAL):
        return _state_json(code, SYSTEM_STATES.name if kind == Kind.SYSTEM else point.digital_set_name)
    return orjson.dumps(text_of(point, code) if kind == Kind.STRING else ticks.to_iso(code))


_state_json = lru_cache(maxsize=256)(state_json)


def _dump_numbers(point_type: str, number: NDArray[np.float64]) -> bytes:
    return orjson.dumps(
        number.astype(_NUMBER_DTYPE.get(point_type, np.float64)), option=orjson.OPT_SERIALIZE_NUMPY
    )


def _tails(block: Block, fields: frozenset[str]) -> _OBJECTS:
    """What follows the value: units and flags, one cached text for each combination."""
    begun = bool(fields & {"Timestamp", "Value"})
    tables = np.concatenate([_tail_table(point.engineering_units, fields, begun) for point in block.points])
    return tables[block.stream_of_row() * 16 + block.flags]  # type: ignore[no-any-return]


@lru_cache(maxsize=512)
def _tail_table(units: str, fields: frozenset[str], begun: bool) -> _OBJECTS:
    texts = []
    for flags in range(16):
        values = {
            "UnitsAbbreviation": units,
            "Good": not flags & BAD,
            "Questionable": bool(flags & QUESTIONABLE),
            "Substituted": bool(flags & SUBSTITUTED),
            "Annotated": bool(flags & ANNOTATED),
        }
        text = orjson.dumps({name: value for name, value in values.items() if name in fields})[1:]
        texts.append((b"," if begun and text != b"}" else b"") + text)
    return _column(texts)


def _column(texts: list[bytes]) -> _OBJECTS:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts
    return column


@lru_cache(maxsize=1)
def _seconds() -> _OBJECTS:
    return _column([b"%02d:%02d:%02d" % (s // 3600, s // 60 % 60, s % 60) for s in range(86_400)])


@lru_cache(maxsize=1)
def _millis() -> _OBJECTS:
    """`.123`; from 1000 on the same without trailing zeros, for when nothing follows."""
    whole = [b".%03d" % each for each in range(1000)]
    return _column([*whole, b"", *(text.rstrip(b"0") for text in whole[1:])])


@lru_cache(maxsize=16)
def _rests(closing: bytes) -> _OBJECTS:
    """The last four of seven digits without trailing zeros, and what closes the timestamp."""
    return _column([closing, *((b"%04d" % each).rstrip(b"0") + closing for each in range(1, 10_000))])
