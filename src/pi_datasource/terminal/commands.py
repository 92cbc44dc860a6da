"""The commands and what they print; results go to stdout, everything about the run to stderr."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from pi_datasource import option_table, tables
from pi_datasource.errors import InvalidOption
from pi_datasource.options import Options
from pi_datasource.terminal import checkup, files, reading
from pi_datasource.terminal.dashboard import dashboard
from pi_datasource.terminal.endings import err, fail, one_sentence, stoppable
from pi_datasource.terminal.flags import completes, with_options
from pi_datasource.version import __version__

if TYPE_CHECKING:
    from pi_datasource.delta import Progress

app = typer.Typer(
    name="pi-datasource",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Brings the events of a PI System into Delta tables. Try 'pi-datasource check --url HOST' first.",
)
app.command()(dashboard)
out = Console()


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell of every call to the PI server.")
    ] = False,
) -> None:
    """Settings that all commands share."""
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
    address: Annotated[
        Optional[str],  # noqa: UP045 - evaluated by typer on Python 3.10
        typer.Argument(metavar="URL", help="Address of PI Web API; the same as --url.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    r"""Look whether a server can be read from here, and how well: connection, sign-in, clock, limits, rights, speed.

    Sends a handful of requests and reads a small sample. Exit code: 0 fine or with warnings, 1 something failed, 2 wrong flags.

    Example: pi-datasource check https://HOST/piwebapi

    Example: pi-datasource check HOST --username 'PLANT\reader' --password env:PI_PASSWORD --tags 'FIC*'

    Example: pi-datasource check HOST --token file:/run/secrets/pi --json | jq .verdict
    """
    with one_sentence():
        checked = _checked(options if address is None else {**options, "url": address})
        with err.status("Asking the server …"):
            findings = checkup.Checkup(checked, lambda: datetime.now(timezone.utc)).run()
        if as_json:
            out.print_json(data=checkup.as_data(checked.url, findings))
        else:
            out.print(checkup.as_table(findings))
        if failed := [finding.finding for finding in findings if finding.verdict == "failed"]:
            fail(failed[0])


@app.command()
@with_options
def ingest(
    options: dict[str, str],
    lakehouse: Annotated[
        Path | None, typer.Option(help="Folder for the tables; local Spark and Delta.")
    ] = None,
    catalog: Annotated[str | None, typer.Option(help="Catalog for the tables, on a cluster.")] = None,
    checkpoints: Annotated[
        str | None, typer.Option(help="With --catalog: folder for Spark's checkpoints, such as a volume.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Keep running: '15 minutes'. Else stop when all is read.")
    ] = None,
) -> None:
    """Bring everything that is new into bronze, gold and the checkpoint table. Run it as often as you like.

    The first run starts at --start-time; later runs of the same server and tags go on where the last one stopped.

    Example: pi-datasource ingest --url https://HOST/piwebapi --lakehouse ./lake --start-time '*-7d'
    """
    with one_sentence():
        _checked(options)  # before the seconds that Spark takes to start
        place = _place(lakehouse, catalog, checkpoints)
        began = time.monotonic()
        with err.status("Starting Spark …"):
            from pi_datasource.delta import local_spark

            spark = _cluster_session() if catalog else local_spark()
        if not catalog and not logging.getLogger().isEnabledFor(logging.DEBUG):
            spark.sparkContext.setLogLevel(
                "OFF"
            )  # Spark logs every failure with its stack, and raises it as well
        _run(spark, options, place, every)
        err.print(f"Done in {time.monotonic() - began:.1f} s.")


@app.command()
@with_options
def read(
    options: dict[str, str],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", dir_okay=False, help="File to write: .parquet, .csv or .jsonl. Else a table."
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="parquet, csv, jsonl or table; csv and jsonl also go to stdout.",
            metavar="FORMAT",
            autocompletion=completes([*files.FORMS, "table"]),
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many rows.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Calls to the server at the same time.")] = 4,
) -> None:
    """Read events into a file or onto the terminal, without Spark.

    The rows are those of spark.read.format("pi") with the same options. A file is there when everything is in it;
    after an error or Ctrl-C there is none. Exit code: 0 done, 1 failed, 2 wrong flags, 130 stopped.

    Example: pi-datasource read --url https://HOST/piwebapi --tags 'FIC*' --start-time '*-1h'

    Example: pi-datasource read --url HOST --tags 'FIC*,TIC*' --start-time '*-7d' -o events.parquet

    Example: pi-datasource read --url HOST --tags FIC101.PV --columns timestamp,value --format csv > fic101.csv
    """
    with one_sentence(), stoppable():
        request = reading.Request.of(
            options=_checked(options), output=output, kind=format, limit=limit, jobs=jobs
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
    for row in option_table.describe():
        table.add_row(*(text.replace("`", "").replace("[", r"\[") for text in row))
    out.print(table)


def _checked(options: dict[str, str]) -> Options:
    if "url" not in options:
        message = (
            "give the address of PI Web API: --url https://HOST/piwebapi, or the environment variable PI_URL"
        )
        raise InvalidOption(message)
    checked = Options.parse(options)
    tables.lookup(checked.table).schema(checked)
    return checked


def _run(spark: Any, options: dict[str, str], place: Any, every: str | None) -> None:
    from pi_datasource.delta import follow, ledger, start

    query = start(spark, options, place, every=every)
    try:
        show_progress(err, follow(query), "Reading")
    except KeyboardInterrupt:
        err.print("Stopping; the next run goes on from here.")
        query.stop()
    _print_reports(ledger.reports(spark, place, str(query.id))[-5:])


def show_progress(console: Console, steps: Iterable[Progress | None], label: str) -> None:
    """Draws a bar over the time span that is being read, until ``steps`` end."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=None, note="")
        first = None
        for step in steps:
            if step is None:
                continue
            first = first or step.read_from
            total = (step.latest - first).total_seconds()
            done = (step.read_until - first).total_seconds()
            bar.update(
                task,
                total=max(total, 1),
                completed=done,
                note=f"until {step.read_until:%Y-%m-%d %H:%M:%S} UTC",
            )


def _print_reports(reports: list[Any]) -> None:
    columns = (
        "batch",
        "window start",
        "window end",
        "tags",
        "rows read",
        "inserted",
        "updated",
        "failures",
        "seconds",
    )
    table = Table(*columns, title="The last micro-batches")
    for r in reports:
        counts = (r.tags, r.rows_read, r.rows_inserted, r.rows_updated, r.read_failures)
        ends = (f"{moment:%Y-%m-%d %H:%M:%S}" for moment in (r.window_start, r.window_end))
        table.add_row(str(r.batch_id), *ends, *(f"{count:,}" for count in counts), f"{r.seconds:.1f}")
    out.print(table)


def _place(lakehouse: Path | None, catalog: str | None, checkpoints: str | None) -> Any:
    from pi_datasource.delta import Lakehouse

    if (lakehouse is None) == (catalog is None):
        message = "say where the tables shall live: --lakehouse FOLDER, or --catalog NAME on a cluster"
        raise InvalidOption(message)
    if catalog is None:
        return Lakehouse.in_directory(lakehouse or "")
    if checkpoints is None:
        message = "--catalog needs --checkpoints, a folder that the whole cluster sees: /Volumes/CATALOG/SCHEMA/VOLUME"
        raise InvalidOption(message)
    return Lakehouse.in_catalog(catalog, checkpoints)


def _cluster_session() -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()
