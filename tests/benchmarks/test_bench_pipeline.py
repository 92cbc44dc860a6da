"""The pipeline benchmark's server, truth and page."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks import pipeline
from benchmarks.ingestion import cases, page
from benchmarks.ingestion.moving_server import MovingServer, Plant, edited, ticks
from benchmarks.read.recordings import END, START, Shape

SHAPE = Shape(20, 1000)


def plant() -> Plant:
    """A plant without a server."""
    return Plant("http://127.0.0.1:9/piwebapi", 0, SHAPE)


class TestMovingServer:
    """The server whose clock and events are changed from outside."""

    def test_tells_the_time_that_was_set(self) -> None:
        server = MovingServer(SHAPE)
        moment = START + timedelta(hours=7)
        assert server.respond("GET", "/clock", f"now={moment:%Y-%m-%dT%H:%M:%SZ}", b"")[0] == 200
        _, answer = server.respond("GET", "/piwebapi/dataservers", "", b"")
        assert json.loads(answer)["Items"][0]["ServerTime"] == "2026-03-01T07:00:00Z"

    def test_serves_edited_events_and_leaves_older_ones(self) -> None:
        server = MovingServer(SHAPE)
        noon = START + timedelta(hours=12)
        query = f"startTime={START:%Y-%m-%dT%H:%M:%SZ}&endTime={END:%Y-%m-%dT%H:%M:%SZ}&maxCount=1000"
        path = f"/piwebapi/streams/{server.directory.web_id(3)}/recorded"
        old = json.loads(server.respond("GET", path, query, b"")[1])["Items"]
        server.respond("GET", "/edit", f"number=7&since={noon:%Y-%m-%dT%H:%M:%SZ}", b"")
        new = json.loads(server.respond("GET", path, query, b"")[1])["Items"]
        changed = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        later = [i for i, event in enumerate(old) if event["Timestamp"] >= "2026-03-01T12"]
        assert changed == [i for i in later if i % 100 == 7]
        assert all(new[i]["Value"] == old[i]["Value"] + 1000 for i in changed)


class TestPlant:
    """The mirror of what the server holds."""

    def test_windows_that_join_hold_all_events_once(self) -> None:
        middle = plant().after(START, 5000)
        assert plant().rows(START, middle) >= 5000
        assert plant().rows(START, middle - timedelta(milliseconds=1)) < 5000
        assert plant().rows(START, middle) + plant().rows(middle, END) == SHAPE.rows

    def test_an_edit_changes_one_event_in_a_hundred(self) -> None:
        source = SHAPE.recording(0)
        changed = edited(source, 1, START + timedelta(hours=12))
        differing = [i for i in range(1000) if changed.numbers[i] != source.numbers[i]]
        assert differing == [
            i for i in range(1, 1000, 100) if source.ticks[i] >= ticks(START + timedelta(hours=12))
        ]
        assert [changed.values[i] for i in differing] == [repr(changed.numbers[i]) for i in differing]


def cost(wall_s: float, jvm_s: float) -> dict[str, Any]:
    """What ``costs.measured`` returns."""
    roles = ("driver", "planner", "worker")
    return {
        "wall_s": wall_s,
        "cpu_s": {**dict.fromkeys(roles, 0.5), "jvm": jvm_s},
        "peak_mb": {**dict.fromkeys(roles, 100), "jvm": 900},
        "jobs": 7,
        "stages": 9,
    }


def load(wall_s: float, **more: Any) -> dict[str, Any]:
    """A result of a case of loads: two rounds, the plain append at 10 s and 20 MB."""
    stored = {"pipeline": {"files": 4, "bytes": 30_000_000}, "plain": {"files": 4, "bytes": 20_000_000}}
    found = {"rows": 1000, "plain": cost(10.0, 5.0), "wrong": "", "stored": stored}
    rounds = [{**found, "pipeline": cost(wall_s + i, 8.0)} for i in (0, 1)]
    limits = [
        {"figure": "wall_s", "most": 1.6, "of": "plain"},
        {"figure": "bytes", "most": 1.1, "of": "plain"},
    ]
    return {"heap_mb": 1024, "rounds": rounds, "limits": limits, "load": 1.0, **more}


class TestPage:
    """The figures and their page."""

    def test_loads_are_medians_and_limits_are_ratios(self) -> None:
        assert page.figures(load(12.0), "pipeline")["wall_s"] == 12.5
        assert [value for _, value in page.checked(load(12.0))] == [1.25, 1.5]

    def test_micro_batches_are_the_last_of_a_stream(self) -> None:
        batches = [{"rows": 100, "pipeline": cost(wall_s, 1.0)} for wall_s in (9.0, 4.0, 3.0)]
        case = {
            **load(1.0),
            "rounds": [*batches, {"wrong": "", "stored": {"pipeline": {"files": 1, "bytes": 5}}}],
        }
        found = page.figures(case, "pipeline")
        assert (found["wall_s"], found["bytes"]) == (3.0, 5.0)

    def test_missed_and_met_limits_and_earlier_figures_are_stated(self) -> None:
        text = page.markdown(results({"first": load(12.0)}), {"first": load(39.0)})
        assert "| first | wall_s by that of plain | 1.6 | 1.25 | 3.95 | met |" in text
        assert "| first | bytes by that of plain | 1.1 | 1.50 | 1.50 | **missed** |" in text
        assert "| first | pipeline before | 1,000 | 39.5 |" in text

    def test_small_amounts_meet_no_limit(self) -> None:
        text = page.markdown({**results({"first": load(12.0)}), "quick": True}, {})
        assert "| first | wall_s by that of plain | 1.6 | 1.25 | – | small amounts |" in text

    @pytest.mark.parametrize("wrong", [{"failed": "no Java"}, {"rounds": [{"wrong": "999 rows"}]}])
    def test_a_case_that_failed_has_no_figures(self, wrong: dict[str, Any]) -> None:
        text = page.markdown(results({"first": load(12.0, **wrong)}), {})
        assert "| first | wall_s | 1.6 | – | – | **failed** |" in text
        assert f"- first: {wrong.get('failed', '999 rows')}" in text
        assert "| first | plain |" not in text


def results(found: dict[str, Any]) -> dict[str, Any]:
    """What the benchmark writes."""
    about = {"cores": 2, "processor": "P", "load_before": 0.1, "load_after": 0.2}
    versions = {"pyspark": "4", "delta-spark": "4"}
    return {
        "measured_at": "2026-01-01T00:00",
        "quick": False,
        "machine": {**about, "versions": versions},
        "cases": found,
    }


def test_a_choice_that_holds_no_case_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pipeline.main(["--only", "nothing", "--out", str(tmp_path)]) == 2
    assert "  first load of 10 M\n" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_small_amounts_keep_the_cases() -> None:
    small, full = (cases.cases(quick=quick, rounds=2) for quick in (True, False))
    assert [each.name for each in small] == [each.name for each in full]
    assert full[1].shape.rows == 10_000_000
    assert small[1].shape.rows == 100_000
