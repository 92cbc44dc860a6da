"""Figures of the panels over Delta tables in a folder, against the same figures worked out in plain Python."""

from __future__ import annotations

import json
import math
import shutil
import statistics
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from pi_datasource.dashboard import delta_log, metrics
from pi_datasource.dashboard.local import LocalBackend
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.panels.tag import search
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import EPOCH, Selection
from pi_datasource.dashboard.tables import TABLES
from pi_datasource.errors import InvalidOption, TablesUnavailable
from tests.unit.dashboard import lake
from tests.unit.dashboard.lake import NASTY, NOW

RANGES = ["1h", "24h", "7d"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lake")
    lake.write(made)
    return made


@pytest.fixture(scope="module")
def backend(folder: Path) -> LocalBackend:
    return LocalBackend(folder)


def us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def panel(backend: LocalBackend, name: str, *query: tuple[str, str], tag: str = "", width: int = 800) -> Any:
    told = evaluate(PANELS[name], context(backend, *query, tag=tag, width=width))
    json.dumps(told, allow_nan=False)
    assert told["state"] == "ok", told
    return told["data"]


def context(backend: LocalBackend, *query: tuple[str, str], tag: str = "", width: int = 800) -> QueryContext:
    return QueryContext(backend, Selection.parse(query, NOW), NOW, tag, width)


def chosen(*query: tuple[str, str]) -> list[dict[str, Any]]:
    selection = Selection.parse(query, NOW)
    return [
        row
        for row in lake.events()
        if selection.start_us <= us(row["timestamp"]) < selection.end_us
        and (not selection.plants or row["plant"] in selection.plants)
        and (not selection.sensor_types or row["sensor_type"] in selection.sensor_types)
    ]


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize(
    "more", [[], [("plant", NASTY)], [("plant", "A"), ("plant", "B"), ("sensor_type", "TEMP")]]
)
def test_key_figures(backend: LocalBackend, span: str, more: list[tuple[str, str]]) -> None:
    query = [("range", span), *more]
    rows = chosen(*query)
    got = panel(backend, "kpis", *query)
    assert got["events"] == len(rows)
    assert got["tags"] == len({row["tag_webid"] for row in rows})
    assert got["good"] == sum(row["good"] for row in rows)
    assert got["good_share"] == (got["good"] / len(rows) if rows else None)
    plants = {value for name, value in more if name == "plant"}
    types = {value for name, value in more if name == "sensor_type"}
    all_times = [
        us(row["timestamp"])
        for row in lake.events()
        if (not plants or row["plant"] in plants) and (not types or row["sensor_type"] in types)
    ]
    assert got["last_event"] == max(all_times)
    assert got["rows_in_table"] == len(lake.events())
    assert got["read_until"] == us(NOW - timedelta(minutes=1))
    assert got["lag_s"] == 60.0
    read = [b for b in lake.batches() if b["window_end"] >= NOW - timedelta(hours=1)]
    assert got["rows_per_second"] == pytest.approx(sum(b["rows_read"] for b in read) / (2.5 * len(read)))


@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("by", ["plant", "sensor_type"])
def test_events_over_time(backend: LocalBackend, span: str, by: str) -> None:
    grain = Selection.parse([("range", span)], NOW).grain_us
    want = Counter((row[by], us(row["timestamp"]) // grain * grain) for row in chosen(("range", span)))
    got = panel(backend, "timeline", ("range", span), ("by", by))
    bars = {
        (one["name"], moment): events
        for one in got["series"]
        for moment, events in zip(one["moments"], one["events"], strict=True)
    }
    assert bars == want
    assert got["grain_s"] * 1_000_000 == grain


@pytest.mark.parametrize("span", RANGES)
def test_distribution_and_quality(backend: LocalBackend, span: str) -> None:
    rows = chosen(("range", span))
    events, good = (
        Counter(r["sensor_type"] for r in rows),
        Counter(r["sensor_type"] for r in rows if r["good"]),
    )
    got = panel(backend, "distribution", ("range", span))["rows"]
    assert {r["sensor_type"]: (r["events"], r["good"]) for r in got} == {
        k: (n, good[k]) for k, n in events.items()
    }
    assert [r["events"] for r in got] == sorted(events.values(), reverse=True)
    per_tag, good_tag = (
        Counter(r["tag_webid"] for r in rows),
        Counter(r["tag_webid"] for r in rows if r["good"]),
    )
    quality = panel(backend, "quality", ("range", span))["rows"]
    assert {r["tag_webid"]: (r["events"], r["good"]) for r in quality} == {
        tag: (n, good_tag[tag]) for tag, n in per_tag.items()
    }
    shares = [r["good_share"] for r in quality]
    assert shares == sorted(good_tag[r["tag_webid"]] / per_tag[r["tag_webid"]] for r in quality)


@pytest.mark.parametrize("span", ["24h", "7d"])
def test_silences(backend: LocalBackend, span: str) -> None:
    selection = Selection.parse([("range", span)], NOW)
    step = min(selection.grain_us, 3600 * 1_000_000)
    horizon = us(NOW - timedelta(minutes=1)) // step * step
    want = {}
    for tag in {row["tag_webid"] for row in lake.events()}:
        bars = sorted(
            {us(r["timestamp"]) // step * step for r in chosen(("range", span)) if r["tag_webid"] == tag}
        )
        silences = [
            (after - bar - step, bar + step) for bar, after in zip(bars, [*bars[1:], horizon], strict=True)
        ]
        if silences and max(silences)[0] > 0:
            want[tag] = (*max(silences), sum(silence > 0 for silence, _ in silences))
    rows = panel(backend, "gaps", ("range", span))["rows"]
    assert {r["tag_webid"]: (r["longest_us"], r["silent_from"], r["gaps"]) for r in rows} == want
    assert rows[0]["tag_webid"] == "W4"
    events = sum(r["tag_webid"] == "W4" for r in chosen(("range", span)))
    assert rows[0]["times_usual"] == pytest.approx(want["W4"][0] * events / (horizon - selection.start_us))


def test_freshness_names_the_silent_tag(backend: LocalBackend) -> None:
    got = panel(backend, "freshness")
    newest: dict[str, datetime] = {}
    for row in lake.events():
        newest[row["plant"]] = max(row["timestamp"], newest.get(row["plant"], EPOCH))
    assert {r["plant"]: r["last_event"] for r in got["plants"]} == {k: us(v) for k, v in newest.items()}
    assert all(r["exact"] for r in got["plants"])
    assert {r["plant"]: (r["tags"], r["stale"]) for r in got["plants"]} == {
        "A": (1, 0),
        "B": (2, 1),
        NASTY: (1, 0),
    }
    assert [r["tag_webid"] for r in got["stale"]] == ["W4"]


def test_a_plant_without_news_is_given_by_the_hour(backend: LocalBackend) -> None:
    got = panel(backend, "freshness", ("sensor_type", "TEMP"), ("sensor_type", "FLOW"))
    told = {r["plant"]: (r["exact"], r["last_event"]) for r in got["plants"]}
    last = max(row["timestamp"] for row in lake.events() if row["tag_webid"] == "W4")
    assert told["A"][0]
    assert told["B"] == (False, us(last.replace(minute=0, second=0, microsecond=0)))


def test_runs_and_changes(backend: LocalBackend) -> None:
    told = evaluate(PANELS["health"], context(backend))
    missing = ["rows_deleted", "rows_late", "retries", "calls", "throttled_seconds"]
    assert told["not_recorded"] == missing
    assert [run["batch_id"] for run in told["data"]["runs"]] == [5, 4, 3, 2, 1, 0]
    assert told["data"]["runs"][0]["created_at"] == us(NOW - timedelta(seconds=57))
    assert told["data"]["runs"][0]["rows_deleted"] is None
    assert told["data"]["headline"]["words"] == "up to date: behind by 60 s, the last run finished 57 s ago"
    totals = panel(backend, "changes")["totals"]
    assert totals == {
        "inserted": sum(b["rows_inserted"] for b in lake.batches()),
        "edited": 15,
        "deleted": None,
        "late": None,
        "failures": 0,
        "retries": None,
    }


def test_a_backfill_beside_a_stream_is_not_behind(tmp_path: Path) -> None:
    lake.write(tmp_path)
    audit = "checkpoints/pi_ingestion_checkpoint"
    lake.put(tmp_path, audit, lake.pieces("backfill ab12 21600s"), lake.AUDIT)
    told = panel(LocalBackend(tmp_path), "health")
    assert told["headline"]["words"] == "up to date: behind by 60 s, the last run finished 57 s ago"
    assert [(one["stream_id"], one["level"], one["lag_s"]) for one in told["streams"]] == [
        ("backfill ab12 21600s", "ok", None),
        ("stream-1", "ok", 60.0),
    ]
    lags = {(run["stream_id"], run["lag_seconds"]) for run in told["runs"]}
    assert lags == {("backfill ab12 21600s", None), ("stream-1", 3.0)}


def test_a_backfill_up_to_now_does_not_hide_that_a_stream_is_behind(tmp_path: Path) -> None:
    lake.write(tmp_path)
    audit = "checkpoints/pi_ingestion_checkpoint"
    lake.put(tmp_path, audit, lake.pieces("repair ab12", -timedelta(seconds=55)), lake.AUDIT)
    got = panel(LocalBackend(tmp_path), "kpis")
    assert (got["lag_s"], got["read_until"]) == (60.0, us(NOW - timedelta(seconds=60)))


def test_a_backfill_alone_has_read_until_its_end_and_is_not_behind(tmp_path: Path) -> None:
    lake.write(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    audit = "checkpoints/pi_ingestion_checkpoint"
    lake.put(tmp_path, audit, lake.pieces("backfill ab12 21600s"), lake.AUDIT)
    got = panel(LocalBackend(tmp_path), "kpis")
    assert (got["lag_s"], got["read_until"]) == (None, us(NOW - timedelta(days=400, seconds=60)))


def test_columns_of_a_later_version_are_shown(tmp_path: Path) -> None:
    lake.write(tmp_path)
    more = {"rows_deleted": 7, "rows_late": 3, "retries": 2, "calls": 9, "throttled_seconds": 1.5}
    columns = lake.AUDIT
    for name, value in more.items():
        columns = columns.append(pa.field(name, pa.float64() if isinstance(value, float) else pa.int64()))
    lake.put(tmp_path, "checkpoints/pi_ingestion_checkpoint", lake.batches(1, batch_id=6, **more), columns)
    backend = LocalBackend(tmp_path)
    told = evaluate(PANELS["health"], context(backend))
    assert told["not_recorded"] == []
    assert {name: told["data"]["runs"][0][name] for name in more} == more
    totals = panel(backend, "changes")["totals"]
    assert (totals["deleted"], totals["late"], totals["retries"]) == (7, 3, 2)


def test_health_names_what_the_server_answered_since_tags_cannot_be_read(tmp_path: Path) -> None:
    lake.write(tmp_path)
    for number, (first, count) in enumerate([(6, 1), (7, 2)]):
        batch = lake.batches(1, batch_id=first, read_failures=count)[0]
        batch = {**batch, "created_at": batch["created_at"] + timedelta(seconds=10 + number)}
        lake.put(tmp_path, "checkpoints/pi_ingestion_checkpoint", [batch], lake.AUDIT)
    old = {**lake.failures()[0], "status": 404, "window_end": NOW - timedelta(hours=2)}
    lake.put(tmp_path, "bronze/pi_timeseries_errors", [old], lake.FAILURES)
    told = panel(LocalBackend(tmp_path), "health")["headline"]
    assert told["words"] == (
        "behind by 60 s: the PI server answered 502 for 5 min, so that the last run could not read 2 tags; "
        "see the errors that wait for repair"
    )


def test_only_errors_that_wait_are_shown(backend: LocalBackend) -> None:
    got = panel(backend, "errors")
    assert got["waiting"] == 1
    assert [(r["tag_webid"], r["tag_name"], r["status"], r["message"]) for r in got["rows"]] == [
        ("W3", NASTY, 502, f"HTTP 502: {NASTY}")
    ]


def test_dismissed_errors_do_not_wait_and_are_counted_by_reason(tmp_path: Path) -> None:
    lake.write(tmp_path)
    assert panel(LocalBackend(tmp_path), "errors")["dismissed"] == []  # a table without these columns
    dismissed = {**lake.failures()[0], "tag_webid": "W4", "dismissed_at": NOW, "dismissed_reason": "deleted"}
    columns = pa.schema([*lake.FAILURES, ("dismissed_at", lake.MOMENT), ("dismissed_reason", pa.string())])
    repaired = {**dismissed, "tag_webid": "W1", "repaired_at": NOW}
    lake.put(tmp_path, "bronze/pi_timeseries_errors", [dismissed, repaired], columns)
    backend = LocalBackend(tmp_path)
    got = panel(backend, "errors")
    assert got["waiting"] == 1
    assert [row["tag_webid"] for row in got["rows"]] == ["W3"]
    assert got["dismissed"] == [{"reason": "deleted", "dismissed": 1}]
    found = metrics.collect(QueryContext(backend, Selection.parse([], NOW), NOW))
    assert found["errors_waiting"] == {'{table="errors"}': 1}


def test_an_audit_is_shown_where_it_ran(tmp_path: Path) -> None:
    lake.write(tmp_path)
    told = evaluate(PANELS["completeness"], context(LocalBackend(tmp_path)))
    assert told["state"] == "empty"
    assert told["words"].startswith("No audit has run")
    checks = [
        {
            "tag_name": f"T{n}",
            "window_start": NOW - timedelta(hours=1),
            "window_end": NOW,
            "server_count": 10 + n,
        }
        | {"table_count": 10, "checked_at": NOW}
        for n in range(3)
    ]
    columns = pa.schema(
        [
            ("tag_name", pa.string()),
            *((name, lake.MOMENT) for name in ("window_start", "window_end", "checked_at")),
            *((name, pa.int64()) for name in ("server_count", "table_count")),
        ]
    )
    lake.put(tmp_path, TABLES["completeness"].path, checks, columns)
    got = panel(LocalBackend(tmp_path), "completeness")
    assert (got["checks"], got["server_events"], got["table_events"], got["differences"]) == (3, 33, 30, 2)
    assert [r["tag_name"] for r in got["rows"]] == ["T1", "T2"]


def test_figures_of_a_tag(backend: LocalBackend) -> None:
    rows = [row for row in chosen() if row["tag_webid"] == "W1"]
    numbers = [row["value"] for row in rows if row["good"]]
    got = panel(backend, "tag-summary", tag="W1")
    assert (got["events"], got["good"]) == (len(rows), len(numbers))
    assert (got["lowest"], got["highest"]) == (min(numbers), max(numbers))
    assert math.isclose(got["mean"], statistics.fmean(numbers))
    assert math.isclose(got["deviation"], statistics.stdev(numbers))
    assert (got["first_event"], got["last_event"]) == (us(rows[0]["timestamp"]), us(rows[-1]["timestamp"]))


def test_a_short_trend_is_every_event(backend: LocalBackend) -> None:
    got = panel(backend, "tag-trend", tag="W1")
    assert got["mode"] == "raw"
    rows = [row for row in chosen() if row["tag_webid"] == "W1"]
    assert [(r["moment"], r["value"], r["good"]) for r in got["rows"]] == [
        (us(row["timestamp"]), row["value"], row["good"]) for row in rows
    ]


@pytest.mark.parametrize("span", ["24h", "7d"])
def test_a_long_trend_keeps_every_spike(tmp_path: Path, span: str) -> None:
    start = NOW - timedelta(hours=23)
    rows = [
        lake.event("W", "T", start + timedelta(seconds=8 * n), math.sin(n / 500), ("A", "FLOW"))
        for n in range(10_000)
    ]
    rows[1234]["value"], rows[7777]["value"] = 1e6, -1e6
    rows[5000].update(good=False, value=9e9)
    rows[6000].update(questionable=True)
    lake.write(tmp_path, rows)
    got = panel(LocalBackend(tmp_path), "tag-trend", ("range", span), tag="W", width=400)
    assert got["mode"] == "reduced"
    assert len(got["rows"]) <= 400
    pixel, first = got["pixel_us"], Selection.parse([("range", span)], NOW).start_us
    want: dict[int, list[Any]] = {}
    for row in rows:
        bucket = first + (us(row["timestamp"]) - first) // pixel * pixel
        want.setdefault(bucket, []).append(row)
    assert [r["moment"] for r in got["rows"]] == sorted(want)
    for row in got["rows"]:
        mine = want[row["moment"]]
        values = {us(r["timestamp"]): r["value"] for r in mine if r["good"]}
        assert (row["low"], row["high"]) == (min(values.values()), max(values.values()))
        assert (values[row["low_at"]], values[row["high_at"]]) == (row["low"], row["high"])
        assert (row["events"], row["bad"]) == (len(mine), sum(not r["good"] for r in mine))
    assert max(r["high"] for r in got["rows"]) == 1e6
    assert min(r["low"] for r in got["rows"]) == -1e6
    assert sum(r["doubtful"] for r in got["rows"]) == 1


def test_figures_of_a_tag_with_values_that_are_not_finite_are_of_its_numbers(tmp_path: Path) -> None:
    values = [1.0, math.nan, 5.0, math.inf, -math.inf]
    times = [NOW - timedelta(minutes=10 - n) for n in range(5)]
    rows = [lake.event("W", "T", at, value, ("A", "FLOW")) for at, value in zip(times, values, strict=True)]
    lake.write(tmp_path, rows)
    backend = LocalBackend(tmp_path)
    got = panel(backend, "tag-summary", tag="W")
    assert (got["events"], got["good"], got["lowest"], got["mean"], got["highest"]) == (5, 5, 1.0, 3.0, 5.0)
    assert math.isclose(got["deviation"], statistics.stdev([1.0, 5.0]))
    shown = [row["value"] for row in panel(backend, "tag-rows", tag="W")["rows"]]
    assert shown == ["-Infinity", "Infinity", 5.0, "NaN", 1.0]


def test_the_trend_of_a_tag_with_values_that_are_not_finite_is_of_its_numbers(tmp_path: Path) -> None:
    rows = [
        lake.event("W", "T", NOW - timedelta(seconds=n), (2.0, math.nan, math.inf)[n % 3], ("A", "FLOW"))
        for n in range(1, 4200)
    ]
    lake.write(tmp_path, rows)
    got = panel(LocalBackend(tmp_path), "tag-trend", tag="W")
    assert got["mode"] == "reduced"
    assert {(row["low"], row["high"]) for row in got["rows"]} == {(2.0, 2.0)}


def test_states_are_told_at_each_change(backend: LocalBackend) -> None:
    want, before = [], None
    for row in chosen():
        if row["tag_webid"] == "W2" and row["value_string"] != before:
            before = row["value_string"]
            want.append((us(row["timestamp"]), before))
    got = panel(backend, "tag-states", tag="W2")
    assert [(r["moment"], r["state"]) for r in got["rows"]] == want
    assert len(want) > 30


def test_a_number_ends_a_state(backend: LocalBackend) -> None:
    got = panel(backend, "tag-states", tag="W1")["rows"]
    assert {r["state"] for r in got} == {"Bad Input", ""}
    assert [r["state"] for r in got[:4]] == ["Bad Input", "", "Bad Input", ""]


def test_the_newest_rows_of_a_tag_come_first(backend: LocalBackend) -> None:
    got = panel(backend, "tag-rows", tag="W4")
    rows = sorted((r for r in chosen() if r["tag_webid"] == "W4"), key=lambda r: r["timestamp"], reverse=True)
    assert got["more"]
    assert [(r["moment"], r["value"]) for r in got["rows"]] == [
        (us(r["timestamp"]), r["value"]) for r in rows[:100]
    ]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("flow", ["W1"]),
        ("%", []),
        ("_", []),
        ("'", ["W3"]),
        ("مر", ["W3"]),
        ("B.", ["W2", "W4"]),
        (NASTY, ["W3"]),
    ],
)
def test_a_search_takes_text_as_text(backend: LocalBackend, text: str, tags: list[str]) -> None:
    assert [row["tag_webid"] for row in search(context(backend), text)["rows"]] == tags


def test_files_outside_the_range_are_not_opened(tmp_path: Path) -> None:
    lake.write(tmp_path)
    table = DeltaTable(str(tmp_path / "bronze/pi_timeseries"))
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    newest = max(actions, key=lambda a: a["max.timestamp"])
    for action in actions:
        if action["max.timestamp"] < NOW - timedelta(hours=2) and action is not newest:
            (tmp_path / "bronze/pi_timeseries" / action["path"]).write_bytes(b"no parquet")
    backend = LocalBackend(tmp_path)
    assert panel(backend, "kpis", ("range", "1h"))["events"] == len(chosen(("range", "1h")))
    with pytest.raises(TablesUnavailable, match="duckdb could not answer"):
        panel(backend, "kpis", ("range", "24h"))


def test_an_event_in_the_last_microsecond_of_a_files_statistics_is_found(tmp_path: Path) -> None:
    minute = NOW.replace(second=0, microsecond=0)
    rows = [lake.event("W", "T", minute + timedelta(microseconds=n), 1.0, ("A", "F")) for n in (0, 777)]
    lake.put(tmp_path, "bronze/pi_timeseries", rows, lake.EVENTS)
    (action,) = pa.table(
        DeltaTable(str(tmp_path / "bronze/pi_timeseries")).get_add_actions(flatten=True)
    ).to_pylist()
    assert action["max.timestamp"].microsecond == 0  # statistics are cut to milliseconds
    snap = delta_log.load(tmp_path, TABLES["bronze"])
    assert snap is not None
    assert len(snap.within(us(minute) + 500, us(minute) + 1000)) == 1
    assert snap.within(us(minute) + 2000, us(minute) + 3000) == []


def test_files_that_were_vacuumed_meanwhile_are_looked_up_again(tmp_path: Path) -> None:
    lake.write(tmp_path)
    now = [0.0]
    backend = LocalBackend(tmp_path, clock=lambda: now[0])
    before = panel(backend, "kpis")
    DeltaTable(str(tmp_path / "bronze/pi_timeseries")).optimize.compact()
    table = DeltaTable(str(tmp_path / "bronze/pi_timeseries"))
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert panel(backend, "kpis") == before


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "nothing")
    assert backend.columns() == {}
    assert backend.sizes() == {}
    for name, one in PANELS.items():
        told = evaluate(one, context(backend, tag="W"))
        assert told["state"] == "empty"
        if name != "completeness":
            assert told["words"] == "No table yet: run pi-datasource ingest."


def test_empty_tables_have_empty_panels(tmp_path: Path) -> None:
    for name, columns in (
        ("bronze/pi_timeseries", lake.EVENTS),
        ("gold/pi_metrics_hourly", lake.HOURS),
        ("checkpoints/pi_ingestion_checkpoint", lake.AUDIT),
        ("bronze/pi_timeseries_errors", lake.FAILURES),
    ):
        lake.put(tmp_path, name, [], columns)
    backend = LocalBackend(tmp_path)
    figures = panel(backend, "kpis")
    assert (figures["events"], figures["tags"], figures["last_event"], figures["lag_s"]) == (0, 0, None, None)
    for name in PANELS:
        if name != "completeness":
            panel(backend, name, tag="W")
    assert panel(backend, "health")["headline"]["words"] == "no run yet: run pi-datasource ingest"


def test_tables_without_groups_say_so(tmp_path: Path) -> None:
    lake.write(tmp_path)
    shutil.rmtree(tmp_path / "gold")
    shutil.rmtree(tmp_path / "bronze/pi_timeseries")
    bare = pa.schema([field for field in lake.EVENTS if field.name not in ("plant", "sensor_type")])
    gold = pa.schema([field for field in lake.HOURS if field.name not in ("plant", "sensor_type")])
    rows = lake.events()
    lake.put(tmp_path, "bronze/pi_timeseries", rows, bare)
    lake.put(tmp_path, "gold/pi_metrics_hourly", lake.hours(rows), gold)
    backend = LocalBackend(tmp_path)
    told = evaluate(PANELS["timeline"], context(backend))
    assert told["not_recorded"] == ["plant", "sensor_type"]
    (series,) = told["data"]["series"]
    assert (series["name"], sum(series["events"])) == (None, len(chosen()))
    assert panel(backend, "choices") == {"plant": [], "sensor_type": []}


def test_a_column_that_came_later_is_null_before(tmp_path: Path) -> None:
    rows = lake.events()
    bare = pa.schema([field for field in lake.EVENTS if field.name not in ("plant", "sensor_type")])
    lake.write(tmp_path)
    shutil.rmtree(tmp_path / "bronze/pi_timeseries")
    lake.put(tmp_path, "bronze/pi_timeseries", rows[:-500], bare)
    lake.put(tmp_path, "bronze/pi_timeseries", rows[-500:], lake.EVENTS)
    got = panel(LocalBackend(tmp_path), "timeline", ("range", "24h"))
    sums = {one["name"]: sum(one["events"]) for one in got["series"]}
    first = Selection.parse([], NOW).start_us
    want = Counter(row["plant"] for row in rows[-500:]) + Counter(
        None for row in rows[:-500] if us(row["timestamp"]) >= first
    )
    assert sums == want


def test_a_table_that_marks_rows_as_deleted_is_refused_and_not_misread(tmp_path: Path) -> None:
    lake.write(tmp_path)
    log = sorted((tmp_path / "bronze/pi_timeseries/_delta_log").glob("*.json"))[0]
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7} | {
                "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"],
            }
    log.write_text("\n".join(json.dumps(action) for action in actions))
    with pytest.raises(TablesUnavailable) as caught:
        panel(LocalBackend(tmp_path), "kpis", ("range", "24h"))
    assert str(caught.value).startswith(
        "bronze/pi_timeseries: the table uses a Delta feature that only Spark can read: "
    )
    assert "deletionVectors" in str(caught.value)


