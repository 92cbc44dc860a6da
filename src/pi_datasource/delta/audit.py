"""One audit row per micro-batch: its window, what it read and wrote, how long it took, how far behind it was."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import DoubleType, LongType, StringType, StructType, TimestampType

from pi_datasource.delta import timestamps
from pi_datasource.delta.conflicts import LOST, retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window
from pi_datasource.schema import BATCH_COUNTS
from pi_datasource.webapi.metrics import NONE, RequestMetrics

log = logging.getLogger(__name__)

COMMITS_SEARCHED = 1000  # back to which a replay finds what an earlier attempt wrote
# Every row is a file of its own, and a query of the table costs by the file. A compaction takes two seconds, and leaves a
# copy of the whole table on disk until that is vacuumed.
COMPACT_EVERY = 200


@dataclass(frozen=True)
class BatchReport:
    """One micro-batch. ``(stream_id, batch_id)`` is its key: a replayed batch has one row.

    ``rows_read`` are events of the window, ``rows_reread`` those of the overlap behind it. What was written
    (``rows_inserted``, ``rows_updated``, ``rows_deleted``, and ``rows_late``: inserted in the overlap) adds up over
    replays, ``seconds`` is the last attempt's, and so are ``calls``, ``retries`` and ``throttled_seconds``, which say what
    reading the events has cost (see ``RequestMetrics``). ``lag_seconds`` is how far the window's end was behind the driver's clock
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
        shown = {name: getattr(self, name) for name in BATCH_COUNTS}
        told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in shown.items() if count)
        return (
            f"batch {self.batch_id} up to {self.window_end:%Y-%m-%d %H:%M:%S} UTC in {self.seconds:.1f} s, "
            f"lag {self.lag_seconds:.0f} s: {told or 'nothing new'}"
        )


class Written(NamedTuple):
    """Rows that were inserted, updated and deleted; ``late`` is part of those inserted."""

    inserted: int
    updated: int
    deleted: int
    late: int


_SPARK_TYPES = {"str": StringType(), "int": LongType(), "float": DoubleType(), "datetime": TimestampType()}
SCHEMA = StructType()
for _field in fields(BatchReport):
    SCHEMA.add(_field.name, _SPARK_TYPES[str(_field.type)])


def prepare(spark: SparkSession, lakehouse: Lakehouse) -> None:
    """Makes sure that the table exists."""
    lakehouse.table(spark, lakehouse.ledger, SCHEMA, cluster_by=("created_at",))


def record(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport, *, may_repeat: bool) -> None:
    """Adds the row of a micro-batch, or puts it in the place of the one that an earlier attempt has written.

    Where there is none it is a plain append, of which Delta drops a second one (``txnVersion``).
    """
    if may_repeat and _recorded(spark, lakehouse, report):
        same = "t.stream_id = s.stream_id AND t.batch_id = s.batch_id"
        target = DeltaTable.forName(spark, lakehouse.ledger).alias("t")
        merge = target.merge(_row(spark, report).alias("s"), same)
        retried(lambda: merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute())
        return
    once = {"txnAppId": f"pi-datasource {report.stream_id}", "txnVersion": str(report.batch_id)}
    _append(spark, lakehouse, report, once)
    _compact(spark, lakehouse, report)


