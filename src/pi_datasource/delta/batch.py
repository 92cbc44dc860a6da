"""One micro-batch into all tables: its own window, the overlap behind it, and one audit row."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import audit, bronze
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import effort_columns, window_read
from pi_datasource.delta.tag_discovery import Tags
from pi_datasource.delta.write import Reading, write
from pi_datasource.errors import OffsetError
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import DELETED_POINT, READ_FAILURE, READ_METRICS
from pi_datasource.spark import offsets
from pi_datasource.spark.offsets import Position
from pi_datasource.webapi.metrics import NONE, RequestMetrics

log = logging.getLogger(__name__)

_INTERRUPTIONS = ("InterruptedException", "InterruptedIOException", "ClosedByInterruptException")
# By this text Spark knows that it has stopped the query itself. In the whole one, with both languages' stacks, it looks for
# it by an expression that overflows the thread's own stack (Spark 4.2.0, StreamExecution.isInterruptionException).
_STOPPED = "py4j.protocol.Py4JJavaError: An error occurred while calling a query that is stopped: java.lang.InterruptedException"


class _Counts(NamedTuple):
    """What a window holds, and what reading it has cost."""

    rows: int = 0
    failures: int = 0
    tags: int = 0
    gone: int = 0
    metrics: RequestMetrics = NONE


class BatchWriter:
    """Writes one micro-batch to all tables; may be called again for the same batch, and then changes nothing.

    The audit row comes last: a batch without one has not been committed and will be replayed.
    """

    def __init__(self, options: Options, lakehouse: Lakehouse, checkpoint: str, tags: Tags) -> None:
        self.options, self.lakehouse, self.checkpoint, self.tags = options, lakehouse, checkpoint, tags
        # A batch that no run has begun cannot have left anything behind: nothing has to be looked for.
        self._begun = audit.last_begun(checkpoint)
        self._stream_start: datetime | None = None

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Spark's ``foreachBatch``."""
        try:
            self._write(batch, batch_id)
        except Py4JJavaError as error:
            if any(kind in str(error) for kind in _INTERRUPTIONS):
                log.info("a micro-batch is cut short", exc_info=True)  # Spark gets no more than it looks for
                raise RuntimeError(_STOPPED) from None
            raise

    def _write(self, batch: DataFrame, batch_id: int) -> None:
        began = time.monotonic()
        spark = batch.sparkSession
        stream = audit.stream_id(spark, self.checkpoint)
        may_repeat = self._begun is None or batch_id <= self._begun
        # Before the server is asked.
        since = bronze.version(spark, self.lakehouse.bronze) if self.options.overlap else None
        batch.persist()  # without it every action would read the PI server again
        try:
            position = _position(batch)
            if position is None:
                log.info("micro-batch %d was planned without a window: there is nothing to write", batch_id)
                return
            window = position.window
            # Before anything is written: gold looks up in `pi_points` how a tag's curve runs.
            chosen = self.tags.current(spark, position.points).points
            overlap = self._overlap(spark, stream, window)
            with self._with_overlap(spark, batch, window, overlap, chosen, since) as (found, again):
                mark = f"pi-datasource {stream} {batch_id}"
                done = write(spark, self.lakehouse, found, mark, may_repeat=may_repeat)
            # Not before: what Spark lost meanwhile, as with an executor, it has read anew, and other tags may have failed.
            seen = _counts(batch)
            if seen.failures:
                bronze.merge_failures(spark, self.lakehouse.errors, bronze.failures(batch))
            if seen.gone:
                self.tags.end(
                    spark, [row["tag_webid"] for row in batch.where(_kind(DELETED_POINT)).collect()]
                )
        finally:
            batch.unpersist()
        failed = seen.failures + again.failures
        report = audit.report_of(
            stream,
            batch_id,
            window,
            began,
            done,
            tags=seen.tags,
            read=seen.rows,
            reread=again.rows,
            failed=failed,
            metrics=seen.metrics + again.metrics,
        )
        audit.record(spark, self.lakehouse, report, may_repeat=may_repeat)
        log.info("%s", report)
        self._begun = batch_id

    def _overlap(self, spark: SparkSession, stream: str, window: Window) -> Window | None:
        """What lies ``overlap`` behind the window, but not before the stream's start; None if there is nothing."""
        if not self.options.overlap:
            return None
        if self._stream_start is None:
            recorded = audit.reach(spark, self.lakehouse, stream)
            self._stream_start = window.start if recorded is None else recorded.start
        start = max(self._stream_start, window.start - self.options.overlap)
        return Window(start, window.start) if start < window.start else None

    @contextmanager
    def _with_overlap(  # noqa: PLR0917 - what is read, and what it will be compared with
        self,
        spark: SparkSession,
        batch: DataFrame,
        window: Window,
        overlap: Window | None,
        chosen: Sequence[Point],
        since: int | None,
    ) -> Iterator[tuple[Reading, _Counts]]:
        """The events of the micro-batch and, as they are now, those of the overlap."""
        events = bronze.events(batch)
        if overlap is None:
            yield Reading(events, window, window.start), _Counts()
            return
        with window_read(spark, self.options, self.lakehouse, chosen, overlap, batch.schema) as again:
            if again.failed:
                bronze.merge_failures(spark, self.lakehouse.errors, again.failures)
            whole = Window(overlap.start, window.end)
            both = events.union(again.events)
            found = Reading(both, whole, window.start, overlap, again.whole, since)
            yield found, _Counts(again.rows, again.failed, metrics=again.metrics)


def _counts(batch: DataFrame) -> _Counts:
    event = bronze.is_event()
    row = batch.agg(
        F.count_if(event),
        F.count_if(_kind(READ_FAILURE)),
        F.count_distinct(F.when(event, F.col("tag_webid"))),
        F.count_if(_kind(DELETED_POINT)),
        *effort_columns(),
    ).first()
    return _Counts(row[0], row[1], row[2], row[3], RequestMetrics(*row[4:])) if row else _Counts()


def _position(batch: DataFrame) -> Position | None:
    """Where the micro-batch ends, which its rows say; None if it has none.

    Raises:
        OffsetError: its rows do not say it, or not all the same.
    """
    told = batch.where(_kind(READ_METRICS)).select("value_string").collect()
    ends = {json.dumps(json.loads(row[0])["offset"]): None for row in told}
    if len(ends) == 1:
        return offsets.parse(json.loads(next(iter(ends))))
    if not ends and batch.isEmpty():
        return None
    message = f"the rows of a micro-batch tell {len(ends)} offsets at which it ends, and not one: nothing of it is written"
    raise OffsetError(message)


def _kind(kind: str) -> Column:
    return F.col("value_kind") == kind
