"""Late, edited and deleted events: what PI shows now is what the tables hold, after every ingestion."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from mock_server import Plant
from tests.integration.support.site import NOW, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]

# Every event's fate is sealed within 2,048 periods: what lies further back cannot change any more.
PERIOD_S = 6.0
OVERLAP = f"{int(PERIOD_S * 2048)}s"


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    plant = Plant(seed=5, tags=24, plants=2, period_s=PERIOD_S, changes=0.05)
    with site_of(spark, tmp_path / "lake", plant) as site:
        site.options["start_time"] = (NOW - timedelta(minutes=20)).isoformat()
        yield site


def test_late_edited_and_deleted_events_reach_the_tables(site: Site) -> None:
    start = NOW - timedelta(minutes=20)
    site.ingest(overlap=OVERLAP)
    site.now += timedelta(minutes=65)
    report, overlap = site.ingest(overlap=OVERLAP)
    site.assert_bronze_is_exact(start)
    site.assert_gold_is_recomputed()
    assert (report.kind, overlap.kind) == ("stream", "overlap")
    assert overlap.window_start < overlap.window_end == report.window_start
    assert min(overlap.rows_late, overlap.rows_updated, overlap.rows_deleted) > 0
    assert overlap.rows_inserted == overlap.rows_late < overlap.rows_read
    assert report.rows_inserted == report.rows_read
    assert report.rows_late == report.rows_updated == report.rows_deleted == 0
    assert min(report.calls, overlap.calls) > 0
    _assert_figures_are_the_servers_own(site, NOW.replace(minute=0, second=0, microsecond=0))


def _assert_figures_are_the_servers_own(site: Site, hour: datetime) -> None:
    """Gold's figures of a whole hour are the server's own ``summary`` of it, by time and by event."""
    gold = duckdb.from_arrow(site.table("gold/pi_metrics_hourly"))
    names = "time_weighted_mean, percent_good, stddev_value, good_number_count"
    rows = gold.filter(f"epoch(hour) = {hour.timestamp()}").project(f"tag_webid, {names}").fetchall()
    figures = {web_id: row for web_id, *row in rows}
    numeric = [point for point in site.plant.points if point.point_type.startswith(("Float", "Int"))]
    assert any(point.sensor.step for point in numeric)
    seen = []
    for point in numeric:
        ours = figures[point.web_id("IDOnly")]
        by_time = _summary(site, point.web_id(), hour, "TimeWeighted", ["Average", "PercentGood"])
        by_event = _summary(site, point.web_id(), hour, "EventWeighted", ["StdDev", "Count"])
        assert ours == pytest.approx([*by_time, *by_event], rel=1e-6), point.name
        seen.append(ours)
    assert min(percent for _, percent, *_ in seen) < 100  # some were bad for a while


def _summary(site: Site, web_id: str, hour: datetime, basis: str, kinds: list[str]) -> list[float]:
    """The server's summaries of the hour; the first of two hours, because an interval alone includes its end."""
    asked: dict[str, Any] = {
        "startTime": hour.isoformat(),
        "endTime": (hour + timedelta(hours=2)).isoformat(),
        "summaryDuration": "1h",
        "summaryType": kinds,
        "calculationBasis": basis,
    }
    url = f"{site.options['url']}/streams/{web_id}/summary"
    items = requests.get(url, asked, timeout=30).json()["Items"]
    first = {item["Type"]: item["Value"]["Value"] for item in reversed(items)}
    return [first[kind] for kind in kinds]
