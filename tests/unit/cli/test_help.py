"""The command explains itself: help with examples, completion of commands, flags and values, and the README."""

from __future__ import annotations

import zoneinfo
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from pi_datasource.cli.commands import app
from pi_datasource.options.declaration import Options

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def offered(*words: str) -> list[str]:
    """What bash is offered for the last one of ``words``."""
    environment = {
        "_PI_DATASOURCE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["pi-datasource", *words]),
        "COMP_CWORD": str(len(words)),
    }
    result = CliRunner().invoke(app, [], prog_name="pi-datasource", env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_teaches_by_example(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: pi-datasource {name}" in result.stdout


@pytest.mark.parametrize("name", ["check", "ingest", "read"])
def test_every_option_is_a_flag_of_the_commands_that_reach_a_server(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"]).stdout
    assert not [option for option in Options.model_fields if f"--{option.replace('_', '-')} " not in said]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_shows_every_command(name: str) -> None:
    assert f"pi-datasource {name}" in README


def test_a_shell_can_complete_commands_and_flags() -> None:
    assert sorted(offered("")) == COMMANDS
    assert offered("che") == ["check"]
    assert offered("read", "--end") == ["--end-time"]
    assert "--client-secret" in offered("ingest", "--client-")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--auth", "b"], ["basic", "bearer"]),
        (["--verify-tls", ""], ["true", "false"]),
        (["--on-error", ""], ["fail", "report"]),
        (["--table", "pi_t"], ["pi_timeseries"]),
        (["--format", ""], ["parquet", "csv", "jsonl", "table"]),
        (
            ["--columns", "timestamp,val"],
            ["timestamp,value", "timestamp,value_string", "timestamp,value_kind"],
        ),
        (["--columns", "name,desc"], ["name,descriptor"]),
        (["--time-zone", "Europe/Berl"], ["Europe/Berlin"]),
        (["--password", ""], []),
    ],
)
def test_a_shell_can_complete_values(words: list[str], values: list[str]) -> None:
    assert "Europe/Berlin" in zoneinfo.available_timezones()
    assert offered("read", *words) == values


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_shown(shell: str) -> None:
    environment = {"_PI_DATASOURCE_COMPLETE": f"source_{shell}"}
    result = CliRunner().invoke(app, [], prog_name="pi-datasource", env=environment)
    assert result.exit_code == 0
    assert "pi-datasource" in result.stdout


def test_two_spellings_of_a_flag_that_differ_are_refused() -> None:
    said = CliRunner().invoke(app, ["check", "one.example", "--url", "two.example"])
    assert said.exit_code == 1
    assert said.stderr == "pi-datasource: URL and --url are the same option and differ; give one of them\n"
    said = CliRunner().invoke(app, ["backfill", "--url", "h", "--start", "*-1d", "--start-time", "*-2d"])
    assert said.exit_code == 1
    assert (
        said.stderr
        == "pi-datasource: --start and --start-time are the same option and differ; give one of them\n"
    )


def test_a_second_spelling_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_URL", "one.example")
    monkeypatch.setenv("PI_END_TIME", "2020-01-01")
    words = ["backfill", "--start", "2026-01-01", "--end", "2026-01-02", "--end-time", "2026-01-02"]
    said = CliRunner().invoke(app, words)
    assert said.stderr.startswith("pi-datasource: say where the tables are to be stored")
    said = CliRunner().invoke(app, ["check", "ftp://two.example"])
    assert said.stderr.startswith("pi-datasource: option 'url'")
