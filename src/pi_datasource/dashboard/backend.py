"""What the dashboard asks of a place that holds the tables; `local` and `warehouse` are the two that exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Backend", "Parameters", "Row", "Statement"]

Row = dict[str, Any]
Parameters = Mapping[str, int | float | str]


@dataclass(frozen=True)
class Statement:
    """One SELECT, in the SQL that Spark, Databricks and (with a few macros) duckdb share.

    ``{bronze}`` and the like stand for tables, ``:name`` for values, which are always bound and never become text.
    ``tables`` are those that the statement names. For a table in ``within`` the statement itself bounds the time
    column by the two parameters, microseconds since 1970, the second excluded: a back end may leave out files. It may
    leave out more where ``of_tag`` holds: then the statement takes only rows of the tag in the parameter ``tag``.

    ``shared`` are SELECTs that several statements have in common, by the name that stands for them as ``{name}``: a
    back end may find them once. One that does not asks for ``inlined()``.
    """

    sql: str
    parameters: Parameters
    tables: tuple[str, ...]
    within: Mapping[str, tuple[str, str]]
    of_tag: bool = False
    shared: Mapping[str, Statement] = field(default_factory=dict)

    def inlined(self) -> Statement:
        """The same statement with what it shares written out in its place."""
        sql, parameters, within = self.sql, dict(self.parameters), dict(self.within)
        tables, of_tag = dict.fromkeys(self.tables), self.of_tag
        for name, part in self.shared.items():
            sql = sql.replace(f"{{{name}}}", f"({part.sql})")
            parameters |= part.parameters
            within |= part.within
            tables |= dict.fromkeys(part.tables)
            of_tag = of_tag or part.of_tag
        return Statement(sql, parameters, tuple(tables), within, of_tag)


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

    streamed_rows: int
    """How many rows the statement of a ``stream`` should bring at most: what can be held, or sent in one answer."""

    def stream(self, statement: Statement) -> Iterator[list[Row]]:
        """The same answer as that of ``rows``, in lists of rows as they come, for answers of any length.

        Raises:
            TablesUnavailable: as ``rows`` does, also in the middle.
        """

    def sizes(self) -> Mapping[str, int]:
        """How many rows each existing table holds, without reading them where that can be avoided."""

    def describe(self) -> str:
        """Where the tables are, for a person; holds no secret."""

    def why_slow(self) -> str:
        """What may be the reason that an answer takes long, for a person; empty if there is none."""

    def close(self) -> None:
        """Stops what is being asked, also by other threads, and lets go of what is held; further questions fail."""
