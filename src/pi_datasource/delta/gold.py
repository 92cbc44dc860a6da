"""Hours of each tag, recomputed from bronze for exactly the hours that a micro-batch has touched."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.pandas.types import from_arrow_schema

from pi_datasource import schema
from pi_datasource.delta import time_weighted, timestamps
from pi_datasource.delta.bronze import FIXED_COLUMNS
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window

# UTC hours whatever the session's time zone, which may be half an hour off.
HOUR = "timestamp_seconds(floor(unix_micros(timestamp) / 3600000000) * 3600)"
_TOUCHED = "_touched"
_HOUR = timedelta(hours=1)


def prepare(spark: SparkSession, lakehouse: Lakehouse, events: DataFrame) -> None:
    """Makes sure that the table exists and has all columns that come of ``events``."""
    groups = [name for name in events.columns if name not in FIXED_COLUMNS]
    shape = from_arrow_schema(schema.hourly(groups))
    lakehouse.table(spark, lakehouse.gold, shape, cluster_by=("hour", "tag_webid"))


def metrics(events: DataFrame) -> DataFrame:
    """One row per tag and hour: counts over all events; figures over good finite numbers only, null where there is none.

    ``events`` have columns ``step`` and ``hour`` besides their own. What an hour tells of its neighbours is in ``curve``.
    """
    # One NaN or infinity would take every figure of its hour with it. Spark holds NaN for greater than any number.
    reading = F.when(F.col("good") & (F.abs("value") < F.lit(math.inf)), F.col("value"))
    order = F.struct("timestamp", "sequence")
    numbered = F.when(reading.isNotNull(), order)
    groups = [name for name in events.columns if name not in {*FIXED_COLUMNS, "step", "hour"}]
    good = F.count(F.when(F.col("good"), 1))
    return (
        time_weighted.with_segments(events, reading)
        .groupBy("tag_webid", "hour")
        .agg(
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
            time_weighted.summed(reading, order).alias("curve"),
        )
    )


def hours_of(events: DataFrame) -> DataFrame:
    """The (tag, hour) pairs that ``events`` fall in."""
    return events.select("tag_webid", F.expr(HOUR).alias("hour")).distinct()


def hours_within(spark: SparkSession, lakehouse: Lakehouse, window: Window) -> DataFrame:
    """The (tag, hour) pairs that the table has of ``window``."""
    table = spark.read.table(lakehouse.gold).select("tag_webid", "hour")
    first, end = timestamps.column(window.start - _HOUR), timestamps.column(window.end)
    return table.where((F.col("hour") > first) & (F.col("hour") < end))


def refresh(spark: SparkSession, lakehouse: Lakehouse, touched: DataFrame) -> None:
    """Recomputes these (tag, hour) pairs from bronze; one without events has no row afterwards, all others stay.

    Rows that are stored as they are computed are not written.
    """
    # Persisted alone it would be computed anew when another writer changes a table that it was read from, and pairs that
    # came to it only then would be taken for pairs without events.
    touched = touched.localCheckpoint(eager=False).persist()
    try:
        ((first, last, low, high),) = timestamps.rows(
            touched.agg(
                F.min("hour").alias("first"),
                F.max("hour").alias("last"),
                F.min("tag_webid").alias("low"),
                F.max("tag_webid").alias("high"),
            )
        )
        if first is None:
            return
        tags = F.col("tag_webid").between(low, high)  # lets Delta skip the files of other tags
        retried(lambda: _merge(spark, lakehouse, touched, first, last, tags))
    finally:
        touched.unpersist()


def _computed(  # noqa: PLR0917 - what is computed, and the bounds of it
    spark: SparkSession,
    lakehouse: Lakehouse,
    touched: DataFrame,
    first: datetime,
    last: datetime,
    tags: Column,
) -> DataFrame:
    """The touched hours, and those beside them in time, whose mean depends on them; ``_gone`` marks one without events."""
    pair, stamp = ["tag_webid", "hour"], F.col("timestamp")
    # Plain bounds on the timestamp let Delta skip the files of all other hours.
    start, end = timestamps.column(first), timestamps.column(last + _HOUR)
    events = spark.read.table(lakehouse.bronze).where((stamp >= start) & (stamp < end))
    events = events.where(tags).withColumn("hour", F.expr(HOUR)).join(touched, pair, "left_semi")
    # A tag has a row for each selection that it belongs to.
    points = spark.read.table(lakehouse.points).groupBy("tag_webid")
    steps = points.agg(F.max_by("step", "last_seen").alias("step"))
    fresh = metrics(events.join(steps, "tag_webid", "left"))
    rows = touched.join(fresh, pair, "left").withColumn(_TOUCHED, F.lit(True))
    reach = time_weighted.REACH + time_weighted.REACH  # a neighbour needs its own neighbours
    low, high = timestamps.column(first - reach), timestamps.column(last + reach)
    stored = spark.read.table(lakehouse.gold).where((F.col("hour") >= low) & (F.col("hour") <= high))
    beside = stored.where(tags).drop("time_weighted_mean").join(touched, pair, "left_anti")
    beside = beside.join(touched.select("tag_webid").distinct(), "tag_webid", "left_semi")
    around = rows.unionByName(beside.withColumn(_TOUCHED, F.lit(False)), allowMissingColumns=True)
    weighed = time_weighted.with_mean(around.join(steps, "tag_webid", "left"), _TOUCHED)
    return weighed.withColumn("_gone", F.col("event_count").isNull())


def _merge(  # noqa: PLR0917 - as above
    spark: SparkSession,
    lakehouse: Lakehouse,
    touched: DataFrame,
    first: datetime,
    last: datetime,
    tags: Column,
) -> None:
    # Not held: Delta reads the events after its transaction has begun, so that hours which another writer commits after
    # that are a conflict, and those before hold what is read here.
    rows = _computed(spark, lakehouse, touched, first, last, tags)
    table = DeltaTable.forName(spark, lakehouse.gold)
    values = {f"`{name}`": f"s.`{name}`" for name in table.toDF().columns if name in rows.columns}
    low, high = (
        timestamps.literal(moment) for moment in (first - time_weighted.REACH, last + time_weighted.REACH)
    )
    within = f"t.hour >= {low} AND t.hour <= {high}"
    stored = table.toDF().where(tags).alias("t").where(within)
    (
        table.alias("t")
        .merge(
            _different(rows, stored).alias("s"), f"{within} AND t.tag_webid = s.tag_webid AND t.hour = s.hour"
        )
        .whenMatchedDelete("s._gone")
        .whenMatchedUpdate(set=values)
        .whenNotMatchedInsert("NOT s._gone", values)
        .execute()
    )


def _different(rows: DataFrame, stored: DataFrame) -> DataFrame:
    """The ``rows`` that ``stored`` lacks or holds with other values, and those marked ``_gone`` that it still holds."""
    pair = ["tag_webid", "hour"]
    known = [name for name in stored.columns if name in rows.columns]
    held = stored.select(*pair, F.struct(*(F.col(f"`{name}`") for name in known)).alias("_held"))
    both = rows.withColumn("_new", F.struct(*(F.col(f"`{name}`") for name in known)))
    both = both.join(held, pair, "left")
    same = F.when(F.col("_gone"), F.col("_held").isNull()).otherwise(F.col("_new").eqNullSafe(F.col("_held")))
    return both.where(~same).drop("_new", "_held")
