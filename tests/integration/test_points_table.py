"""Real Spark reads the table ``pi_points``: DataFrame, SQL, and joined with events."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

import pi_datasource
from mock_server import Plant
from tests.integration.support.clock import NOW

pytestmark = pytest.mark.integration


def test_a_dataframe_holds_every_point_once(spark: SparkSession, plant: Plant, pi_url: str) -> None:
    rows = spark.read.format("pi").option("url", pi_url).option("table", "pi_points").load().collect()
    found = {
        (r.webid, r.point_id, r.name, r.point_type, r.span, r.step, r.ingestion_timestamp is None)
        for r in rows
    }
    assert len(rows) == len(plant.points)
    assert found == {
        (p.web_id("IDOnly"), p.point_id, p.name, p.point_type, float(p.sensor.span), p.sensor.step, False)
        for p in plant.points
    }


def test_sql_joins_points_with_their_events(spark: SparkSession, plant: Plant, pi_url: str) -> None:
    start = (NOW - timedelta(minutes=10)).isoformat()
    spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW points USING pi OPTIONS (url '{pi_url}', table 'pi_points')")
    spark.sql(
        f"CREATE OR REPLACE TEMPORARY VIEW events USING pi OPTIONS (url '{pi_url}', startTime '{start}')"
    )
    joined = spark.sql(
        "SELECT e.tag_name, p.descriptor, count(*) FROM events e JOIN points p ON e.tag_webid = p.webid GROUP BY ALL"
    )
    by_name = {point.name: point.descriptor for point in plant.points}
    rows = joined.collect()
    assert len(rows) > 0
    assert {(row[0], row[1]) for row in rows} == {(name, by_name[name]) for name in {row[0] for row in rows}}
    total = spark.table("events").agg(F.count(F.lit(1))).first()
    assert total is not None
    assert sum(row[2] for row in rows) == total[0]


def test_a_predicate_filters_and_a_selection_of_columns_is_read(
    spark: SparkSession, plant: Plant, pi_url: str
) -> None:
    frame = pi_datasource.read(
        spark,
        where="point_type = 'Digital'",
        url=pi_url,
        table="pi_points",
        columns=["name", "digital_set_name"],
    )
    digital = {(p.name, p.digital_set_name) for p in plant.points if p.point_type == "Digital"}
    assert len(digital) > 0
    assert {tuple(row) for row in frame.collect()} == digital
