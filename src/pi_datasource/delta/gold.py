"""Hours of each tag, recomputed from bronze for exactly the hours that a micro-batch has touched."""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta.bronze import FIXED_COLUMNS
from pi_datasource.delta.lakehouse import Lakehouse

# UTC hours whatever the session's time zone, which may be half an hour off.
HOUR = "timestamp_seconds(floor(unix_micros(timestamp) / 3600000000) * 3600)"


def prepare(spark: SparkSession, lakehouse: Lakehouse, events: DataFrame) -> None:
    """Makes sure that the table exists."""
    lakehouse.table(spark, lakehouse.gold, metrics(events).schema, cluster_by=("hour", "tag_webid"))


def metrics(events: DataFrame) -> DataFrame:
    """One row per tag and hour: counts over all events; figures over good numbers only, null where there is none."""
    reading = F.when(F.col("good") & F.col("value").isNotNull(), F.col("value"))
    order = F.struct("timestamp", "sequence")
    numbered = F.when(reading.isNotNull(), order)
    groups = [name for name in events.columns if name not in FIXED_COLUMNS]
    good = F.count(F.when(F.col("good"), 1))
    return events.groupBy("tag_webid", F.expr(HOUR).alias("hour")).agg(
        F.max_by("tag_name", order).alias("tag_name"),
        *[F.max_by(name, order).alias(name) for name in groups],
        F.max_by("units", order).alias("units"),
        F.count(F.lit(1)).alias("event_count"),
        good.alias("good_count"),
        (good / F.count(F.lit(1))).alias("good_share"),
        F.min(reading).alias("min_value"),
        F.max(reading).alias("max_value"),
        F.avg(reading).alias("mean_value"),
        F.min_by("value", numbered).alias("first_value"),
        F.max_by("value", numbered).alias("last_value"),
        F.max_by("value_string", order).alias("last_value_string"),
    )


def refresh(spark: SparkSession, lakehouse: Lakehouse, new: DataFrame) -> None:
    """Recomputes the (tag, hour) pairs that ``new`` events fall in; all others stay as they are."""
    touched = new.select("tag_webid", F.expr(HOUR).alias("hour")).distinct().persist()
    try:
        ends = touched.agg(F.min("hour").alias("first"), F.max("hour").alias("last")).first()
        if ends is None or ends["first"] is None:
            return
        # Plain bounds on the timestamp let Delta skip the files of all other hours.
        bronze = spark.read.table(lakehouse.bronze).where(
            (F.col("timestamp") >= F.lit(ends["first"]))
            & (F.col("timestamp") < F.lit(ends["last"]) + F.expr("INTERVAL 1 HOUR"))
        )
        hours = bronze.withColumn("hour", F.expr(HOUR)).join(touched, ["tag_webid", "hour"], "left_semi")
        (
            DeltaTable.forName(spark, lakehouse.gold)
            .alias("t")
            .merge(metrics(hours.drop("hour")).alias("s"), "t.tag_webid = s.tag_webid AND t.hour = s.hour")
            .withSchemaEvolution()
            .whenMatchedUpdateAll()
            .whenNotMatchedInsertAll()
            .execute()
        )
    finally:
        touched.unpersist()
