"""Reads the tables in a local folder with duckdb; needs no JVM and no server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb
import pyarrow as pa

from pi_datasource import paths
from pi_datasource.dashboard import delta_log
from pi_datasource.dashboard.backend import PARAMETER, Row, Statement, first_line
from pi_datasource.dashboard.cursors import Cursors
from pi_datasource.dashboard.delta_log import Snapshot
from pi_datasource.dashboard.shared_frames import MAX_ROWS, SharedFrames
from pi_datasource.dashboard.tables import TABLES
from pi_datasource.errors import InvalidOption, TablesUnavailable

# Functions of Spark SQL that duckdb lacks.
MACROS = (
    "CREATE MACRO unix_micros(moment) AS epoch_us(moment)",
    "CREATE MACRO timestamp_micros(micros) AS make_timestamptz(micros)",
    "CREATE MACRO pmod(number, divisor) AS ((number % divisor) + divisor) % divisor",
)
_FETCHED_ROWS = 10_000
_SNAPSHOT_TTL_S = 2.0


class LocalBackend:
    """Reads a lakehouse folder; the statistics in Delta's log select the files that a statement needs."""

    streamed_rows = 500_000

    def __init__(self, lakehouse: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        alternative = "have the tables in a catalog: --warehouse and --catalog"
        folder = paths.local(lakehouse, "lakehouse", alternative).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            message = f"lakehouse: {folder} is a file; name the folder that pi-datasource ingest writes to"
            raise InvalidOption(message)
        self._folder = folder
        self._clock = clock
        self._lock = Lock()
        self._known: dict[str, tuple[float, Snapshot | None]] = {}
        self._shared_frames = SharedFrames()
        self._database = duckdb.connect(
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                # Statements have ORDER BY where it matters; preserving the order of the files costs one core of two.
                "preserve_insertion_order": False,
            }
        )
        for macro in MACROS:
            self._database.execute(macro)
        self._cursors = Cursors(self._database)

    def close(self) -> None:
        """Interrupts running statements and closes the database."""
        self._cursors.close()
        with suppress(duckdb.Error):  # it is in use until the statements have ended
            self._database.close()

    def describe(self) -> str:
        """The folder."""
        return str(self._folder)

    def why_slow(self) -> str:
        """Nothing: only their size makes local tables slow."""
        return ""

    def columns(self) -> Mapping[str, frozenset[str]]:
        """The columns of the tables that exist; empty for one that cannot be read, for which ``rows`` raises an error."""
        found: dict[str, frozenset[str]] = {}
        for key in TABLES:
            try:
                snap = self._snapshot(key)
            except TablesUnavailable:
                found[key] = frozenset()
                continue
            if snap is not None:
                found[key] = snap.columns
        return found

    def sizes(self) -> Mapping[str, int]:
        """The row count of each table, from Delta's log."""
        found = {
            key: snap.rows
            for key, columns in self.columns().items()
            if columns and (snap := self._snapshot(key)) is not None
        }
        return {key: self._count(key) if rows is None else rows for key, rows in found.items()}

    def rows(self, statement: Statement) -> list[Row]:
        """The result of duckdb over the files that the statement needs."""
        try:
            return self._rows(statement)
        except duckdb.IOException:
            self._forget_snapshots()
            return self._rows(statement)

    def stream(self, statement: Statement) -> Iterator[list[Row]]:
        """The result in lists of rows: Python holds one list at a time, duckdb the rest."""
        with self._cursors.opened() as cursor:
            try:
                names = self._execute(cursor, statement)
            except duckdb.IOException:
                self._forget_snapshots()
                names = self._execute(cursor, statement)
            while rows := self._fetch(cursor):
                yield [dict(zip(names, row, strict=True)) for row in rows]

    def _execute(self, cursor: duckdb.DuckDBPyConnection, statement: Statement) -> list[str]:
        with self._cursors.watched(cursor):
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(*self._prepared(cursor, statement, {}))
            return [column[0] for column in cursor.description or ()]

    def _fetch(self, cursor: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        try:
            with self._cursors.watched(cursor):
                rows: list[tuple[Any, ...]] = cursor.fetchmany(_FETCHED_ROWS)
                return rows
        except duckdb.IOException as cause:
            message = f"a file of the table could not be read: {first_line(cause)}"
            raise TablesUnavailable(message) from cause

    def _forget_snapshots(self) -> None:
        """Makes the next statement read the logs again: files of an older version may have been vacuumed."""
        with self._lock:
            self._known.clear()

    def _rows(self, statement: Statement) -> list[Row]:
        shared = {name: self._shared_frame(name, part) for name, part in statement.shared.items()}
        if any(table is None for table in shared.values()):
            shared, statement = {}, statement.inlined()
        with self._cursors.one() as cursor:
            cursor.execute(*self._prepared(cursor, statement, shared))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _shared_frame(self, name: str, part: Statement) -> pa.Table | None:
        """The rows of a SELECT that panels share; None if they are too many to be cached."""

        def find() -> pa.Table | None:
            with self._cursors.one() as cursor:
                sql, values = self._prepared(cursor, part, {})
                table: pa.Table = cursor.sql(f"{sql} LIMIT {MAX_ROWS + 1}", params=values).to_arrow_table()
            return table if table.num_rows <= MAX_ROWS else None

        versions = tuple(snap.identity for snap in self._snapshots(part).values())
        return self._shared_frames.get((name, part.sql, tuple(part.parameters.items()), versions), find)

    def _prepared(
        self, cursor: duckdb.DuckDBPyConnection, statement: Statement, shared: Mapping[str, pa.Table | None]
    ) -> tuple[str, dict[str, Any]]:
        """The SQL over the files that the statement needs and over shared frames, with the values to bind."""
        snapshots = self._snapshots(statement)
        columns = {key: snap.columns for key, snap in snapshots.items()}
        files: dict[str, list[str]] = {}
        sources = {}
        for key, snap in snapshots.items():
            cursor.register(f"empty_{key}", snap.empty)
            sources[key], needed = _source(cursor, key, snap, statement)
            if needed:
                files[f"files_{key}"] = needed
        sql = PARAMETER.sub(r"$\1", statement.with_tables(columns, sources.__getitem__))
        for name, table in shared.items():
            cursor.register(f"shared_{name}", table)
            sql = sql.replace(f"{{{name}}}", f"shared_{name}")
        return sql, {**statement.parameters, **files}

    def _snapshots(self, statement: Statement) -> dict[str, Snapshot]:
        found = {key: snap for key in statement.tables if (snap := self._snapshot(key)) is not None}
        if missing := [TABLES[key].path for key in statement.tables if key not in found]:
            message = f"there is no table {missing[0]} in {self._folder}"
            raise TablesUnavailable(message)
        return found

    def _count(self, key: str) -> int:
        (row,) = self.rows(Statement(f"SELECT count(*) AS n FROM {{{key}}}", {}, (key,), {}))
        return int(str(row["n"]))

    def _snapshot(self, key: str) -> Snapshot | None:
        with self._lock:
            read_at, known = self._known.get(key, (0.0, None))
            if key in self._known and self._clock() - read_at < _SNAPSHOT_TTL_S:
                return known
            if known is not None and known.is_newest(self._folder / TABLES[key].path):
                found: Snapshot | None = known
            else:
                found = delta_log.load(self._folder, TABLES[key])
            self._known[key] = (self._clock(), found)
            return found


def _source(
    cursor: duckdb.DuckDBPyConnection, key: str, snap: Snapshot, statement: Statement
) -> tuple[str, list[str]]:
    """The relation that replaces a table in the statement, and the files that it reads.

    The empty table supplies columns that were added after the last of these files was written.
    """
    if snap.dataset is not None:
        cursor.register(f"dataset_{key}", snap.dataset)
        return f"dataset_{key}", []
    files = [file.path for file in snap.files]
    if key in statement.within:
        start, end = (int(statement.parameters[name]) for name in statement.within[key])
        files = snap.within(start, end, str(statement.parameters["tag"]) if statement.of_tag else None)
    if not files:
        return f"empty_{key}", []
    parquet = f"read_parquet($files_{key}, union_by_name = true)"
    return f"(SELECT * FROM empty_{key} UNION ALL BY NAME SELECT * FROM {parquet})", files
