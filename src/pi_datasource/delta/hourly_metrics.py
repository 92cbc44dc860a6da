"""The figures of each tag and hour from its own events, without those that depend on the hours next to it."""

from __future__ import annotations

import math

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.window import Window

from pi_datasource.delta import time_weighted
from pi_datasource.delta.bronze import FIXED_COLUMNS

HOUR_MICROS = 3_600_000_000
# The first microsecond of the UTC hour, whatever the session's time zone, which may be half an hour off.
HOUR_START = f"unix_micros(timestamp) - pmod(unix_micros(timestamp), {HOUR_MICROS})"
HOUR = f"timestamp_micros({HOUR_START})"
_SEQUENCES = 2**31


def metrics(events: DataFrame, steps: DataFrame, *, few: bool = False) -> DataFrame:
    """One row per tag and hour: counts of all events; statistics of good finite numbers, null if there are none.

    ``steps`` has the column ``step`` per ``tag_webid``. With ``few``, the rows fit into the memory of every process.
    The column ``curve`` and ``good_seconds`` and ``last_good`` are what ``time_weighted`` needs.
    """
    numbers = _aggregate(_segments(_narrow(events))).join(steps, "tag_webid", "left")
    numbers = numbers.select("*", *_last_key())
    named = _with_texts(F.broadcast(numbers) if few else numbers, events)
    first_at, last_at = (_moment(f"_{end}_order") for end in ("first", "last"))
    return named.select(
        "tag_webid",
        F.timestamp_micros("_hour").alias("hour"),
        "tag_name",
        *_groups(events),
        "units",
        *_FIGURES,
        "last_value_string",
        time_weighted.curve(first_at, last_at, F.col("step")).alias("curve"),
        (F.coalesce("_good_micros", F.lit(0)) / F.lit(1e6)).alias("good_seconds"),
        "last_good",
    )


_FIGURES = (
    "event_count",
    "good_count",
    "good_number_count",
    "questionable_count",
    "substituted_count",
    "good_share",
    "min_value",
    "max_value",
    "mean_value",
    "stddev_value",
    "first_value",
    "last_value",
)


def _narrow(events: DataFrame) -> DataFrame:
    """Only what the figures need, as numbers: rows are sorted, and texts would make that cost three times as much."""
    # One NaN or infinity would spoil every statistic of its hour. Spark orders NaN after any other number.
    reading = F.when(F.col("good") & (F.abs("value") < F.lit(math.inf)), F.col("value"))
    micros = F.unix_micros("timestamp")
    return events.select(
        F.xxhash64("tag_webid").alias("_tag"),  # sorting compares it before the text
        "tag_webid",
        F.expr(HOUR_START).alias("_hour"),
        micros.alias("_micros"),
        # The order of an hour's events in one number, by time and sequence.
        (F.pmod(micros, F.lit(HOUR_MICROS)) * F.lit(_SEQUENCES) + F.col("sequence")).alias("_order"),
        reading.alias("_reading"),
        *(F.coalesce(name, F.lit(False)).alias(name) for name in ("good", "questionable", "substituted")),
    )


def _segments(numbers: DataFrame) -> DataFrame:
    """Adds the time and the reading of the hour's next event."""
    following = Window.partitionBy("_tag", "tag_webid", "_hour").orderBy("_order")
    return numbers.withColumns(
        {
            "_lasting": F.lead("_micros").over(following) - F.col("_micros"),
            "_next": F.lead("_reading").over(following),
        }
    )


def _aggregate(segments: DataFrame) -> DataFrame:
    """One row per tag and hour; every buffer is a number, so that Spark aggregates by hash."""
    reading, order, lasting = F.col("_reading"), F.col("_order"), F.col("_lasting")
    numbered, seconds = F.when(reading.isNotNull(), order), lasting / F.lit(1e6)
    events = F.count(F.lit(1))
    return segments.groupBy("_tag", "tag_webid", "_hour").agg(
        events.alias("event_count"),
        F.count_if("good").alias("good_count"),
        F.count(reading).alias("good_number_count"),
        F.count_if("questionable").alias("questionable_count"),
        F.count_if("substituted").alias("substituted_count"),
        (F.count_if("good") / events).alias("good_share"),
        F.min(reading).alias("min_value"),
        F.max(reading).alias("max_value"),
        F.avg(reading).alias("mean_value"),
        F.stddev_samp(reading).alias("stddev_value"),
        F.min_by(reading, numbered).alias("first_value"),
        F.max_by(reading, numbered).alias("last_value"),
        F.min(order).alias("_first_order"),
        F.max(order).alias("_last_order"),
        F.min_by(reading, order).alias("_first_number"),
        F.max_by(reading, order).alias("_last_number"),
        F.max_by("good", order).alias("last_good"),
        F.sum(F.when(F.col("good"), lasting)).alias("_good_micros"),
        F.sum(F.when(reading.isNotNull(), lasting)).alias("_numeric_micros"),
        F.sum(seconds * reading).alias("_step_area"),
        F.sum(seconds * (reading + F.coalesce("_next", reading)) / 2).alias("_linear_area"),
    )


def _last_key() -> tuple[Column, Column]:
    """The key of an hour's last event."""
    micros = F.col("_hour") + F.expr(f"_last_order div {_SEQUENCES}")
    return micros.alias("_last_micros"), F.expr(f"int(_last_order % {_SEQUENCES})").alias("_last_sequence")


def _with_texts(numbers: DataFrame, events: DataFrame) -> DataFrame:
    """Adds the texts of each hour's last event, which is looked up in ``events`` again."""
    texts = events.select(
        F.col("tag_webid").alias("_webid"),
        F.unix_micros("timestamp").alias("_at"),
        F.col("sequence").alias("_sequence"),
        "tag_name",
        *_groups(events),
        "units",
        F.col("value_string").alias("last_value_string"),
    )
    key = [("_webid", "tag_webid"), ("_at", "_last_micros"), ("_sequence", "_last_sequence")]
    return texts.join(numbers, [texts[one] == numbers[other] for one, other in key])


def _groups(events: DataFrame) -> list[str]:
    """The columns of the named groups of ``tag_pattern``."""
    return [f"`{name}`" for name in events.columns if name not in FIXED_COLUMNS]


def _moment(order: str) -> Column:
    return F.timestamp_micros(F.col("_hour") + F.expr(f"{order} div {_SEQUENCES}"))
