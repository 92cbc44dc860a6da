"""The JVM that the commands over the tables start."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pi_datasource import delta
from pi_datasource.cli.commands import app
from pi_datasource.cli.lakehouse import SHORT_LIVED
from pi_datasource.delta import Lakehouse
from pi_datasource.errors import MissingPackage
from pi_datasource.options.declaration import Options

URL = "https://pi.example/piwebapi"


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options of every JVM that was to be started."""
    found: list[str] = []

    def refuse(*, java_options: str) -> None:
        found.append(java_options)
        message = "no Java"
        raise MissingPackage(message)

    monkeypatch.setattr(delta, "local_spark", refuse)
    return found


def run(lakehouse: Path, *more: str) -> None:
    """Runs ``ingest`` until it starts Spark."""
    result = CliRunner().invoke(app, ["ingest", "--url", URL, "--lakehouse", str(lakehouse), *more])
    assert "no Java" in result.stderr


def test_a_run_that_continues_starts_a_jvm_that_does_not_optimize(tmp_path: Path, given: list[str]) -> None:
    Path(Lakehouse.in_directory(tmp_path).checkpoint(Options.parse({"url": URL}))).mkdir(parents=True)
    run(tmp_path)
    assert given == [SHORT_LIVED]


def test_a_first_run_and_one_that_does_not_end_start_an_ordinary_jvm(
    tmp_path: Path, given: list[str]
) -> None:
    run(tmp_path)
    Path(Lakehouse.in_directory(tmp_path).checkpoint(Options.parse({"url": URL}))).mkdir(parents=True)
    run(tmp_path, "--every", "1 minute")
    run(tmp_path, "--tags", "OTHER*")
    assert given == ["", "", ""]
