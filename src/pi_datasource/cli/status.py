"""``pi-datasource status``: the state of an ingestion, from its tables alone; needs no Spark, no Java, no PI server."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from pi_datasource import paths
from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.schema import BACKFILL, DONE_RUN, NOT_OVERLAP, REPAIR, is_past_job
from pi_datasource.schema import BATCH_COUNTS as _COUNTS

if TYPE_CHECKING:
    from pi_datasource.dashboard import LocalBackend
    from pi_datasource.dashboard.backend import Row

SHOWN_BATCHES = 10
_REPEATED_BY = (BACKFILL, REPAIR)
_TITLES = [name.removeprefix("rows_").replace("read_", "") for name in _COUNTS]
_STREAMS = f"""
SELECT stream_id, sum(CASE WHEN {NOT_OVERLAP} THEN 1 ELSE 0 END) AS batches, unix_micros(max(window_end)) AS read_until,
       unix_micros(max(created_at)) AS last_run, {", ".join(f"sum({name}) AS {name}" for name in _COUNTS)}
FROM {{audit}} WHERE {DONE_RUN} GROUP BY stream_id ORDER BY last_run DESC"""
_BATCHES = f"""
SELECT stream_id, batch_id, unix_micros(window_start) AS window_start, unix_micros(window_end) AS window_end, tags,
       {", ".join(_COUNTS)}, seconds, lag_seconds, coalesce(kind, '') AS kind
FROM {{audit}} WHERE {DONE_RUN} ORDER BY created_at DESC, batch_id DESC LIMIT {SHOWN_BATCHES}"""
_FAILED = f"""
SELECT stream_id, batch_id, coalesce(kind, '') AS kind, unix_micros(window_start) AS window_start,
       unix_micros(window_end) AS window_end, unix_micros(created_at) AS failed_at, error
FROM {{audit}} WHERE status = 'failed' ORDER BY created_at DESC LIMIT {SHOWN_BATCHES}"""
_TOTALS = (
    ("points", "tag(s) known", "SELECT count(DISTINCT tag_webid) AS n FROM {points} WHERE ended_at IS NULL"),
    (
        "points",
        "tag(s) ended",
        "SELECT count(*) AS n FROM "
        "(SELECT 1 FROM {points} GROUP BY tag_webid HAVING count(*) = count(ended_at)) AS ended",
    ),
    (
        "errors",
        "window(s) of a tag wait for pi-datasource repair",
        "SELECT count(*) AS n FROM {errors} WHERE repaired_at IS NULL AND dismissed_at IS NULL",
    ),
)
_DISMISSED = """
SELECT dismissed_reason AS reason, count(*) AS n FROM {errors}
WHERE repaired_at IS NULL AND dismissed_at IS NOT NULL GROUP BY reason ORDER BY reason"""


def show(folder: Path, out: Console, now: datetime | None = None) -> None:
    """Prints each stream with its lag and sums, the last batches, tags and error rows that wait for repair.

    Raises:
        InvalidOption: there is no lakehouse in ``folder``.
        MissingPackage: deltalake or duckdb is not installed.
        TablesUnavailable: a table exists, but cannot be read here.
    """
    now = now or datetime.now(timezone.utc)
    with closing(_open(paths.local(folder, "--lakehouse"))) as backend:
        existing = backend.columns()
        if "audit" not in existing:
            message = f"lakehouse: there are no tables in {folder}; run pi-datasource ingest --lakehouse {folder} first"
            raise InvalidOption(message)
        out.print(_streams(_rows(backend, _STREAMS), now))
        out.print(_batches(_rows(backend, _BATCHES)))
        for row in _rows(backend, _FAILED):
            out.print(_failure(row, now), highlight=False, markup=False, soft_wrap=True)
        for table, what, sql in _TOTALS:
            if table in existing:
                out.print(f"{_rows(backend, sql)[0]['n']:,} {what}", highlight=False)
        for row in _rows(backend, _DISMISSED) if "errors" in existing else []:
            what = f"{row['n']:,} window(s) of a tag dismissed: {row['reason'] or 'no reason given'}"
            out.print(what, highlight=False, markup=False, soft_wrap=True)


def _open(folder: Path) -> LocalBackend:
    try:
        from pi_datasource.dashboard import LocalBackend
    except ImportError as cause:
        message = f"status needs the package {cause.name}: pip install 'pi-datasource[dashboard]'"
        raise MissingPackage(message) from cause
    return LocalBackend(folder)


def _rows(backend: LocalBackend, sql: str) -> list[Row]:
    from pi_datasource.dashboard.backend import TABLE, Statement

    return backend.rows(Statement(sql, {}, tuple(dict.fromkeys(TABLE.findall(sql))), {}))


def _streams(rows: list[Row], now: datetime) -> Table:
    table = Table("stream", "behind", "last run", "batches", *_TITLES, title="Streams")
    for row in rows:
        behind, ago = (_span((now - _time(row[name])).total_seconds()) for name in ("read_until", "last_run"))
        table.add_row(
            row["stream_id"][:20],
            "–" if is_past_job(row["stream_id"]) else behind,
            f"{ago} ago",
            str(row["batches"]),
            *(_count(row[n]) for n in _COUNTS),
        )
    return table


def _batches(rows: list[Row]) -> Table:
    columns = ("stream", "batch", "kind", "window (UTC)", "tags", *_TITLES, "seconds", "lag")
    table = Table(*columns, title="The last batches")
    for row in rows:
        table.add_row(
            row["stream_id"][:20],
            str(row["batch_id"]),
            row["kind"],
            _window(row),
            _count(row["tags"]),
            *(_count(row[name]) for name in _COUNTS),
            f"{row['seconds']:.1f}",
            "–" if is_past_job(row["stream_id"]) else _span(row["lag_seconds"]),
        )
    return table


def _failure(row: Row, now: datetime) -> str:
    """What failed, why, and what to do: a run that fails is repeated by the next one."""
    command = row["kind"] if row["kind"] in _REPEATED_BY else "ingest"
    return (
        f"FAILED {_span((now - _time(row['failed_at'])).total_seconds())} ago: {row['kind'] or 'stream'} {row['batch_id']} of "
        f"{row['stream_id'][:20]}, {_window(row)} UTC: {row['error'] or 'no error was recorded'} "
        f"– run pi-datasource {command} again: it repeats this and goes on"
    )


def _window(row: Row) -> str:
    return f"{_time(row['window_start']):%m-%d %H:%M:%S} – {_time(row['window_end']):%m-%d %H:%M:%S}"


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, timezone.utc)


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _span(seconds: float) -> str:
    """``seconds`` in the largest suitable unit: 42 s, 15 min, 3.5 h, 12 d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
