"""Small files into large ones, and files that no version needs any more away: now and then, beside the writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import StringType, StructType, TimestampType

from pi_datasource.delta import timestamps
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse

COMMITS_SEARCHED = 1000
SAFE_TO_VACUUM = timedelta(
    days=7
)  # what Delta itself refuses to go below: readers may still need younger files
_SCHEMA = StructType().add("table_name", StringType()).add("optimized_at", TimestampType())


def upkeep(
    spark: SparkSession,
    lakehouse: Lakehouse,
    *,
    optimize_every: timedelta,
    keep: timedelta | None = None,
    now: datetime | None = None,
    wanted: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Optimizes the tables not optimized within ``optimize_every``; returns their names.

    Clustered tables are clustered by it (time and tag). With ``keep`` (7 days at least), files of versions older than
    that are deleted from the same tables. When that was done is recorded in the table ``pi_maintenance``, because a
    table's own history does not always hold it: it may have thousands of commits a day, and none of an OPTIMIZE that
    found nothing to do. No further table is begun when ``wanted`` no longer holds.
    """
    now = now or datetime.now(timezone.utc)
    lakehouse.table(spark, lakehouse.maintenance, _SCHEMA, cluster_by=("table_name",))
    recorded = _recorded(spark, lakehouse)
    tables = (lakehouse.bronze, lakehouse.gold, lakehouse.ledger, lakehouse.errors, lakehouse.points)
    due = [name for name in tables if name not in recorded or now - recorded[name] >= optimize_every]
    optimized: dict[str, datetime] = {}
    try:
        for name in due:
            if not wanted():
                break
            last = _found_in_history(spark, name)
            if last is None or now - last >= optimize_every:
                retried(lambda table=name: DeltaTable.forName(spark, table).optimize().executeCompaction())  # type: ignore[misc]
                last = now
            if keep is not None:
                DeltaTable.forName(spark, name).vacuum(max(keep, SAFE_TO_VACUUM).total_seconds() / 3600)
            optimized[name] = last
    finally:
        _record(spark, lakehouse, optimized)
    return [name for name, at in optimized.items() if at == now]


def _recorded(spark: SparkSession, lakehouse: Lakehouse) -> Mapping[str, datetime]:
    rows = timestamps.rows(spark.read.table(lakehouse.maintenance))
    return {row["table_name"]: row["optimized_at"] for row in rows}


def _record(spark: SparkSession, lakehouse: Lakehouse, optimized: Mapping[str, datetime]) -> None:
    if not optimized:
        return
    rows = spark.createDataFrame(list(optimized.items()), _SCHEMA).alias("s")
    table = DeltaTable.forName(spark, lakehouse.maintenance).alias("t")
    merge = table.merge(rows, "t.table_name = s.table_name").whenMatchedUpdateAll().whenNotMatchedInsertAll()
    retried(merge.execute)


def _found_in_history(spark: SparkSession, name: str) -> datetime | None:
    """When the table was optimized last, or made; None where neither is among its last ``COMMITS_SEARCHED`` commits.

    Whoever optimized it counts, such as a job of the platform.
    """
    commits = DeltaTable.forName(spark, name).history(COMMITS_SEARCHED)
    optimized = F.max(F.when(F.col("operation") == "OPTIMIZE", F.col("timestamp")))
    made = F.max(F.when(F.col("version") == 0, F.col("timestamp")))
    ((last,),) = timestamps.rows(commits.agg(F.coalesce(optimized, made).alias("last")))
    assert last is None or isinstance(last, datetime)
    return last
