"""Real Spark: given tasks are read through ``format("pi")``, each by a partition of its own, without any other request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from mock_server import TAG_PATTERN, Plant
from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from pi_datasource.points import discovery
from pi_datasource.spark import planned_read
from pi_datasource.tables import registry
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient
from tests.integration.support.clock import NOW
from tests.integration.support.comparison import assert_equals_oracle

pytestmark = pytest.mark.integration

WINDOW = Window(NOW - timedelta(minutes=20), NOW - timedelta(minutes=5))


def parsed(url: str, **options: str) -> Options:
    return Options.parse({"url": url, "tag_pattern": TAG_PATTERN, "include_metadata": "true", **options})


def listed(options: Options) -> list[Point]:
    with PIClient(options) as api:
        return list(discovery.points(api, data_servers.select(api, options), options))


def columns(options: Options) -> StructType:
    return from_arrow_schema(registry.columns(options))


def read(spark: SparkSession, options: Options, tasks: Sequence[ReadTask]) -> DataFrame:
    return planned_read.rows(spark, options, tasks, columns(options))


def test_exactly_the_tasks_are_read_and_the_server_is_asked_for_nothing_else(
    spark: SparkSession, plant: Plant, server_factory: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    options = parsed(server_factory(access_log=log), tags="NORTH.*", start_time="*-1d", num_partitions="5")
    points = listed(options)
    tasks = plan(points, WINDOW, options, NOW)
    before = len(log.read_text(encoding="utf-8").splitlines())

    found = read(spark, options, tasks)

    assert found.schema == columns(options)
    by_partition = found.groupBy(F.spark_partition_id()).agg(F.collect_set("tag_webid")).collect()
    assert len(by_partition) == len(tasks) == 5
    for number, tags in by_partition:
        assert set(tags) <= {point.web_id for point in tasks[number].points}
    asked = log.read_text(encoding="utf-8").splitlines()[before:]
    assert len(asked) == len(tasks)
    assert all("/piwebapi/batch" in line for line in asked)
    assert assert_equals_oracle(plant, found, WINDOW.start, WINDOW.end, [point.name for point in points]) > 0


def test_two_reads_of_one_query_are_not_taken_for_one(spark: SparkSession, plant: Plant, pi_url: str) -> None:
    """Spark reuses what it takes for the same scan: of the stream, the overlap and a backfill."""
    options = parsed(pi_url, num_partitions="1")
    points = listed(options)[:6]
    middle = WINDOW.start + timedelta(minutes=7)
    parts = [Window(WINDOW.start, middle), Window(middle, WINDOW.end)]
    first, second = (read(spark, options, plan(points, part, options, NOW)) for part in parts)
    names = [point.name for point in points]
    assert_equals_oracle(plant, first.union(second), WINDOW.start, WINDOW.end, names)
    counts = [frame.groupBy("tag_webid").agg(F.max("timestamp").alias("last")) for frame in (first, second)]
    pairs = counts[0].join(counts[1].withColumnRenamed("last", "later"), "tag_webid").collect()
    assert len(pairs) > 0
    assert all(row["last"] < row["later"] for row in pairs)


def test_points_may_start_within_the_window(spark: SparkSession, plant: Plant, pi_url: str) -> None:
    options = parsed(pi_url, num_partitions="1")
    early, late = listed(options)[:2]
    start = WINDOW.start + timedelta(minutes=8)
    (task,) = plan([early, late], WINDOW, options, NOW)
    found = read(spark, options, [replace(task, starts=(WINDOW.start, start))])
    assert_equals_oracle(
        plant, found.where(F.col("tag_name") == early.name), WINDOW.start, WINDOW.end, [early.name]
    )
    assert_equals_oracle(plant, found.where(F.col("tag_name") == late.name), start, WINDOW.end, [late.name])


def test_failures_and_metrics_are_rows_or_one_error(spark: SparkSession, plant: Plant, pi_url: str) -> None:
    options = parsed(pi_url, num_partitions="2", max_retries="0")
    good = listed(options)[0]
    bad = Point("F1nowhere", "NOWHERE.Ä", "Float32", None, "SRV", "")
    reporting = options.model_copy(update={"on_error": "report", "report_metrics": True})
    found = read(spark, options, plan([good, bad], WINDOW, reporting, NOW)).toArrow()
    kinds = Counter(found.column("value_kind").to_pylist())
    assert (kinds["read_failure"], kinds["read_metrics"]) == (1, 2)
    (failed,) = [row for row in found.to_pylist() if row["value_kind"] == "read_failure"]
    assert (failed["tag_webid"], failed["tag_name"]) == (bad.web_id, bad.name)
    status = {"read_failure", "read_metrics"}
    events = found.filter([kind not in status for kind in found.column("value_kind").to_pylist()])
    assert_equals_oracle(plant, events, WINDOW.start, WINDOW.end, [good.name])
    with pytest.raises(PySparkException, match=r"ReadFailed: 1 point\(s\) could not be read in .*NOWHERE\.Ä"):
        read(spark, options, plan([good, bad], WINDOW, options, NOW)).count()


def test_no_tasks_are_an_empty_frame_for_which_no_server_is_needed(spark: SparkSession) -> None:
    options = parsed("http://127.0.0.1:9/piwebapi")
    found = read(spark, options, [])
    assert found.schema == columns(options)
    assert found.collect() == []


def test_the_tasks_are_in_no_plan(spark: SparkSession, pi_url: str) -> None:
    options = parsed(pi_url)
    many = [Point(f"W{i:x}", f"TAG.{i}", "Float32", None, "SRV", "") for i in range(10_000)]
    read(spark, options, plan(many, WINDOW, options, NOW)).createOrReplaceTempView("planned")
    for mode in ("EXTENDED", "FORMATTED", "COST"):
        (row,) = spark.sql(f"EXPLAIN {mode} SELECT tag_name FROM planned").collect()
        assert "BatchScan pi" in row[0]
        assert "__tasks__" not in row[0]
        assert len(row[0]) < 20_000
