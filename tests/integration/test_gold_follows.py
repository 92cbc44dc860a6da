"""Gold follows bronze, whoever changes it; and bronze is appended to where nothing of the tags is stored."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mock_server import Plant
from pi_datasource.delta import audit, backfill, commits, points
from tests.integration.support.site import NOW, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]

PLANT = Plant(seed=5, tags=6, plants=2, period_s=60.0)
TAG = PLANT.points[0]


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", PLANT) as site:
        site.options["start_time"] = (NOW - timedelta(hours=3)).isoformat()
        site.ingest()
        site.now += timedelta(minutes=5)
        yield site


def test_changes_by_hand_reach_gold_with_the_next_run(site: Site) -> None:
    table, tag = site.lakehouse.bronze, TAG.web_id("IDOnly")
    others = f"tag_webid <> '{tag}' AND value IS NOT NULL"
    site.spark.sql(f"UPDATE {table} SET value = value + 1 WHERE {others} AND minute(timestamp) < 10")
    gone = "timestamp < TIMESTAMP_LTZ'2026-03-01T05:00:00Z'"
    site.spark.sql(f"DELETE FROM {table} WHERE tag_webid = '{tag}' AND {gone}")
    before = _hours(site, tag)
    site.ingest()
    site.assert_gold_is_recomputed()
    assert 0 < _hours(site, tag) < before  # the hours without events have no row


@pytest.mark.classic_only("the log of a worker of the server is not seen here")
def test_without_a_feed_everything_is_recomputed_and_said(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    table = site.lakehouse.bronze
    feed = f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableChangeDataFeed' = "
    site.spark.sql(f"{feed}'false')")
    site.spark.sql(f"UPDATE {table} SET value = value + 1 WHERE value IS NOT NULL")
    site.spark.sql(f"{feed}'true')")
    with caplog.at_level(logging.WARNING):
        site.ingest()
    assert "are no longer stored: all hours are recomputed" in caplog.text
    site.assert_gold_is_recomputed()


def test_a_lakehouse_whose_audit_rows_know_no_version_is_recomputed_once(site: Site) -> None:
    site.spark.sql(f"UPDATE {site.lakehouse.audit} SET bronze_version = NULL")
    site.spark.sql(f"UPDATE {site.lakehouse.bronze} SET value = value + 1 WHERE value IS NOT NULL")
    site.ingest()
    site.assert_gold_is_recomputed()
    latest = commits.history(site.spark, site.lakehouse.bronze, 1).collect()[0]["version"]
    assert audit.gold_version(site.spark, site.lakehouse) == latest


def test_a_backfill_before_the_stream_is_appended_and_changes_the_hours_after_it(site: Site) -> None:
    start = NOW - timedelta(hours=9)
    window = {"start_time": start.isoformat(), "end_time": (NOW - timedelta(hours=3)).isoformat()}
    options = {**site.options, **window}
    pieces = list(backfill(site.spark, options, site.lakehouse, piece=timedelta(hours=2)))
    assert pieces[-1].done == pieces[-1].total
    site.ingest()
    site.assert_bronze_is_exact(start)
    site.assert_gold_is_recomputed()
    assert set(_operations(site)) == {"WRITE"}


def test_other_tags_in_the_same_time_are_appended(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "MAX_TAGS_LISTED", 1)  # all other selections are of many tags
    first, second = (",".join(p.name for p in PLANT.points[part::2]) for part in (0, 1))
    with site_of(spark, tmp_path / "other lake", PLANT) as site:
        for tags in (first, second):
            site.ingest(tags=tags)
        site.assert_bronze_is_exact(NOW - timedelta(hours=2))
        site.assert_gold_is_recomputed()
        assert _operations(site) == {"WRITE": 2}


def _hours(site: Site, web_id: str) -> int:
    return sum(row == web_id for row in site.table("gold/pi_metrics_hourly")["tag_webid"].to_pylist())


def _operations(site: Site) -> Counter[str]:
    history = commits.history(site.spark, site.lakehouse.bronze, None).select("operation").collect()
    return Counter(row["operation"] for row in history if row["operation"] in {"WRITE", "MERGE"})
