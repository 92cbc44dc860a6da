"""Figures of the hourly table, computed from a few events."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import gold, time_weighted

pytestmark = pytest.mark.integration

HOUR = datetime(2026, 3, 1, 6, tzinfo=timezone.utc)
COLUMNS = (
    "tag_webid string, tag_name string, timestamp timestamp, sequence int, value double, value_string string, "
    "good boolean, units string, step boolean, hour timestamp"
)


def figures(spark: Any, values: list[float | None], *, step: bool) -> dict[str, Any]:
    """The hour's row of good events at 6:00, 6:15, 6:30 and so on."""
    events = [
        ("W", "T", HOUR + timedelta(minutes=15 * n), 0, value, None, True, "m", step, HOUR)
        for n, value in enumerate(values)
    ]
    hours = gold.metrics(spark.createDataFrame(events, COLUMNS))
    weighed = time_weighted.with_mean(hours.withColumns({"step": F.lit(step), "_all": F.lit(True)}), "_all")
    (row,) = weighed.drop("curve").collect()
    return row.asDict()  # type: ignore[no-any-return]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_an_hour_with_a_value_that_is_not_finite_has_the_figures_of_its_numbers(
    spark: Any, odd: float
) -> None:
    row = figures(spark, [odd, 10.0, odd, 40.0], step=True)
    assert (row["event_count"], row["good_count"], row["good_share"]) == (4, 4, 1.0)
    assert (row["min_value"], row["max_value"], row["mean_value"]) == (10.0, 40.0, 25.0)
    assert (row["first_value"], row["last_value"]) == (10.0, 40.0)
    assert row["time_weighted_mean"] == 25.0  # a quarter of an hour each; none where the value is not finite


def test_an_hour_without_a_finite_number_has_no_figures(spark: Any) -> None:
    row = figures(spark, [math.nan, math.inf], step=False)
    assert (row["event_count"], row["good_count"]) == (2, 2)
    names = ("min_value", "max_value", "mean_value", "first_value", "last_value", "time_weighted_mean")
    assert [row[name] for name in names] == [None] * 6
