"""The interface between the dashboard and the engine that reads the tables; `local` and `warehouse` implement it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pi_datasource.dashboard.tables import TABLES

Row = dict[str, Any]
Parameters = Mapping[str, int | float | str]
TABLE = re.compile(r"\{(" + "|".join(TABLES) + r")\}")
PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True)
class Statement:
    """One SELECT, in the SQL that Spark, Databricks and (with a few macros) duckdb share.

    ``{bronze}`` and the like stand for tables, ``:name`` for values, which are always bound and never become text.
    ``tables`` are those that the statement names. For a table in ``within`` the statement itself bounds the time
    column by the two parameters, microseconds since 1970, the second excluded: a back end may skip files. With
    ``of_tag`` it may skip more: the statement selects only rows of the tag in the parameter ``tag``.

    ``shared`` are SELECTs that several statements have in common, by the name that stands for them as ``{name}``: a
    back end may run them once, or replace them with ``inlined()``.
    """

    sql: str
    parameters: Parameters
    tables: tuple[str, ...]
    within: Mapping[str, tuple[str, str]]
    of_tag: bool = False
    shared: Mapping[str, Statement] = field(default_factory=dict)

    def inlined(self) -> Statement:
        """The same statement with its shared SELECTs as subqueries."""
        sql, parameters, within = self.sql, dict(self.parameters), dict(self.within)
        tables, of_tag = dict.fromkeys(self.tables), self.of_tag
        for name, part in self.shared.items():
            sql = sql.replace(f"{{{name}}}", f"({part.sql})")
            parameters |= part.parameters
            within |= part.within
            tables |= dict.fromkeys(part.tables)
            of_tag = of_tag or part.of_tag
        return Statement(sql, parameters, tuple(tables), within, of_tag)

    def with_tables(self, columns: Mapping[str, frozenset[str]], name: Callable[[str], str]) -> str:
        """The SQL with ``name(key)`` for each ``{key}``; optional columns that the table lacks are nulls."""

        def replace(match: re.Match[str]) -> str:
            key = match[1]
            lacking = [column for column in TABLES[key].optional if column not in columns[key]]
            nulls = "".join(
                f", CAST(NULL AS {TABLES[key].optional[column]}) AS {column}" for column in lacking
            )
            return f"(SELECT *{nulls} FROM {name(key)})" if nulls else name(key)

        return TABLE.sub(replace, self.sql)


class Backend(Protocol):
    """Reads the tables of one place. Every method may be called from several threads at once."""

    def columns(self) -> Mapping[str, frozenset[str]]:
        """The columns of each existing table, by its key in ``TABLES``.

        Raises:
            TablesUnavailable: the tables cannot be reached.
        """

    def rows(self, statement: Statement) -> list[Row]:
        """The result in order: numbers, texts, booleans and nulls, never times.

        Raises:
            TablesUnavailable: the statement failed; the message is written for users.
        """

    streamed_rows: int
    """The maximum number of rows that a statement given to ``stream`` should return."""

    def stream(self, statement: Statement) -> Iterator[list[Row]]:
        """The same result as ``rows``, in lists of rows as they arrive, for results of any length.

        Raises:
            TablesUnavailable: as ``rows`` does, also in the middle.
        """

    def sizes(self) -> Mapping[str, int]:
        """The row count of each existing table, without reading its rows where that can be avoided."""

    def describe(self) -> str:
        """Where the tables are, for users; contains no secret."""

    def why_slow(self) -> str:
        """Why a result may take long, for users; empty if there is no known reason."""

    def close(self) -> None:
        """Cancels running statements, also those of other threads, and frees resources; later calls fail."""


def first_line(cause: object) -> str:
    """The first line of an error's text, shortened: engines append their own stack."""
    return (str(cause).strip().splitlines() or ["no reason given"])[0][:300]
