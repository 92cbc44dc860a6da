"""Maintenance of the tables: compacts and clusters files, and deletes files that no version needs any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from pyspark.sql import SparkSession

from pi_datasource.delta import commits, definitions, table_setup, timestamps
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import InvalidOption

MIN_RETENTION = timedelta(days=7)  # Delta's own lower bound: readers may still need younger files


def check_intervals(optimize_every: timedelta | None, keep_versions: timedelta | None) -> None:
    """Raises InvalidOption for intervals that maintenance cannot use."""
    if keep_versions is not None and optimize_every is None:
        message = (
            "keep_versions: old files are deleted when the tables are optimized; give 'optimize_every' too"
        )
        raise InvalidOption(message)
    if optimize_every is not None and optimize_every <= timedelta(0):
        message = "optimize_every: must be longer than 0s"
        raise InvalidOption(message)


def maintain(
    spark: SparkSession,
    lakehouse: Lakehouse,
    *,
    optimize_every: timedelta,
    keep: timedelta | None = None,
    now: datetime | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Optimizes the tables that were not optimized within ``optimize_every``; returns their names.

    Optimizing also clusters the clustered tables (by time and tag). With ``keep`` (7 days at least), files of versions
    older than that are deleted from the same tables. The time is recorded in the table ``pi_maintenance``: a table's own
    history may have thousands of commits a day, and has none for an OPTIMIZE without changes. For a table that is not
    recorded there, its creation counts. ``wanted`` is asked before each table; when it returns False, maintenance stops.
    """
    now = now or datetime.now(timezone.utc)
    definition = definitions.maintenance(lakehouse)
    table_setup.ensure_schemas(spark, lakehouse, [definition])
    table_setup.ensure(spark, lakehouse, definition)
    table = spark.read.table(lakehouse.maintenance).select(*definition.columns.names)
    recorded: dict[str, datetime] = dict(timestamps.rows(table))
    tables = (lakehouse.bronze, lakehouse.gold, lakehouse.audit, lakehouse.errors, lakehouse.points)
    due = [
        name for name in tables if now - (recorded.get(name) or _created_at(spark, name)) >= optimize_every
    ]
    optimized: dict[str, datetime] = {}
    try:
        for name in due:
            if not wanted():
                break
            commits.retry_conflicts(lambda table=name: commits.compact(spark, table))  # type: ignore[misc]
            if keep is not None:
                commits.vacuum(spark, name, max(keep, MIN_RETENTION) / timedelta(hours=1))
            optimized[name] = now
    finally:
        _record(spark, lakehouse, optimized)
    return list(optimized)


def _created_at(spark: SparkSession, table: str) -> datetime:
    detail = spark.sql(f"DESCRIBE DETAIL {table}").select("createdAt")
    ((created,),) = timestamps.rows(detail)
    assert isinstance(created, datetime)
    return created


def _record(spark: SparkSession, lakehouse: Lakehouse, optimized: Mapping[str, datetime]) -> None:
    if optimized:
        times = [{"table_name": name, "optimized_at": at} for name, at in optimized.items()]
        rows = spark.createDataFrame(pa.Table.from_pylist(times, definitions.MAINTENANCE))
        commits.upsert(spark, lakehouse.maintenance, rows, ("table_name",))
