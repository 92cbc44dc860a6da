"""The set-up scripts, judged from outside: what they choose, and what they say when something is missing."""

import importlib
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"


@pytest.fixture
def java(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS / "lib"))
    return importlib.import_module("java")


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_java(home: Path, version: str) -> Path:
    text = f"echo '    java.home = {home}' >&2; echo '    java.specification.version = {version}' >&2"
    program(home / "bin" / "java", text)
    return home


def shell(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs bash with the libraries of the scripts loaded."""
    head = f"set -euo pipefail; ROOT='{ROOT}'; . '{SCRIPTS}/lib/common.sh'; "
    return subprocess.run(
        ["bash", "-c", head + script],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("script", ["bootstrap", "test", "check"])
def test_help_teaches_without_setting_anything_up(script: str) -> None:
    run = subprocess.run(
        [SCRIPTS / script, "--help"], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 0
    assert run.stdout.startswith(f"usage: scripts/{script}")


@pytest.mark.parametrize("arguments", [["bootstrap", "--nope"], ["check", "--nope"], ["test", "--fast", "x"]])
def test_an_unknown_argument_is_refused(arguments: list[str]) -> None:
    run = subprocess.run(
        [SCRIPTS / arguments[0], *arguments[1:]], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 2
    assert "usage:" in run.stderr


def test_the_pins_name_versions_and_no_places() -> None:
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all("==" in pin and "/" not in pin and "@" not in pin for pin in pins)


def test_without_a_python_the_reasons_are_named(tmp_path: Path) -> None:
    program(tmp_path / "python3.12", "exit 127")
    program(tmp_path / "python3", "echo 'is Python 3.8: too old'")
    for tool in ("bash", "sort", "sed", "ls"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    library = (SCRIPTS / "lib" / "python.sh").read_text()
    (tmp_path / "python.sh").write_text(
        library.replace('"/usr/', '"/nowhere/').replace('"/opt/', '"/nowhere/')
    )
    run = shell(
        f". '{tmp_path}/python.sh'; find_python", PATH=str(tmp_path), HOME="/nowhere", PYENV_ROOT="/nowhere"
    )
    assert run.returncode == 1
    assert "python3.12 does not start" in run.stderr
    assert "python3 is Python 3.8: too old" in run.stderr
    assert "apt install" in run.stderr


def test_the_environment_about_to_be_remade_is_never_its_own_base(tmp_path: Path) -> None:
    venv = tmp_path / "env"
    program(venv / "bin" / "python3.11", "echo ok")
    outside = program(tmp_path / "bin" / "python3.11", "echo ok")
    run = shell(
        f". '{SCRIPTS}/lib/python.sh'; VENV='{venv}'; isolate; find_python; echo $BASE_PYTHON",
        PATH=f"{venv}/bin:{tmp_path}/bin:{os.environ['PATH']}",
    )
    assert run.stdout.strip() == str(outside)


def test_java_home_comes_first_and_an_old_one_is_passed_over(tmp_path: Path, java: ModuleType) -> None:
    good = fake_java(tmp_path / "good", "21")
    old = fake_java(tmp_path / "old", "1.8")
    path = str(good / "bin")
    other = fake_java(tmp_path / "other", "17")
    assert java.choose({"JAVA_HOME": str(other), "PATH": path}).home == other
    assert java.choose({"JAVA_HOME": str(old), "PATH": path}).version == 21
    assert java.choose({"JAVA_HOME": str(tmp_path / "gone"), "PATH": path}).home == good


def test_a_java_named_by_the_user_is_used_or_refused(tmp_path: Path, java: ModuleType) -> None:
    wished = fake_java(tmp_path / "wished", "25")
    assert java.choose({"PI_JAVA": str(wished), "JAVA_HOME": "/elsewhere"}).version == 25
    old = fake_java(tmp_path / "old", "11")
    with pytest.raises(java.JavaRefusedError, match="is Java 11; it must be the home of a Java 17 or newer"):
        java.choose({"PI_JAVA": str(old)})


def test_a_lock_left_behind_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.mkdir()
    (lock / "pid").write_text("99999999\n")
    run = shell(f". '{SCRIPTS}/lib/lock.sh'; take_lock_dir '{lock}'; cat '{lock}/pid'; echo $$; release_lock")
    held, own = run.stdout.split()
    assert held == own
    assert list(tmp_path.iterdir()) == []


def test_a_failed_step_shows_the_log_and_what_to_do(tmp_path: Path) -> None:
    run = shell(
        f"LOG='{tmp_path}/log'; ADVICE='use a mirror'; "
        "fail() { echo 'Temporary failure in name resolution'; return 7; }; step 'fetch it' fail"
    )
    assert run.returncode == 1
    assert "fetch it" in run.stderr
    assert "FAILED" in run.stderr
    assert f"{tmp_path}/log" in run.stderr
    assert "no network" in run.stderr
    assert "use a mirror" in run.stderr


def test_the_stamp_follows_contents_and_ignores_byte_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS / "lib"))
    fingerprint = importlib.import_module("fingerprint").fingerprint
    (tmp_path / "a.py").write_text("1")
    before = fingerprint([str(tmp_path)])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert fingerprint([str(tmp_path)]) == before
    (tmp_path / "a.py").write_text("2")
    assert fingerprint([str(tmp_path)]) != before
