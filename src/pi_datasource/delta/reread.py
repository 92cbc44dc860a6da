"""Chosen points and windows read beside the stream: what overlap, backfill and repair have in common."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import StructType

from pi_datasource.delta import bronze, points
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import PointFailure, ReadFailed, shown
from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from pi_datasource.points.deleted_points import split_deleted
from pi_datasource.schema import READ_METRICS
from pi_datasource.spark.partitions import arrow_schema, read_partition
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.metrics import RequestMetrics

_SQL_TYPES = {"int": "bigint", "float": "double"}


@dataclass(frozen=True)
class Read:
    """What was read of a window: its events, the tags (``tag_webid``) that were read whole, and what could not be.

    ``since`` is the version that bronze had before the server was asked, ``asked`` the WebIds that it was asked for.
    """

    since: int
    events: DataFrame
    rows: int
    whole: DataFrame
    failures: DataFrame
    failed: int
    metrics: RequestMetrics
    asked: tuple[str, ...]


@contextmanager
def window_read(  # noqa: PLR0917 - what is read, and what it will be compared with
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    chosen: Sequence[Point],
    window: Window,
    columns: StructType,
) -> Iterator[Read]:
    """Reads ``window`` of exactly these points, and holds it for as long as the context lasts.

    Raises:
        ReadFailed: with ``on_error="fail"``, a point could not be read although it exists; what is stored of one that is
            gone stays. At the end of the context: Spark has lost what was read, as with an executor, and could not read
            a point again; what was made of it meanwhile may lack its events, until the window is read the next time.
    """
    since = bronze.version(spark, lakehouse.bronze)
    reporting = options.model_copy(update={"on_error": "report", "report_metrics": True})
    rows = _rows(spark, options, plan(chosen, window, reporting, window.end), columns).persist()
    try:
        failures = bronze.failures(rows)
        failed = _status_rows(rows)
        unread, gone = _apart(options, chosen, failed, window)
        if unread and options.on_error == "fail":
            message = f"{len(unread)} tag(s) could not be read in {window}: {shown(unread)}"
            raise ReadFailed(message, tuple(unread))
        events = bronze.events(rows)
        incomplete = {failure.web_id for failure in failed}
        whole = points.web_ids(spark, [point for point in chosen if point.web_id not in incomplete])
        recorded = failures.where(~F.col("tag_webid").isin(gone))
        counts = rows.agg(F.count_if(bronze.is_event()), *effort_columns()).first()
        assert counts is not None
        asked = tuple(point.web_id for point in chosen)
        yield Read(since, events, counts[0], whole, recorded, len(unread), RequestMetrics(*counts[1:]), asked)
        if lost := [failure for failure in _status_rows(rows) if failure.web_id not in incomplete]:
            what = f"could not be read again in {window}, which Spark had lost; run it again"
            message = f"{len(lost)} tag(s) {what}: {shown(lost)}"
            raise ReadFailed(message, tuple(lost))
    finally:
        rows.unpersist()


def effort_columns() -> list[Column]:
    """Sums over the rows that tell what reading has cost, in the order of ``RequestMetrics``."""
    text = F.when(F.col("value_kind") == READ_METRICS, F.col("value_string"))
    columns = fields(RequestMetrics)
    told = F.from_json(text, ", ".join(f"{each.name} {_SQL_TYPES[str(each.type)]}" for each in columns))
    return [F.coalesce(F.sum(told[each.name]), F.lit(0)).alias(each.name) for each in columns]


def _rows(spark: SparkSession, options: Options, tasks: Sequence[ReadTask], columns: StructType) -> DataFrame:
    """The rows of ``tasks``, one Spark task each; unlike ``spark.read``, exactly these points are asked for."""
    if not tasks:
        return spark.createDataFrame([], columns)
    packed = spark.createDataFrame([(pickle.dumps(task),) for task in tasks], "task binary")
    # Dealt out in turn from one partition, so that no two tasks share one while another stands empty.
    dealt = packed.coalesce(1).repartition(len(tasks))
    return dealt.mapInArrow(_reader(secrets.looked_up(options), arrow_schema(columns)), columns)


def _reader(
    options: Options, schema: pa.Schema
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield from read_partition(options, schema, pickle.loads(task))

    return read


def _status_rows(rows: DataFrame) -> list[PointFailure]:
    return [PointFailure(*row) for row in bronze.failed_points(rows).collect()]


def _apart(
    options: Options, chosen: Sequence[Point], failed: Sequence[PointFailure], window: Window
) -> tuple[list[PointFailure], list[str]]:
    """Failures of points that are there, and the WebIds of those that are gone."""
    if not failed:
        return [], []
    known = {point.web_id: point for point in chosen}
    with PIClient(options) as api:
        left, gone = split_deleted(api, [(known[failure.web_id], failure) for failure in failed], str(window))
    return [failure for _, failure in left], [point.web_id for point in gone]
