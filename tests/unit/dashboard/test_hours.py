"""A tag over more than a week is shown by its hours: the same figures as from its events, and none that hours lack."""

from __future__ import annotations

import statistics
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pi_datasource.dashboard.local import LocalBackend
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import EPOCH, HOUR_US, Selection
from tests.unit.dashboard import lake
from tests.unit.dashboard.lake import NASTY, NOW


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> LocalBackend:
    folder = tmp_path_factory.mktemp("lake")
    lake.write(folder)
    return LocalBackend(folder)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def panel(backend: LocalBackend, name: str, tag: str, width: int = 800, span: str = "30d") -> Any:
    selection = Selection.parse([("range", span)], NOW)
    assert selection.coarse == (span in ("30d", "1y"))
    told = evaluate(PANELS[name], QueryContext(backend, selection, NOW, tag, width))
    assert told["state"] == "ok", told
    return told["data"]


def events_of(tag: str) -> list[dict[str, Any]]:
    return sorted(
        (row for row in lake.events() if row["tag_webid"] == tag),
        key=lambda row: (row["timestamp"], row["sequence"]),
    )


@pytest.mark.parametrize("tag", ["W1", "W2", "W3"])
def test_figures_are_those_of_the_events(backend: LocalBackend, tag: str) -> None:
    rows = events_of(tag)
    numbers = [row["value"] for row in rows if row["good"] and row["value"] is not None]
    got = panel(backend, "tag-summary", tag)
    assert got["hourly"]
    assert (got["events"], got["good"]) == (len(rows), sum(row["good"] for row in rows))
    assert (got["lowest"], got["highest"]) == ((min(numbers), max(numbers)) if numbers else (None, None))
    assert got["mean"] == (pytest.approx(statistics.fmean(numbers)) if numbers else None)
    assert (got["first_event"], got["last_event"]) == (us(rows[0]["timestamp"]), us(rows[-1]["timestamp"]))
    assert (got["deviation"], got["questionable"], got["point_type"]) == (None, None, "Float32")
    assert got["tag_name"] == (NASTY if tag == "W3" else rows[0]["tag_name"])


def test_a_trend_has_the_extremes_of_every_hour(backend: LocalBackend) -> None:
    want: dict[int, list[float]] = {}
    for row in events_of("W1"):
        if row["good"]:
            want.setdefault(us(row["timestamp"]) // HOUR_US * HOUR_US, []).append(row["value"])
    got = panel(backend, "tag-trend", "W1")
    assert (got["mode"], got["pixel_us"]) == ("reduced", HOUR_US)
    assert {r["moment"]: (r["low"], r["high"]) for r in got["rows"]} == {
        hour: (min(values), max(values)) for hour, values in want.items()
    }
    assert all(r["low_at"] == r["high_at"] == r["moment"] + HOUR_US // 2 for r in got["rows"])
    assert sum(r["bad"] for r in got["rows"]) == sum(not row["good"] for row in events_of("W1"))


def test_hours_that_share_a_pixel_keep_their_extremes(backend: LocalBackend) -> None:
    got = panel(backend, "tag-trend", "W1", width=100)
    assert got["pixel_us"] == 8 * HOUR_US
    values = [row["value"] for row in events_of("W1") if row["good"]]
    assert (min(r["low"] for r in got["rows"]), max(r["high"] for r in got["rows"])) == (
        min(values),
        max(values),
    )
    assert sum(r["events"] for r in got["rows"]) == len(events_of("W1"))


def test_states_are_those_at_the_end_of_each_hour(backend: LocalBackend) -> None:
    last: dict[int, str] = {}
    for row in events_of("W2"):
        last[us(row["timestamp"]) // HOUR_US * HOUR_US] = row["value_string"]
    want = [
        (hour, state)
        for (hour, state), before in zip(last.items(), [None, *last.values()], strict=False)
        if state != before
    ]
    got = panel(backend, "tag-states", "W2")
    assert got["hourly"]
    assert [(r["moment"], r["state"]) for r in got["rows"]] == want
    assert len(want) > 10


@pytest.mark.parametrize("tag", ["W1", "W3", "W4", "nobody"])
def test_the_newest_events_are_the_same_as_over_a_week(backend: LocalBackend, tag: str) -> None:
    assert panel(backend, "tag-rows", tag) == panel(backend, "tag-rows", tag, span="7d")


def test_only_the_newest_hours_are_read_for_the_newest_events(tmp_path: Path) -> None:
    lake.write(tmp_path)
    files = sorted((tmp_path / "bronze/pi_timeseries").glob("*.parquet"), key=lambda f: f.stat().st_mtime)
    files[0].write_bytes(b"no parquet")
    assert len(panel(LocalBackend(tmp_path), "tag-rows", "W1")["rows"]) == 100
