"""``pi-datasource status``: how an ingestion is doing, from its tables alone; no Spark, no Java, no server."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pi_datasource import paths
from pi_datasource.errors import InvalidOption, MissingPackage, TablesUnavailable
from pi_datasource.schema import BATCH_COUNTS as _COUNTS
from pi_datasource.schema import is_past_job

SHOWN_BATCHES = 10
_LEDGER = "checkpoints/pi_ingestion_checkpoint"

_STREAMS = f"""
SELECT stream_id, count(*) AS batches, max(window_end) AS window_end, max(created_at) AS created_at,
       {", ".join(f"sum({name})::BIGINT AS {name}" for name in _COUNTS)}
FROM ledger GROUP BY stream_id ORDER BY max(created_at) DESC"""
_BATCHES = f"""
SELECT stream_id, batch_id, window_start, window_end, tags, {", ".join(_COUNTS)}, seconds, lag_seconds
FROM ledger ORDER BY created_at DESC, batch_id DESC LIMIT {SHOWN_BATCHES}"""

_ADDED_LATER = {"ledger": _COUNTS, "errors": ("dismissed_at", "dismissed_reason")}
"""Columns that tables of older versions lack; they read as null."""
_DISMISSED = """
SELECT dismissed_reason AS reason, count(*) AS n FROM errors
WHERE repaired_at IS NULL AND dismissed_at IS NOT NULL GROUP BY reason ORDER BY reason"""


def show(folder: Path, out: Console, now: datetime | None = None) -> None:
    """Prints each stream with its lag and sums, the last batches, tags and error rows that wait for repair.

    Raises:
        InvalidOption: there is no lakehouse in ``folder``.
        MissingPackage: deltalake or duckdb is not installed.
        TablesUnavailable: a table is there, but cannot be read here.
    """
    now = now or datetime.now(timezone.utc)
    connection = _opened(paths.local(folder, "--lakehouse"))
    out.print(_streams(_rows(connection, _STREAMS), now))
    out.print(_batches(_rows(connection, _BATCHES)))
    for name, what, query in (
        (
            "points",
            "tag(s) known",
            "SELECT count(DISTINCT tag_webid) AS n FROM points WHERE ended_at IS NULL",
        ),
        (
            "points",
            "tag(s) ended",
            "SELECT count(*) AS n FROM (SELECT 1 FROM points GROUP BY tag_webid HAVING count(*) = count(ended_at))",
        ),
        (
            "errors",
            "window(s) of a tag wait for pi-datasource repair",
            "SELECT count(*) AS n FROM errors WHERE repaired_at IS NULL AND dismissed_at IS NULL",
        ),
    ):
        if connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = ?", [name]).fetchone():
            out.print(f"{_rows(connection, query)[0]['n']:,} {what}", highlight=False)
    if connection.execute("SELECT 1 FROM duckdb_views() WHERE view_name = 'errors'").fetchone():
        for row in _rows(connection, _DISMISSED):
            what = f"{row['n']:,} window(s) of a tag dismissed: {row['reason'] or 'no reason given'}"
            out.print(what, highlight=False, markup=False, soft_wrap=True)


def _opened(folder: Path) -> Any:
    try:
        import deltalake  # noqa: F401
        import duckdb
        import pyarrow as pa
    except ImportError as cause:
        message = "status reads the tables with two more packages: pip install 'pi-datasource[dashboard]'"
        raise MissingPackage(message) from cause
    if not (folder / _LEDGER / "_delta_log").is_dir():
        message = (
            f"lakehouse: there are no tables in {folder}; run pi-datasource ingest --lakehouse {folder} first"
        )
        raise InvalidOption(message)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, path in (
        ("ledger", _LEDGER),
        ("points", "bronze/pi_points"),
        ("errors", "bronze/pi_timeseries_errors"),
    ):
        if (folder / path / "_delta_log").is_dir():
            rows = _read(folder, path)
            for missing in (
                column for column in _ADDED_LATER.get(name, ()) if column not in rows.column_names
            ):
                rows = rows.append_column(missing, pa.nulls(rows.num_rows, pa.int64()))
            connection.register(f"{name}_rows", rows)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}_rows")
    return connection


def _read(folder: Path, path: str) -> Any:
    """All rows of the table as Arrow.

    Raises:
        TablesUnavailable: it has a feature that deltalake does not know, or a log or files that cannot be read.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, DeltaProtocolError

    from pi_datasource.dashboard.delta_log import first_line

    try:
        return DeltaTable(str(folder / path)).to_pyarrow_table()
    except DeltaProtocolError as cause:
        message = (
            f"{path}: the table has a feature of Delta that status cannot read: {first_line(cause)}. Read it with Spark, "
            f"or take the feature away: ALTER TABLE delta.`{folder / path}` DROP FEATURE deletionVectors"
        )
        raise TablesUnavailable(message) from cause
    except (DeltaError, OSError) as cause:
        message = f"{path}: the table cannot be read: {first_line(cause)}"
        raise TablesUnavailable(message) from cause


def _rows(connection: Any, query: str) -> list[dict[str, Any]]:
    found = connection.execute(query)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _streams(rows: list[dict[str, Any]], now: datetime) -> Table:
    table = Table("stream", "behind", "last run", "batches", *_titles(), title="Streams")
    for row in rows:
        behind, ago = (_span((now - row[name]).total_seconds()) for name in ("window_end", "created_at"))
        table.add_row(
            row["stream_id"][:20],
            "–" if is_past_job(row["stream_id"]) else behind,
            f"{ago} ago",
            str(row["batches"]),
            *(_count(row[n]) for n in _COUNTS),
        )
    return table


def _batches(rows: list[dict[str, Any]]) -> Table:
    table = Table(
        "stream", "batch", "window (UTC)", "tags", *_titles(), "seconds", "lag", title="The last batches"
    )
    for row in rows:
        window = f"{row['window_start']:%m-%d %H:%M:%S} – {row['window_end']:%m-%d %H:%M:%S}"
        table.add_row(
            row["stream_id"][:20],
            str(row["batch_id"]),
            window,
            _count(row["tags"]),
            *(_count(row[name]) for name in _COUNTS),
            f"{row['seconds']:.1f}",
            "–" if is_past_job(row["stream_id"]) else _span(row["lag_seconds"]),
        )
    return table


def _titles() -> list[str]:
    return [name.removeprefix("rows_").replace("read_", "") for name in _COUNTS]


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _span(seconds: float) -> str:
    """Seconds as the largest unit that people would say: 42 s, 15 min, 3.5 h, 12 d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
