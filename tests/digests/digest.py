"""The digest of rows: equal for equal values, whatever the order of rows, machine, time zone and version of Arrow."""

from __future__ import annotations

import hashlib
import json
from typing import Any, TypedDict

import pyarrow as pa

_KEY = ("micro_batch", "tag_webid", "timestamp", "sequence", "value_kind")  # rows are sorted by these first
_NO_VALUE = "null"
_COSTS = ("calls", "retries", "throttled_seconds")  # which depend on what the process has read before


class Digest(TypedDict):
    """How many rows there were and, by name and type of each column in their order, a hash of its values."""

    rows: int
    columns: dict[str, str]


def digest(table: pa.Table) -> Digest:
    """The digest of ``table``.

    The JSON in rows that tell of the read itself is taken apart, a column for each of its keys, so that another wording of a
    message is seen as that. What the read has cost counts by its type only.
    """
    columns = {_title(field): _texts(table[field.name]) for field in table.schema}
    columns |= _told(table)
    order = sorted(range(table.num_rows), key=_place(columns))
    hashes = {title: _hash([texts[row] for row in order]) for title, texts in columns.items()}
    return Digest(rows=table.num_rows, columns=hashes)


def difference(recorded: Digest, found: Digest) -> str:
    """In which columns, and in how many rows, two digests differ, in words; empty if they are equal."""
    before, after = recorded["columns"], found["columns"]
    told = []
    if recorded["rows"] != found["rows"]:
        told.append(f"{recorded['rows']:,} rows are recorded, {found['rows']:,} were read")
    for what, titles in (
        ("other values in", [title for title in before if title in after and before[title] != after[title]]),
        ("no longer there:", [title for title in before if title not in after]),
        ("new:", [title for title in after if title not in before]),
    ):
        if titles:
            told.append(f"{what} {', '.join(map(repr, titles))}")
    if not told and list(before) != list(after):
        told.append(f"another order of columns: {', '.join(map(repr, after))}")
    return "; ".join(told)


def _title(field: pa.Field) -> str:
    return f"{field.name}: {field.type}{'' if field.nullable else ' not null'}"


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Every value as a text that no other value has; moments as whole microseconds, numbers as all their bits."""
    values = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    if pa.types.is_floating(column.type):
        return [_text(value) for value in values]  # of which 0.0 and -0.0 are equal, and not the same
    texts = {value: _text(value) for value in set(values)}
    return [texts[value] for value in values]


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, float) else json.dumps(value)


def _told(table: pa.Table) -> dict[str, list[str]]:
    """What rows that tell of the read say, by key; in the place of their ``value_string``."""
    if not {"value_kind", "value_string"} <= set(table.column_names):
        return {}
    kinds, strings = table["value_kind"].to_pylist(), table["value_string"].to_pylist()
    told = {
        row: json.loads(text)
        for row, (kind, text) in enumerate(zip(kinds, strings, strict=True))
        if kind.startswith("read_") and text
    }
    if not told:
        return {}
    texts = [_NO_VALUE if row in told else _text(text) for row, text in enumerate(strings)]
    keys = sorted({key for each in told.values() for key in each})
    return {
        _title(table.schema.field("value_string")): texts,
        **{
            f"value_string.{key}": [_part(told.get(row, {}), key) for row in range(table.num_rows)]
            for key in keys
        },
    }


def _part(told: dict[str, Any], key: str) -> str:
    return type(told.get(key)).__name__ if key in _COSTS else _text(told.get(key))


def _place(columns: dict[str, list[str]]) -> Any:
    """The key to sort rows by: what identifies one comes first, so that one value that differs moves no other."""
    ranked = sorted(columns, key=lambda title: _rank(title.partition(":")[0]))
    return lambda row: [columns[title][row] for title in ranked]


def _rank(name: str) -> int:
    return _KEY.index(name) if name in _KEY else len(_KEY)


def _hash(texts: list[str]) -> str:
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()