def test_a_file_is_no_lakehouse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidOption, match="is a file; name the folder"):
        LocalBackend(tmp_path / "file")


def test_a_broken_log_is_named(tmp_path: Path) -> None:
    lake.write(tmp_path)
    log = sorted((tmp_path / "gold/pi_metrics_hourly/_delta_log").glob("*.json"))[0]
    log.write_text("{not json")
    backend = LocalBackend(tmp_path)
    with pytest.raises(TablesUnavailable) as caught:
        panel(backend, "kpis")
    assert str(caught.value).startswith("gold/pi_metrics_hourly: Delta's log cannot be read: ")
    assert "\n" not in str(caught.value)
    assert len(panel(backend, "health")["runs"]) == 6  # what does not need the table is there
    assert panel(backend, "errors")["waiting"] == 1
    assert set(backend.sizes()) == {"bronze", "errors", "audit"}


@pytest.mark.parametrize(
    ("zone", "last"),
    [
        ("Europe/Berlin", "2026-03-29T05:00:30+00:00"),
        ("America/New_York", "2026-11-01T09:00:30+00:00"),
        ("Australia/Lord_Howe", "2026-10-04T05:00:30+00:00"),
        ("Asia/Kathmandu", "2026-06-01T00:00:30+00:00"),
    ],
)
def test_figures_are_the_same_in_a_process_of_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, last: str
) -> None:
    now = datetime.fromisoformat(last)
    moved = [{**row, "timestamp": row["timestamp"] + (now - NOW)} for row in lake.events()]
    lake.write(tmp_path, moved)
    query = [("from", (now - timedelta(hours=12)).isoformat()), ("to", now.isoformat())]

    def told() -> dict[str, Any]:
        made = LocalBackend(tmp_path)
        try:
            return {
                name: evaluate(shown, QueryContext(made, Selection.parse(query, now), now, "W4", 800))
                for name, shown in PANELS.items()
            }
        finally:
            made.close()

    in_utc = told()
    with monkeypatch.context() as patched:
        patched.setenv("TZ", zone)
        time.tzset()
        elsewhere = told()
    time.tzset()
    for answers in (in_utc, elsewhere):
        for one in answers.values():
            one.pop("took_ms", None)
    assert elsewhere == in_utc
    shown = {row["moment"] for row in elsewhere["tag-rows"]["data"]["rows"]}
    mine = sorted((us(row["timestamp"]) for row in moved if row["tag_webid"] == "W4"), reverse=True)
    assert shown == set(mine[:100])


