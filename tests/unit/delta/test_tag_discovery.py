"""When a pipeline lists its tags anew: when the list is old, or the stream has found others."""

from __future__ import annotations

import pickle
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pi_datasource.delta import Lakehouse, errors_table, points, tag_discovery
from pi_datasource.delta.points import Discovery
from pi_datasource.options.declaration import Options
from pi_datasource.points.tracked_points import fingerprint
from tests.unit.fakes import BASE, point

ONE, TWO = [point("A")], [point("A"), point("B")]


class Listed:
    """Tags of a server that lists ``now``; ``looks`` says how often it was asked, ``recorded`` what was noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.looks, self.recorded = ONE, 0, 0
        monkeypatch.setattr(points, "discover", self._look)
        monkeypatch.setattr(points, "stored", lambda *_: {})
        monkeypatch.setattr(points, "record", self._record)
        monkeypatch.setattr(errors_table, "restore", lambda *_: None)
        options = Options.parse({"url": "h", "discovery_interval": "10m"})
        self.tags = tag_discovery.TagDiscovery(options, Lakehouse.in_directory(folder))
        self.tags.record(None, Discovery(tuple(ONE), BASE))  # type: ignore[arg-type]

    def names(self, planned: str | None) -> list[str]:
        return [found.name for found in self.tags.current(None, planned).points]  # type: ignore[arg-type]

    def _look(self, _: Options) -> Discovery:
        self.looks += 1
        return Discovery(tuple(self.now), BASE)

    def _record(self, *_: Any, **__: Any) -> None:
        self.recorded += 1


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    return Listed(tmp_path, monkeypatch)


def test_the_list_is_kept_while_the_stream_has_the_same(listed: Listed) -> None:
    for planned in (fingerprint(ONE), None, fingerprint(ONE)):
        assert listed.names(planned) == ["A"]
    assert listed.looks == 0


def test_tags_that_the_stream_has_found_are_listed_and_noted_before_its_micro_batch_is_written(
    listed: Listed,
) -> None:
    listed.now = TWO
    assert listed.names(fingerprint(TWO)) == ["A", "B"]
    assert (listed.looks, listed.recorded) == (1, 2)


def test_two_lists_that_never_agree_are_compared_once(listed: Listed) -> None:
    for planned in ("2-starts", "2-starts", fingerprint(ONE)):
        listed.names(planned)
    assert listed.looks == 1
    listed.names("3-others")
    assert listed.looks == 2


def test_an_old_list_is_made_anew(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + timedelta(minutes=11).total_seconds())
    listed.names(fingerprint(ONE))
    listed.names(fingerprint(ONE))
    assert listed.looks == 1


def test_a_list_that_comes_from_another_process_ages_by_this_ones_clock(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    with monkeypatch.context() as there:
        there.setattr(time, "monotonic", lambda: began + 1e9)  # a machine that has run for much longer
        listed.tags.record(None, Discovery(tuple(ONE), BASE))  # type: ignore[arg-type]
        sent = pickle.dumps(listed.tags)
    listed.tags = pickle.loads(sent)
    listed.names(fingerprint(ONE))
    assert listed.looks == 0
    monkeypatch.setattr(time, "monotonic", lambda: began + timedelta(minutes=11).total_seconds())
    listed.names(fingerprint(ONE))
    assert listed.looks == 1
