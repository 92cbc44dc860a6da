"""The folder of a table that may never have been committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_datasource.delta import table_setup

COMMIT = "00000000000000000000.json"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "_delta_log"
    (folder / "_commits").mkdir(parents=True)
    (folder / f".{COMMIT}.tmp").write_text("{")
    return folder


def test_what_was_never_committed_is_cleared_away(log: Path) -> None:
    assert not table_setup._has_commit(log)
    assert not log.exists()
    assert not table_setup._has_commit(log)


def test_a_table_that_was_committed_stays_as_it_is(log: Path) -> None:
    (log / COMMIT).write_text("{}")
    before = sorted(log.iterdir())
    assert table_setup._has_commit(log)
    assert sorted(log.iterdir()) == before


def test_what_another_process_commits_meanwhile_stays(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = table_setup.shutil.rmtree

    def after_the_other(folder: Path) -> None:
        (log / COMMIT).write_text("{}")
        remove(folder)

    monkeypatch.setattr(table_setup.shutil, "rmtree", after_the_other)
    assert table_setup._has_commit(log)
    assert (log / COMMIT).read_text() == "{}"
