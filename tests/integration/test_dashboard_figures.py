"""Every figure of the dashboard, over tables that the real pipeline wrote, equals the one that Spark computes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from mock_server import TAG_PATTERN, Plant, running
from pi_datasource.dashboard import LocalBackend, create_app
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.delta import Lakehouse, ingest
from tests.integration.support.site import forget
from tests.integration.support.spark_tables import SparkBackend
from tests.unit.dashboard.http_client import get, serving

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 6, 0, 20, 123456, tzinfo=timezone.utc)
QUERIES = [
    [("range", "24h"), ("by", "sensor_type")],
    [
        ("range", "7d"),
        ("plant", "NORTH"),
        ("plant", "HARBOR"),
        ("sensor_type", "FLOW"),
        ("sensor_type", "PUMP"),
    ],
]


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Thirty hours of history in one micro-batch, then twenty minutes more."""
    folder = tmp_path_factory.mktemp("dashboard") / "lake"
    plant = Plant(seed=1, tags=24, plants=4, rate=0.25)
    now = [NOW - timedelta(minutes=20)]
    forget(spark)
    with running(plant, clock=lambda: now[0]) as url:
        options = {
            "url": url,
            "start_time": "*-30h",
            "tag_pattern": TAG_PATTERN,
        }
        ingest(spark, options, Lakehouse.in_directory(folder))
        now[0] = NOW
        ingest(spark, options, Lakehouse.in_directory(folder))
    spark.sql(f"OPTIMIZE delta.`{folder}/bronze/pi_timeseries`")  # rewritten by its clustering
    yield folder
    forget(spark)


@pytest.fixture(scope="module")
def base(lake: Path) -> Iterator[str]:
    with serving(create_app(LocalBackend(lake), clock=lambda: NOW)) as url:
        yield url


def _delta(spark: SparkSession, lake: Path, name: str) -> DataFrame:
    return spark.read.format("delta").load(str(lake / name))


def _in_range(frame: DataFrame, query: list[tuple[str, str]], column: str = "timestamp") -> DataFrame:
    selection = Selection.parse(query, NOW)
    at = F.unix_micros(column)
    frame = frame.where((at >= selection.start_us) & (at < selection.end_us))
    for name in ("plant", "sensor_type"):
        values = [value for key, value in query if key == name]
        if values and name in frame.columns:
            frame = frame.where(F.col(name).isin(values))
    return frame


@pytest.mark.parametrize("query", [*QUERIES, [("range", "30d")]])
def test_every_statement_means_the_same_to_spark(
    spark: SparkSession, lake: Path, query: list[tuple[str, str]]
) -> None:
    selection = Selection.parse(query, NOW)
    tags = _delta(spark, lake, "bronze/pi_timeseries").where("timestamp > timestamp'2026-03-01 05:30:00'")
    some = [
        tags.where(f"value_kind = '{kind}'").select("tag_webid").orderBy("tag_name").first()[0]
        for kind in ("number", "digital")
    ]
    compared = 0
    # Over a month only a tag is shown by other statements.
    panels = {name: panel for name, panel in PANELS.items() if panel.per_tag or not selection.coarse}
    for name, panel in panels.items():
        for tag in some if panel.per_tag else some[:1]:
            here, there = (
                evaluate(panel, QueryContext(backend, selection, NOW, tag))
                for backend in (LocalBackend(lake), SparkBackend(spark, lake))
            )
            _assert_same(here, there, name)
            compared += len(json.dumps(here)) > 200
    assert compared >= (6 if selection.coarse else 12)


def test_a_tags_month_is_that_of_its_events(spark: SparkSession, lake: Path, base: str) -> None:
    """The hourly table gives the figures that Spark finds in the events themselves, for tags of every kind."""
    good = F.when(F.col("good"), F.col("value"))
    figures = [F.count("*").alias("events"), F.count_if("good").alias("good")]
    figures += [f(good).alias(n) for n, f in (("lowest", F.min), ("highest", F.max), ("mean", F.avg))]
    figures += [
        F.unix_micros(f("timestamp")).alias(n) for n, f in (("first_event", F.min), ("last_event", F.max))
    ]
    rows = _delta(spark, lake, "bronze/pi_timeseries").groupBy("tag_webid").agg(*figures).collect()
    assert len(rows) >= 24
    for row in rows:
        want = row.asDict()
        asked = {"tag": want.pop("tag_webid"), "range": "30d"}
        got = get(base, "/ingestion/api/tag-summary", asked).json()["data"]
        assert got["hourly"]
        _assert_same({name: got[name] for name in want}, want, asked["tag"])


def _assert_same(here: Any, there: Any, where: str) -> None:
    """Equal, but for the last digits of sums of fractions, and for which of several equal extremes is named."""
    if isinstance(here, dict):
        assert here.keys() == there.keys(), where
        for key in here:
            if key not in ("low_at", "high_at"):
                _assert_same(here[key], there[key], f"{where}.{key}")
    elif isinstance(here, list):
        assert len(here) == len(there), where
        for index, (one, other) in enumerate(zip(here, there, strict=True)):
            _assert_same(one, other, f"{where}[{index}]")
    elif isinstance(here, float) and isinstance(there, float):
        assert math.isclose(here, there, rel_tol=1e-9, abs_tol=1e-12), (where, here, there)
    else:
        assert here == there, where


