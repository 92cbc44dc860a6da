"""Writes one micro-batch to all tables: its own window, the overlap behind it, gold, and the audit rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from pi_datasource.delta import audit, checkpoint, commits, errors_table
from pi_datasource.delta.audit import Run, WriteCounts
from pi_datasource.delta.gold_position import GoldPosition
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import WindowRead
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.tag_discovery import TagDiscovery
from pi_datasource.delta.write import Asked, WindowWriter, Written
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import OVERLAP, STREAM
from pi_datasource.spark.offsets import Position

log = logging.getLogger(__name__)

_INTERRUPTIONS = ("InterruptedException", "InterruptedIOException", "ClosedByInterruptException")
# Spark recognizes by this text that it has stopped the query itself. It searches the text with a regular expression that
# overflows the stack on a whole message with both languages' tracebacks (Spark 4.2.0,
# StreamExecution.isInterruptionException).
_STOPPED = "py4j.protocol.Py4JJavaError: An error occurred while calling a query that is stopped: java.lang.InterruptedException"


class BatchWriter:
    """Writes one micro-batch to all tables; a repeated call for the same batch changes nothing.

    The audit rows come last: a batch without them has not been committed, and Spark replays it. Under Spark Connect a copy
    of this object lives in a worker of the server, so that it holds no session.
    """

    def __init__(
        self,
        options: Options,
        lakehouse: Lakehouse,
        checkpoint_folder: str,
        tags: TagDiscovery,
        last_planned: int,
    ) -> None:
        self.options, self.lakehouse, self.checkpoint, self.tags = options, lakehouse, checkpoint_folder, tags
        self._run = Run(lakehouse.selection(options), options.url)
        self._staging = Staging(lakehouse.staging, self._run.selection)
        self._gold = GoldPosition(lakehouse, self._staging)
        # A batch that was not planned by an earlier run has written nothing yet: there is nothing to look for.
        self._last_planned = last_planned
        self._stream_start: datetime | None = None

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Spark's ``foreachBatch``."""
        began_s, spark = time.monotonic(), batch.sparkSession
        stream = checkpoint.stream_id(spark, self.checkpoint)
        position = checkpoint.planned_position(spark, self.checkpoint, batch_id)
        window = position.window
        if window.start == window.end:
            log.info("micro-batch %d was planned without a window: there is nothing to write", batch_id)
            return
        try:
            self._write(batch, stream, batch_id, position, began_s)
        except Exception as error:  # by its text: each engine has classes of its own
            if any(kind in str(error) for kind in _INTERRUPTIONS):
                log.info("micro-batch %d is interrupted", batch_id, exc_info=True)  # Spark only gets the text
                raise RuntimeError(_STOPPED) from None
            failed = self._run.report(STREAM, stream, batch_id, window, began_s, error=str(error))
            audit.record_failure(spark, self.lakehouse, failed)
            raise

    def _write(
        self, batch: DataFrame, stream: str, batch_id: int, position: Position, began_s: float
    ) -> None:
        spark, window, mark = batch.sparkSession, position.window, f"pi-datasource {stream} {batch_id}"
        repeated = batch_id <= self._last_planned
        self._gold.before(spark)
        # Before events are written: gold looks up in `pi_points` which tags are step tags.
        chosen = self.tags.current(spark, position.points).points
        web_ids = [point.web_id for point in chosen]
        written = self._writer(spark, f"{mark} window").write(batch, Asked(window, web_ids))
        if written.summary.failed:
            errors_table.record(spark, self.lakehouse, written.summary.failures(spark))
        read, reread = self._read_overlap(batch, stream, window, chosen, f"{mark} overlap")
        version = self._gold.refresh(spark, [written, *([] if reread is None else [reread])], web_ids)
        if deleted := written.summary.deleted:
            self.tags.mark_deleted(spark, deleted)

        def attempts(each: Written, part: str) -> commits.MergedRows:
            if not repeated:
                return each.rows
            since = audit.last_version(spark, self.lakehouse, stream, before=batch_id)
            return commits.written(spark, self.lakehouse.bronze, f"{mark} {part}", since)

        counts = WriteCounts(*attempts(written, "window"))
        reports = [
            self._run.report(
                STREAM,
                stream,
                batch_id,
                window,
                began_s,
                counts,
                written.summary.counts,
                bronze_version=version,
            )
        ]
        if read is not None and reread is not None:
            rows = attempts(reread, "overlap")
            late, found = WriteCounts(*rows, late=rows.inserted), read.outcome(reread.summary).counts
            reports.append(
                self._run.report(
                    OVERLAP, stream, batch_id, read.window, began_s, late, found, bronze_version=version
                )
            )
        audit.record(spark, self.lakehouse, reports, may_repeat=repeated)
        self._staging.clear()
        for report in reports:
            log.info("%s", report)

    def _read_overlap(
        self, batch: DataFrame, stream: str, window: Window, chosen: Sequence[Point], mark: str
    ) -> tuple[WindowRead, Written] | tuple[None, None]:
        """Reads the overlap behind ``window`` again and replaces what is stored."""
        overlap = self._overlap(batch.sparkSession, stream, window)
        if overlap is None:
            return None, None
        read = WindowRead(self.options, chosen, overlap)
        return read, read.replace(self._writer(batch.sparkSession, mark), batch.schema)

    def _writer(self, spark: SparkSession, mark: str) -> WindowWriter:
        return WindowWriter(spark, self.lakehouse, self._staging, mark)

    def _overlap(self, spark: SparkSession, stream: str, window: Window) -> Window | None:
        """The window of length ``overlap`` behind ``window``, from the stream's start at the earliest; None if empty."""
        if not self.options.overlap:
            return None
        if self._stream_start is None:
            covered = audit.covered_window(spark, self.lakehouse, stream)
            self._stream_start = window.start if covered is None else covered.start
        start = max(self._stream_start, window.start - self.options.overlap)
        return Window(start, window.start) if start < window.start else None
