"""Maintenance of the tables: compacts and clusters files, and deletes files that no version needs any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import StringType, StructType, TimestampType

from pi_datasource.delta import commits, definitions, table_setup, timestamps
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import InvalidOption

COMMITS_SEARCHED = 1000
MIN_RETENTION = timedelta(days=7)  # Delta's own lower bound: readers may still need younger files
_SCHEMA = StructType().add("table_name", StringType()).add("optimized_at", TimestampType())


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
    older than that are deleted from the same tables. The time is recorded in the table ``pi_maintenance``, because a
    table's own history does not always hold it: it may have thousands of commits a day, and it has none for an OPTIMIZE
    without changes. ``wanted`` is asked before each table; when it returns False, maintenance stops.
    """
    now = now or datetime.now(timezone.utc)
    definition = definitions.maintenance(lakehouse)
    table_setup.ensure_schemas(spark, lakehouse, [definition])
    table_setup.ensure(spark, lakehouse, definition)
    table = spark.read.table(lakehouse.maintenance).select(*_SCHEMA.names)
    recorded: dict[str, datetime] = dict(timestamps.rows(table))
    tables = (lakehouse.bronze, lakehouse.gold, lakehouse.audit, lakehouse.errors, lakehouse.points)
    due = [name for name in tables if name not in recorded or now - recorded[name] >= optimize_every]
    optimized: dict[str, datetime] = {}
    try:
        for name in due:
            if not wanted():
                break
            last = _last_optimized(spark, name)
            if last is None or now - last >= optimize_every:
                commits.retry_conflicts(lambda table=name: commits.compact(spark, table))  # type: ignore[misc]
                last = now
            if keep is not None:
                commits.vacuum(spark, name, max(keep, MIN_RETENTION) / timedelta(hours=1))
            optimized[name] = last
    finally:
        _record(spark, lakehouse, optimized)
    return [name for name, at in optimized.items() if at == now]


def _record(spark: SparkSession, lakehouse: Lakehouse, optimized: Mapping[str, datetime]) -> None:
    if optimized:
        rows = spark.createDataFrame(list(optimized.items()), _SCHEMA)
        commits.upsert(spark, lakehouse.maintenance, rows, ("table_name",))


def _last_optimized(spark: SparkSession, name: str) -> datetime | None:
    """When the table was optimized last or else created; None if neither is in its last ``COMMITS_SEARCHED`` commits.

    An OPTIMIZE by others, such as a job of the platform, counts as well.
    """
    history = commits.history(spark, name, COMMITS_SEARCHED)
    optimized = F.max(F.when(F.col("operation") == "OPTIMIZE", F.col("timestamp")))
    created = F.max(F.when(F.col("version") == 0, F.col("timestamp")))
    ((last,),) = timestamps.rows(history.agg(F.coalesce(optimized, created).alias("last")))
    assert last is None or isinstance(last, datetime)
    return last
