"""Spark's checkpoint folder: the micro-batches planned there, and what a killed process left before the first one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pi_datasource.delta.checkpoint import clear_unplanned, last_planned_batch

LEFT = {".0.5c9e1c55.tmp", "..0.5c9e1c55.tmp.crc"}


def offsets_with(checkpoint: Path, names: set[str]) -> Path:
    offsets = checkpoint / "offsets"
    offsets.mkdir(parents=True)
    for name in names:
        (offsets / name).write_bytes(b"v1\n{")
    return offsets


def test_a_folder_in_which_nothing_was_planned_is_empty_afterwards(tmp_path: Path) -> None:
    offsets = offsets_with(tmp_path, LEFT)
    clear_unplanned(str(tmp_path))
    assert list(offsets.iterdir()) == []


def test_a_planned_micro_batch_and_all_beside_it_stay(tmp_path: Path) -> None:
    offsets = offsets_with(tmp_path, {"0", ".0.crc", *LEFT})
    clear_unplanned(str(tmp_path))
    assert {entry.name for entry in offsets.iterdir()} == {"0", ".0.crc", *LEFT}


@pytest.mark.parametrize("elsewhere", ["s3://bucket/pi", "checkpoints/pi"])
def test_no_folder_of_this_machine_is_looked_for(
    elsewhere: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    offsets = offsets_with(Path(elsewhere), LEFT)
    clear_unplanned(elsewhere)
    assert {entry.name for entry in offsets.iterdir()} == LEFT


def test_a_stream_that_is_new_has_no_folder_yet(tmp_path: Path) -> None:
    clear_unplanned(str(tmp_path / "pi"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "last"), [((), -1), (("0", "9", "10"), 10), (("3", ".4.crc", ".5.tmp", "6.crc"), 3)]
)
def test_the_last_planned_batch_is_the_last_one_in_sparks_offset_log(
    tmp_path: Path, names: tuple[str, ...], last: int
) -> None:
    (tmp_path / "offsets").mkdir()
    for name in names:
        (tmp_path / "offsets" / name).touch()
    no_session: Any = None  # Spark is not needed for a folder of this machine
    assert last_planned_batch(no_session, str(tmp_path)) == last
