"""The audit table: one row per window of each run. What is asked of it is bounded in ``created_at``, by which it is clustered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta, timezone
from typing import TypeVar

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource import redaction
from pi_datasource.delta import commits, timestamps
from pi_datasource.delta.batch_report import SCHEMA, BatchReport, ReadCounts, Run, WriteCounts, build_report
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window
from pi_datasource.schema import DONE, FAILED, STREAM

__all__ = ["SCHEMA", "BatchReport", "ReadCounts", "Run", "WriteCounts", "build_report"]

log = logging.getLogger(__name__)

# Every commit adds a file, and the cost of a query grows with the files. A compaction takes two seconds, and leaves a copy of
# the whole table on disk until that is vacuumed.
COMPACT_EVERY = 200
# Newest rows are looked for among those of this time first: after a year, the table has as many files outside it as it likes.
RECENT = timedelta(days=2)
LONGEST_ERROR = 2000  # characters
_NAMES = [each.name for each in fields(BatchReport)]
_COUNTS = [field.name for field in SCHEMA if field.name.startswith("rows_")] + [
    "tags",
    "read_failures",
    "calls",
    "retries",
    "throttled_seconds",
]
_Found = TypeVar("_Found")


def record(
    spark: SparkSession, lakehouse: Lakehouse, reports: Sequence[BatchReport], *, may_repeat: bool
) -> None:
    """Adds the rows of one batch or piece in one commit; replaces those that earlier attempts wrote, failed ones as well.

    Without ``may_repeat`` this is a plain append, which Delta applies only once to the same batch of a stream.
    """
    if may_repeat and (earlier := _statuses(spark, lakehouse, reports[0])):
        _replace(spark, lakehouse, reports, earlier)
        return
    first, options = reports[0], {}
    if first.kind == STREAM:  # pieces of the other kinds come in any order
        options = {"txnAppId": f"pi-datasource {first.stream_id}", "txnVersion": str(first.batch_id)}
    _append(spark, lakehouse, reports, options)


def record_failure(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> None:
    """Adds a row that says why a batch or piece failed, or replaces that of its last failure; raises nothing.

    A piece that had been done before stays done. Whatever goes wrong here is logged: the failure itself must be raised.
    """
    text = redaction.redact(report.error or "unknown error")[:LONGEST_ERROR]
    failed = replace(report, status=FAILED, error=text, bronze_version=None)
    try:
        earlier = _statuses(spark, lakehouse, failed)
        if not earlier:
            _append(spark, lakehouse, [failed], {})
        elif earlier == {FAILED}:
            _replace(spark, lakehouse, [failed], earlier)
    except Exception:
        log.warning("the audit table does not say that this failed: %s", failed, exc_info=True)


def reports(
    spark: SparkSession,
    lakehouse: Lakehouse,
    stream_id: str,
    *,
    since: datetime | None = None,
    newest: int | None = None,
) -> list[BatchReport]:
    """What a stream has done, oldest batch first; only what was recorded ``since``, and only the last ``newest`` batches."""

    def find(rows: DataFrame) -> list[BatchReport]:
        if newest is not None:  # a batch has up to two rows
            rows = rows.orderBy(F.col("batch_id").desc()).limit(2 * newest)
        # Counts are null in rows that are older than their column. Spark would need three jobs to sort.
        found = timestamps.rows(rows.select(*_NAMES).fillna(0, _COUNTS))
        read = sorted(
            (BatchReport(*row) for row in found), key=lambda each: (each.batch_id, each.kind != STREAM)
        )
        numbers = sorted({report.batch_id for report in read})
        first = numbers[-newest] if newest is not None and newest < len(numbers) else None
        return [report for report in read if first is None or report.batch_id >= first]

    def enough(found: list[BatchReport]) -> bool:
        return newest is not None and len({report.batch_id for report in found}) >= newest

    rows = _done(spark, lakehouse).where(F.col("stream_id") == stream_id)
    if since is not None:
        return find(_since(rows, since))
    return find(rows) if newest is None else _newest_first(rows, find, enough)


def covered_window(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, since: datetime | None = None
) -> Window | None:
    """From the start of a stream's first micro-batch to the end of its last; only those recorded ``since``."""
    rows = _done(spark, lakehouse).where(
        (F.col("stream_id") == stream_id) & (_kind() == STREAM)  # an overlap begins before the stream does
    )

    def find(rows: DataFrame) -> Window | None:
        bounds = rows.agg(F.min("window_start").alias("start"), F.max("window_end").alias("end"))
        ((start, end),) = timestamps.rows(bounds)
        return None if start is None else Window(start, end)

    if since is not None:
        return find(_since(rows, since))
    # Files are skipped by either column: the first batch of a stream is number 0.
    first, recent = F.col("batch_id") == 0, F.col("created_at") >= timestamps.column(_recent())
    ends = rows.where(first | recent).agg(
        F.min(F.when(first, F.col("window_start"))).alias("start"),
        F.max(F.when(recent, F.col("window_end"))).alias("end"),
    )
    ((start, end),) = timestamps.rows(ends)
    return find(rows) if start is None or end is None else Window(start, end)


