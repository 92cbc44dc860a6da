"""Windows that are read outside the stream: for overlap, backfill, history and repair."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from pi_datasource.delta import audit, bronze, commits, errors_table
from pi_datasource.delta.audit import BatchReport, ReadCounts, Run, WriteCounts
from pi_datasource.delta.gold_position import GoldPosition
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.read_summary import ReadSummary
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.write import Asked, WindowWriter, Written
from pi_datasource.errors import PointFailure, ReadFailed
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from pi_datasource.points.deleted_points import split_deleted
from pi_datasource.spark import planned_read
from pi_datasource.webapi.client import PIClient

_READ_FAILED = re.compile(r"pi_datasource\.errors\.ReadFailed: (.+)")


@dataclass(frozen=True)
class ReadOutcome:
    """The failures of existing points, and the WebIDs of those that were read completely; ``counts`` of the read."""

    unread: tuple[PointFailure, ...]
    complete: tuple[str, ...]
    counts: ReadCounts


class WindowRead:
    """Exactly these points in ``window``; with ``on_error="fail"``, a point that cannot be read fails the job.

    Stored events of a deleted point stay.
    """

    def __init__(self, options: Options, points: Sequence[Point], window: Window) -> None:
        self.options, self.points, self.window = options, points, window
        self._outcome: ReadOutcome | None = None

    def replace(self, writer: WindowWriter, columns: StructType) -> Written:
        """Reads the window and replaces the stored events of the points that were read; records those that were not.

        Raises:
            ReadFailed: with ``on_error="fail"``, an existing point could not be read: nothing is written.
        """
        spark, lakehouse = writer.spark, writer.lakehouse
        since = bronze.latest_version(spark, lakehouse.bronze)  # before the server is asked
        asked = Asked(self.window, [point.web_id for point in self.points], self._complete, since)
        try:
            written = writer.write(self._rows(spark, columns), asked)
        except Exception as error:
            if (failed := _READ_FAILED.search(str(error))) is None:
                raise
            raise ReadFailed(failed[1], ()) from None  # the engine only passes the text on
        if unread := {failure.web_id for failure in self.outcome(written.summary).unread}:
            errors_table.record(spark, lakehouse, written.summary.failures(spark, unread))
        return written

    def outcome(self, summary: ReadSummary) -> ReadOutcome:
        """What the rows say about the points; of those that PI does not find, the server is asked whether they exist.

        Raises:
            ServerError: the server does not answer.
        """
        if self._outcome is None:
            known = {point.web_id: point for point in self.points}
            failed = [(known[failure.web_id], failure) for failure in summary.failed]
            deleted = set(summary.deleted)
            if any(failure.not_found for _, failure in failed):
                with PIClient(self.options) as api:
                    failed, found_deleted = split_deleted(api, failed, str(self.window))
                deleted |= {point.web_id for point in found_deleted}
            unread = tuple(failure for _, failure in failed)
            incomplete = deleted | {failure.web_id for failure in unread}
            complete = tuple(point.web_id for point in self.points if point.web_id not in incomplete)
            self._outcome = ReadOutcome(unread, complete, summary.counts._replace(failures=len(unread)))
        return self._outcome

    def _complete(self, summary: ReadSummary) -> Sequence[str]:
        return self.outcome(summary).complete

    def _rows(self, spark: SparkSession, columns: StructType) -> DataFrame:
        asked = self.options.model_copy(update={"report_metrics": True})
        tasks = plan(self.points, self.window, asked, self.window.end)
        return planned_read.rows(spark, asked, [replace(task, skip_deleted=True) for task in tasks], columns)


@dataclass(frozen=True)
class WindowRewriter:
    """Reads windows of the past again and replaces the stored events; ``stream_id`` names the audit rows."""

    spark: SparkSession
    options: Options
    lakehouse: Lakehouse
    columns: StructType
    run: Run
    kind: str
    stream_id: str

    def rewrite(
        self, number: int, window: Window, chosen: Sequence[Point], tags: int | None = None
    ) -> tuple[BatchReport, Sequence[str]]:
        """Rewrites ``window`` of these points; returns its audit row and the WebIDs that were read completely.

        The audit row says ``tags``, or else how many tags have events in the window.
        """
        began_s = time.monotonic()
        try:
            written, outcome, version = self._write(number, window, chosen)
            counts = outcome.counts if tags is None else outcome.counts._replace(tags=tags)
            report = self.run.report(
                self.kind, self.stream_id, number, window, began_s, written, counts, bronze_version=version
            )
            audit.record(self.spark, self.lakehouse, [report], may_repeat=True)
        except Exception as error:
            failed = self.run.report(self.kind, self.stream_id, number, window, began_s, error=str(error))
            audit.record_failure(self.spark, self.lakehouse, failed)
            raise
        self._staging.clear()
        return report, outcome.complete

    @property
    def _staging(self) -> Staging:
        return Staging(self.lakehouse.staging, self.stream_id)

    def _write(
        self, number: int, window: Window, chosen: Sequence[Point]
    ) -> tuple[WriteCounts, ReadOutcome, int]:
        """Reads and writes ``window``; returns what all attempts wrote, what was read, and gold's version of bronze."""
        spark, lakehouse, mark = self.spark, self.lakehouse, f"pi-datasource {self.stream_id} {number} piece"
        gold = GoldPosition(lakehouse, self._staging)
        repeated, since = self._staging.begin(f"{mark} {window}", gold.before(spark))
        read = WindowRead(self.options, chosen, window)
        written = read.replace(WindowWriter(spark, lakehouse, self._staging, mark), self.columns)
        version = gold.refresh(spark, [written], [point.web_id for point in chosen])
        rows = commits.written(spark, lakehouse.bronze, mark, since) if repeated else written.rows
        return WriteCounts(*rows), read.outcome(written.summary), version
