"""Writes batches to Parquet, CSV or JSON lines, one at a time; an incomplete file is never left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
from pyarrow import compute, csv, parquet

from pi_datasource import paths
from pi_datasource.errors import InvalidOption
from pi_datasource.model import json_number

Write = Callable[[pa.RecordBatch], None]
ROW_GROUP = 100_000  # rows: small enough for memory, large enough to compress well
LINES_AT_ONCE = 5_000


def resolve_format(path: Path | None, given: str | None) -> str:
    """The format to write: the one given, else that of the file name's extension, else ``table``.

    Raises:
        InvalidOption: the format does not exist or cannot be written to ``path``.
    """
    if given is not None and given not in (*FORMATS, "table"):
        message = f"--format {given!r}: there is no such format; use {', '.join(FORMATS)} or table"
        raise InvalidOption(message)
    if path is not None:
        paths.local(path, "--output")
    kind = given or ("table" if path is None else _EXTENSIONS.get(path.suffix.lower(), ""))
    if not kind:
        message = f"--output {str(path)!r}: the extension names no format; use .parquet, .csv or .jsonl, or give --format"
        raise InvalidOption(message)
    if path is None and kind == "parquet":
        message = "--format parquet needs a file: --output FILE.parquet"
        raise InvalidOption(message)
    if path is not None and kind == "table":
        message = "--format table is for the terminal; leave --output out, or use parquet, csv or jsonl"
        raise InvalidOption(message)
    if path is not None and not path.parent.is_dir():
        message = f"--output: there is no folder {str(path.parent)!r}; create it, or choose another"
        raise InvalidOption(message)
    return kind


@contextmanager
def destination(path: Path | None, kind: str, schema: pa.Schema) -> Iterator[Write]:
    """Yields a function that writes a batch; the file gets its name only if the block succeeds, else it is deleted.

    Without a path the rows go to stdout.

    Raises:
        InvalidOption: the file cannot be written.
    """
    if path is None:
        with FORMATS[kind](sys.stdout.buffer, schema) as write:
            yield write
        sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file, FORMATS[kind](file, schema) as write:
            yield write
        unfinished.replace(path)
    except OSError as cause:
        message = f"--output: {str(path)!r} cannot be written: {cause.strerror or type(cause).__name__}"
        raise InvalidOption(message) from cause
    finally:
        with suppress(OSError):  # a read-only folder refuses this, too: the first error is the one to report
            unfinished.unlink(missing_ok=True)


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    group: list[pa.RecordBatch] = []

    def write_group() -> None:
        if group:
            writer.write_table(pa.Table.from_batches(group, schema), row_group_size=ROW_GROUP)
            group.clear()

    def write(batch: pa.RecordBatch) -> None:
        group.append(batch)
        if sum(each.num_rows for each in group) >= ROW_GROUP:
            write_group()

    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        yield write
        write_group()


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    if _arrow_formats_utc():
        with csv.CSVWriter(file, schema) as writer:
            yield writer.write_batch
        return
    texts = pa.schema([pa.field(f.name, pa.string()) if _is_time(f) else f for f in schema])
    with csv.CSVWriter(file, texts) as writer:
        yield lambda batch: writer.write_batch(_with_times_as_text(batch, texts))


def _arrow_formats_utc() -> bool:
    """Whether Arrow can format times in UTC: it needs the time zone data of the system, whatever Python has."""
    try:
        pa.array([0], pa.timestamp("us", "UTC")).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _is_time(field: pa.Field) -> bool:
    return bool(pa.types.is_timestamp(field.type))


def _with_times_as_text(batch: pa.RecordBatch, texts: pa.Schema) -> pa.RecordBatch:
    """The batch with its times (UTC) formatted as Arrow formats them."""
    columns = [
        compute.binary_join_element_wise(column.cast(pa.timestamp("us")).cast(pa.string()), "Z", "")
        if _is_time(field)
        else column
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=texts)


def _jsonl(file: BinaryIO, schema: pa.Schema) -> AbstractContextManager[Write]:  # noqa: ARG001 - all formats have the same signature
    encoder: Any = msgspec.json.Encoder()

    def write(batch: pa.RecordBatch) -> None:
        for first in range(0, batch.num_rows, LINES_AT_ONCE):
            file.write(encoder.encode_lines(_rows(batch.slice(first, LINES_AT_ONCE))))

    return nullcontext(write)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows for JSON, with NaN and the infinities as texts, to distinguish them from null."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_floating(column.type):
            for index in compute.indices_nonzero(compute.invert(compute.is_finite(column))).to_pylist():
                rows[index][name] = json_number(rows[index][name])
    return rows


FORMATS: dict[str, Callable[[BinaryIO, pa.Schema], AbstractContextManager[Write]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _jsonl,
}
_EXTENSIONS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
