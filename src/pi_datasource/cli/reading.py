"""``pi-datasource read``: writes the rows of a table to a file or to the terminal, without Spark."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pi_datasource.cli import files
from pi_datasource.cli.parallel import ParallelReader
from pi_datasource.model import ReadTask, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.tables import registry
from pi_datasource.tables.table import Task
from pi_datasource.webapi.client import PIClient

Batches = Iterator[pa.RecordBatch]
SHOWN_ROWS = 50
SMALLEST_PAGE = 100
_UNLIMITED_WIDTH = 1000  # a program that reads the output gets names and numbers without line breaks
_HIDDEN_COLUMNS = (  # unless selected with --columns
    "tag_webid", "sequence", "state_code", "questionable", "substituted", "annotated", "point_type",
    "ingestion_timestamp",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What to read and where to write it; validated, so that only the server or the disk can fail."""

    options: Options
    output: Path | None
    kind: str
    schema: pa.Schema
    limit: int | None
    jobs: int

    @classmethod
    def of(
        cls, *, options: Options, output: Path | None, kind: str | None, limit: int | None, jobs: int
    ) -> Request:
        """The request of a command line.

        Raises:
            InvalidOption: a column, format or folder does not exist.
        """
        kind = files.resolve_format(output, kind)
        schema = registry.columns(options)
        if kind == "table" and not options.columns:
            schema = pa.schema([field for field in schema if field.name not in _HIDDEN_COLUMNS])
        registry.check_projection(options, schema)
        if limit is None and kind == "table":
            limit = SHOWN_ROWS
        if limit is not None:  # requests no more than needed; with one job the first rows are always the same
            smaller = min(options.page_size, max(limit, SMALLEST_PAGE))
            options, jobs = options.model_copy(update={"page_size": smaller}), 1
        return cls(options, output, kind, schema, limit, jobs)


def run(request: Request, out: Console, err: Console) -> None:
    """Reads and writes; prints a summary on ``err``.

    Raises:
        PIError: something could not be read or written; then there is no file.
    """
    started = time.monotonic()
    options = request.options
    with err.status("Asking the server …"), PIClient(options) as api:
        tasks = registry.lookup(options.table).plan(api, Pruning(options))
    reader = ParallelReader(tasks, options, request.schema, request.jobs)
    with closing(reader.batches()) as arriving, _bar(reader, err) as advance:
        batches = advance(arriving if request.limit is None else _limited(arriving, request.limit))
        rows = _show(batches, request.schema, out) if request.kind == "table" else _write(batches, request)
    place = "" if request.output is None else f" to {request.output}"
    more = f" (--limit {request.limit} was reached)" if rows == request.limit else ""
    seconds = time.monotonic() - started
    err.print(
        f"{rows:,} row(s){_of_tags(tasks)}{place} in {seconds:.1f} s{more}", soft_wrap=True, markup=False
    )


def _of_tags(tasks: Sequence[Task]) -> str:
    tags = {point.web_id for task in tasks if isinstance(task, ReadTask) for point in task.points}
    return f" of {len(tags):,} tag(s)" if tags else ""


def _limited(batches: Batches, left: int) -> Batches:
    for batch in batches:
        yield batch.slice(0, left)
        left -= min(left, batch.num_rows)
        if not left:
            return


def _write(batches: Batches, request: Request) -> int:
    rows = 0
    with files.destination(request.output, request.kind, request.schema) as write:
        for batch in batches:
            write(batch)
            rows += batch.num_rows
    return rows


def _show(batches: Batches, schema: pa.Schema, out: Console) -> int:
    """Prints the columns that are not empty; all rows are held in memory, so a limit must bound them."""
    rows = pa.Table.from_batches(batches, schema)
    count = rows.num_rows
    filled = [name for name in rows.column_names if count == 0 or rows[name].null_count < count]
    table = Table(*filled, box=None, header_style="bold")
    for row in rows.select(filled).to_pylist():
        table.add_row(*(_text(value) for value in row.values()))
    place = out if out.is_terminal else Console(file=out.file, width=_UNLIMITED_WIDTH)
    place.print(table)
    return count  # type: ignore[no-any-return]


def _text(value: object) -> Text:
    if value is None:
        return Text("")
    if isinstance(value, datetime):
        return Text(iso_utc(value))
    return Text(str(value).lower() if isinstance(value, bool) else str(value))


@contextmanager
def _bar(reader: ParallelReader, console: Console) -> Iterator[Callable[[Batches], Batches]]:
    """Shows the progress of ``reader`` as batches are consumed; nothing if ``console`` is not a terminal."""
    columns = (TextColumn("Reading"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        drawn = bar.add_task("", total=max(reader.tasks, 1), note="")

        def advance(batches: Batches) -> Batches:
            rows = 0
            for batch in batches:
                rows += batch.num_rows
                bar.update(drawn, completed=reader.tasks_done, note=f"{rows:,} rows")
                yield batch

        yield advance
