"""Writes events into bronze and gold: the common path of stream, backfill and repair."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from pi_datasource.delta import audit, bronze, changes, errors_table, gold, points
from pi_datasource.delta.audit import BatchReport, ReadCounts, WriteCounts
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import reread_window
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options

_COMMIT_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True)
class WindowEvents:
    """The events of ``window`` as read (persisted: they are used several times).

    For the WebIDs ``complete`` they are all events of the window ``replaced``: stored events that are not among them are
    deleted. They are compared with version ``since`` of bronze, the latest when the server was asked: an event that
    another writer has stored later may have reached the server later, too, and is kept. Events before ``late_before`` that
    were not stored yet are late. With ``asked``, only stored events of these WebIDs are compared.
    """

    events: DataFrame
    window: Window
    late_before: datetime
    replaced: Window | None = None
    complete: Sequence[str] | None = None
    since: int | None = None
    asked: Sequence[str] | None = None


def write(
    spark: SparkSession, lakehouse: Lakehouse, found: WindowEvents, mark: str, *, may_repeat: bool
) -> WriteCounts:
    """Makes bronze equal to ``found`` and updates gold; returns the counts of all attempts with this ``mark``.

    With ``may_repeat`` an earlier attempt may have written bronze but not gold: then all hours are recomputed, and not only
    those that change now. Unchanged hours are not rewritten.
    """
    stored = bronze.stored_events(spark, lakehouse.bronze, found.window, found.since)
    if found.asked is not None:
        stored = stored.where(points.tag_filter(found.asked))
    tags = None if found.complete is None else points.web_ids(spark, found.complete)
    diff = changes.diff(stored, found.events, found.replaced, tags).persist()
    try:
        counts = changes.count(diff, found.late_before)
        if counts.first is None and not may_repeat:
            return WriteCounts(0, 0, 0, 0)
        since = None if may_repeat else bronze.latest_version(spark, lakehouse.bronze)
        if counts.first is not None:
            with _commit_metadata(spark, f"{mark} late={counts.late}"):
                bronze.apply(spark, lakehouse.bronze, diff, counts)
        gold.refresh(spark, lakehouse, since)
    finally:
        diff.unpersist()
    if may_repeat:
        return audit.written_rows(spark, lakehouse.bronze, mark)
    return WriteCounts(*counts[:4])


@dataclass(frozen=True)
class WindowRewriter:
    """Reads windows of the past again and replaces the stored events; ``stream_id`` names the audit rows."""

    spark: SparkSession
    options: Options
    lakehouse: Lakehouse
    columns: StructType
    stream_id: str

    def rewrite(
        self, number: int, window: Window, chosen: Sequence[Point], tags: int | None = None
    ) -> tuple[BatchReport, Sequence[str]]:
        """Rewrites ``window`` of these points; returns its audit row and the WebIDs that were read completely.

        The audit row says ``tags``, or else how many tags have events in the window.
        """
        spark, lakehouse, began_s = self.spark, self.lakehouse, time.monotonic()
        with reread_window(spark, self.options, lakehouse, chosen, window, self.columns) as read:
            asked = [point.web_id for point in chosen]
            found = WindowEvents(read.events, window, window.start, window, read.complete, read.since, asked)
            mark = f"pi-datasource {self.stream_id} {number}"
            # An earlier run may have been killed in the middle of this window.
            written = write(spark, lakehouse, found, mark, may_repeat=True)
            if read.counts.failures:
                errors_table.record(spark, lakehouse, read.failures)
        counts = read.counts if tags is None else read.counts._replace(tags=tags)
        report = audit.build_report(self.stream_id, number, window, began_s, written, counts, ReadCounts())
        audit.append(spark, lakehouse, report)
        return report, read.complete


@contextmanager
def _commit_metadata(spark: SparkSession, mark: str) -> Iterator[None]:
    """Adds ``mark`` to the Delta commits within, so that a replay finds what an earlier attempt has written."""
    before = spark.conf.get(_COMMIT_METADATA, None)
    spark.conf.set(_COMMIT_METADATA, mark)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(_COMMIT_METADATA)
        else:
            spark.conf.set(_COMMIT_METADATA, before)