def record_piece(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> None:
    """Adds the row of a piece of a backfill or a repair, which come in any order and are asked for before they are done."""
    _append(spark, lakehouse, report)
    _compact(spark, lakehouse, report)


def report_of(
    stream_id: str,
    batch_id: int,
    window: Window,
    began_s: float,
    done: Written,
    *,
    tags: int,
    read: int,
    reread: int = 0,
    failed: int = 0,
    metrics: RequestMetrics = NONE,
) -> BatchReport:
    """The row of a batch that began at ``began_s`` of the monotonic clock and ends now."""
    now = datetime.now(timezone.utc)
    return BatchReport(
        stream_id=stream_id,
        batch_id=batch_id,
        window_start=window.start,
        window_end=window.end,
        tags=tags,
        rows_read=read,
        rows_reread=reread,
        rows_inserted=done.inserted,
        rows_updated=done.updated,
        rows_deleted=done.deleted,
        rows_late=done.late,
        read_failures=failed,
        **asdict(metrics),
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
    """The rows of one stream, oldest batch first.

    ``since`` leaves out what was recorded before, and ``newest`` all but that many of the last batches.
    """
    rows = _of_stream(spark, lakehouse, stream_id)
    if since is not None:
        rows = rows.where(F.col("created_at") >= timestamps.column(since))
    if newest is not None:
        rows = rows.orderBy(F.col("batch_id").desc()).limit(newest)
    ordered = sorted(
        timestamps.rows(rows), key=lambda row: row["batch_id"]
    )  # for Spark it would be three jobs
    return [BatchReport(**{name: _counted(row[name]) for name in SCHEMA.names}) for row in ordered]


def reach(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, since: datetime | None = None
) -> Window | None:
    """From where the first recorded micro-batch of a stream began to where the last one ended; of those recorded ``since``."""
    rows = _of_stream(spark, lakehouse, stream_id)
    if since is not None:
        rows = rows.where(F.col("created_at") >= timestamps.column(since))
    ((start, end),) = timestamps.rows(
        rows.agg(F.min("window_start").alias("start"), F.max("window_end").alias("end"))
    )
    return None if start is None else Window(start, end)


def windows(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, within: Window
) -> dict[int, list[Window]]:
    """What is recorded of each batch number of a stream, as far as it overlaps ``within``."""
    rows = _of_stream(spark, lakehouse, stream_id).where(
        (F.col("window_end") > timestamps.column(within.start))
        & (F.col("window_start") < timestamps.column(within.end))
    )
    found: dict[int, list[Window]] = {}
    for number, start, end in timestamps.rows(rows.select("batch_id", "window_start", "window_end")):
        found.setdefault(number, []).append(Window(start, end))
    return found


def next_batch(spark: SparkSession, lakehouse: Lakehouse, stream_id: str) -> int:
    """The first number of a stream that has no row."""
    row = _of_stream(spark, lakehouse, stream_id).agg(F.max("batch_id")).first()
    return row[0] + 1 if row and row[0] is not None else 0


def stream_id(spark: SparkSession, checkpoint: str) -> str:
    """The identity of the stream of a checkpoint folder, which Spark has written there."""
    return str(json.loads(_text(spark, f"{checkpoint}/metadata"))["id"])


def known_stream(spark: SparkSession, checkpoint: str) -> str | None:
    """As ``stream_id``, or None where no stream has begun."""
    try:
        return stream_id(spark, checkpoint)
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return None


def last_begun(checkpoint: str) -> int | None:
    """The number of the last micro-batch that any run has begun, -1 if none; None where this process cannot see it.

    Spark writes the offset of a micro-batch before it hands it over.
    """
    if not Path(checkpoint).is_absolute() or not Path(checkpoint).is_dir():
        return None
    begun = (int(file.name) for file in Path(checkpoint, "offsets").glob("*") if file.name.isdecimal())
    return max(begun, default=-1)


def written(spark: SparkSession, table: str, mark: str) -> Written:
    """What the MERGEs whose mark begins with ``mark`` have written into ``table``.

    A table that compacts itself does so within the writer's commit, and what it commits has the writer's mark as well.
    """
    noted = F.col("userMetadata")
    commits = DeltaTable.forName(spark, table).history(COMMITS_SEARCHED)
    commits = commits.where(noted.startswith(f"{mark} ") & (F.col("operation") == "MERGE"))
    found = commits.select("operationMetrics", noted).collect()
    late = sum(int(commit["userMetadata"].rpartition("late=")[2]) for commit in found)
    return Written(
        inserted=_metric(found, "numTargetRowsInserted"),
        updated=_metric(found, "numTargetRowsUpdated"),
        deleted=_metric(found, "numTargetRowsDeleted"),
        late=late,
    )


def _append(
    spark: SparkSession, lakehouse: Lakehouse, report: BatchReport, once: Mapping[str, str] | None = None
) -> None:
    row = _row(spark, report)
    row.write.format("delta").mode("append").options(**(once or {})).saveAsTable(lakehouse.ledger)


def _compact(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> None:
    """Merges the table's small files after every ``COMPACT_EVERY`` rows of a stream, so that no question reads more."""
    if report.batch_id % COMPACT_EVERY != COMPACT_EVERY - 1:
        return
    try:
        DeltaTable.forName(spark, lakehouse.ledger).optimize().executeCompaction()
    except LOST:
        log.info("another writer compacts %s", lakehouse.ledger, exc_info=True)


def _of_stream(spark: SparkSession, lakehouse: Lakehouse, stream_id: str) -> DataFrame:
    return spark.read.table(lakehouse.ledger).where(F.col("stream_id") == stream_id)


def _recorded(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> bool:
    rows = _of_stream(spark, lakehouse, report.stream_id)
    return not rows.where(F.col("batch_id") == report.batch_id).isEmpty()


def _row(spark: SparkSession, report: BatchReport) -> DataFrame:
    values = tuple(getattr(report, field.name) for field in fields(report))
    return spark.createDataFrame([values], SCHEMA).coalesce(1)  # else each empty partition is a file as well


def _counted(value: Any) -> Any:
    """A count from before it was counted is 0."""
    return 0 if value is None else value


def _metric(commits: list[Row], name: str) -> int:
    metrics: list[dict[str, Any]] = [commit["operationMetrics"] or {} for commit in commits]
    return sum(int(metric.get(name, 0)) for metric in metrics)


def _text(spark: SparkSession, path: str) -> str:
    if Path(path).is_absolute() and Path(path).is_file():  # a Spark job takes a hundred times as long
        return Path(path).read_text(encoding="utf-8")
    row = spark.read.text(path, wholetext=True).first()
    return row[0] if row else ""
