"""What the value of an event is: number, state, text … → the columns for it (table catalogue, section 1).

A value's JSON type may change from row to row: ``Good``, ``IsSystem`` and ``Errors`` decide what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pi_datasource import schema
from pi_datasource.recorded import arrays
from pi_datasource.recorded.events import EXACT_INTEGER, Columns, Int64
from pi_datasource.recorded.wire import FLAGS, TimedValue
from pi_datasource.webapi.envelope import text_of

_INT32 = range(-(2**31), 2**31)
_INFINITE = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
_NO_FLAGS = pa.nulls(0, pa.bool_())
_TEXT_TYPES = ("String", "Blob", "Digital")


class Reading(NamedTuple):
    """What the columns for a value hold."""

    value: float | None
    text: str | None
    code: int | None
    kind: str


class _Odd(NamedTuple):
    """What the odd rows hold: each different reading once, and for each row the number of its own."""

    readings: Sequence[Reading]
    numbers: NDArray[np.int32]


def value_columns(
    events: Columns, types: Sequence[str], odd_types: Int64, wanted: AbstractSet[str]
) -> dict[str, pa.Array]:
    """Those of the ``wanted`` columns that come from the events; ``odd_types`` number the point type of each odd row."""
    odd = _read_once(events, types, odd_types)
    made: dict[str, Callable[[], pa.Array]] = {
        "value": lambda: _numbers(events, odd),
        "value_string": lambda: _sparse(
            events, odd, arrays.texts([None, *(each.text for each in odd.readings)])
        ),
        "state_code": lambda: _sparse(events, odd, _codes(odd.readings)),
        "value_kind": lambda: _sparse(
            events, odd, arrays.texts([schema.NUMBER, *(each.kind for each in odd.readings)])
        ),
        **{name.lower(): partial(_flag, events, place) for place, name in enumerate(FLAGS)},
    }
    return {name: make() for name, make in made.items() if name in wanted}


def _read_once(events: Columns, types: Sequence[str], odd_types: Int64) -> _Odd:
    pairs = arrays.numbers(events.odd_codes * len(types) + odd_types, pa.int64()).dictionary_encode()
    split = [divmod(pair, len(types)) for pair in arrays.values_of(pairs.dictionary, np.int64).tolist()]
    readings = [read(events.odd_items[code], types[kind]) for code, kind in split]
    return _Odd(readings, arrays.values_of(pairs.indices, np.int32))


def _numbers(events: Columns, odd: _Odd) -> pa.Array:
    if not odd.readings:
        return arrays.numbers(events.values, pa.float64())
    values, missing = events.values.copy(), np.zeros(len(events.ticks), np.bool_)
    numbers = [each.value for each in odd.readings]
    values[events.odd] = np.array([0.0 if each is None else each for each in numbers])[odd.numbers]
    missing[events.odd] = np.array([each is None for each in numbers])[odd.numbers]
    return arrays.numbers(values, pa.float64(), missing)


def _sparse(events: Columns, odd: _Odd, given: pa.Array) -> pa.Array:
    """The first of ``given`` in all rows but the odd ones, and in these the one after it that their number says."""
    if given.null_count == len(given):
        return pa.nulls(len(events.ticks), given.type)
    place = np.zeros(len(events.ticks), np.int32)
    place[events.odd] = odd.numbers + 1
    return given.take(arrays.numbers(place, pa.int32()))


def _codes(readings: Sequence[Reading]) -> pa.Array:
    codes = [None, *(each.code for each in readings)]
    missing = np.array([code is None for code in codes])
    return arrays.numbers(np.array([code or 0 for code in codes], np.int32), pa.int32(), missing)


def _flag(events: Columns, place: int) -> pa.Array:
    bits = (events.flags >> np.uint8(2 * place)) & np.uint8(3)
    first = int(bits[0]) if len(bits) else 0
    if (bits == first).all():
        return (
            arrays.repeated(arrays.flags(bits[:1] == 1, bits[:1] == 2), len(bits)) if len(bits) else _NO_FLAGS
        )
    return arrays.flags(bits == 1, bits == 2)


def read(item: TimedValue, point_type: str) -> Reading:
    """The columns of an event whose value is not concise_errors a number: the table of the catalogue, section 1."""
    value = item.Value
    if item.Errors:
        return Reading(None, text_of(item.Errors) or None, None, schema.ERROR)
    if isinstance(value, dict):
        return _read_object(value, item.Good)
    if isinstance(value, str):
        return _read_text(value, item.Good, point_type)
    if isinstance(value, bool):
        return Reading(float(value), str(value).lower(), None, schema.BOOLEAN)
    if isinstance(value, (int, float)):
        return _read_number(value)
    if value is None:
        return Reading(None, None, None, schema.NONE)
    return Reading(None, msgspec.json.encode(value).decode(), None, schema.JSON)


def _read_number(value: float) -> Reading:
    exact = isinstance(value, float) or -EXACT_INTEGER <= value <= EXACT_INTEGER
    digits = None if exact else str(value)
    try:
        return Reading(float(value), digits, None, schema.NUMBER)
    except OverflowError:
        return Reading(None, digits, None, schema.JSON)


def _read_text(value: str, good: bool | None, point_type: str) -> Reading:
    if good is False:
        return Reading(None, value, None, schema.ERROR)
    if point_type == "Timestamp":
        return Reading(None, value, None, schema.TIMESTAMP_TEXT)
    if point_type not in _TEXT_TYPES and value.lower() in _INFINITE:
        return Reading(float(_INFINITE[value.lower()]), None, None, schema.NUMBER)
    return Reading(None, value, None, schema.STRING)


def _read_object(value: dict[str, Any], good: bool | None) -> Reading:
    name, code = value.get("Name"), value.get("Value")
    if isinstance(name, str) and (code is None or (type(code) is int and code in _INT32)):
        system = value.get("IsSystem") is True or good is False
        return Reading(None, name, code, schema.SYSTEM if system else schema.DIGITAL)
    if set(value) == {"Errors"}:
        return Reading(None, text_of(value["Errors"]) or None, None, schema.ERROR)
    return Reading(None, msgspec.json.encode(value).decode(), None, schema.JSON)
