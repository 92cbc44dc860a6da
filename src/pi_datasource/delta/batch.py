"""Writes one micro-batch to all tables: its own window, the overlap behind it, and one audit row."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from pi_datasource.delta import audit, bronze, checkpoint, errors_table
from pi_datasource.delta.audit import ReadCounts
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import count, reread_window
from pi_datasource.delta.tag_discovery import TagDiscovery
from pi_datasource.delta.write import WindowEvents, write
from pi_datasource.errors import OffsetError
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import DELETED_POINT, READ_METRICS
from pi_datasource.spark import offsets
from pi_datasource.spark.offsets import Position

log = logging.getLogger(__name__)

_INTERRUPTIONS = ("InterruptedException", "InterruptedIOException", "ClosedByInterruptException")
# Spark recognizes by this text that it has stopped the query itself. It searches the text with a regular expression that
# overflows the stack on a whole message with both languages' tracebacks (Spark 4.2.0,
# StreamExecution.isInterruptionException).
_STOPPED = "py4j.protocol.Py4JJavaError: An error occurred while calling a query that is stopped: java.lang.InterruptedException"


class BatchWriter:
    """Writes one micro-batch to all tables; a repeated call for the same batch changes nothing.

    The audit row comes last: a batch without one has not been committed, and Spark replays it.
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
        # A batch that was not planned by an earlier run has written nothing yet: there is nothing to look for.
        self._last_planned = last_planned
        self._stream_start: datetime | None = None

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Spark's ``foreachBatch``."""
        try:
            self._write(batch, batch_id)
        except Exception as error:  # by its text: each engine has classes of its own
            if any(kind in str(error) for kind in _INTERRUPTIONS):
                log.info("micro-batch %d is interrupted", batch_id, exc_info=True)  # Spark only gets the text
                raise RuntimeError(_STOPPED) from None
            raise

    def _write(self, batch: DataFrame, batch_id: int) -> None:
        began_s = time.monotonic()
        spark = batch.sparkSession
        stream = checkpoint.stream_id(spark, self.checkpoint)
        may_repeat = batch_id <= self._last_planned
        # Before the server is asked.
        since = bronze.latest_version(spark, self.lakehouse.bronze) if self.options.overlap else None
        batch.persist()  # without it, every action would read the PI server again
        try:
            position = _end_position(batch)
            if position is None:
                log.info("micro-batch %d was planned without a window: there is nothing to write", batch_id)
                return
            window = position.window
            # Before events are written: gold looks up in `pi_points` which tags are step tags.
            chosen = self.tags.current(spark, position.points).points
            with self._with_overlap(batch, stream, window, chosen, since) as (found, reread):
                mark = f"pi-datasource {stream} {batch_id}"
                written = write(spark, self.lakehouse, found, mark, may_repeat=may_repeat)
            # Not earlier: rows that Spark lost meanwhile, for example with an executor, were read again, and other tags may
            # have failed then.
            seen = count(batch)
            if seen.failures:
                errors_table.record(spark, self.lakehouse, errors_table.failures(batch))
            if seen.deleted:
                rows = batch.where(bronze.has_kind(DELETED_POINT)).collect()
                self.tags.mark_deleted(spark, [row["tag_webid"] for row in rows])
        finally:
            batch.unpersist()
        report = audit.build_report(stream, batch_id, window, began_s, written, seen, reread)
        audit.record(spark, self.lakehouse, report, may_repeat=may_repeat)
        log.info("%s", report)
        self._last_planned = batch_id

    def _overlap(self, spark: SparkSession, stream: str, window: Window) -> Window | None:
        """The window of length ``overlap`` behind ``window``, from the stream's start at the earliest; None if empty."""
        if not self.options.overlap:
            return None
        if self._stream_start is None:
            covered = audit.covered_window(spark, self.lakehouse, stream)
            self._stream_start = window.start if covered is None else covered.start
        start = max(self._stream_start, window.start - self.options.overlap)
        return Window(start, window.start) if start < window.start else None

    @contextmanager
    def _with_overlap(
        self, batch: DataFrame, stream: str, window: Window, chosen: Sequence[Point], since: int | None
    ) -> Iterator[tuple[WindowEvents, ReadCounts]]:
        """The events of the micro-batch together with the present events of the overlap, and the counts of the latter."""
        spark, events = batch.sparkSession, bronze.events(batch)
        overlap = self._overlap(spark, stream, window)
        if overlap is None:
            yield WindowEvents(events, window, window.start), ReadCounts()
            return
        with reread_window(spark, self.options, self.lakehouse, chosen, overlap, batch.schema) as read:
            if read.counts.failures:
                errors_table.record(spark, self.lakehouse, read.failures)
            both = Window(overlap.start, window.end)
            events = events.union(read.events)
            yield WindowEvents(events, both, window.start, overlap, read.complete, since), read.counts


def _end_position(batch: DataFrame) -> Position | None:
    """The offset at which the micro-batch ends, from its status rows; None if it has no rows.

    Raises:
        OffsetError: the status rows are missing, or hold different offsets.
    """
    rows = batch.where(bronze.has_kind(READ_METRICS)).select("value_string").collect()
    ends = {json.dumps(json.loads(row[0])["offset"]): None for row in rows}
    if len(ends) == 1:
        return offsets.parse(json.loads(next(iter(ends))))
    if not ends and batch.isEmpty():
        return None
    message = (
        f"the rows of a micro-batch hold {len(ends)} end offsets instead of one: nothing of it is written"
    )
    raise OffsetError(message)
