"""A PI stream into the lakehouse, exactly once: Spark's checkpoint says what to read, MERGE makes writing repeatable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource import register
from pi_datasource.delta import audit, background, points, schema_setup
from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.batch import BatchWriter
from pi_datasource.delta.checkpoint import clear_unplanned
from pi_datasource.delta.history import fill_new_tags
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.maintenance import upkeep
from pi_datasource.delta.points import Discovery
from pi_datasource.delta.tag_discovery import Tags
from pi_datasource.errors import InvalidOption, StreamInUse
from pi_datasource.options.declaration import Options, by_name


def start(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    every: str | None = None,
    optimize_every: timedelta | None = None,
    keep_versions: timedelta | None = None,
) -> StreamingQuery:
    """Starts the ingestion and returns its query: up to the server's present time and then done, or ``every`` so often.

    ``every`` is a Spark interval such as ``"15 minutes"``. The same lakehouse, server and selection of tags go on where
    they stand; ``start_time`` counts only for the first run.

    With ``every``, a thread beside the query fills the history of new tags (``new_tags="backfill"``) and maintains the
    tables as ``upkeep`` does, if ``optimize_every`` is given. It ends with the query; what fails in it is logged as a
    warning and tried again a minute later. Without ``every``, ``ingest`` does both after the run.

    Raises:
        ConfigurationError: an option, argument or session that cannot be used; nothing has been read or written.
        ServerError: the server cannot be reached or does not let us in; nothing has been written.
        StreamInUse: the same server and tags are being ingested, by this process or another one.
    """
    checked = Options.parse(options)
    schema_setup.columns_of(checked)
    check_maintenance(optimize_every, keep_versions)
    if optimize_every is not None and every is None:
        message = "optimize_every: start() maintains the tables of a run that is repeated; give 'every' too, or use ingest()"
        raise InvalidOption(message)
    schema_setup.check_session(spark)
    _check_name(spark, lakehouse.stream_name(checked))
    found = points.look(checked)  # a server that does not let us in shall leave no empty tables behind
    checkpoint = lakehouse.checkpoint(checked)
    lease = Lease.take(checkpoint)
    try:
        query = _started(spark, options, lakehouse, found, every)
    except BaseException:
        lease.release()
        raise
    lease.keep_until(query)
    if every is not None:
        background.run_beside(
            spark, checked, lakehouse, query, optimize_every=optimize_every, keep=keep_versions
        )
    return query


def _started(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    found: Discovery,
    every: str | None,
) -> StreamingQuery:
    checked = Options.parse(options)
    checkpoint = lakehouse.checkpoint(checked)
    rows = _rows(spark, {**by_name(options), "report_metrics": "true"})
    schema_setup.prepare(spark, lakehouse, checked)
    tags = Tags(checked, lakehouse)
    tags.note(spark, found)
    clear_unplanned(checkpoint)
    writer = rows.writeStream.queryName(lakehouse.stream_name(checked)).option(
        "checkpointLocation", checkpoint
    )
    writer = writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
    return writer.foreachBatch(BatchWriter(checked, lakehouse, checkpoint, tags)).start()


def _check_name(spark: SparkSession, name: str) -> None:
    """Fails if Spark would refuse the name, but before anything is written."""
    if any(query.name == name for query in spark.streams.active):
        message = (
            f"this Spark session has an active query called {name!r}, and runs no second one of that name: wait for it to "
            "end, or stop it"
        )
        raise StreamInUse(message)


def _rows(spark: SparkSession, options: Mapping[str, str]) -> DataFrame:
    stream = spark.readStream.format("pi").options(**options)
    try:
        return stream.load()
    except AnalysisException as error:
        if "DATA_SOURCE_NOT_FOUND" not in str(error):
            raise
        register(spark)  # where Spark does not look for installed sources by itself
        return stream.load()


def ingest(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    optimize_every: timedelta | None = None,
    keep_versions: timedelta | None = None,
) -> list[BatchReport]:
    """Reads all that is new up to the server's present time; returns the reports of this run's micro-batches.

    Afterwards the history of new tags is filled (``new_tags="backfill"``), and with ``optimize_every`` the tables are
    maintained as ``upkeep`` does.

    Raises:
        ConfigurationError: an option or argument that cannot be used.
        StreamingQueryException: the run failed; what it had committed stays, and the next run goes on from there.
    """
    began = datetime.now(timezone.utc)
    check_maintenance(optimize_every, keep_versions)
    query = start(spark, options, lakehouse)
    query.awaitTermination()
    finish(spark, Options.parse(options), lakehouse, query, optimize_every=optimize_every, keep=keep_versions)
    return audit.reports(spark, lakehouse, str(query.id), since=began)


def finish(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    query: StreamingQuery,
    *,
    optimize_every: timedelta | None,
    keep: timedelta | None,
) -> None:
    """What a single run does after its micro-batches: the history of new tags, and maintenance of the tables."""
    if options.new_tags == "backfill":
        fill_new_tags(spark, options, lakehouse, str(query.id))
    if optimize_every is not None:
        upkeep(spark, lakehouse, optimize_every=optimize_every, keep=keep)


def check_maintenance(optimize_every: timedelta | None, keep_versions: timedelta | None) -> None:
    """Raises InvalidOption for spans that maintenance cannot use."""
    if keep_versions is not None and optimize_every is None:
        message = (
            "keep_versions: old files are deleted when the tables are optimized; give 'optimize_every' too"
        )
        raise InvalidOption(message)
    if optimize_every is not None and optimize_every <= timedelta(0):
        message = "optimize_every: must be longer than 0s"
        raise InvalidOption(message)
