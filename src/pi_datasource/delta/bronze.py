"""Events into the bronze table: one MERGE per micro-batch, the same however often the batch is replayed."""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource import schema, tables
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.schema import READ_FAILURE

KEY = tables.TABLES["pi_timeseries"].key
_LINEAGE = "ingestion_timestamp"
_ERROR_KEY = ("tag_webid", "window_start", "window_end")
FIXED_COLUMNS = frozenset(schema.timeseries(include_metadata=True).names)


def prepare(spark: SparkSession, lakehouse: Lakehouse, events: DataFrame) -> None:
    """Makes sure that the tables of events and of read failures exist; they are created once."""
    lakehouse.table(spark, lakehouse.bronze, events.schema, cluster_by=("timestamp", "tag_webid"))
    lakehouse.table(
        spark, lakehouse.errors, failures(events).schema, cluster_by=("window_start", "tag_webid")
    )


def events(batch: DataFrame) -> DataFrame:
    """The events among the rows of a micro-batch."""
    return batch.where(F.col("value_kind") != READ_FAILURE)


def failures(batch: DataFrame) -> DataFrame:
    """One row per point and window that could not be read."""
    told = F.from_json("value_string", "window_end timestamp, status int, message string")
    return batch.where(F.col("value_kind") == READ_FAILURE).select(
        "tag_webid",
        "tag_name",
        F.col("timestamp").alias("window_start"),
        told["window_end"].alias("window_end"),
        told["status"].alias("status"),
        told["message"].alias("message"),
        F.lit(None).cast("timestamp").alias("repaired_at"),
        F.col(_LINEAGE),
    )


def merge_events(spark: SparkSession, table: str, new: DataFrame, first: str, last: str) -> None:
    """Writes ``new`` (whose timestamps lie in ``[first, last]``, as UTC text) so that each key stands once.

    A row that is there already, unchanged, is left alone, with the time of its first arrival. The bounds let Delta
    skip every file outside them.
    """
    target = DeltaTable.forName(spark, table)
    within = f"t.timestamp >= timestamp'{first}' AND t.timestamp <= timestamp'{last}'"
    same_key = " AND ".join(f"t.{column} = s.{column}" for column in KEY)
    known = set(target.toDF().columns)
    compared = [name for name in new.columns if name not in (*KEY, _LINEAGE) and name in known]
    changed = " OR ".join(f"NOT (t.`{name}` <=> s.`{name}`)" for name in compared)
    (
        target.alias("t")
        .merge(new.alias("s"), f"{within} AND {same_key}")
        .withSchemaEvolution()
        .whenMatchedUpdateAll(condition=changed)
        .whenNotMatchedInsertAll()
        .execute()
    )


def merge_failures(spark: SparkSession, table: str, new: DataFrame) -> None:
    """Notes points and windows that could not be read; the same failure twice is one row."""
    same = " AND ".join(f"t.{column} = s.{column}" for column in _ERROR_KEY)
    (
        DeltaTable.forName(spark, table)
        .alias("t")
        .merge(new.alias("s"), same)
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
        .execute()
    )
