"""Chosen points and windows read beside the stream: what overlap, backfill and repair have in common."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import StructType

from pi_datasource import secrets
from pi_datasource.delta import bronze, points
from pi_datasource.effort import Effort
from pi_datasource.errors import SHOWN_FAILURES, PointFailure, ReadFailed
from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options import Options
from pi_datasource.plan import plan
from pi_datasource.schema import READ_EFFORT
from pi_datasource.sparkio import arrow_schema, read_partition

GONE = (404, 410)  # a tag that was deleted after it was discovered; what is stored of it stays
_SQL_TYPES = {"int": "bigint", "float": "double"}


@dataclass(frozen=True)
class Read:
    """What was read of a window: its events, the tags (``tag_webid``) that were read whole, and what could not be."""

    events: DataFrame
    rows: int
    whole: DataFrame
    failures: DataFrame
    failed: int
    effort: Effort


@contextmanager
def window_read(
    spark: SparkSession, options: Options, chosen: Sequence[Point], window: Window, columns: StructType
) -> Iterator[Read]:
    """Reads ``window`` of exactly these points, and holds it for as long as the context lasts.

    Raises:
        ReadFailed: with ``on_error="fail"``, a point could not be read although it exists. At the end of the context:
            Spark has lost what was read, as with an executor, and could not read a point again; what was made of it
            meanwhile may lack its events, until the window is read the next time.
    """
    reporting = options.model_copy(update={"on_error": "report", "report_effort": True})
    rows = _rows(spark, options, plan(chosen, window, reporting, window.end), columns).persist()
    try:
        failures = bronze.failures(rows)
        failed = _told(failures)
        unread = [row for row in failed if row["status"] not in GONE]
        if unread and options.on_error == "fail":
            what = f"could not be read in {window}"
            raise _read_failed(what, unread)
        events = bronze.events(rows)
        incomplete = {row["tag_webid"] for row in failed}
        whole = points.web_ids(spark, [point for point in chosen if point.web_id not in incomplete])
        # The status of some failures is unknown, and they are no less failures.
        recorded = failures.where(~F.coalesce(F.col("status").isin(*GONE), F.lit(False)))
        counts = rows.agg(F.count_if(bronze.is_event()), *effort_columns()).first()
        assert counts is not None
        yield Read(events, counts[0], whole, recorded, len(unread), Effort(*counts[1:]))
        if lost := [row for row in _told(failures) if row["tag_webid"] not in incomplete]:
            what = f"could not be read again in {window}, which Spark had lost; run it again"
            raise _read_failed(what, lost)
    finally:
        rows.unpersist()


def effort_columns() -> list[Column]:
    """Sums over the rows that tell what reading has cost, in the order of ``Effort``."""
    text = F.when(F.col("value_kind") == READ_EFFORT, F.col("value_string"))
    columns = fields(Effort)
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


def _told(failures: DataFrame) -> list[Row]:
    return failures.select("tag_webid", "tag_name", "status", "message").collect()


def _read_failed(what: str, rows: Sequence[Row]) -> ReadFailed:
    failures = tuple(
        PointFailure(row["tag_name"], row["tag_webid"], row["status"], row["message"]) for row in rows
    )
    shown = "; ".join(str(failure) for failure in failures[:SHOWN_FAILURES])
    more = f"; and {len(failures) - SHOWN_FAILURES} more" if len(failures) > SHOWN_FAILURES else ""
    return ReadFailed(f"{len(failures)} tag(s) {what}: {shown}{more}", failures)
