"""Starts and follows an exactly-once ingestion: Spark's checkpoint plans the reads, and writes can be repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from pi_datasource.delta import audit, background, lease, points, schema_setup
from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.batch import BatchWriter
from pi_datasource.delta.checkpoint import clear_unplanned, last_planned_batch
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.maintenance import check_intervals
from pi_datasource.delta.points import Discovery
from pi_datasource.delta.query import RunningQuery
from pi_datasource.delta.tag_discovery import TagDiscovery
from pi_datasource.errors import InvalidOption, OffsetError, StreamInUse
from pi_datasource.options.declaration import Options
from pi_datasource.spark import loading
from pi_datasource.spark.stream_reader import window_of


@dataclass(frozen=True)
class Progress:
    """One finished micro-batch: it ended at ``read_until``; ``latest`` was the latest time that could be read then."""

    batch_id: int
    read_from: datetime
    read_until: datetime
    latest: datetime


def start(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    every: str | None = None,
    optimize_every: timedelta | None = None,
    keep_versions: timedelta | None = None,
) -> RunningQuery:
    """Starts the ingestion and returns its query, which ends at the server's present time or repeats at ``every``.

    ``every`` is a Spark interval such as ``"15 minutes"``. A later start with the same lakehouse, server and selection of
    tags continues where the last one stopped; ``start_time`` counts only for the first one.

    With ``every``, a background thread fills the history of new tags (``new_tags="backfill"``) and, with
    ``optimize_every``, maintains the tables as ``maintain`` does. It ends with the query; failures in it are logged as
    warnings and retried a minute later. Without ``every``, ``ingest`` does both after the run.

    Raises:
        ConfigurationError: an option, argument or session is invalid; nothing has been read or written.
        ServerError: the server cannot be reached or denies access; nothing has been written.
        StreamInUse: the same server and tags are being ingested, by this process or another one.
    """
    check_intervals(optimize_every, keep_versions)
    if optimize_every is not None and every is None:
        message = "optimize_every: start() maintains the tables of a run that is repeated; give 'every' too, or use ingest()"
        raise InvalidOption(message)
    checked = Options.parse(options)
    query, _ = _start(spark, options, lakehouse, every)
    if every is not None:
        background.run(
            spark, checked, lakehouse, query, optimize_every=optimize_every, keep=keep_versions, beside=True
        )
    return query


def _start(
    spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse, every: str | None
) -> tuple[RunningQuery, Lease]:
    """Starts the query, and holds the lease of its stream until it ends."""
    checked = Options.parse(options)
    schema_setup.read_columns(checked)
    schema_setup.check_session(spark)
    _check_query_name(spark, lakehouse.stream_name(checked))
    found = points.discover(checked)  # a server that denies access must not leave empty tables behind
    held = lease.acquire(spark, lakehouse, lakehouse.selection(checked))
    try:
        given = {**Options.by_name(options), "report_metrics": "true"}
        stream = loading.load(spark, spark.readStream.format("pi").options(**given))
        writer = _prepare_query(stream, checked, lakehouse, found, held)
        writer = writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
        query = writer.start()
    except BaseException:
        held.release()
        raise
    held.release_after(query)
    return query, held


def _prepare_query(
    stream: DataFrame, options: Options, lakehouse: Lakehouse, found: Discovery, held: Lease
) -> DataStreamWriter:
    spark, checkpoint = stream.sparkSession, lakehouse.checkpoint(options)
    schema_setup.prepare(spark, lakehouse, options)
    tags = TagDiscovery(options, lakehouse)
    tags.record(spark, found)
    clear_unplanned(checkpoint)
    writer = stream.writeStream.queryName(lakehouse.stream_name(options))
    writer = writer.option("checkpointLocation", checkpoint)
    # The engine may run it in another process, where it must find all that it needs in its state.
    write = BatchWriter(options, lakehouse, checkpoint, tags, last_planned_batch(spark, checkpoint))
    return writer.foreachBatch(held.guard(write))


def _check_query_name(spark: SparkSession, name: str) -> None:
    """Fails where Spark would refuse the name, but before anything is written."""
    if any(query.name == name for query in spark.streams.active):
        message = (
            f"this Spark session has an active query called {name!r}, and runs no second one of that name: wait for it to "
            "end, or stop it"
        )
        raise StreamInUse(message)


def ingest(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    optimize_every: timedelta | None = None,
    keep_versions: timedelta | None = None,
) -> list[BatchReport]:
    """Reads everything new up to the server's present time; returns the reports of this run's micro-batches.

    Afterwards it fills the history of new tags (``new_tags="backfill"``) and, with ``optimize_every``, maintains the
    tables as ``maintain`` does.

    Raises:
        ConfigurationError: an option or argument is invalid.
        StreamingQueryException: the run failed; committed micro-batches stay, and the next run continues after them.
    """
    began = datetime.now(timezone.utc)
    check_intervals(optimize_every, keep_versions)
    query, held = _start(spark, options, lakehouse, every=None)
    try:
        query.awaitTermination()
        held.check()
    finally:
        if not query.isActive:  # an interrupted wait ends no query
            held.release()
    checked = Options.parse(options)
    background.run(
        spark, checked, lakehouse, query, optimize_every=optimize_every, keep=keep_versions, beside=False
    )
    return audit.reports(spark, lakehouse, str(query.id), since=began)


def follow(query: RunningQuery, poll_s: float = 0.3) -> Iterator[Progress | None]:
    """Yields each finished micro-batch once, and None for every poll in between, until the query ends.

    Raises:
        StreamingQueryException: the query failed.
    """
    shown = -1
    while query.isActive:
        current = _parse(query.lastProgress)
        if current is not None and current.batch_id != shown:
            shown = current.batch_id
            yield current
        else:
            yield None
        time.sleep(poll_s)
    query.awaitTermination()
    last = _parse(query.lastProgress)
    if last is not None and last.batch_id != shown:
        yield last


def _parse(report: Any) -> Progress | None:
    if report is None:
        return None
    source = report["sources"][0]
    try:
        offsets = (source[name] for name in ("endOffset", "latestOffset"))
        parsed = (json.loads(offset) if isinstance(offset, str) else offset for offset in offsets)
        window, newest = map(window_of, parsed)
    except (OffsetError, ValueError):
        return None  # Spark before 4.2 reports no latest offset
    return Progress(report["batchId"], window.start, window.end, newest.end)
