"""The typer app and its commands; results go to stdout, everything about the run to stderr."""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from pi_datasource.cli import files, lakehouse, reading, server_check
from pi_datasource.cli.dashboard import dashboard
from pi_datasource.cli.exit_codes import err, exit_on_error, fail, interruptible
from pi_datasource.cli.flags import completer, override, parse_options, with_options
from pi_datasource.options import documentation
from pi_datasource.version import __version__

app = typer.Typer(
    name="pi-datasource",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Brings the events of a PI System into Delta tables. Try 'pi-datasource check --url HOST' first.",
)
app.command()(dashboard)
for command in (lakehouse.ingest, lakehouse.backfill, lakehouse.repair, lakehouse.status):
    app.command()(command)
out = Console()


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every call to the PI server.")
    ] = False,
) -> None:
    """Options that all commands share."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(message)s"
    )
    for noisy in ("py4j", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING if verbose else logging.ERROR)
    if version:
        out.print(__version__)
        raise typer.Exit


@app.command()
@with_options
def check(
    options: dict[str, str],
    context: typer.Context,
    address: Annotated[
        Optional[str],  # noqa: UP045 - evaluated by typer on Python 3.10
        typer.Argument(metavar="URL", help="Address of PI Web API; the same as --url.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    r"""Check whether a server can be read from here, and how well: connection, sign-in, clock, limits, rights, speed.

    Sends a handful of requests and reads a small sample. Exit code: 0 fine or with warnings, 1 something failed, 2 wrong flags.

    Example: pi-datasource check https://HOST/piwebapi

    Example: pi-datasource check HOST --username 'PLANT\reader' --password env:PI_PASSWORD --tags 'FIC*'

    Example: pi-datasource check HOST --token file:/run/secrets/pi --json | jq .verdict
    """
    with exit_on_error():
        parsed = parse_options(override(context, options, "url", "URL", address))
        with err.status("Asking the server …"):
            findings = server_check.ServerCheck(parsed, lambda: datetime.now(timezone.utc)).run()
        if as_json:
            out.print_json(data=server_check.as_data(parsed.url, findings))
        else:
            out.print(server_check.as_table(findings))
        if failed := [finding.finding for finding in findings if finding.verdict == "failed"]:
            fail(failed[0])


@app.command()
@with_options
def read(
    options: dict[str, str],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            help="File to write: .parquet, .csv or .jsonl. Without it, a table on stdout.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="parquet, csv, jsonl or table; csv and jsonl also go to stdout.",
            metavar="FORMAT",
            autocompletion=completer([*files.FORMATS, "table"]),
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many rows.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Calls to the server at the same time.")] = 4,
) -> None:
    """Read events, or another table, into a file or onto the terminal, without Spark.

    The rows are those of spark.read.format("pi") with the same options. A file appears when it is complete;
    after an error or Ctrl-C there is none. In jsonl, NaN and the infinities are the texts "NaN", "Infinity" and
    "-Infinity", as JSON has no such numbers. Exit code: 0 done, 1 failed, 2 wrong flags, 130 stopped.

    Example: pi-datasource read --url https://HOST/piwebapi --tags 'FIC*' --start-time '*-1h'

    Example: pi-datasource read --url HOST --tags 'FIC*,TIC*' --start-time '*-7d' -o events.parquet

    Example: pi-datasource read --url HOST --tags FIC101.PV --columns timestamp,value --format csv > fic101.csv
    """
    with exit_on_error(), interruptible():
        request = reading.Request.of(
            options=parse_options(options), output=output, kind=format, limit=limit, jobs=jobs
        )
        reading.run(request, out, err)


@app.command(name="options")
def list_options() -> None:
    """Print every option with its default and meaning.

    The options of format("pi") are the flags of every command: start_time is --start-time, or the environment variable
    PI_START_TIME.

    Example: pi-datasource options
    """
    table = Table("option", "default", "meaning", show_lines=False)
    for row in documentation.describe():
        table.add_row(*(text.replace("`", "").replace("[", r"\[") for text in row))
    out.print(table)
