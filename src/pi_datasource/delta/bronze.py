"""The bronze table of events: what is stored of a window, and the commits that add to it or change it."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource import schema
from pi_datasource.delta import commits, points, timestamps
from pi_datasource.delta.changes import CHANGE, DELETE, INSERT, KEY, ChangeCounts
from pi_datasource.model import Window
from pi_datasource.schema import STATUS_KINDS

FIXED_COLUMNS = frozenset(schema.timeseries(include_metadata=True).names)


def events(batch: DataFrame) -> DataFrame:
    """The events among the rows of a micro-batch."""
    return batch.where(is_event())


def is_event() -> Column:
    """Whether a row of a micro-batch is an event and not a status row."""
    return ~F.col("value_kind").isin(*STATUS_KINDS)


def latest_version(spark: SparkSession, table: str) -> int:
    """The number of the latest commit of ``table``."""
    newest = commits.history(spark, table, 1).select("version").first()
    assert newest is not None
    return int(newest[0])


def stored_events(spark: SparkSession, table: str, window: Window, as_of: int | None = None) -> DataFrame:
    """The stored events of ``window``, in the version ``as_of`` of the table or in the latest one."""
    reader = spark.read if as_of is None else spark.read.option("versionAsOf", as_of)
    return reader.table(table).where(timestamps.within("timestamp", window))


def stored_of_tags(
    spark: SparkSession, table: str, window: Window, web_ids: Sequence[str], as_of: int | None = None
) -> DataFrame:
    """The stored events of these tags in ``window``, as ``stored_events``.

    Delta skips the files of all other times and, unless the tags are many, of all other tags.
    """
    rows = stored_events(spark, table, window, as_of).where(points.tag_filter(web_ids))
    if len(web_ids) <= points.MAX_TAGS_LISTED:
        return rows
    return rows.join(F.broadcast(points.web_ids(spark, web_ids)), "tag_webid", "left_semi")


def nothing_stored(
    spark: SparkSession, table: str, window: Window, web_ids: Sequence[str]
) -> DataFrame | None:
    """The stored events of these tags in ``window``, as a query that finds none now; None if there are some.

    Usually the statistics of the files say so.
    """
    near = stored_events(spark, table, window).where(points.tag_filter(web_ids))
    if near.isEmpty():
        return near
    stored = stored_of_tags(spark, table, window, web_ids)
    return stored if len(web_ids) > points.MAX_TAGS_LISTED and stored.isEmpty() else None


def apply(spark: SparkSession, table: str, changes: DataFrame, counts: ChangeCounts, mark: str) -> None:
    """Writes the rows of ``changes.diff``, which are staged: inserts, updates and deletes by key.

    The bounds of ``counts`` let Delta skip every file outside them. Deletions are rows of the source and not
    ``NOT MATCHED BY SOURCE``, for which Delta reads the whole table.
    """
    assert counts.first is not None
    assert counts.last is not None
    first, last = timestamps.literal(counts.first), timestamps.literal(counts.last)
    on = [
        f"t.timestamp >= {first} AND t.timestamp <= {last}",
        *commits.same(KEY),
        commits.marking("tag_webid", mark),
    ]
    update, insert = commits.copied(
        [name for name in changes.columns if name != CHANGE], f"s.{CHANGE} = '{INSERT}'"
    )
    # A MERGE that only inserts is a single pass.
    matched = [f"WHEN MATCHED AND s.{CHANGE} = '{DELETE}' THEN DELETE", update]
    clauses = [insert] if counts.updated == counts.deleted == 0 else [*matched, insert]
    commits.retry_conflicts(lambda: commits.merge(spark, table, changes, on, clauses))