def test_a_failed_run_is_shown_and_its_figures_are_not_counted(tmp_path: Path) -> None:
    lake.write(tmp_path)
    told = ("kind", "status", "error")
    columns = lake.AUDIT
    for name in told:
        columns = columns.append(pa.field(name, pa.string()))
    (last,) = lake.batches(1)
    moved = {
        "batch_id": 6,
        "window_end": NOW - timedelta(seconds=30),
        "created_at": NOW - timedelta(seconds=20),
    }
    overlap = {
        **last,
        **moved,
        "kind": "overlap",
        "status": "done",
        "error": None,
        "rows_read": 1000,
        "rows_updated": 5,
    }
    failed = {
        **last,
        **moved,
        "batch_id": 7,
        "rows_read": 9999,
        "rows_updated": 9999,
        "kind": "stream",
        "status": "failed",
        "error": "PI answered 503\nat length",
    }
    before = panel(LocalBackend(tmp_path), "kpis"), panel(LocalBackend(tmp_path), "changes")["totals"]
    lake.put(tmp_path, "checkpoints/pi_ingestion_checkpoint", [overlap, failed], columns)
    backend = LocalBackend(tmp_path)
    health = panel(backend, "health")
    assert health["headline"]["level"] == "bad"
    assert health["headline"]["words"] == (
        "behind by 60 s: the last run failed 20 s ago: PI answered 503. The next run repeats it"
    )
    shown = [(run["batch_id"], run["kind"], run["status"]) for run in health["runs"][:3]]
    assert shown == [(7, "stream", "failed"), (6, "overlap", "done"), (5, None, None)]
    assert panel(backend, "changes")["totals"]["edited"] == before[1]["edited"] + 5
    # What an overlap read counts; its duration is that of the micro-batch.
    rows, seconds = sum(each["rows_read"] for each in lake.batches()), 6 * 2.5
    assert before[0]["rows_per_second"] == rows / seconds
    assert panel(backend, "kpis")["rows_per_second"] == (rows + 1000) / seconds