def recorded_windows(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, within: Window
) -> dict[int, list[Window]]:
    """The windows that a job has done and that overlap ``within``, by their numbers."""
    rows = _done(spark, lakehouse).where(
        (F.col("stream_id") == stream_id)
        & (F.col("window_end") > timestamps.column(within.start))
        & (F.col("window_start") < timestamps.column(within.end))
    )
    found: dict[int, list[Window]] = {}
    for number, start, end in timestamps.rows(rows.select("batch_id", "window_start", "window_end")):
        found.setdefault(number, []).append(Window(start, end))
    return found


def next_batch_id(spark: SparkSession, lakehouse: Lakehouse, stream_id: str) -> int:
    """The number after the last one that a job has done."""
    rows = _done(spark, lakehouse).where(F.col("stream_id") == stream_id)
    last = _newest_first(rows, lambda rows: _maximum(rows, "batch_id"))
    return 0 if last is None else last + 1


def gold_version(spark: SparkSession, lakehouse: Lakehouse) -> int | None:
    """The version of bronze up to which gold includes every change; None if no row says one."""
    return _newest_first(_done(spark, lakehouse), lambda rows: _maximum(rows, "bronze_version"))


def last_version(
    spark: SparkSession, lakehouse: Lakehouse, stream_id: str, before: int | None = None
) -> int | None:
    """The version of bronze that the last done batch of a stream has recorded; None if none has.

    Later versions hold what attempts of the next batch wrote. ``before`` leaves out that batch and later ones, for a batch
    that may have been recorded itself.
    """
    rows = _done(spark, lakehouse).where(F.col("stream_id") == stream_id)
    if before is not None:
        rows = rows.where(F.col("batch_id") < before)
    return _newest_first(rows, lambda rows: _maximum(rows, "bronze_version"))


def _done(spark: SparkSession, lakehouse: Lakehouse) -> DataFrame:
    """The rows of what was read and written: neither failures nor leases."""
    return spark.read.table(lakehouse.audit).where(F.coalesce("status", F.lit(DONE)) == DONE)


def _kind() -> Column:
    return F.coalesce("kind", F.lit(STREAM))


def _recent() -> datetime:
    return datetime.now(timezone.utc) - RECENT


def _since(rows: DataFrame, since: datetime) -> DataFrame:
    return rows.where(F.col("created_at") >= timestamps.column(since))


def _maximum(rows: DataFrame, column: str) -> int | None:
    row = rows.agg(F.max(column)).first()
    return None if row is None else row[0]


def _newest_first(
    rows: DataFrame,
    find: Callable[[DataFrame], _Found],
    enough: Callable[[_Found], bool] = lambda found: found is not None,
) -> _Found:
    """What ``find`` gives for the rows of ``RECENT``, or for all of them if that is not ``enough``."""
    found = find(_since(rows, _recent()))
    return found if enough(found) else find(rows)


def _statuses(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> set[str]:
    """What earlier attempts have come to: done ones of the same window, and failed ones.

    Pieces of the same number have other windows where a backfill begins or ends within them.
    """
    same_window = (F.col("window_start") == timestamps.column(report.window_start)) & (
        F.col("window_end") == timestamps.column(report.window_end)
    )
    found = spark.read.table(lakehouse.audit).where(
        (F.col("stream_id") == report.stream_id)
        & (F.col("batch_id") == report.batch_id)
        & (same_window | (F.col("status") == FAILED))
    )
    return {row[0] or DONE for row in found.select("status").collect()}


def _replace(
    spark: SparkSession, lakehouse: Lakehouse, reports: Sequence[BatchReport], earlier: Set[str]
) -> None:
    """Updates the rows of earlier attempts; one that failed goes where another one was done."""
    rows, failed = _to_frame(spark, reports), f"t.status = '{FAILED}'"
    on = [
        *commits.same(("stream_id", "batch_id")),
        # Rows of older versions have no kind: they are those of the stream or job.
        f"coalesce(t.kind, '{reports[0].kind}') = s.kind",
        f"({failed} OR (t.window_start = s.window_start AND t.window_end = s.window_end))",
    ]
    if {DONE, FAILED} <= earlier:
        clauses = [f"WHEN MATCHED AND {failed} THEN DELETE"]
        commits.retry_conflicts(lambda: commits.merge(spark, lakehouse.audit, rows, on, clauses))
    copied = commits.copied(_NAMES, inserted="true")
    commits.retry_conflicts(lambda: commits.merge(spark, lakehouse.audit, rows, on, copied))


def _append(
    spark: SparkSession, lakehouse: Lakehouse, reports: Sequence[BatchReport], options: dict[str, str]
) -> None:
    """Appends rows; compacts the table after every ``COMPACT_EVERY`` batches of a stream, which bounds its small files."""
    rows = _to_frame(spark, reports)
    rows.write.format("delta").mode("append").options(**options).saveAsTable(lakehouse.audit)
    if reports[0].batch_id % COMPACT_EVERY != COMPACT_EVERY - 1:
        return
    try:
        commits.compact(spark, lakehouse.audit)
    except Exception as error:
        if not commits.is_conflict(error):
            raise
        log.info("another writer compacts %s", lakehouse.audit, exc_info=True)


def _to_frame(spark: SparkSession, reports: Sequence[BatchReport]) -> DataFrame:
    rows = pa.Table.from_pylist([asdict(report) for report in reports], SCHEMA).select(_NAMES)
    # One partition, because each empty partition would become a file as well.
    return spark.createDataFrame(rows).coalesce(1)
