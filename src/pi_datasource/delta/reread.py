"""Reads given points and windows outside the stream, for overlap, backfill and repair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import StructType

from pi_datasource.delta import bronze, errors_table
from pi_datasource.delta.audit import ReadCounts
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import PointFailure, ReadFailed, shown
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from pi_datasource.points.deleted_points import split_deleted
from pi_datasource.schema import DELETED_POINT, READ_FAILURE, READ_METRICS
from pi_datasource.spark import planned_read
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.metrics import RequestMetrics

_SQL_TYPES = {"int": "bigint", "float": "double"}


@dataclass(frozen=True)
class RereadWindow:
    """The events of a window, and the points that could not be read.

    ``since`` is the version of bronze before the server was asked; ``complete`` are the WebIDs of the points without a
    failure.
    """

    since: int
    events: DataFrame
    counts: ReadCounts
    failures: DataFrame
    complete: tuple[str, ...]


@contextmanager
def reread_window(  # noqa: PLR0917 - what is read, and what it will be compared with
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    chosen: Sequence[Point],
    window: Window,
    columns: StructType,
) -> Iterator[RereadWindow]:
    """Reads ``window`` of exactly these points, and keeps the rows persisted within the context.

    Raises:
        ReadFailed: with ``on_error="fail"``, an existing point could not be read; stored events of a deleted point stay.
            At the end of the context: Spark lost rows, for example with an executor, and could not read a point again;
            what was computed meanwhile may lack its events until the window is read the next time.
    """
    since = bronze.latest_version(spark, lakehouse.bronze)
    reporting = options.model_copy(update={"on_error": "report", "report_metrics": True})
    rows = planned_read.rows(spark, options, plan(chosen, window, reporting, window.end), columns).persist()
    try:
        failed = _failed_points(rows)
        unread, deleted = _split_deleted(options, chosen, failed, window)
        if unread and options.on_error == "fail":
            message = f"{len(unread)} tag(s) could not be read in {window}: {shown(unread)}"
            raise ReadFailed(message, tuple(unread))
        failed_ids = {failure.web_id for failure in failed}
        yield RereadWindow(
            since,
            bronze.events(rows),
            count(rows)._replace(failures=len(unread)),
            errors_table.failures(rows).where(~F.col("tag_webid").isin(deleted)),
            tuple(point.web_id for point in chosen if point.web_id not in failed_ids),
        )
        if lost := [failure for failure in _failed_points(rows) if failure.web_id not in failed_ids]:
            what = f"could not be read again in {window}, after Spark lost their rows; run it again"
            message = f"{len(lost)} tag(s) {what}: {shown(lost)}"
            raise ReadFailed(message, tuple(lost))
    finally:
        rows.unpersist()


def count(rows: DataFrame) -> ReadCounts:
    """Counts the events and status rows, and sums the request metrics of the latter."""
    text = F.when(bronze.has_kind(READ_METRICS), F.col("value_string"))
    columns = fields(RequestMetrics)
    metrics = F.from_json(text, ", ".join(f"{each.name} {_SQL_TYPES[str(each.type)]}" for each in columns))
    event = bronze.is_event()
    row = rows.agg(
        F.count_if(event),
        F.count_if(bronze.has_kind(READ_FAILURE)),
        F.count_distinct(F.when(event, F.col("tag_webid"))),
        F.count_if(bronze.has_kind(DELETED_POINT)),
        *(F.coalesce(F.sum(metrics[each.name]), F.lit(0)) for each in columns),
    ).first()
    return ReadCounts(row[0], row[1], row[2], row[3], RequestMetrics(*row[4:])) if row else ReadCounts()


def _failed_points(rows: DataFrame) -> list[PointFailure]:
    details = F.from_json("value_string", "status int, message string, not_found boolean")
    not_found = F.coalesce(details["not_found"], F.lit(False))
    failed = rows.where(bronze.has_kind(READ_FAILURE))
    failed = failed.select("tag_name", "tag_webid", details["status"], details["message"], not_found)
    return [PointFailure(*row) for row in failed.collect()]


def _split_deleted(
    options: Options, chosen: Sequence[Point], failed: Sequence[PointFailure], window: Window
) -> tuple[list[PointFailure], list[str]]:
    """The failures of existing points, and the WebIDs of deleted points."""
    if not failed:
        return [], []
    known = {point.web_id: point for point in chosen}
    pairs = [(known[failure.web_id], failure) for failure in failed]
    with PIClient(options) as api:
        left, deleted = split_deleted(api, pairs, str(window))
    return [failure for _, failure in left], [point.web_id for point in deleted]
