"""What the dashboard asks of a place that holds the tables; `local` and `warehouse` are the two that exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Backend", "Parameters", "Row", "Statement"]

Row = dict[str, Any]
Parameters = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Statement:
    """One SELECT, in the SQL that Spark, Databricks and (with a few macros) duckdb share.

    ``{bronze}`` and the like stand for tables, ``:name`` for values, which are always bound and never become text.
    ``tables`` are those that the statement names. For a table in ``within`` the statement itself bounds the time
    column by the two parameters, microseconds since 1970, the second excluded: a back end may leave out files.
    """

    sql: str
    parameters: Parameters
    tables: tuple[str, ...]
    within: Mapping[str, tuple[str, str]]


class Backend(Protocol):
    """A place that holds the tables. Every method may be called from several threads at once."""

    def columns(self) -> Mapping[str, frozenset[str]]:
        """The columns of each table that exists, by the key in ``TABLES``.

        Raises:
            TablesUnavailable: the place cannot be asked now.
        """

    def rows(self, statement: Statement) -> list[Row]:
        """The answer, in order: numbers, texts, booleans and nulls, never times.

        Raises:
            TablesUnavailable: the statement failed; the message says why, for a person.
        """

    def sizes(self) -> Mapping[str, int]:
        """How many rows each existing table holds, without reading them where that can be avoided."""

    def describe(self) -> str:
        """Where the tables are, for a person; holds no secret."""

    def close(self) -> None:
        """Lets go of what is held; nothing may be asked afterwards."""
