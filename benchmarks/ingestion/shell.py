"""Runs of `pi-datasource ingest` from the shell to their end, each beside a program that only appends the same rows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.ingestion.costs import ROLES
from benchmarks.ingestion.moving_server import Plant
from benchmarks.read import processes
from benchmarks.read.recordings import START

_SAMPLE_S = 0.2
_FIRST = timedelta(minutes=1)
_TIMEOUT_S = 600.0


def runs(plant: Plant, folder: Path, news: int) -> Iterator[dict[str, Any]]:
    """The first run on an empty folder, one with ``news`` events, and one with nothing new."""
    lake, plain = folder / "lake", folder / "plain"
    begin = START + timedelta(hours=6)
    first = begin + _FIRST
    second = plant.after(first, news)
    windows = (("first run", begin, first), ("news", first, second), ("nothing new", second, second))
    for number, (name, low, high) in enumerate(windows):
        plant.set_clock(high)
        commands = {
            "pipeline": _ingest(plant, lake, begin),
            "plain": _append(plant, plain, low, high),
        }
        if low == high:
            del commands["plain"]
        order = list(commands) if number % 2 else list(reversed(commands))
        found = {name: _cost(commands[name], folder) for name in order}
        yield {"name": name, "rows": plant.rows(low, high), **found}
    yield {"name": "contents", "wrong": _wrong(lake, plant.rows(begin, second))}


def _ingest(plant: Plant, lake: Path, begin: datetime) -> list[str]:
    program = str(Path(sys.executable).with_name("pi-datasource"))
    given = ["--url", plant.url, "--start-time", begin.isoformat(), "--settle", "0s"]
    return [program, "ingest", *given, "--lakehouse", str(lake)]


def _append(plant: Plant, path: Path, low: datetime, high: datetime) -> list[str]:
    window = [low.isoformat(), high.isoformat()]
    return [sys.executable, "-m", "benchmarks.ingestion.plain_append", plant.url, str(path), *window]


def _cost(command: Sequence[str], folder: Path) -> dict[str, Any]:
    """Time, CPU and memory from the start of the process to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    used, peaks = dict.fromkeys(ROLES, 0.0), dict.fromkeys(ROLES, 0.0)
    began = time.monotonic()
    with (folder / "words").open("w+") as words:
        child = subprocess.Popen(command, stdout=words, stderr=words, cwd=folder)
        # Processes that end take their figures with them: the last sample counts.
        while child.poll() is None:
            for role, seconds in processes.cpu_s(child.pid).items():
                if role in used:
                    used[role] = max(used[role], seconds)
            for pid, role in processes.tree(child.pid).items():
                peaks[role] = max(peaks[role], processes.peak_mb(pid))
            if time.monotonic() - began > _TIMEOUT_S:
                child.kill()
            time.sleep(_SAMPLE_S)
        wall_s = time.monotonic() - began
        words.seek(0)
        said = words.read()
    cost: dict[str, Any] = {
        "wall_s": round(wall_s, 2),
        "cpu_s": {role: round(seconds, 2) for role, seconds in used.items()},
        "peak_mb": {role: round(size) for role, size in peaks.items()},
    }
    return cost if child.returncode == 0 else {**cost, "failed": said[-1000:]}


def _wrong(lake: Path, rows: int) -> str:
    # Through an engine that did not write the table; its static server sends no event twice.
    bronze = DeltaTable(str(lake / "bronze" / "pi_timeseries"))
    table = bronze.to_pyarrow_table(columns=["tag_webid", "timestamp"])
    keys = table.group_by(["tag_webid", "timestamp"]).aggregate([]).num_rows
    if table.num_rows == keys == rows:
        return ""
    return f"bronze has {table.num_rows} rows of {keys} keys, not {rows}"
