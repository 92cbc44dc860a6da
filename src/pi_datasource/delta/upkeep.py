"""Small files into large ones, and files that no version needs any more away: now and then, beside the writing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import moments
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse

COMMITS_SEARCHED = 1000
SAFE_TO_VACUUM = timedelta(
    days=7
)  # what Delta itself refuses to go below: readers may still need younger files


def upkeep(
    spark: SparkSession,
    lakehouse: Lakehouse,
    *,
    optimize_every: timedelta,
    keep: timedelta | None = None,
    now: datetime | None = None,
) -> list[str]:
    """Optimizes the tables not optimized within ``optimize_every``; returns their names.

    Clustered tables are clustered by it (time and tag). With ``keep`` (7 days at least), files of versions older than
    that are deleted from the same tables.
    """
    now = now or datetime.now(timezone.utc)
    done = []
    for name in (lakehouse.bronze, lakehouse.gold, lakehouse.ledger, lakehouse.errors, lakehouse.points):
        if now - _last_optimized(spark, name) < optimize_every:
            continue
        retried(lambda table=name: DeltaTable.forName(spark, table).optimize().executeCompaction())  # type: ignore[misc]
        if keep is not None:
            DeltaTable.forName(spark, name).vacuum(max(keep, SAFE_TO_VACUUM).total_seconds() / 3600)
        done.append(name)
    return done


def _last_optimized(spark: SparkSession, name: str) -> datetime:
    """When the table was optimized last, or made; where neither can be found, when the oldest known commit was."""
    commits = DeltaTable.forName(spark, name).history(COMMITS_SEARCHED)
    optimized = F.max(F.when(F.col("operation") == "OPTIMIZE", F.col("timestamp")))
    ((last,),) = moments.rows(commits.agg(F.coalesce(optimized, F.min("timestamp")).alias("last")))
    assert isinstance(last, datetime)
    return last
