"""`python -m mock_server oracle`: prints the exact events of a window, to compare a client's results with."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from mock_server.cli.plant_options import add_plant_options, plant_of, utc
from mock_server.oracle.events import SCHEMA, batches
from mock_server.plant import ticks
from mock_server.plant.point import Point
from mock_server.simulation import Plant

_EPILOG = """\
The plant's options must be those of the server under test. The window is half-open. Without --as-of the events
are printed as they are after all late arrivals and changes.

A line has: tag_name, timestamp (7 digits), ticks (100 ns since 1970), number, text, state_code, is_system, kind,
good, questionable, substituted, annotated, units.
"""
_COLUMNS = pa.schema([SCHEMA.field("tag_name"), ("timestamp", pa.string()), *list(SCHEMA)[1:]])


def main(arguments: Sequence[str]) -> int:
    """Write the requested events; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        plant = plant_of(options)
        if options.as_of is not None:
            plant.advance(options.as_of)
        points = _points(plant, options.tag or ["*"])
        with _target(options.output) as target:
            _write(_truth(plant, points, options), options.format, target)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has closed the pipe
        return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"mock_server oracle: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mock_server oracle",
        description="Print the exact events of a window.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tag",
        action="append",
        metavar="PATTERN",
        help="a tag or a pattern with * and ?; repeatable (default all)",
    )
    parser.add_argument("--start", type=utc, required=True, metavar="TIME", help="ISO time, included")
    parser.add_argument("--end", type=utc, required=True, metavar="TIME", help="ISO time, excluded")
    parser.add_argument("--as-of", type=utc, metavar="TIME", help="as the server shows them at this time")
    parser.add_argument(
        "--format", choices=("jsonl", "parquet", "csv"), default="jsonl", help="default jsonl"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="output file (default standard output)")
    add_plant_options(parser)
    return parser


def _points(plant: Plant, patterns: Sequence[str]) -> list[Point]:
    """The points that match one of the patterns, in server order."""
    indexes: set[int] = set()
    for pattern in patterns:
        found = [int(index) for index in plant.catalog.matching(pattern)]
        former = None if found else plant.catalog.ever_named(pattern)
        if not found and former is None:
            msg = f"no tag matches '{pattern}'; names are like {_example(plant)}"
            raise ValueError(msg)
        indexes.update(found if former is None else [former.index])
    return plant.catalog.points(sorted(indexes))


def _example(plant: Plant) -> str:
    return plant.catalog.point(0).name if len(plant.catalog) else "NORTH.A1.FLOW_0001.PV"


def _truth(plant: Plant, points: list[Point], options: argparse.Namespace) -> Iterator[pa.RecordBatch]:
    """The events with their timestamps, some points at a time."""
    visible = ticks.LAST if options.as_of is None else ticks.from_datetime(options.as_of)
    low, high = ticks.from_datetime(options.start), ticks.from_datetime(options.end) - 1
    for batch in batches(plant.history, points, low, high, visible):
        times = pa.array([ticks.to_iso(instant) for instant in batch["ticks"].to_pylist()], pa.string())
        yield pa.RecordBatch.from_arrays([batch[0], times, *batch.columns[1:]], schema=_COLUMNS)


@contextmanager
def _target(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with path.open("wb") as file:
        yield file


def _write(truth: Iterator[pa.RecordBatch], form: str, target: BinaryIO) -> None:
    if form == "jsonl":
        for batch in truth:
            for row in batch.to_pylist():
                target.write(orjson.dumps(row) + b"\n")
        return
    kind = pyarrow.csv.CSVWriter if form == "csv" else pyarrow.parquet.ParquetWriter
    sink = pa.PythonFile(target, mode="w")
    with kind(sink, _COLUMNS) as writer:
        for batch in truth:
            writer.write(pa.Table.from_batches([batch]))
