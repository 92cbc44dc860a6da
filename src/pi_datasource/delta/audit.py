"""The audit table: one row per micro-batch with its window, what it read and wrote, its duration and its lag."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, astuple, dataclass, fields
from datetime import datetime, timezone
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType, TimestampType

from pi_datasource.delta import commits, timestamps
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window
from pi_datasource.schema import BATCH_COUNTS
from pi_datasource.webapi.metrics import NONE, RequestMetrics

log = logging.getLogger(__name__)

COMMITS_SEARCHED = 1000  # in which a replayed batch finds the rows that an earlier attempt wrote
# Every row is a file of its own, and the cost of a query grows with the files. A compaction takes two seconds, and leaves a
# copy of the whole table on disk until that is vacuumed.
COMPACT_EVERY = 200
_KEY = ("stream_id", "batch_id")


@dataclass(frozen=True)
class BatchReport:
    """One micro-batch. ``(stream_id, batch_id)`` is its key: a replayed batch has one row.

    ``rows_read`` are events of the window, ``rows_reread`` those of the overlap behind it. What was written
    (``rows_inserted``, ``rows_updated``, ``rows_deleted``, and ``rows_late``: inserted in the overlap) adds up over
    replays. ``seconds`` is the last attempt's, and so are ``calls``, ``retries`` and ``throttled_seconds``, the cost of
    reading the events (see ``RequestMetrics``). ``lag_seconds`` is how far the window's end was behind the driver's clock
    when the batch was written.
    """

    stream_id: str
    batch_id: int
    window_start: datetime
    window_end: datetime
    tags: int
    rows_read: int
    rows_reread: int
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    rows_late: int
    read_failures: int
    calls: int
    retries: int
    throttled_seconds: float
    seconds: float
    lag_seconds: float
    created_at: datetime

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in BATCH_COUNTS}
        text = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        return (
            f"batch {self.batch_id} up to {self.window_end:%Y-%m-%d %H:%M:%S} UTC in {self.seconds:.1f} s, "
            f"lag {self.lag_seconds:.0f} s: {text or 'nothing new'}"
        )


class ReadCounts(NamedTuple):
    """Numbers of events, failed points, tags with events and deleted points of a window; the cost of reading them."""

    rows: int = 0
    failures: int = 0
    tags: int = 0
    deleted: int = 0
    metrics: RequestMetrics = NONE


class WriteCounts(NamedTuple):
    """Numbers of rows that were inserted, updated and deleted; ``late`` is part of those inserted."""

    inserted: int
    updated: int
    deleted: int
    late: int


_SPARK_TYPES = {"str": StringType(), "int": LongType(), "float": DoubleType(), "datetime": TimestampType()}
SCHEMA = StructType([StructField(each.name, _SPARK_TYPES[str(each.type)]) for each in fields(BatchReport)])


def record(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport, *, may_repeat: bool) -> None:
    """Adds the row of a micro-batch, or replaces the row that an earlier attempt has written.

    Without an earlier row this is a plain append, which Delta applies only once (``txnVersion``).
    """
    stored = F.col("batch_id") == report.batch_id
    if may_repeat and not _of_stream(spark, lakehouse, report.stream_id).where(stored).isEmpty():
        commits.upsert(spark, lakehouse.audit, _to_frame(spark, report), _KEY)
        return
    transaction = {"txnAppId": f"pi-datasource {report.stream_id}", "txnVersion": str(report.batch_id)}
    append(spark, lakehouse, report, **transaction)


def append(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport, **options: str) -> None:
    """Appends a row; compacts the table after every ``COMPACT_EVERY`` rows of a stream, which bounds its small files.

    Pieces of a backfill or repair come in any order and are looked up before they are read: they need no ``txnVersion``.
    """
    row = _to_frame(spark, report)
    row.write.format("delta").mode("append").options(**options).saveAsTable(lakehouse.audit)
    if report.batch_id % COMPACT_EVERY != COMPACT_EVERY - 1:
        return
    try:
        commits.compact(spark, lakehouse.audit)
    except Exception as error:
        if not commits.is_conflict(error):
            raise
        log.info("another writer compacts %s", lakehouse.audit, exc_info=True)


def build_report(  # noqa: PLR0917 - all that a row says
    stream_id: str,
    batch_id: int,
    window: Window,
    began_s: float,
    written: WriteCounts,
    read: ReadCounts,
    reread: ReadCounts,
) -> BatchReport:
    """The row of a batch that began at ``began_s`` of the monotonic clock and ends now; ``reread`` is its overlap."""
    now = datetime.now(timezone.utc)
    return BatchReport(
        stream_id=stream_id,
        batch_id=batch_id,
        window_start=window.start,
        window_end=window.end,
        tags=read.tags,
        rows_read=read.rows,
        rows_reread=reread.rows,
        rows_inserted=written.inserted,
        rows_updated=written.updated,
        rows_deleted=written.deleted,
        rows_late=written.late,
        read_failures=read.failures + reread.failures,
        **asdict(read.metrics + reread.metrics),
        seconds=time.monotonic() - began_s,
        lag_seconds=(now - window.end).total_seconds(),
        created_at=now,
    )


def reports(
    spark: SparkSession,
    lakehouse: Lakehouse,
    stream_id: str,
    *,
    since: datetime | None = None,
    newest: int | None = None,
) -> list[BatchReport]:
    """The rows of one stream, oldest batch first; only those recorded ``since``, and only the last ``newest`` batches."""
    rows = _of_stream(spark, lakehouse, stream_id, since)
    if newest is not None:
        rows = rows.orderBy(F.col("batch_id").desc()).limit(newest)
    # Counts are null in rows that are older than their column. Spark would need three jobs to sort.
    found = timestamps.rows(rows.select(*SCHEMA.names).fillna(0))
    return [BatchReport(*row) for row in sorted(found, key=lambda row: row["batch_id"])]


def covered_window(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, since: datetime | None = None
) -> Window | None:
    """From the start of a stream's first recorded micro-batch to the end of its last; only those recorded ``since``."""
    rows = _of_stream(spark, lakehouse, stream_id, since)
    bounds = rows.agg(F.min("window_start").alias("start"), F.max("window_end").alias("end"))
    ((start, end),) = timestamps.rows(bounds)
    return None if start is None else Window(start, end)


