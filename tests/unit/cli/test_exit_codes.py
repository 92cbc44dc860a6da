"""How commands end when this machine refuses what they need: one line, exit code 1, nothing half-written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest

from mock_server import Plant
from pi_datasource.cli import exit_codes, files
from pi_datasource.cli.exit_codes import exit_on_os_error
from pi_datasource.errors import InvalidOption
from tests.unit.cli.conftest import Command
from tests.unit.cli.test_read import WINDOW, assert_equals_oracle, from_csv

FULL = Path("/dev/full")
NO_THREAD = "can't start new thread"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["options"], ["--version"], ["read", "--format", "csv"], ["read"]])
def test_a_full_stdout_is_one_line(words: list[str], url: str) -> None:
    program = [sys.executable, "-c", "from pi_datasource.cli import main; main()"]
    address = ["--url", url, *WINDOW] if words[0] == "read" else []
    with FULL.open("w") as full:
        done = subprocess.run(
            [*program, *words, *address], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == "pi-datasource: the output cannot be written: No space left on device\n"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/lake"),
            "'/lake' cannot be used: Read-only file system",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/lake"),
            "'/lake' cannot be used: Permission denied",
        ),
        (OSError(errno.EIO, "Input/output error"), "the output cannot be written: Input/output error"),
        (
            RuntimeError(NO_THREAD),
            "this machine allows the program no more threads (can't start new thread); raise the limit of "
            "processes (ulimit -u, or that of the container), or end other programs",
        ),
    ],
)
def test_what_this_machine_refuses_is_one_line(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exit_codes, "_discard_stdout", lambda: None)
    with pytest.raises(SystemExit) as ended, exit_on_os_error():
        raise error
    assert ended.value.code == 1
    assert capfd.readouterr().err == f"pi-datasource: {words}\n"


def test_an_error_of_the_program_itself_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="a fault"), exit_on_os_error():
        raise RuntimeError("a fault")  # noqa: EM101


def test_an_output_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    place = tmp_path / "x.csv"
    words = f"--output: '{place}' cannot be written: Read-only file system"
    with pytest.raises(InvalidOption, match=words), files.destination(place, "csv", pa.schema([])):
        pass


class FewThreads:
    """Lets the first ``allowed`` threads start and refuses all others, as a machine at its limit does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, allowed: int, names: str) -> None:
        self.left = allowed
        start = Thread.start

        def limited(thread: Thread) -> None:
            if thread.name.startswith(names):
                self.left -= 1
                if self.left < 0:
                    raise RuntimeError(NO_THREAD)
            start(thread)

        monkeypatch.setattr(Thread, "start", limited)


@pytest.mark.parametrize("allowed", [1, 3])
def test_a_read_goes_on_with_the_threads_that_it_gets(
    plant: Plant, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allowed: int
) -> None:
    FewThreads(monkeypatch, allowed, "reader-")
    place = tmp_path / "events.csv"
    command("read", *WINDOW, "-o", str(place), "--jobs", "8", "--num-partitions", "12")
    assert_equals_oracle(plant, from_csv(place.read_bytes()))


@pytest.mark.parametrize("allowed", [0, 2])
def test_calls_are_sent_one_after_the_other_where_no_thread_can_be_started(
    plant: Plant, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allowed: int
) -> None:
    FewThreads(monkeypatch, allowed, "call")
    place = tmp_path / "events.csv"
    command("read", *WINDOW, "-o", str(place), "--jobs", "1", "--page-size", "40", "--batch-size", "5")
    assert_equals_oracle(plant, from_csv(place.read_bytes()))
