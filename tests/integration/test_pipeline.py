"""The ingestion pipeline: PI events into Delta tables, compared with the simulator's oracle row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.errors import StreamingQueryException

from mock_server import TAG_PATTERN, Plant, running
from oracle_check import compare, read_delta
from pi_datasource.delta import BatchReport, Lakehouse, ingest, ledger, pipeline

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 6, 0, 0, 123456, tzinfo=timezone.utc)
SETTLE = timedelta(seconds=5)


class Site:
    """A simulated site with a clock that a test moves, and the lakehouse that it is ingested into."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self.spark = spark
        self.now = NOW
        self.plant = Plant(seed=1, tags=128, plants=4)
        self.lakehouse = Lakehouse.in_directory(folder)
        self.options = {"start_time": "*-2h", "tag_pattern": TAG_PATTERN}

    def ingest(self, **more: str) -> list[BatchReport]:
        return ingest(self.spark, {**self.options, **more}, self.lakehouse)

    def reports(self) -> list[BatchReport]:
        table = self.spark.read.table(self.lakehouse.ledger)
        return [
            report
            for (stream,) in table.select("stream_id").distinct().collect()
            for report in ledger.reports(self.spark, self.lakehouse, stream)
        ]

    def folder(self, name: str) -> str:
        return f"{self.lakehouse.directory}/{name}"

    def assert_bronze_is_exact(self, start: datetime, tags: list[str] | None = None) -> int:
        bronze = read_delta(self.folder("bronze/pi_timeseries"))
        comparison = compare(self.plant, bronze, start, self.now - SETTLE, tags)
        assert comparison.equal, str(comparison)
        return comparison.rows

    def assert_gold_is_recomputed(self) -> None:
        bronze, gold = (
            read_delta(self.folder(n)) for n in ("bronze/pi_timeseries", "gold/pi_metrics_hourly")
        )
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("bronze", bronze)
        connection.register("gold", gold)
        want = """
            SELECT tag_webid, date_trunc('hour', timestamp) AS hour, max(tag_name), max(plant), max(sensor_type),
                   count(*), count(*) FILTER (good), min(value) FILTER (good), max(value) FILTER (good),
                   first(value ORDER BY timestamp, sequence) FILTER (good AND value IS NOT NULL),
                   last(value ORDER BY timestamp, sequence) FILTER (good AND value IS NOT NULL),
                   last(value_string ORDER BY timestamp, sequence)
            FROM bronze GROUP BY ALL"""
        got = """
            SELECT tag_webid, hour, tag_name, plant, sensor_type, event_count, good_count, min_value, max_value,
                   first_value, last_value, last_value_string FROM gold"""
        for one, other in ((want, got), (got, want)):
            assert connection.execute(f"({one}) EXCEPT ALL ({other})").fetchall() == []
        means = """
            SELECT count(*), max(abs(g.mean_value - w.mean) / greatest(abs(w.mean), 1)), max(abs(good_share - share))
            FROM gold g JOIN (
                SELECT tag_webid, date_trunc('hour', timestamp) AS hour, avg(value) FILTER (good) AS mean,
                       count(*) FILTER (good) / count(*) AS share FROM bronze GROUP BY ALL) w
            USING (tag_webid, hour) WHERE (g.mean_value IS NULL) = (w.mean IS NULL)"""
        rows, worst_mean, worst_share = connection.execute(means).fetchall()[0]
        assert rows == gold.num_rows
        assert worst_mean < 1e-12
        assert worst_share < 1e-12


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    site = Site(spark, tmp_path / "lake")
    with running(site.plant, clock=lambda: site.now) as url:
        site.options["url"] = url
        for schema in ("bronze", "gold", "checkpoints"):
            spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        yield site
    for schema in ("bronze", "gold", "checkpoints"):
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def test_three_ingestions_and_new_tags_give_exactly_the_oracles_rows(site: Site) -> None:
    first_window_start = site.now - timedelta(hours=2)
    first = site.ingest(max_window_per_trigger="50m")
    assert len(first) == 3
    assert site.assert_bronze_is_exact(first_window_start) == sum(report.rows_inserted for report in first)

    assert site.ingest() == []  # the clock stands still: there is nothing new

    site.now += timedelta(minutes=7)
    second = site.ingest()
    site.assert_bronze_is_exact(first_window_start)

    site.now += timedelta(minutes=3)
    new = site.plant.add_points(10, site.now)
    site.now += timedelta(minutes=5)
    third = site.ingest()
    site.assert_bronze_is_exact(first_window_start)
    names = {row[0] for row in site.spark.sql("SELECT DISTINCT tag_name FROM bronze.pi_timeseries").collect()}
    assert {point.name for point in new} <= names

    site.assert_gold_is_recomputed()
    reports = [*first, *second, *third]
    assert reports == site.reports()
    assert reports[0].window_start == first_window_start
    assert reports[-1].window_end == site.now - SETTLE
    assert [r.window_end for r in reports[:-1]] == [r.window_start for r in reports[1:]]
    assert all(r.rows_read == r.rows_inserted and r.rows_updated == r.read_failures == 0 for r in reports)