def recorded_windows(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, within: Window
) -> dict[int, list[Window]]:
    """The recorded windows of a stream that overlap ``within``, by batch number."""
    rows = _of_stream(spark, lakehouse, stream_id).where(
        (F.col("window_end") > timestamps.column(within.start))
        & (F.col("window_start") < timestamps.column(within.end))
    )
    found: dict[int, list[Window]] = {}
    for number, start, end in timestamps.rows(rows.select("batch_id", "window_start", "window_end")):
        found.setdefault(number, []).append(Window(start, end))
    return found


def next_batch_id(spark: SparkSession, lakehouse: Lakehouse, stream_id: str) -> int:
    """The number after the last recorded one of a stream."""
    row = _of_stream(spark, lakehouse, stream_id).agg(F.max("batch_id")).first()
    return row[0] + 1 if row and row[0] is not None else 0


def written_rows(spark: SparkSession, table: str, mark: str) -> WriteCounts:
    """The rows written into ``table`` by all MERGEs with commit metadata that begins with ``mark``.

    A table that compacts itself does so within the writer's commit, so the OPTIMIZE has the same metadata.
    """
    metadata, metrics = F.col("userMetadata"), F.col("operationMetrics")
    merges = commits.history(spark, table, COMMITS_SEARCHED).where(
        metadata.startswith(f"{mark} ") & (F.col("operation") == "MERGE")
    )
    found = merges.select(metrics, metadata).collect()

    def total(kind: str) -> int:
        return sum(int((commit["operationMetrics"] or {}).get(f"numTargetRows{kind}", 0)) for commit in found)

    late = sum(int(commit["userMetadata"].rpartition("late=")[2]) for commit in found)
    return WriteCounts(total("Inserted"), total("Updated"), total("Deleted"), late)


def _of_stream(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, since: datetime | None = None
) -> DataFrame:
    rows = spark.read.table(lakehouse.audit).where(F.col("stream_id") == stream_id)
    return rows if since is None else rows.where(F.col("created_at") >= timestamps.column(since))


def _to_frame(spark: SparkSession, report: BatchReport) -> DataFrame:
    # One partition, because each empty partition would become a file as well.
    return spark.createDataFrame([astuple(report)], SCHEMA).coalesce(1)
