"""The time-weighted mean of an hour: the area under a tag's curve by the time for which the curve has a value.

The curve is the one of PI's own ``summary``: a good number runs straight to the next event if that is a good number and
the tag has no ``step``, else it holds until the next event; what is not good, or no finite number, has no value until the
next event. An hour
without an event has no row, but the curve crosses it: the events before the first and after the last of an hour are those
of the tag's nearest hours in the table, at most ``REACH`` away. Where there is none before, the hour begins with its first
event; where there is none after yet, its last value holds until its end.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.window import Window

REACH = timedelta(
    days=7
)  # the farthest event that an hour's mean looks at; bounds what a micro-batch reads of gold
_HOUR = timedelta(hours=1)


def with_segments(hourly: DataFrame, reading: Column) -> DataFrame:
    """``hourly`` events with ``_seconds`` and ``_area`` of the curve from each event to the next in its hour."""
    following = Window.partitionBy("tag_webid", "hour").orderBy("timestamp", "sequence")
    rows = hourly.withColumns(
        {
            "_number": reading,
            "_next": F.lead(reading).over(following),
            "_seconds": _seconds(F.col("timestamp"), F.lead("timestamp").over(following)),
        }
    )
    straight = F.col("_next").isNotNull() & ~F.coalesce(F.col("step"), F.lit(False))
    end = F.when(straight, F.col("_next")).otherwise(F.col("_number"))
    return rows.withColumn("_area", F.col("_seconds") * (F.col("_number") + end) / 2)


def summed(reading: Column, order: Column) -> Column:
    """What has to be known of an hour to weigh it: the events at its ends, and the area between them."""
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
    """``hours`` (with ``curve`` and ``step``) with their ``time_weighted_mean``, each beside its tag's other hours.

    Only those flagged ``touched`` (the name of a column) are kept, and those next to one.
    """
    forward = Window.partitionBy("tag_webid").orderBy("hour")
    backward = Window.partitionBy("tag_webid").orderBy(F.col("hour").desc())
    until_here = (Window.unboundedPreceding, -1)
    flags = [F.coalesce(side(touched).over(forward), F.lit(False)) for side in (F.lag, F.lead)]
    near = hours.withColumns(
        {
            "_before": F.last("curve", ignorenulls=True).over(forward.rowsBetween(*until_here)),
            "_after": F.last("curve", ignorenulls=True).over(backward.rowsBetween(*until_here)),
            "_kept": F.col(touched) | flags[0] | flags[1],
        }
    ).where("_kept")
    weighed = near.withColumn("time_weighted_mean", _mean())
    return weighed.drop("_before", "_after", "_kept", "step", touched)


def _mean() -> Column:
    start, end = F.col("hour"), _moved(F.col("hour"), _HOUR)
    step, curve = F.coalesce(F.col("step"), F.lit(False)), F.col("curve")
    before = _within_reach(F.col("_before"), F.col("_before.last_at") >= _moved(start, -REACH))
    after = _within_reach(F.col("_after"), F.col("_after.first_at") < _moved(end, REACH))
    left_s, right_s = _seconds(start, curve["first_at"]), _seconds(curve["last_at"], end)
    left = _piece(
        before["last_number"],
        curve["first_number"],
        _seconds(before["last_at"], curve["first_at"]),
        step,
        left_s,
        from_end=True,
    )
    right = _piece(
        curve["last_number"],
        after["first_number"],
        _seconds(curve["last_at"], after["first_at"]),
        step,
        right_s,
        from_end=False,
    )
    area = curve["area"] + F.coalesce(left, F.lit(0.0)) + F.coalesce(right, F.lit(0.0))
    seconds = curve["seconds"] + _if(left, left_s) + _if(right, right_s)
    return F.when(seconds > 0, area / seconds)


def _piece(
    one: Column, two: Column, whole_s: Column, step: Column, part_s: Column, *, from_end: bool
) -> Column:
    """The area of the last or first ``part_s`` of a piece of curve from ``one`` to ``two``; null without a value."""
    straight = two.isNotNull() & ~step & (whole_s > 0)
    cut = two - (two - one) * part_s / whole_s if from_end else one + (two - one) * part_s / whole_s
    sloped = (cut + (two if from_end else one)) / 2 * part_s
    return F.when(one.isNotNull(), F.when(straight, sloped).otherwise(one * part_s))


def _within_reach(neighbour: Column, near: Column) -> Column:
    return F.when(near, neighbour)


def _if(piece: Column, seconds: Column) -> Column:
    return F.when(piece.isNotNull(), seconds).otherwise(F.lit(0.0))


def _moved(moment: Column, by: timedelta) -> Column:
    """Not Spark's sum, which adds days by the calendar of the session's zone."""
    return F.timestamp_micros(F.unix_micros(moment) + F.lit(by // timedelta(microseconds=1)))


def _seconds(start: Column, end: Column) -> Column:
    return (F.unix_micros(end) - F.unix_micros(start)) / F.lit(1e6)