def test_pages_of_seven_events_give_the_same_rows(site: Site) -> None:
    site.ingest(start_time="*-20m", page_size="7", batch_size="40", num_partitions="3")
    assert site.assert_bronze_is_exact(NOW - timedelta(minutes=20)) > 1000


def test_a_crash_between_bronze_and_the_audit_row_doubles_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        message = "the power went out"
        raise RuntimeError(message)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline.ledger, "record", crash)
        with pytest.raises(StreamingQueryException, match="the power went out"):
            site.ingest()
    assert site.reports() == []
    written = site.assert_bronze_is_exact(NOW - timedelta(hours=2))

    site.now += timedelta(minutes=5)
    reports = site.ingest()
    rows = site.assert_bronze_is_exact(NOW - timedelta(hours=2))
    site.assert_gold_is_recomputed()
    # The replayed batch says what both attempts wrote together, not that there was nothing left to write.
    assert [(r.batch_id, r.rows_inserted, r.rows_updated) for r in reports] == [
        (0, written, 0),
        (1, rows - written, 0),
    ]


def test_a_changed_event_is_updated_and_an_unchanged_one_keeps_its_arrival(site: Site) -> None:
    site.ingest(start_time="*-10m")
    site.spark.sql(
        "UPDATE bronze.pi_timeseries SET value = -1, good = false WHERE tag_name LIKE 'NORTH%' AND value IS NOT NULL"
    )
    arrivals = site.spark.sql("SELECT DISTINCT ingestion_timestamp FROM bronze.pi_timeseries").collect()
    other_stream = {"tags": "NORTH*,QUARRY*"}  # its own position, so it reads the same window anew
    site.now += timedelta(seconds=1)
    (report,) = site.ingest(start_time="*-601s", **other_stream)
    names = [p.name for p in site.plant.points if p.name.startswith("NORTH")]
    bronze = read_delta(site.folder("bronze/pi_timeseries"))
    north = bronze.filter([name.startswith("NORTH") for name in bronze["tag_name"].to_pylist()])
    comparison = compare(site.plant, north, NOW - timedelta(minutes=10), site.now - SETTLE, names)
    assert comparison.equal, str(comparison)
    assert report.rows_updated > 0
    kept = site.spark.sql(
        "SELECT DISTINCT ingestion_timestamp FROM bronze.pi_timeseries WHERE tag_name LIKE 'HARBOR%'"
    ).collect()
    assert kept == arrivals


def test_a_wider_selection_of_tags_is_read_from_its_own_start(site: Site) -> None:
    site.ingest(tags="NORTH.*")
    site.now += timedelta(minutes=1)
    site.ingest(tags="NORTH.*,QUARRY.*", start_time=f"{NOW - timedelta(hours=2):%Y-%m-%dT%H:%M:%S.%fZ}")
    names = [p.name for p in site.plant.points if p.name.startswith(("NORTH.", "QUARRY."))]
    site.assert_bronze_is_exact(NOW - timedelta(hours=2), names)


def test_a_pattern_given_later_adds_its_columns(site: Site) -> None:
    del site.options["tag_pattern"]
    site.ingest(start_time="*-10m", tags="NORTH.*")
    site.now += timedelta(minutes=10)
    site.ingest(tags="NORTH.*", tag_pattern=TAG_PATTERN)
    names = [p.name for p in site.plant.points if p.name.startswith("NORTH.")]
    site.assert_bronze_is_exact(NOW - timedelta(minutes=10), names)
    plants = site.spark.sql(
        "SELECT DISTINCT plant FROM bronze.pi_timeseries ORDER BY plant NULLS FIRST"
    ).collect()
    assert [row[0] for row in plants] == [None, "NORTH"]
