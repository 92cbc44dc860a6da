"""Several writers: one ingestion of a stream at a time, and retries of commits that conflict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pi_datasource.delta import commits
from pi_datasource.delta.lease_file import FileLease
from pi_datasource.errors import StreamInUse

HOLDER = """
import sys
from pi_datasource.delta.lease_file import FileLease
lease = FileLease.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_gets_an_error_that_names_the_first(tmp_path: Path) -> None:
    checkpoint = str(tmp_path / "stream")
    command = [sys.executable, "-c", HOLDER, checkpoint]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            StreamInUse, match=rf"process {other.pid} on .* UTC\); wait for it to end, or stop it"
        ):
            FileLease.acquire(checkpoint)
        FileLease.acquire(str(tmp_path / "another")).release()
        other.kill()  # the lease ends with the process, however that ends
    FileLease.acquire(checkpoint).release()


def test_a_released_lease_can_be_taken_again(tmp_path: Path) -> None:
    checkpoint = str(tmp_path / "stream")
    first = FileLease.acquire(checkpoint)
    with pytest.raises(StreamInUse):
        FileLease.acquire(checkpoint)
    first.release()
    first.release()
    FileLease.acquire(checkpoint).release()


def test_a_conflicting_commit_is_retried_after_pauses() -> None:
    outcomes: list[Exception | str] = [
        RuntimeError("[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] lost") for _ in range(3)
    ]
    outcomes.append("written")
    pauses: list[float] = []

    def commit() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert commits.retry_conflicts(commit, pauses.append) == "written"
    assert len(pauses) == 3
    assert all(0 < pause <= commits.MAX_PAUSE_S for pause in pauses)


def test_a_commit_that_always_conflicts_is_an_error() -> None:
    attempts: list[float] = []
    lost = RuntimeError("[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] lost")

    def commit() -> str:
        raise lost

    with pytest.raises(RuntimeError, match="DELTA_CONCURRENT_APPEND"):
        commits.retry_conflicts(commit, attempts.append)
    assert len(attempts) == commits.MAX_ATTEMPTS - 1


def test_any_other_error_is_raised_at_once() -> None:
    pauses: list[float] = []

    def commit() -> str:
        message = "[DELTA_TABLE_NOT_FOUND] no table"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="DELTA_TABLE_NOT_FOUND"):
        commits.retry_conflicts(commit, pauses.append)
    assert pauses == []
