"""Statements made from templates: the names of tables come from a fixed list, every value is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pi_datasource.dashboard.tables import TABLES

__all__ = ["MARKER", "TABLE", "with_markers", "with_tables"]

TABLE = re.compile(r"\{(" + "|".join(TABLES) + r")\}")
MARKER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


def with_tables(sql: str, columns: Mapping[str, frozenset[str]], place: Callable[[str], str]) -> str:
    """``sql`` with ``place(key)`` for each ``{key}``; optional columns that the table lacks are there as nulls."""

    def replace(match: re.Match[str]) -> str:
        key = match[1]
        lacking = [name for name in TABLES[key].optional if name not in columns[key]]
        nulls = "".join(f", CAST(NULL AS {TABLES[key].optional[name]}) AS {name}" for name in lacking)
        return f"(SELECT *{nulls} FROM {place(key)})" if nulls else place(key)

    return TABLE.sub(replace, sql)


def with_markers(sql: str, prefix: str) -> str:
    """``sql`` with its ``:name`` markers spelled as an engine wants them, such as ``$name``."""
    return MARKER.sub(lambda match: prefix + match[1], sql)
