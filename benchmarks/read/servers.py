"""The servers that are read from, each a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.read import recordings
from benchmarks.read.recordings import Shape, Truth
from mock_server import Plant

ROOT = Path(__file__).resolve().parents[2]
SIMULATED_SPAN = timedelta(hours=8)
_STOP_TIMEOUT_S = 20


@dataclass(frozen=True)
class Target:
    """A running server, the window to read, and what must come out."""

    url: str
    pid: int
    start: datetime
    end: datetime
    truth: Truth
    paths: tuple[str, ...]  # for readers that do not find tags themselves: tags of one type
    paths_truth: Truth
    counts: bool

    def counters(self) -> dict[str, int]:
        """What the server was asked for so far; nothing where it does not count."""
        if not self.counts:
            return {}
        with urllib.request.urlopen(self.url.removesuffix("/piwebapi") + "/counters", timeout=10) as answer:
            return dict(json.load(answer))


@contextmanager
def running(server: str, shape: Shape, latency_ms: int = 0) -> Iterator[Target]:
    """The ``static`` server or the ``simulator`` with that shape; gone when the block ends."""
    with _static(shape, latency_ms) if server == "static" else _simulator(shape) as target:
        yield target


@contextmanager
def _static(shape: Shape, latency_ms: int) -> Iterator[Target]:
    arguments = ["--tags", str(shape.tags), "--events", str(shape.events), "--kind", shape.kind]
    arguments += ["--latency-ms", str(latency_ms)]
    with process("benchmarks.read.static_server", *arguments) as (pid, line):
        from benchmarks.read.static_points import Directory

        directory = Directory(shape)
        paths = tuple(directory.path(tag) for tag in range(shape.tags))
        truth = recordings.truth(shape)
        yield Target(line, pid, recordings.START, recordings.END, truth, paths, truth, counts=True)


@contextmanager
def _simulator(shape: Shape) -> Iterator[Target]:
    plant = Plant(seed=1, tags=shape.tags, plants=4)
    start, end = recordings.START, recordings.START + SIMULATED_SPAN
    arguments = ["--port", "0", "--seed", "1", "--tags", str(shape.tags), "--plants", "4"]
    with process("mock_server", *arguments) as (pid, line):
        url = next(word for word in line.split() if word.startswith("http"))
        floats = [point for point in plant.points if point.point_type.startswith("Float")]
        paths = tuple(point.path for point in floats)
        some = oracle_truth(plant, start, end, [point.name for point in floats])
        yield Target(url, pid, start, end, oracle_truth(plant, start, end), paths, some, counts=False)


def oracle_truth(plant: Plant, start: datetime, end: datetime, tag_names: list[str] | None = None) -> Truth:
    """What the simulator's oracle says that the events of the window add up to; of all tags unless some are named."""
    table = plant.oracle_table(tag_names, start, end)
    origin = int(start.timestamp()) * 1_000_000
    micros = pc.subtract(pc.divide(table["ticks"], 10), origin)
    return Truth(
        table.num_rows,
        len(pc.unique(table["tag_name"])),
        pc.sum(table["good"].cast(pa.int64())).as_py() or 0,
        pc.sum(micros).as_py() or 0,
        pc.sum(table["number"]).as_py() or 0.0,
    )


@contextmanager
def process(module: str, *arguments: str) -> Iterator[tuple[int, str]]:
    """The pid and the first line of a program of this repository that serves until its input is closed or it is told."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        line = child.stdout.readline().strip() if child.stdout else ""
        if not line:
            message = f"{module} {' '.join(arguments)} ended before it served"
            raise RuntimeError(message)
        yield child.pid, line
    finally:
        child.terminate()
        child.communicate(timeout=_STOP_TIMEOUT_S)
