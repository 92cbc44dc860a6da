"""The ingestion pipeline: PI events into Delta tables, compared with the simulator's oracle row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException

from mock_server import TAG_PATTERN, Plant
from oracle_check import compare
from pi_datasource.delta import audit
from tests.integration.support.batch_patches import PatchBatches
from tests.integration.support.site import NOW, SETTLE, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.connect]


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", Plant(seed=1, tags=128, plants=4, rate=0.25)) as site:
        yield site


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
    site: Site, patch_batches: PatchBatches
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        message = "the power went out"
        raise RuntimeError(message)

    crashing = patch_batches(audit, "record", crash)
    with crashing, pytest.raises(StreamingQueryException, match="the power went out"):
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
    bronze = site.table("bronze/pi_timeseries")
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
