"""Turns the value of an event into the columns for it: a number, a state, a text … (table catalogue, section 1).

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

from pi_datasource import schema
from pi_datasource.recorded import arrays
from pi_datasource.recorded.arrays import Int32, Int64
from pi_datasource.recorded.events import Columns
from pi_datasource.recorded.fast_rows import EXACT_INTEGER
from pi_datasource.recorded.wire import FLAGS, TimedValue
from pi_datasource.webapi.envelope import text_of

_INT32 = range(-(2**31), 2**31)
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
_TEXT_TYPES = ("String", "Blob", "Digital")


class TypedValue(NamedTuple):
    """What the columns ``value``, ``value_string``, ``state_code`` and ``value_kind`` hold for one event."""

    value: float | None
    text: str | None
    code: int | None
    kind: str


class _NonNumeric(NamedTuple):
    """The values of the rows that hold no number: each different one once, and for each row the index of its value."""

    values: Sequence[TypedValue]
    indices: Int32


def value_columns(
    events: Columns, types: Sequence[str], type_indices: Int64, wanted: AbstractSet[str]
) -> dict[str, pa.Array]:
    """Those of the ``wanted`` columns that come from the events.

    ``type_indices`` are the indices in ``types`` of the point types of the non-numeric rows.
    """
    others = _classify_once(events, types, type_indices)
    made: dict[str, Callable[[], pa.Array]] = {
        "value": lambda: _numbers(events, others),
        "value_string": lambda: _spread(
            events, others, arrays.strings([None, *(each.text for each in others.values)])
        ),
        "state_code": lambda: _spread(events, others, _codes(others.values)),
        "value_kind": lambda: _spread(
            events, others, arrays.strings([schema.NUMBER, *(each.kind for each in others.values)])
        ),
        **{name.lower(): partial(_flag, events, place) for place, name in enumerate(FLAGS)},
    }
    return {name: make() for name, make in made.items() if name in wanted}


def _classify_once(events: Columns, types: Sequence[str], type_indices: Int64) -> _NonNumeric:
    pairs = arrays.fixed_width(events.indices * len(types) + type_indices, pa.int64()).dictionary_encode()
    split = [divmod(pair, len(types)) for pair in arrays.to_numpy(pairs.dictionary, np.int64).tolist()]
    values = [classify(events.dictionary[item], types[kind]) for item, kind in split]
    return _NonNumeric(values, arrays.to_numpy(pairs.indices, np.int32))


def _numbers(events: Columns, others: _NonNumeric) -> pa.Array:
    if not others.values:
        return arrays.fixed_width(events.values, pa.float64())
    values, missing = events.values.copy(), np.zeros(len(events.ticks), np.bool_)
    numbers = [each.value for each in others.values]
    values[events.non_numeric] = np.array([0.0 if each is None else each for each in numbers])[others.indices]
    missing[events.non_numeric] = np.array([each is None for each in numbers])[others.indices]
    return arrays.fixed_width(values, pa.float64(), missing)


def _spread(events: Columns, others: _NonNumeric, given: pa.Array) -> pa.Array:
    """The first of ``given`` in each numeric row; in the other rows those after it, by the row's index."""
    if given.null_count == len(given):
        return pa.nulls(len(events.ticks), given.type)
    indices = np.zeros(len(events.ticks), np.int32)
    indices[events.non_numeric] = others.indices + 1
    return given.take(arrays.fixed_width(indices, pa.int32()))


def _codes(values: Sequence[TypedValue]) -> pa.Array:
    codes = [None, *(each.code for each in values)]
    missing = np.array([code is None for code in codes])
    return arrays.fixed_width(np.array([code or 0 for code in codes], np.int32), pa.int32(), missing)


def _flag(events: Columns, place: int) -> pa.Array:
    bits = (events.flags >> np.uint8(2 * place)) & np.uint8(3)
    if len(bits) and (bits == bits[0]).all():
        return pa.repeat(arrays.booleans(bits[:1] == 1, bits[:1] == 2)[0], len(bits))
    return arrays.booleans(bits == 1, bits == 2)


def classify(item: TimedValue, point_type: str) -> TypedValue:
    """The columns of an event whose value is not an exact number, by the table of the catalogue, section 1."""
    value = item.Value
    if item.Errors:
        return TypedValue(None, text_of(item.Errors) or None, None, schema.ERROR)
    if isinstance(value, dict):
        return _classify_object(value, item.Good)
    if isinstance(value, str):
        return _classify_text(value, item.Good, point_type)
    if isinstance(value, bool):
        return TypedValue(float(value), str(value).lower(), None, schema.BOOLEAN)
    if isinstance(value, (int, float)):
        return _classify_number(value)
    if value is None:
        return TypedValue(None, None, None, schema.NONE)
    return TypedValue(None, msgspec.json.encode(value).decode(), None, schema.JSON)


def _classify_number(value: float) -> TypedValue:
    exact = isinstance(value, float) or -EXACT_INTEGER <= value <= EXACT_INTEGER
    digits = None if exact else str(value)
    try:
        return TypedValue(float(value), digits, None, schema.NUMBER)
    except OverflowError:
        return TypedValue(None, digits, None, schema.JSON)


def _classify_text(value: str, good: bool | None, point_type: str) -> TypedValue:
    if good is False:
        return TypedValue(None, value, None, schema.ERROR)
    if point_type == "Timestamp":
        return TypedValue(None, value, None, schema.TIMESTAMP_TEXT)
    if point_type not in _TEXT_TYPES and value.lower() in _NOT_FINITE:
        return TypedValue(float(_NOT_FINITE[value.lower()]), None, None, schema.NUMBER)
    return TypedValue(None, value, None, schema.STRING)


def _classify_object(value: dict[str, Any], good: bool | None) -> TypedValue:
    name, code = value.get("Name"), value.get("Value")
    if isinstance(name, str) and (code is None or (type(code) is int and code in _INT32)):
        system = value.get("IsSystem") is True or good is False
        return TypedValue(None, name, code, schema.SYSTEM if system else schema.DIGITAL)
    if set(value) == {"Errors"}:
        return TypedValue(None, text_of(value["Errors"]) or None, None, schema.ERROR)
    return TypedValue(None, msgspec.json.encode(value).decode(), None, schema.JSON)
