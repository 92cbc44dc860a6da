"""Several writers: one ingestion of a stream at a time, and a lost race is run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from delta.exceptions import ConcurrentAppendException

from pi_datasource.delta import audit, conflicts
from pi_datasource.delta.lease import Lease
from pi_datasource.errors import StreamInUse

HOLDER = """
import sys
from pi_datasource.delta.lease import Lease
lease = Lease.take(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_who_ingests_the_stream(tmp_path: Path) -> None:
    checkpoint = str(tmp_path / "stream")
    command = [sys.executable, "-c", HOLDER, checkpoint]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(
            StreamInUse, match=rf"process {other.pid} on .* UTC\); wait for it to end, or stop it"
        ):
            Lease.take(checkpoint)
        Lease.take(str(tmp_path / "another")).release()
        other.kill()  # whatever its end, the lease ends with it
    Lease.take(checkpoint).release()


def test_a_released_lease_can_be_taken_again(tmp_path: Path) -> None:
    checkpoint = str(tmp_path / "stream")
    first = Lease.take(checkpoint)
    with pytest.raises(StreamInUse):
        Lease.take(checkpoint)
    first.release()
    first.release()
    Lease.take(checkpoint).release()


def test_a_checkpoint_elsewhere_is_left_to_spark() -> None:
    for _ in range(2):
        Lease.take("s3://bucket/checkpoints/stream")


@pytest.mark.parametrize(
    ("names", "last"), [((), -1), (("0", "9", "10"), 10), (("3", ".4.crc", ".5.tmp", "6.crc"), 3)]
)
def test_what_runs_have_begun_is_told_by_sparks_own_log(
    tmp_path: Path, names: tuple[str, ...], last: int
) -> None:
    (tmp_path / "offsets").mkdir()
    for name in names:
        (tmp_path / "offsets" / name).touch()
    assert audit.last_begun(str(tmp_path)) == last


def test_what_runs_have_begun_elsewhere_is_not_known(tmp_path: Path) -> None:
    assert audit.last_begun("s3://bucket/checkpoints/stream") is None
    assert audit.last_begun(str(tmp_path / "not here")) is None


def test_a_lost_race_is_run_again_after_ever_longer_pauses() -> None:
    outcomes: list[Exception | str] = [ConcurrentAppendException("lost") for _ in range(3)]
    outcomes.append("written")
    pauses: list[float] = []

    def commit() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert conflicts.retried(commit, pauses.append) == "written"
    assert len(pauses) == 3
    assert all(0 < pause <= conflicts.LONGEST_PAUSE_S for pause in pauses)


def test_a_race_that_is_always_lost_is_an_error() -> None:
    attempts: list[float] = []
    lost = ConcurrentAppendException("lost")

    def commit() -> str:
        raise lost

    with pytest.raises(ConcurrentAppendException):
        conflicts.retried(commit, attempts.append)
    assert len(attempts) == conflicts.ATTEMPTS - 1
