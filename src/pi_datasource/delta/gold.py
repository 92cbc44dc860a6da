"""Hourly metrics of each tag, recomputed from bronze for exactly the hours that a micro-batch has touched."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import commits, time_weighted, timestamps
from pi_datasource.delta.bronze import FIXED_COLUMNS, stored_events
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Window

# UTC hours whatever the session's time zone, which may be half an hour off.
HOUR = "timestamp_seconds(floor(unix_micros(timestamp) / 3600000000) * 3600)"
_KEY = ["tag_webid", "hour"]
_TOUCHED = "_touched"
_HOUR = timedelta(hours=1)


class _Touched(NamedTuple):
    """The (tag, hour) pairs to recompute; their first and last hour, and a filter on their range of tags."""

    pairs: DataFrame
    first: datetime
    last: datetime
    tags: Column


def metrics(events: DataFrame) -> DataFrame:
    """One row per tag and hour: counts of all events; statistics of good finite numbers, null if there are none.

    ``events`` have the columns ``step`` and ``hour`` besides their own. ``curve`` holds what the means of neighbouring
    hours need.
    """
    # One NaN or infinity would spoil every statistic of its hour. Spark orders NaN after any other number.
    reading = F.when(F.col("good") & (F.abs("value") < F.lit(math.inf)), F.col("value"))
    order = F.struct("timestamp", "sequence")
    numbered = F.when(reading.isNotNull(), order)
    groups = [name for name in events.columns if name not in {*FIXED_COLUMNS, "step", "hour"}]
    good = F.count(F.when(F.col("good"), 1))
    return (
        time_weighted.with_segments(events, reading)
        .groupBy(*_KEY)
        .agg(
            *[F.max_by(name, order).alias(name) for name in ("tag_name", *groups, "units")],
            F.count(F.lit(1)).alias("event_count"),
            good.alias("good_count"),
            (good / F.count(F.lit(1))).alias("good_share"),
            F.min(reading).alias("min_value"),
            F.max(reading).alias("max_value"),
            F.avg(reading).alias("mean_value"),
            F.min_by("value", numbered).alias("first_value"),
            F.max_by("value", numbered).alias("last_value"),
            F.max_by("value_string", order).alias("last_value_string"),
            time_weighted.curve_summary(reading, order).alias("curve"),
        )
    )


def hours_of(events: DataFrame) -> DataFrame:
    """The (tag, hour) pairs of ``events``."""
    return events.select("tag_webid", F.expr(HOUR).alias("hour")).distinct()


def stored_hours(spark: SparkSession, lakehouse: Lakehouse, window: Window) -> DataFrame:
    """The stored (tag, hour) pairs that overlap ``window``."""
    table = spark.read.table(lakehouse.gold).select(*_KEY)
    first, end = timestamps.column(window.start - _HOUR), timestamps.column(window.end)
    return table.where((F.col("hour") > first) & (F.col("hour") < end))


def refresh(spark: SparkSession, lakehouse: Lakehouse, touched: DataFrame) -> None:
    """Recomputes these (tag, hour) pairs from bronze; deletes the rows of pairs without events.

    Unchanged rows are not rewritten.
    """
    # With `persist` alone, Spark would recompute it after another writer's commit to a table that it was read from, and
    # pairs that appear only then would be treated as pairs without events.
    touched = touched.localCheckpoint(eager=False).persist()
    try:
        bounds = [
            f(name).alias(f"{f.__name__}_{name}") for name in ("hour", "tag_webid") for f in (F.min, F.max)
        ]
        ((first, last, low, high),) = timestamps.rows(touched.agg(*bounds))
        if first is None:
            return
        tags = F.col("tag_webid").between(low, high)  # lets Delta skip the files of other tags
        scope = _Touched(touched, first, last, tags)
        commits.retry_conflicts(lambda: _merge_hours(spark, lakehouse, scope))
    finally:
        touched.unpersist()


def _compute_hours(spark: SparkSession, lakehouse: Lakehouse, touched: _Touched) -> DataFrame:
    """The touched hours, and their neighbours in time, because their means depend on them.

    ``_deleted`` marks a pair without events.
    """
    # Bounds on the timestamp itself let Delta skip the files of all other hours.
    events = stored_events(spark, lakehouse.bronze, Window(touched.first, touched.last + _HOUR))
    events = events.where(touched.tags).withColumn("hour", F.expr(HOUR))
    # A tag has a row for each selection that it belongs to.
    points = spark.read.table(lakehouse.points).groupBy("tag_webid")
    steps = points.agg(F.max_by("step", "last_seen").alias("step"))
    fresh = metrics(events.join(touched.pairs, _KEY, "left_semi").join(steps, "tag_webid", "left"))
    rows = touched.pairs.join(fresh, _KEY, "left").withColumn(_TOUCHED, F.lit(True))
    reach = time_weighted.REACH + time_weighted.REACH  # a neighbour needs its own neighbours
    low, high = timestamps.column(touched.first - reach), timestamps.column(touched.last + reach)
    stored = spark.read.table(lakehouse.gold).where((F.col("hour") >= low) & (F.col("hour") <= high))
    others = stored.where(touched.tags).drop("time_weighted_mean").join(touched.pairs, _KEY, "left_anti")
    others = others.join(touched.pairs.select("tag_webid").distinct(), "tag_webid", "left_semi")
    both = rows.unionByName(others.withColumn(_TOUCHED, F.lit(False)), allowMissingColumns=True)
    weighted = time_weighted.with_mean(both.join(steps, "tag_webid", "left"), _TOUCHED)
    return weighted.withColumn("_deleted", F.col("event_count").isNull())


def _merge_hours(spark: SparkSession, lakehouse: Lakehouse, touched: _Touched) -> None:
    # Not persisted: Delta then reads the events after its transaction has begun, so hours that another writer commits
    # later are a conflict, and hours committed earlier contain what is read here.
    rows = _compute_hours(spark, lakehouse, touched)
    stored = spark.read.table(lakehouse.gold)
    names = [name for name in stored.columns if name in rows.columns]
    low, high = touched.first - time_weighted.REACH, touched.last + time_weighted.REACH
    bounds = f"t.hour >= {timestamps.literal(low)} AND t.hour <= {timestamps.literal(high)}"
    changed = _changed_rows(rows, stored.where(touched.tags).alias("t").where(bounds))
    clauses = ["WHEN MATCHED AND s._deleted THEN DELETE", *commits.copied(names, "NOT s._deleted")]
    commits.merge(spark, lakehouse.gold, changed, [bounds, *commits.same(_KEY)], clauses)


def _changed_rows(rows: DataFrame, stored: DataFrame) -> DataFrame:
    """The ``rows`` that are missing or different in ``stored``, and the ``_deleted`` ones that it still holds."""
    common = [F.col(f"`{name}`") for name in stored.columns if name in rows.columns]
    old = stored.select(*_KEY, F.struct(*common).alias("_old"))
    both = rows.withColumn("_new", F.struct(*common)).join(old, _KEY, "left")
    same = F.when(F.col("_deleted"), F.col("_old").isNull()).otherwise(
        F.col("_new").eqNullSafe(F.col("_old"))
    )
    return both.where(~same).drop("_new", "_old")
