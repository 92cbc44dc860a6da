"""The commands over the tables of the pipeline: ingest, backfill, repair, status."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from pi_datasource import time_strings
from pi_datasource.cli import status as tables_status
from pi_datasource.cli.exit_codes import err, exit_on_error
from pi_datasource.cli.flags import override, parse_options, with_options
from pi_datasource.errors import InvalidOption

if TYPE_CHECKING:
    from pi_datasource.delta import BackfillProgress, Lakehouse, Progress
    from pi_datasource.options.declaration import Options

SHOWN_BATCHES = 5
# Optimizing Spark's code takes longer than a run of seconds saves by it. The code cache is by default too small for all of
# Spark where nothing is optimized, and full, it stops all compiling. The serial collector needs no threads of its own.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"
out = Console()
Folder = Annotated[Path | None, typer.Option(help="Folder for the tables; local Spark and Delta.")]
Catalog = Annotated[str | None, typer.Option(help="Catalog for the tables, on a cluster.")]
Checkpoints = Annotated[
    str | None, typer.Option(help="With --catalog: folder for Spark's checkpoints, such as a volume.")
]


@with_options
def ingest(
    options: dict[str, str],
    *,
    lakehouse: Folder = None,
    catalog: Catalog = None,
    checkpoints: Checkpoints = None,
    every: Annotated[
        str | None,
        typer.Option(help="Keep running at this interval: '15 minutes'. Without it, stop when all is read."),
    ] = None,
    optimize_every: Annotated[
        str | None, typer.Option(help="Merge small files of tables not optimized for this long: '1d'.")
    ] = None,
    keep_versions: Annotated[
        str | None,
        typer.Option(
            help="After that, delete files of versions older than this, at least '7d'. Without it, none."
        ),
    ] = None,
) -> None:
    """Read all new events into bronze, gold and the checkpoint table. Run it as often as you like.

    The first run starts at --start-time; later runs of the same server and tags continue where the last one stopped. With
    --overlap, late, edited and deleted events of that time span are applied as well.

    Example: pi-datasource ingest --url https://HOST/piwebapi --lakehouse ./lake --start-time '*-7d'

    Example: pi-datasource ingest --url HOST --lakehouse ./lake --overlap 2h --every '1 minute' --optimize-every 1d
    """
    with exit_on_error():
        parsed = parse_options(options)  # before the seconds that Spark takes to start
        place = _lakehouse(lakehouse, catalog, checkpoints)
        optimize = _duration("--optimize-every", optimize_every)
        keep = _duration("--keep-versions", keep_versions)
        started = time.monotonic()
        spark = _session(catalog, SHORT_LIVED if _is_continued(place, parsed) and not every else "")
        from pi_datasource.delta import audit, background, follow, maintenance, start

        maintenance.check_intervals(optimize, keep)
        # A single run is followed by maintenance instead.
        beside = (optimize, keep) if every else (None, None)
        query = start(spark, options, place, every=every, optimize_every=beside[0], keep_versions=beside[1])
        try:
            show_progress(err, follow(query), "Reading")
            background.run(spark, parsed, place, query, optimize_every=optimize, keep=keep, beside=False)
        except KeyboardInterrupt:
            err.print("Stopping; the next run continues from here.")
            # The interrupted micro-batch is not an error.
            logging.getLogger("py4j").setLevel(logging.CRITICAL)
            query.stop()
        for report in audit.reports(spark, place, str(query.id), newest=SHOWN_BATCHES):
            out.print(str(report), markup=False, highlight=False)
        err.print(f"Done in {time.monotonic() - started:.1f} s.")


@with_options
def backfill(
    options: dict[str, str],
    context: typer.Context,
    *,
    lakehouse: Folder = None,
    catalog: Catalog = None,
    checkpoints: Checkpoints = None,
    start: Annotated[str | None, typer.Option(help="The same as --start-time.", show_default=False)] = None,
    end: Annotated[str | None, typer.Option(help="The same as --end-time.", show_default=False)] = None,
    order: Annotated[
        Literal["newest", "oldest"], typer.Option(help="Which end of the window to read first.")
    ] = "newest",
    piece: Annotated[str, typer.Option(help="Time span to read, write and record at once.")] = "6h",
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Read pieces again that are recorded as done, for example for new tags."
        ),
    ] = False,
) -> None:
    """Read past events into the tables, alongside a running ingestion of the same tags.

    It can be killed at any time: the next run continues with the pieces that the checkpoint table does not contain yet.
    --requests-per-second limits it independently of the ingestion.

    Example: pi-datasource backfill --url HOST --lakehouse ./lake --start 2024-01-01 --end 2025-01-01 --order oldest
    """
    with exit_on_error():
        options = override(context, options, "start_time", "--start", start)
        options = override(context, options, "end_time", "--end", end)
        parse_options(options)
        place = _lakehouse(lakehouse, catalog, checkpoints)
        length = _duration("--piece", piece)
        spark = _session(catalog)
        from pi_datasource.delta import backfill as run_backfill

        steps = run_backfill(
            spark, options, place, piece=length or timedelta(0), newest_first=order == "newest", again=again
        )
        try:
            last = show_backfill(err, steps)
        except KeyboardInterrupt:
            err.print("Stopped; the next run continues with the next piece.")
            raise typer.Exit(130) from None
        err.print(
            f"{last.done} of {last.total} piece(s) done, {last.worked} of them in this run, in {last.seconds:.1f} s."
        )


@with_options
def repair(
    options: dict[str, str],
    *,
    lakehouse: Folder = None,
    catalog: Catalog = None,
    checkpoints: Checkpoints = None,
) -> None:
    """Read again what could not be read (--on-error report), and record it as repaired.

    Exit code: 0 nothing waits for repair any more, 1 something still cannot be read.

    Example: pi-datasource repair --url https://HOST/piwebapi --lakehouse ./lake
    """
    with exit_on_error():
        parse_options(options)
        place = _lakehouse(lakehouse, catalog, checkpoints)
        spark = _session(catalog)
        from pi_datasource.delta import repair as run_repair

        done = run_repair(spark, options, place)
        err.print(
            f"{done.repaired} window(s) of a tag repaired, {done.rows_inserted:,} event(s) found; {done.failing} fail as "
            f"before; {done.dismissed} dismissed, because their tags are deleted or no longer selected; "
            f"{done.without_tag} are of tags that another selection has: run repair with its options.",
            soft_wrap=True,
        )
        if done.failing:
            raise typer.Exit(1)


def status(
    lakehouse: Annotated[Path, typer.Option(help="Folder with the tables.")],
) -> None:
    """Print the state of the ingestion into a folder: lag, last batches, late and failed, without Spark.

    Example: pi-datasource status --lakehouse ./lake
    """
    with exit_on_error():
        tables_status.show(lakehouse, out)


def show_progress(console: Console, steps: Iterable[Progress | None], label: str) -> None:
    """Shows a progress bar over the time span that is being read, until ``steps`` ends."""
    with _bar(console) as bar:
        task = bar.add_task(label, total=None, note="")
        first = None
        for step in steps:
            if step is None:
                continue
            first = first or step.read_from
            total = (step.latest - first).total_seconds()
            done = (step.read_until - first).total_seconds()
            note = f"until {step.read_until:%Y-%m-%d %H:%M:%S} UTC"
            bar.update(task, total=max(total, 1), completed=done, note=note)


def show_backfill(console: Console, steps: Iterable[BackfillProgress]) -> BackfillProgress:
    """Shows a progress bar over the pieces of a backfill with the estimated time left; returns the last step."""
    last = None
    with _bar(console) as bar:
        task = bar.add_task("Filling", total=None, note="")
        for last in steps:
            left = last.remaining_s
            note = f"{last.done} of {last.total} pieces"
            note += "" if left is None else f", about {timedelta(seconds=round(left))} left"
            bar.update(task, total=max(last.total, 1), completed=last.done, note=note)
    assert last is not None
    return last


def _bar(console: Console) -> Bar:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    return Bar(*columns, console=console, transient=True)


def _lakehouse(lakehouse: Path | None, catalog: str | None, checkpoints: str | None) -> Any:
    from pi_datasource.delta import Lakehouse

    if (lakehouse is None) == (catalog is None):
        message = "say where the tables are to be stored: --lakehouse FOLDER, or --catalog NAME on a cluster"
        raise InvalidOption(message)
    if catalog is None:
        return Lakehouse.in_directory(lakehouse or "")
    if checkpoints is None:
        message = "--catalog needs --checkpoints, a folder that the whole cluster sees: /Volumes/CATALOG/SCHEMA/VOLUME"
        raise InvalidOption(message)
    return Lakehouse.in_catalog(catalog, checkpoints)


def _is_continued(lakehouse: Lakehouse, options: Options) -> bool:
    """Whether an earlier run has read these tags: what is left is the news since then, and not a whole history."""
    return lakehouse.directory is not None and Path(lakehouse.checkpoint(options)).is_dir()


def _session(catalog: str | None, java_options: str = "") -> Any:
    with err.status("Starting Spark …"):
        from pyspark.sql import SparkSession

        from pi_datasource.delta import local_spark

        spark = SparkSession.builder.getOrCreate() if catalog else local_spark(java_options=java_options)
    if not catalog and not logging.getLogger().isEnabledFor(logging.DEBUG):
        # Spark logs every failure with its stack trace and also raises it.
        spark.sparkContext.setLogLevel("OFF")
    return spark


def _duration(flag: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        return time_strings.duration(text)
    except ValueError as cause:
        message = f"{flag}: {cause}"
        raise InvalidOption(message) from cause
