"""A PI stream into the lakehouse, exactly once: Spark's checkpoint says what to read, MERGE makes writing repeatable."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import NamedTuple

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource import client, discover, register
from pi_datasource.delta import bronze, gold, ledger
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.ledger import BatchReport
from pi_datasource.errors import InvalidOption
from pi_datasource.options import Options
from pi_datasource.schema import READ_FAILURE

_COMMIT_MARK = "spark.databricks.delta.commitInfo.userMetadata"


def start(
    spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse, *, every: str | None = None
) -> StreamingQuery:
    """Starts the ingestion and returns its query: up to the server's present time and then done, or ``every`` so often.

    ``every`` is a Spark interval such as ``"15 minutes"``. The same lakehouse, server and selection of tags go on where
    they stand; ``start_time`` counts only for the first run.

    Raises:
        ConfigurationError: an option that cannot be used; nothing has been read or written.
        ServerError: the server cannot be reached or does not let us in; nothing has been written.
    """
    checked = Options.parse(options)
    if checked.columns:
        message = "option 'columns': the tables hold whole events; leave it out"
        raise InvalidOption(message)
    with client.PIClient(
        checked
    ) as api:  # a server that does not let us in shall leave no empty tables behind
        discover.data_servers(api, checked)
    checkpoint = lakehouse.checkpoint(checked)
    rows = _rows(spark, options)
    bronze.prepare(spark, lakehouse, rows)
    gold.prepare(spark, lakehouse, rows)
    ledger.prepare(spark, lakehouse)
    writer = rows.writeStream.queryName("pi_timeseries").option("checkpointLocation", checkpoint)
    writer = writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
    return writer.foreachBatch(BatchWriter(lakehouse, checkpoint)).start()


def _rows(spark: SparkSession, options: Mapping[str, str]) -> DataFrame:
    stream = spark.readStream.format("pi").options(**options)
    try:
        return stream.load()
    except AnalysisException as error:
        if "DATA_SOURCE_NOT_FOUND" not in str(error):
            raise
        register(spark)  # where Spark does not look for installed sources by itself
        return stream.load()


def ingest(spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse) -> list[BatchReport]:
    """Reads all that is new up to the server's present time; returns the reports of this run's micro-batches.

    Raises:
        ConfigurationError: an option that cannot be used.
        StreamingQueryException: the run failed; what it had committed stays, and the next run goes on from there.
    """
    began = datetime.now(timezone.utc)
    query = start(spark, options, lakehouse)
    query.awaitTermination()
    rows = ledger.reports(spark, lakehouse, str(query.id))
    return [row for row in rows if row.created_at >= began]


class _Summary(NamedTuple):
    """What a micro-batch holds; ``first`` and ``last`` are the ends of its events, as UTC text."""

    rows: int
    failures: int
    tags: int
    first: str
    last: str


@dataclass(frozen=True)
class BatchWriter:
    """Writes one micro-batch to all tables; may be called again for the same batch, and then changes nothing.

    The audit row comes last: a batch without one has not been committed and will be replayed.
    """

    lakehouse: Lakehouse
    checkpoint: str

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Spark's ``foreachBatch``."""
        began = time.monotonic()
        spark = batch.sparkSession
        stream = ledger.stream_id(spark, self.checkpoint)
        window = ledger.batch_window(spark, self.checkpoint, batch_id)
        mark = f"pi-datasource {stream} {batch_id}"
        batch.persist()  # without it every action would read the PI server again
        try:
            seen = _summary(batch)
            with _marked(spark, mark):
                self._write(spark, batch, seen)
            inserted, updated = ledger.written(spark, self.lakehouse.bronze, mark) if seen.rows else (0, 0)
        finally:
            batch.unpersist()
        now = datetime.now(timezone.utc)
        report = BatchReport(
            stream_id=stream,
            batch_id=batch_id,
            window_start=window.start,
            window_end=window.end,
            tags=seen.tags,
            rows_read=seen.rows,
            rows_inserted=inserted,
            rows_updated=updated,
            read_failures=seen.failures,
            seconds=time.monotonic() - began,
            lag_seconds=(now - window.end).total_seconds(),
            created_at=now,
        )
        ledger.record(spark, self.lakehouse, report)

    def _write(self, spark: SparkSession, batch: DataFrame, seen: _Summary) -> None:
        if seen.rows:
            new = bronze.events(batch)
            bronze.merge_events(spark, self.lakehouse.bronze, new, seen.first, seen.last)
            gold.refresh(spark, self.lakehouse, new)
        if seen.failures:
            bronze.merge_failures(spark, self.lakehouse.errors, bronze.failures(batch))


def _summary(batch: DataFrame) -> _Summary:
    event = F.col("value_kind") != READ_FAILURE
    utc = "date_format(to_utc_timestamp({}, current_timezone()), \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'\")"
    row = (
        batch.agg(
            F.count_if(event).alias("rows"),
            F.count_if(~event).alias("failures"),
            F.count_distinct(F.when(event, F.col("tag_webid"))).alias("tags"),
            F.min(F.when(event, F.col("timestamp"))).alias("first_at"),
            F.max(F.when(event, F.col("timestamp"))).alias("last_at"),
        )
        .select("rows", "failures", "tags", F.expr(utc.format("first_at")), F.expr(utc.format("last_at")))
        .first()
    )
    return _Summary(*row) if row else _Summary(0, 0, 0, "", "")


@contextmanager
def _marked(spark: SparkSession, mark: str) -> Iterator[None]:
    """Delta notes ``mark`` in the commits made within, so that a replay can find what an earlier attempt wrote."""
    spark.conf.set(_COMMIT_MARK, mark)
    try:
        yield
    finally:
        spark.conf.unset(_COMMIT_MARK)
