"""The time-weighted mean of an hour: the area under a tag's curve divided by the time for which the curve has a value.

The curve is that of PI's own ``summary``. From a good number it is linear up to the next event if that is a good number
and the tag is not a ``step`` tag; otherwise the number holds until the next event. After an event that is bad, or not a
finite number, there is no value until the next event.

An hour without events has no row, but the curve crosses it: the events before the first and after the last one of an hour
are those of the tag's nearest stored hours, at most ``REACH`` away. Without an event before, the hour begins with its
first event; without an event after it yet, its last value holds until its end.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.window import Window

# To the farthest event that a mean depends on; bounds what a micro-batch reads of gold.
REACH = timedelta(days=7)
_HOUR = timedelta(hours=1)


def with_segments(hourly: DataFrame, reading: Column) -> DataFrame:
    """Adds ``_seconds`` and ``_area`` of the curve from each event to the next one in its hour."""
    following = Window.partitionBy("tag_webid", "hour").orderBy("timestamp", "sequence")
    rows = hourly.withColumns(
        {
            "_number": reading,
            "_next": F.lead(reading).over(following),
            "_seconds": _seconds(F.col("timestamp"), F.lead("timestamp").over(following)),
        }
    )
    linear = F.col("_next").isNotNull() & ~F.coalesce(F.col("step"), F.lit(False))
    end = F.when(linear, F.col("_next")).otherwise(F.col("_number"))
    return rows.withColumn("_area", F.col("_seconds") * (F.col("_number") + end) / 2)


def curve_summary(reading: Column, order: Column) -> Column:
    """The first and last event of an hour, and the area and time between them: all that its mean needs."""
    timed = F.when(F.col("_number").isNotNull(), F.col("_seconds"))
    return F.struct(
        F.min("timestamp").alias("first_at"),
        F.min_by(reading, order).alias("first_number"),
        F.max("timestamp").alias("last_at"),
        F.max_by(reading, order).alias("last_number"),
        F.coalesce(F.sum("_area"), F.lit(0.0)).alias("area"),
        F.coalesce(F.sum(timed), F.lit(0.0)).alias("seconds"),
    )


def with_mean(hours: DataFrame, touched: str) -> DataFrame:
    """Adds ``time_weighted_mean`` to ``hours`` (with ``curve`` and ``step``), from each hour and its neighbours.

    Keeps only the hours with a true column ``touched`` and their direct neighbours.
    """
    forward = Window.partitionBy("tag_webid").orderBy("hour")
    backward = Window.partitionBy("tag_webid").orderBy(F.col("hour").desc())
    preceding = (Window.unboundedPreceding, -1)
    flags = [F.coalesce(side(touched).over(forward), F.lit(False)) for side in (F.lag, F.lead)]
    near = hours.withColumns(
        {
            "_before": F.last("curve", ignorenulls=True).over(forward.rowsBetween(*preceding)),
            "_after": F.last("curve", ignorenulls=True).over(backward.rowsBetween(*preceding)),
            "_kept": F.col(touched) | flags[0] | flags[1],
        }
    ).where("_kept")
    return near.withColumn("time_weighted_mean", _mean()).drop("_before", "_after", "_kept", "step", touched)


def _mean() -> Column:
    start, end = F.col("hour"), _shift(F.col("hour"), _HOUR)
    step, curve, zero = F.coalesce(F.col("step"), F.lit(False)), F.col("curve"), F.lit(0.0)
    before = F.when(F.col("_before.last_at") >= _shift(start, -REACH), F.col("_before"))
    after = F.when(F.col("_after.first_at") < _shift(end, REACH), F.col("_after"))
    left_s, right_s = _seconds(start, curve["first_at"]), _seconds(curve["last_at"], end)
    gap_s = _seconds(before["last_at"], curve["first_at"])
    left = _edge_area(before["last_number"], curve["first_number"], gap_s, step, left_s, at_end=True)
    gap_s = _seconds(curve["last_at"], after["first_at"])
    right = _edge_area(curve["last_number"], after["first_number"], gap_s, step, right_s, at_end=False)
    area = curve["area"] + F.coalesce(left, zero) + F.coalesce(right, zero)
    seconds = (
        curve["seconds"]
        + F.when(left.isNotNull(), left_s).otherwise(zero)
        + F.when(right.isNotNull(), right_s).otherwise(zero)
    )
    return F.when(seconds > 0, area / seconds)


def _edge_area(
    one: Column, two: Column, gap_s: Column, step: Column, part_s: Column, *, at_end: bool
) -> Column:
    """The area of the first or last ``part_s`` of a segment from ``one`` to ``two``; null if it has no value."""
    linear = two.isNotNull() & ~step & (gap_s > 0)
    cut = two - (two - one) * part_s / gap_s if at_end else one + (two - one) * part_s / gap_s
    sloped = (cut + (two if at_end else one)) / 2 * part_s
    return F.when(one.isNotNull(), F.when(linear, sloped).otherwise(one * part_s))


def _shift(moment: Column, by: timedelta) -> Column:
    """Not Spark's ``+``, which adds days by the calendar of the session's zone."""
    return F.timestamp_micros(F.unix_micros(moment) + F.lit(by // timedelta(microseconds=1)))


def _seconds(start: Column, end: Column) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / F.lit(1e6)
