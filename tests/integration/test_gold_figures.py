"""Figures of the hourly table, computed from a few events."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource import schema
from pi_datasource.delta import hourly_metrics, neighbours

pytestmark = pytest.mark.integration

HOUR = datetime(2026, 3, 1, 6, tzinfo=timezone.utc)
COLUMNS = (
    "tag_webid string, tag_name string, timestamp timestamp, sequence int, value double, value_string string, "
    "good boolean, questionable boolean, substituted boolean, units string"
)


def figures(spark: Any, values: list[float | None], *, step: bool, good: bool = True) -> dict[str, Any]:
    """The hour's row of events at 6:00, 6:15, 6:30 and so on; only the first may be bad."""
    events = [
        ("W", "T", HOUR + timedelta(minutes=15 * n), 0, value, str(n), good or n > 0, n == 1, n > 1, "m")
        for n, value in enumerate(values)
    ]
    steps = spark.createDataFrame([("W", step)], "tag_webid string, step boolean")
    hours = hourly_metrics.metrics(spark.createDataFrame(events, COLUMNS), steps)
    gold = StructType.fromDDL(
        ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in from_arrow_schema(schema.hourly()))
    )
    new = hours.select(
        "tag_webid", "hour", F.struct(*hours.columns).alias("_new"), F.lit(True).alias("_touched")
    )
    rows = neighbours.changed_hours(new.withColumn("_old", F.lit(None).cast(gold)), steps, gold.names)
    (row,) = rows.drop("curve", "surroundings", "updated_at").collect()
    return row.asDict()  # type: ignore[no-any-return]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_an_hour_with_a_value_that_is_not_finite_has_the_figures_of_its_numbers(
    spark: Any, odd: float
) -> None:
    row = figures(spark, [odd, 10.0, odd, 40.0], step=True)
    assert (row["event_count"], row["good_count"], row["good_share"]) == (4, 4, 1.0)
    assert (row["min_value"], row["max_value"], row["mean_value"]) == (10.0, 40.0, 25.0)
    assert (row["first_value"], row["last_value"]) == (10.0, 40.0)
    assert (row["good_number_count"], row["stddev_value"]) == (2, pytest.approx(math.sqrt(450)))
    assert row["time_weighted_mean"] == 25.0  # a quarter of an hour each; none where the value is not finite


def test_an_hour_without_a_finite_number_has_no_figures(spark: Any) -> None:
    row = figures(spark, [math.nan, math.inf], step=False)
    assert (row["event_count"], row["good_count"]) == (2, 2)
    names = ("min_value", "max_value", "mean_value", "first_value", "last_value", "time_weighted_mean")
    assert [row[name] for name in names] == [None] * 6
    assert (row["good_number_count"], row["stddev_value"], row["percent_good"]) == (0, None, 100.0)


def test_one_number_has_no_deviation(spark: Any) -> None:
    row = figures(spark, [7.0], step=False)
    assert (row["mean_value"], row["stddev_value"], row["time_weighted_mean"]) == (7.0, None, 7.0)


def test_time_after_a_bad_event_is_not_good(spark: Any) -> None:
    row = figures(spark, [1.0, 2.0, 4.0, 4.0], step=False, good=False)
    assert (row["event_count"], row["good_count"], row["good_share"]) == (4, 3, 0.75)
    assert (row["questionable_count"], row["substituted_count"]) == (1, 2)
    assert (row["percent_good"], row["last_value_string"]) == (75.0, "3")
    assert row["time_weighted_mean"] == pytest.approx((3.0 + 4.0 + 4.0) / 3)
