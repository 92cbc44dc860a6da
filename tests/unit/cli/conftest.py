"""A simulated PI server whose clock stands still, and the command against it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from click.testing import Result
from typer.testing import CliRunner

from mock_server import Plant, running
from pi_datasource.cli.commands import app

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)

Command = Callable[..., Result]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="session")
def plant() -> Plant:
    return Plant(seed=3, tags=24, plants=2)


@pytest.fixture(scope="session")
def url(plant: Plant) -> Iterator[str]:
    with running(plant, clock=lambda: NOW) as address:
        yield address


@pytest.fixture
def command(url: str) -> Command:
    """Runs the command with the address of the simulator, unless it is given another."""

    def run(name: str, *arguments: str, exit_code: int = 0) -> Result:
        given = "--url" in arguments or (arguments[:1] and arguments[0].startswith("http"))
        address = [] if given else ["--url", url]
        result = CliRunner().invoke(app, [name, *address, *arguments])
        assert result.exit_code == exit_code, result.output + repr(result.exception)
        return result

    return run
