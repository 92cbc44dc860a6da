"""The time-weighted mean and the percentage of good time of an hour, from its own events and the two next to it.

The curve is that of PI's own ``summary``. From a good number it is linear up to the next event if that is a good number
and the tag is not a ``step`` tag; otherwise the number holds until the next event. After an event that is bad, or not a
finite number, there is no value until the next event. The time after an event is good if the event is.

An hour without events has no row, but the curve crosses it: the events before the first and after the last one of an hour
are those of the tag's nearest stored hours, at most ``REACH`` away. Without an event before, the hour begins with its
first event; without an event after it yet, its last value holds until its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

# To the farthest event that a mean depends on; bounds how far gold is searched for a tag's nearest hours.
REACH = timedelta(days=7)
HOUR = timedelta(hours=1)
CURVE = ("first_at", "first_number", "last_at", "last_number", "area", "seconds")
# Single columns and not a struct: Spark would copy the expression of a field to wherever it is used.
Fields = Mapping[str, Column]


def curve(first_at: Column, last_at: Column, step: Column) -> Column:
    """The first and last event of an hour, and the area and time between them."""
    area = F.when(F.coalesce(step, F.lit(False)), F.col("_step_area")).otherwise(F.col("_linear_area"))
    return F.struct(
        first_at.alias("first_at"),
        F.col("_first_number").alias("first_number"),
        last_at.alias("last_at"),
        F.col("_last_number").alias("last_number"),
        F.coalesce(area, F.lit(0.0)).alias("area"),
        (F.coalesce(F.col("_numeric_micros"), F.lit(0)) / F.lit(1e6)).alias("seconds"),
    )


def surroundings(good_seconds: Column, last_good: Column, before: Column, after: Column) -> dict[str, Column]:
    """What an hour's figures need besides its ``curve``: its good time, and the events next to it (null if too far)."""
    start, end = F.col("hour"), _shift(F.col("hour"), HOUR)
    before = F.when(before["at"] >= _shift(start, -REACH), before)
    after = F.when(after["at"] < _shift(end, REACH), after)
    return {
        "good_seconds": good_seconds,
        "last_good": last_good,
        "before_at": before["at"],
        "before_number": before["number"],
        "before_good": before["good"],
        "after_at": after["at"],
        "after_number": after["number"],
    }


def first_event(curve: Fields) -> Column:
    """The first event of an hour; null if the hour is."""
    event = F.struct(curve["first_at"].alias("at"), curve["first_number"].alias("number"))
    return F.when(curve["first_at"].isNotNull(), event)


def last_event(curve: Fields, good: Column) -> Column:
    """The last event of an hour; null if the hour is. Rows of older versions do not tell whether it is ``good``."""
    good = F.coalesce(good, curve["last_number"].isNotNull())
    event = F.struct(curve["last_at"].alias("at"), curve["last_number"].alias("number"), good.alias("good"))
    return F.when(curve["first_at"].isNotNull(), event)


def mean(curve: Fields, near: Fields, step: Column) -> Column:
    """The area under the curve of an hour by the time for which it has a value; ``near`` are its ``surroundings``."""
    step, zero = F.coalesce(step, F.lit(False)), F.lit(0.0)
    left_s, right_s = _edges(curve)
    gap_s = _seconds(near["before_at"], curve["first_at"])
    left = _edge_area(near["before_number"], curve["first_number"], gap_s, step, left_s, at_end=True)
    gap_s = _seconds(curve["last_at"], near["after_at"])
    right = _edge_area(curve["last_number"], near["after_number"], gap_s, step, right_s, at_end=False)
    area = curve["area"] + F.coalesce(left, zero) + F.coalesce(right, zero)
    seconds = (
        curve["seconds"]
        + F.when(left.isNotNull(), left_s).otherwise(zero)
        + F.when(right.isNotNull(), right_s).otherwise(zero)
    )
    return F.when(seconds > 0, area / seconds)


def percent_good(curve: Fields, near: Fields) -> Column:
    """The percentage of an hour after good events; time before the tag's first event does not count."""
    left_s, right_s = _edges(curve)
    left_s = F.when(near["before_at"].isNotNull(), left_s).otherwise(F.lit(0.0))
    good_s = (
        near["good_seconds"]
        + F.when(near["before_good"], left_s).otherwise(F.lit(0.0))
        + F.when(near["last_good"], right_s).otherwise(F.lit(0.0))
    )
    return F.lit(100.0) * good_s / (left_s + _seconds(curve["first_at"], curve["last_at"]) + right_s)


def _edges(curve: Fields) -> tuple[Column, Column]:
    """The seconds of the hour before its first and from its last event."""
    end = _shift(F.col("hour"), HOUR)
    return _seconds(F.col("hour"), curve["first_at"]), _seconds(curve["last_at"], end)


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
