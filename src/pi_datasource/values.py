"""What the value of an event is: number, state, text … → the columns for it (table catalogue, section 1).

A value's JSON type may change from row to row: ``Good``, ``IsSystem`` and ``Errors`` decide what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from pi_datasource import schema
from pi_datasource.reply import TimedValue, text_of

EXACT_INTEGER = 2**53  # a double holds every integer up to here
_INT32 = range(-(2**31), 2**31)
_INFINITE = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
_TEXT_TYPES = ("String", "Blob")


def value_columns(
    items: Sequence[TimedValue], point_types: Sequence[str], lengths: Sequence[int]
) -> dict[str, pa.Array]:
    """The columns that come from the events themselves."""
    raw = [item.Value for item in items]
    odd = _odd_rows(items, raw)
    types = [kind for kind, n in zip(point_types, lengths, strict=True) for _ in range(n)] if odd else []
    texts: dict[int, str] = {}
    codes: dict[int, int] = {}
    kinds: dict[int, str] = {}
    for row in odd:
        raw[row], text, code, kinds[row] = _classify(items[row], types[row])
        if text is not None:
            texts[row] = text
        if code is not None:
            codes[row] = code
    return {
        "value": pa.array(raw, pa.float64()),
        "value_string": _sparse(texts, len(items), None, pa.string()),
        "state_code": _sparse(codes, len(items), None, pa.int32()),
        "value_kind": _sparse(kinds, len(items), schema.NUMBER, pa.string()),
        "good": _flags([item.Good for item in items]),
        "questionable": _flags([item.Questionable for item in items]),
        "substituted": _flags([item.Substituted for item in items]),
        "annotated": _flags([item.Annotated for item in items]),
    }


def _sparse(values: dict[int, Any], size: int, default: Any, kind: pa.DataType) -> pa.Array:
    """An array of ``default`` but for the rows of ``values``."""
    if not values:
        return pa.repeat(pa.scalar(default, kind), size)
    return pa.array([values.get(row, default) for row in range(size)], kind)


def _odd_rows(items: Sequence[TimedValue], raw: Sequence[Any]) -> list[int]:
    """The rows that are not plainly a number."""
    errors = any(item.Errors for item in items)
    types = set(map(type, raw))
    if not errors and types <= {float}:
        return []
    if (
        not errors
        and types <= {float, int}
        and all(-EXACT_INTEGER <= value <= EXACT_INTEGER for value in raw)
    ):
        return []
    return [
        row
        for row, value in enumerate(raw)
        if (
            type(value) is not float and not (type(value) is int and -EXACT_INTEGER <= value <= EXACT_INTEGER)
        )
        or items[row].Errors
    ]


def _flags(values: list[bool | None]) -> pa.Array:
    truths = values.count(True)
    if truths == len(values) or (truths == 0 and None not in values):
        return pa.repeat(pa.scalar(bool(truths)), len(values))
    return pa.array(values, pa.bool_())


_Typed = tuple[float | None, str | None, int | None, str]


def _classify(item: TimedValue, point_type: str) -> _Typed:
    """(value, value_string, state_code, value_kind) of an event: the table of the catalogue, section 1."""
    value = item.Value
    if item.Errors:
        return None, text_of(item.Errors) or None, None, schema.ERROR
    if isinstance(value, bool):
        return float(value), str(value).lower(), None, schema.BOOLEAN
    if isinstance(value, int):
        return _classify_integer(value)
    if isinstance(value, str):
        return _classify_text(value, item.Good, point_type)
    if isinstance(value, dict):
        return _classify_object(value, item.Good)
    if value is None:
        return None, None, None, schema.NONE
    return None, msgspec.json.encode(value).decode(), None, schema.JSON


def _classify_integer(value: int) -> _Typed:
    digits = None if -EXACT_INTEGER <= value <= EXACT_INTEGER else str(value)
    try:
        return float(value), digits, None, schema.NUMBER
    except OverflowError:
        return None, digits, None, schema.JSON


def _classify_text(value: str, good: bool | None, point_type: str) -> _Typed:
    if good is False:
        return None, value, None, schema.ERROR
    if point_type == "Timestamp":
        return None, value, None, schema.TIMESTAMP_TEXT
    if point_type not in _TEXT_TYPES and value.lower() in _INFINITE:
        return float(_INFINITE[value.lower()]), None, None, schema.NUMBER
    return None, value, None, schema.STRING


def _classify_object(value: dict[str, Any], good: bool | None) -> _Typed:
    if set(value) == {"Errors"}:
        return None, text_of(value["Errors"]) or None, None, schema.ERROR
    name, code = value.get("Name"), value.get("Value")
    if isinstance(name, str) and (code is None or (type(code) is int and code in _INT32)):
        system = value.get("IsSystem") is True or good is False
        return None, name, code, schema.SYSTEM if system else schema.DIGITAL
    return None, msgspec.json.encode(value).decode(), None, schema.JSON
