"""Events into the bronze table: one MERGE per micro-batch, the same however often the batch is replayed."""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource import schema
from pi_datasource.delta import timestamps
from pi_datasource.delta.changes import CHANGE, DELETE, INSERT, KEY, LINEAGE, Counts
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window
from pi_datasource.schema import READ_FAILURE, STATUS_KINDS

_ERROR_KEY = ("tag_webid", "window_start", "window_end")
FIXED_COLUMNS = frozenset(schema.timeseries(include_metadata=True).names)


def prepare(spark: SparkSession, lakehouse: Lakehouse, events: DataFrame) -> None:
    """Makes sure that the tables of events and of read failures exist and have all columns of ``events``."""
    lakehouse.table(spark, lakehouse.bronze, events.schema, cluster_by=("timestamp", "tag_webid"))
    lakehouse.table(
        spark, lakehouse.errors, failures(events).schema, cluster_by=("window_start", "tag_webid")
    )


def events(batch: DataFrame) -> DataFrame:
    """The events among the rows of a micro-batch."""
    return batch.where(is_event())


def is_event() -> Column:
    """Whether a row of a micro-batch is an event, and does not tell of the read itself."""
    return ~F.col("value_kind").isin(*STATUS_KINDS)


def failures(batch: DataFrame) -> DataFrame:
    """One row per point and window that could not be read."""
    told = F.from_json("value_string", "window_end string, status int, message string")
    return batch.where(F.col("value_kind") == READ_FAILURE).select(
        "tag_webid",
        "tag_name",
        F.col("timestamp").alias("window_start"),
        told["window_end"].cast(timestamps.TYPE).alias("window_end"),
        told["status"].alias("status"),
        told["message"].alias("message"),
        F.lit(None).cast(timestamps.TYPE).alias("repaired_at"),
        F.lit(None).cast(timestamps.TYPE).alias("dismissed_at"),
        F.lit(None).cast("string").alias("dismissed_reason"),
        F.col(LINEAGE),
    )


def failed_points(batch: DataFrame) -> DataFrame:
    """The fields of ``PointFailure`` for each point that could not be read."""
    told = F.from_json("value_string", "status int, message string, not_found boolean")
    not_found = F.coalesce(told["not_found"], F.lit(False)).alias("not_found")
    return batch.where(F.col("value_kind") == READ_FAILURE).select(
        "tag_name", "tag_webid", told["status"], told["message"], not_found
    )


def version(spark: SparkSession, table: str) -> int:
    """The newest version of a table."""
    newest = DeltaTable.forName(spark, table).history(1).select("version").first()
    assert newest is not None
    return int(newest[0])


def between(spark: SparkSession, table: str, window: Window, as_of: int | None = None) -> DataFrame:
    """The stored events of ``window``, in the version ``as_of`` if one is given, else in the newest.

    Plain bounds let Delta skip the files of all other times.
    """
    rows = spark.read if as_of is None else spark.read.option("versionAsOf", as_of)
    stamp = F.col("timestamp")
    return rows.table(table).where(
        (stamp >= timestamps.column(window.start)) & (stamp < timestamps.column(window.end))
    )


def apply(spark: SparkSession, table: str, changes: DataFrame, counts: Counts) -> None:
    """Writes ``changes``: afterwards each of their keys stands once, with the new values, or no more.

    The bounds of ``counts`` let Delta skip every file outside them. Deletions are rows of the source and not
    ``NOT MATCHED BY SOURCE``, for which Delta reads the whole table.
    """
    assert counts.first is not None
    assert counts.last is not None
    first, last = timestamps.literal(counts.first), timestamps.literal(counts.last)
    within = f"t.timestamp >= {first} AND t.timestamp <= {last}"
    same_key = " AND ".join(f"t.{column} = s.{column}" for column in KEY)
    values = {f"`{name}`": f"s.`{name}`" for name in changes.columns if name != CHANGE}
    retried(
        lambda: (
            DeltaTable.forName(spark, table)
            .alias("t")
            .merge(changes.alias("s"), f"{within} AND {same_key}")
            .whenMatchedDelete(f"s.{CHANGE} = '{DELETE}'")
            .whenMatchedUpdate(set=values)
            # Not what is to be updated: another writer's commit makes Spark compute `changes` anew, which may then hold
            # an update outside the bounds, whose row is not looked for.
            .whenNotMatchedInsert(f"s.{CHANGE} = '{INSERT}'", values)
            .execute()
        )
    )


def merge_failures(spark: SparkSession, table: str, new: DataFrame) -> None:
    """Notes points and windows that could not be read; the same failure twice is one row."""
    same = " AND ".join(f"t.{column} = s.{column}" for column in _ERROR_KEY)
    retried(
        lambda: (
            DeltaTable.forName(spark, table)
            .alias("t")
            .merge(new.alias("s"), same)
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute()
        )
    )