@pytest.mark.parametrize("query", QUERIES)
def test_the_key_figures_are_sparks(
    spark: SparkSession, lake: Path, base: str, query: list[tuple[str, str]]
) -> None:
    bronze = _delta(spark, lake, "bronze/pi_timeseries")
    want = _in_range(bronze, query).agg(
        F.count("*").alias("events"),
        F.count_distinct("tag_webid").alias("tags"),
        F.count_if("good").alias("good"),
        F.unix_micros(F.max("timestamp")).alias("last_event"),
    )
    audit = _in_range(_delta(spark, lake, "checkpoints/pi_ingestion_checkpoint"), query, "window_end")
    speed = audit.agg(F.sum("rows_read") / F.sum("seconds")).first()[0]
    got = get(base, "/ingestion/api/kpis", query).json()["data"]
    row = want.first().asDict()
    assert row["events"] > 0
    assert {name: got[name] for name in row} == row
    assert got["rows_in_table"] == bronze.count()
    assert math.isclose(got["rows_per_second"], speed)
    assert got["lag_s"] == 5.0  # the stream stays that far behind the server's clock


@pytest.mark.parametrize("query", QUERIES)
def test_the_charts_are_sparks(
    spark: SparkSession, lake: Path, base: str, query: list[tuple[str, str]]
) -> None:
    bronze = _in_range(_delta(spark, lake, "bronze/pi_timeseries"), query)
    by = dict(query).get("by", "plant")
    grain = Selection.parse(query, NOW).grain_us
    moment = (F.floor(F.unix_micros("timestamp") / grain) * grain).alias("moment")
    want = {(r[by], r["moment"]): r["count"] for r in bronze.groupBy(by, moment).count().collect()}
    got = get(base, "/ingestion/api/timeline", query).json()["data"]["series"]
    assert {
        (one["name"], at): events
        for one in got
        for at, events in zip(one["moments"], one["events"], strict=True)
    } == want

    types = bronze.groupBy("sensor_type").agg(F.count("*"), F.count_distinct("tag_webid"), F.count_if("good"))
    rows = get(base, "/ingestion/api/distribution", query).json()["data"]["rows"]
    assert {(r["sensor_type"], r["events"], r["tags"], r["good"]) for r in rows} == {
        tuple(r) for r in types.collect()
    }

    worst = bronze.groupBy("tag_webid").agg(F.count("*").alias("n"), F.count_if("good").alias("good"))
    listed = worst.orderBy(F.col("good") / F.col("n"), F.desc("n")).limit(50).collect()
    rows = get(base, "/ingestion/api/quality", query).json()["data"]["rows"]
    assert [(r["events"], r["good"]) for r in rows] == [(r["n"], r["good"]) for r in listed]

    plants = bronze.groupBy("plant").agg(F.unix_micros(F.max("timestamp")))
    rows = get(base, "/ingestion/api/freshness", query).json()["data"]["plants"]
    assert {(r["plant"], r["last_event"]) for r in rows} == {tuple(r) for r in plants.collect()}


def test_a_tags_figures_rows_and_download_are_sparks(spark: SparkSession, lake: Path, base: str) -> None:
    bronze = _in_range(_delta(spark, lake, "bronze/pi_timeseries"), [("range", "24h")])
    tag = bronze.groupBy("tag_webid").count().orderBy(F.desc("count"), "tag_webid").first()[0]
    mine = bronze.where(F.col("tag_webid") == tag)
    good = F.when(F.col("good"), F.col("value"))
    want = mine.agg(
        F.count("*").alias("events"),
        F.min(good).alias("lowest"),
        F.max(good).alias("highest"),
        F.avg(good).alias("mean"),
        F.stddev_samp(good).alias("deviation"),
        F.count_if("questionable").alias("questionable"),
    ).first()
    got = get(base, "/ingestion/api/tag-summary", {"tag": tag}).json()["data"]
    for name, value in want.asDict().items():
        assert math.isclose(got[name], value, rel_tol=1e-9), name
    lines = get(base, "/ingestion/api/tag.csv", {"tag": tag}).text.split("\r\n")[1:-1]
    rows = mine.orderBy("timestamp", "sequence").select(
        F.date_format("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"), "sequence", "value"
    )
    assert [line.split(",")[1:4] for line in lines] == [
        [r[0], str(r[1]), "" if r[2] is None else repr(r[2])] for r in rows.collect()
    ]


def test_the_runs_are_those_of_the_audit_table(spark: SparkSession, lake: Path, base: str) -> None:
    audit = _delta(spark, lake, "checkpoints/pi_ingestion_checkpoint").orderBy(F.desc("created_at"))
    rows = audit.select("batch_id", "rows_read", "rows_inserted", "rows_updated", "seconds").collect()
    runs = get(base, "/ingestion/api/health").json()["data"]["runs"]
    assert len(runs) == 2
    assert [
        (r["batch_id"], r["rows_read"], r["rows_inserted"], r["rows_updated"], r["seconds"]) for r in runs
    ] == [tuple(r) for r in rows]
    metrics = get(base, "/metrics").text
    total = _delta(spark, lake, "bronze/pi_timeseries").count()
    assert f'pi_datasource_table_rows{{table="bronze"}} {total}' in metrics.splitlines()
