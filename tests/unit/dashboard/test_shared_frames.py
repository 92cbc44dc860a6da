"""What panels share is read from the tables once, and again as soon as the tables have changed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pyarrow as pa
import pytest

from pi_datasource.dashboard import delta_log, local, shared_frames
from pi_datasource.dashboard.local import LocalBackend
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.dashboard.shared_frames import SharedFrames
from pi_datasource.dashboard.tables import TABLES
from tests.unit.dashboard import lake
from tests.unit.dashboard.lake import NOW

TABLE = pa.table({"n": [1, 2, 3]})


def test_what_is_kept_is_not_found_again() -> None:
    kept, found = SharedFrames(), []

    def find() -> pa.Table:
        found.append(1)
        return TABLE

    assert kept.get("key", find) is kept.get("key", find)
    assert len(found) == 1
    kept.get("other", find)
    assert len(found) == 2


def test_that_rows_are_too_many_is_remembered() -> None:
    kept, asked = SharedFrames(), []
    for _ in range(2):
        assert kept.get("key", lambda: asked.append(1)) is None
    assert len(asked) == 1


def test_the_oldest_goes_when_memory_is_full() -> None:
    kept, found = SharedFrames(max_bytes=2 * TABLE.nbytes), []

    def find() -> pa.Table:
        found.append(1)
        return TABLE

    for key in (1, 2, 1, 3):
        kept.get(key, find)
    assert len(found) == 3
    kept.get(1, find)
    assert len(found) == 3
    kept.get(2, find)
    assert len(found) == 4


def test_threads_wait_for_the_first_and_a_failure_is_not_kept() -> None:
    kept, go, ready, seen = SharedFrames(), Event(), Barrier(3), []

    def fail() -> pa.Table:
        go.wait(10)
        message = "the disk is gone"
        raise OSError(message)

    def ask() -> None:
        ready.wait(10)
        try:
            kept.get("key", fail)
        except OSError as error:
            seen.append(str(error))

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    assert seen == ["the disk is gone"] * 2
    assert kept.get("key", lambda: TABLE) is TABLE


def _status_rows(backend: LocalBackend, name: str) -> Any:
    told = evaluate(PANELS[name], QueryContext(backend, Selection.parse([], NOW), NOW, "W1"))
    assert told["state"] == "ok"
    return told["data"]


def test_new_rows_are_seen_though_the_rest_was_kept(tmp_path: Path) -> None:
    lake.write(tmp_path)
    now = [0.0]
    backend = LocalBackend(tmp_path, clock=lambda: now[0])
    before = {name: _status_rows(backend, name) for name in ("kpis", "tag-summary")}
    new = [lake.event("W1", "A.FLOW.1", NOW - timedelta(seconds=9), 1.0, ("A", "FLOW"))]
    lake.put(tmp_path, "bronze/pi_timeseries", new, lake.EVENTS)
    now[0] += 3
    for name, told in before.items():
        assert _status_rows(backend, name)["events"] == told["events"] + 1, name


@pytest.mark.parametrize("name", ["kpis", "gaps", "tag-summary", "tag-trend", "tag-states", "tag-rows"])
def test_figures_are_the_same_when_rows_are_too_many_to_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lake.write(tmp_path)
    want = _status_rows(LocalBackend(tmp_path), name)
    monkeypatch.setattr(local, "MAX_ROWS", 10)
    got = _status_rows(LocalBackend(tmp_path), name)
    # Sums of fractions are added up in the order in which rows come: their last digits differ.
    fractions = {figure for figure in ("mean", "deviation") if figure in want}
    assert {figure: got.pop(figure) for figure in fractions} == {
        figure: pytest.approx(want.pop(figure), rel=1e-12) for figure in fractions
    }
    assert got == want
    assert shared_frames.MAX_ROWS > 10


def test_a_table_that_was_made_anew_is_noticed(tmp_path: Path) -> None:
    lake.put(tmp_path, "bronze/pi_timeseries", lake.events()[:10], lake.EVENTS)
    folder = tmp_path / "bronze/pi_timeseries"
    known = delta_log.load(tmp_path, TABLES["bronze"])
    assert known is not None
    assert known.is_newest(folder)
    folder.rename(tmp_path / "old")
    assert not known.is_newest(folder)
    lake.put(tmp_path, "bronze/pi_timeseries", lake.events()[:20], lake.EVENTS)
    assert not known.is_newest(folder)
    newer = delta_log.load(tmp_path, TABLES["bronze"])
    assert newer is not None
    assert newer.is_newest(folder)
    lake.put(tmp_path, "bronze/pi_timeseries", lake.events()[20:30], lake.EVENTS)
    assert not newer.is_newest(folder)


def test_files_without_the_tag_are_not_opened(tmp_path: Path) -> None:
    for tag in ("A", "B", "C"):
        rows = [lake.event(f"{tag}{n}", tag, NOW - timedelta(minutes=5), 1.0, ("A", "F")) for n in range(3)]
        lake.put(tmp_path, "bronze/pi_timeseries", rows, lake.EVENTS)
    known = delta_log.load(tmp_path, TABLES["bronze"])
    assert known is not None
    everything = (0, 10**18)
    assert len(known.within(*everything)) == 3
    assert len(known.within(*everything, "B1")) == 1
    assert known.within(*everything, "D") == []


def test_a_tag_longer_than_the_statistics_is_not_lost() -> None:
    cut = delta_log.DataFile(
        "f", 1, None, None, "F1DP-aaa", "F1DP-bbb"
    )  # Delta cuts texts after 32 characters
    assert cut.may_hold("F1DP-bbb-and-more")
    assert cut.may_hold("F1DP-aaz")
    assert not cut.may_hold("F1DP-c")
