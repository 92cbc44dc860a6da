"""The bronze table of events, written by one repeatable MERGE per micro-batch."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource import schema
from pi_datasource.delta import commits, timestamps
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


def has_kind(kind: str) -> Column:
    """Whether a row of a micro-batch is a status row (or an event) of this ``value_kind``."""
    return F.col("value_kind") == kind


def latest_version(spark: SparkSession, table: str) -> int:
    """The number of the latest commit of ``table``."""
    newest = commits.history(spark, table, 1).select("version").first()
    assert newest is not None
    return int(newest[0])


def stored_events(spark: SparkSession, table: str, window: Window, as_of: int | None = None) -> DataFrame:
    """The stored events of ``window``, in the version ``as_of`` of the table or in the latest one."""
    reader = spark.read if as_of is None else spark.read.option("versionAsOf", as_of)
    return reader.table(table).where(timestamps.within("timestamp", window))


def apply(spark: SparkSession, table: str, changes: DataFrame, counts: ChangeCounts) -> None:
    """Writes the rows of ``changes.diff``: inserts, updates and deletes by key.

    The bounds of ``counts`` let Delta skip every file outside them. Deletions are rows of the source and not
    ``NOT MATCHED BY SOURCE``, for which Delta reads the whole table.
    """
    assert counts.first is not None
    assert counts.last is not None
    first, last = timestamps.literal(counts.first), timestamps.literal(counts.last)
    bounds = f"t.timestamp >= {first} AND t.timestamp <= {last}"
    names = [name for name in changes.columns if name != CHANGE]
    clauses = [
        f"WHEN MATCHED AND s.{CHANGE} = '{DELETE}' THEN DELETE",
        # Not updates: another writer's commit makes Spark recompute `changes`, which may then hold an update outside
        # the bounds, for which MERGE does not look up the stored row.
        *commits.copied(names, f"s.{CHANGE} = '{INSERT}'"),
    ]
    on = [bounds, *commits.same(KEY)]
    commits.retry_conflicts(lambda: commits.merge(spark, table, changes, on, clauses))
