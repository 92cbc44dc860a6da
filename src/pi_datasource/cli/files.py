"""Batches into Parquet, CSV or JSON lines: batch by batch, and a file is there whole or not at all."""

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
ROW_GROUP = 100_000  # rows that Parquet keeps together: small enough to hold, large enough to pack well
LINES_AT_ONCE = 5_000


def kind_of(path: Path | None, named: str | None) -> str:
    """The form to write: the one named, else that of the file's ending, else a ``table`` for people.

    Raises:
        InvalidOption: there is no such form, or it does not fit the place.
    """
    if named is not None and named not in (*FORMS, "table"):
        message = f"--format {named!r}: there is no such format; use {', '.join(FORMS)} or table"
        raise InvalidOption(message)
    if path is not None:
        paths.local(path, "--output")
    kind = named or ("table" if path is None else _ENDINGS.get(path.suffix.lower(), ""))
    if not kind:
        message = f"--output {str(path)!r}: the ending says no format; use .parquet, .csv or .jsonl, or give --format"
        raise InvalidOption(message)
    if path is None and kind == "parquet":
        message = "--format parquet needs a file: --output FILE.parquet"
        raise InvalidOption(message)
    if path is not None and kind == "table":
        message = "--format table is for the terminal; leave --output out, or use parquet, csv or jsonl"
        raise InvalidOption(message)
    if path is not None and not path.parent.is_dir():
        message = f"--output: there is no folder {str(path.parent)!r}; make it, or choose another"
        raise InvalidOption(message)
    return kind


@contextmanager
def destination(path: Path | None, kind: str, schema: pa.Schema) -> Iterator[Write]:
    """Gives what writes a batch; the file bears its name only when the block has ended well, else it is gone.

    Without a path the rows go to stdout.

    Raises:
        InvalidOption: the place cannot be written to.
    """
    if path is None:
        with FORMS[kind](sys.stdout.buffer, schema) as write:
            yield write
        sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file, FORMS[kind](file, schema) as write:
            yield write
        unfinished.replace(path)
    except OSError as cause:
        message = f"--output: {str(path)!r} cannot be written: {cause.strerror or type(cause).__name__}"
        raise InvalidOption(message) from cause
    finally:
        with suppress(
            OSError
        ):  # a read-only folder refuses this, too, and the first error is the one to tell
            unfinished.unlink(missing_ok=True)


@contextmanager
def _parquet(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    waiting: list[pa.RecordBatch] = []

    def write_group() -> None:
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=ROW_GROUP)
            waiting.clear()

    def write(batch: pa.RecordBatch) -> None:
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= ROW_GROUP:
            write_group()

    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        yield write
        write_group()


@contextmanager
def _csv(file: BinaryIO, schema: pa.Schema) -> Iterator[Write]:
    if _arrow_knows_utc():
        with csv.CSVWriter(file, schema) as writer:
            yield writer.write_batch
        return
    texts = pa.schema([pa.field(f.name, pa.string()) if _is_moment(f) else f for f in schema])
    with csv.CSVWriter(file, texts) as writer:
        yield lambda batch: writer.write_batch(_with_moments_as_texts(batch, texts))


def _arrow_knows_utc() -> bool:
    """Whether Arrow can write times in UTC: without the system's time zone data it cannot, whatever Python has."""
    try:
        pa.array([0], pa.timestamp("us", "UTC")).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _is_moment(field: pa.Field) -> bool:
    return bool(pa.types.is_timestamp(field.type))


def _with_moments_as_texts(batch: pa.RecordBatch, texts: pa.Schema) -> pa.RecordBatch:
    """The batch with its times (UTC) as the texts that Arrow writes for them."""
    columns = [
        compute.binary_join_element_wise(column.cast(pa.timestamp("us")).cast(pa.string()), "Z", "")
        if _is_moment(field)
        else column
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=texts)


def _lines(file: BinaryIO, schema: pa.Schema) -> AbstractContextManager[Write]:  # noqa: ARG001 - all are called alike
    encoder: Any = msgspec.json.Encoder()

    def write(batch: pa.RecordBatch) -> None:
        for first in range(0, batch.num_rows, LINES_AT_ONCE):
            file.write(encoder.encode_lines(_rows(batch.slice(first, LINES_AT_ONCE))))

    return nullcontext(write)


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows for JSON, in which NaN and the infinities are texts: as numbers they could not be told from null."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_floating(column.type):
            for index in compute.indices_nonzero(compute.invert(compute.is_finite(column))).to_pylist():
                rows[index][name] = json_number(rows[index][name])
    return rows


FORMS: dict[str, Callable[[BinaryIO, pa.Schema], AbstractContextManager[Write]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _lines,
}
_ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
