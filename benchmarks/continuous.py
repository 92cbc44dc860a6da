"""Hours of continuous ingestion on an accelerated clock: lag, memory, and the tables compared with the oracle.

    scripts/bench continuous                      two hours at 1,000 tags, in a quarter of an hour
    scripts/bench continuous --hours 24 --speed 24

Runs `pi-datasource ingest --every`, stops it as a person would, and writes continuous.json and continuous.md into
benchmarks/results; 1 if a table differs from the truth or something grew without end.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.compute as pc

from benchmarks.kill.processes import Simulator
from benchmarks.proof import proven
from benchmarks.read import machine, processes
from mock_server import TAG_PATTERN, Plant
from oracle_check import read_delta
from pi_datasource.delta import Lakehouse

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=10)
SEED, PLANTS, PERIOD_S = 11, 4, 10.0
EVERY, OVERLAP = "10 seconds", "10m"
PARTS = 8  # of the whole time, each with its own memory and lag
ROLES = ("driver", "planner", "worker", "jvm")
BOUND = 1.2  # the maximum ratio of a figure at the end to its value at half time


@dataclass
class Part:
    """One of equal parts of the run: the largest of each role's processes in MB, and the farthest behind a batch was."""

    hours: float
    batches: int
    lag_s: float  # of the server's clock
    memory_mb: dict[str, float]
    live_heap_mb: float | None  # what the JVM holds after collecting; None without a JDK


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--speed", type=float, default=8.0, help="seconds of the server's clock per real one")
    parser.add_argument("--tags", type=int, default=1000)
    chosen = parser.parse_args(arguments)
    before = machine.describe()
    parts, proof = run(chosen.hours, chosen.speed, chosen.tags)
    results = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {**before, "load_after": round(os.getloadavg()[0], 1)},
        "hours": chosen.hours,
        "speed": chosen.speed,
        "tags": chosen.tags,
        "parts": [asdict(part) for part in parts],
        "growth": growth(parts),
        "proof": proof,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "continuous.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "continuous.md").write_text(markdown(results))
    sys.stdout.write(markdown(results))
    return 0 if max(results["growth"].values()) <= BOUND else 1


def run(hours: float, speed: float, tags: int) -> tuple[list[Part], str]:
    """What each part of the time was like, and what was compared.

    Raises:
        AssertionError: a table differs from the truth, or the ingestion has ended by itself.
    """
    with TemporaryDirectory(prefix="pi-continuous-") as temporary:
        folder = Path(temporary)
        flags = {"seed": SEED, "tags": tags, "plants": PLANTS, "period": PERIOD_S, "speed": speed}
        with Simulator(folder, flags, NOW) as simulator:
            clock_began = datetime.now(timezone.utc)
            command = _command(folder, simulator.url)
            with _running([*command, "--every", EVERY], folder) as ingestion:
                watched = [_watched(ingestion, hours * 3600 / speed / PARTS) for _ in range(PARTS)]
            # Ctrl-C may have met a micro-batch half way; the next run ends it.
            subprocess.run(command, cwd=folder, capture_output=True, check=True)
        lake = folder / "lake"
        audit = read_delta(str(lake / "checkpoints/pi_ingestion_checkpoint"))
        end = pc.max(audit["window_end"]).as_py()
        plant = Plant(seed=SEED, tags=tags, plants=PLANTS, period_s=PERIOD_S)
        proof = proven(Lakehouse.in_directory(lake), plant, START, end, as_of=end + timedelta(days=1))
    return [_part(each, audit.to_pylist(), clock_began, speed) for each in watched], proof


@dataclass(frozen=True)
class _Watched:
    """The samples of the processes between two times of the real clock."""

    began: datetime
    ended: datetime
    memory_mb: dict[str, float]
    live_heap_mb: float | None


def _watched(ingestion: subprocess.Popen[bytes], seconds: float) -> _Watched:
    began = datetime.now(timezone.utc)
    until = time.monotonic() + seconds
    largest = dict.fromkeys(ROLES, 0.0)
    while time.monotonic() < until:
        assert ingestion.poll() is None, "the ingestion has ended by itself"
        for pid, role in processes.tree(ingestion.pid).items():
            largest[role] = max(largest[role], processes.resident_mb(pid))
        time.sleep(min(2.0, max(0.0, until - time.monotonic())))
    return _Watched(began, datetime.now(timezone.utc), largest, _live_heap_mb(ingestion.pid))


def _live_heap_mb(driver: int) -> float | None:
    """What the JVM's heap holds after a full collection."""
    jcmd = shutil.which("jcmd")
    found = [pid for pid, role in processes.tree(driver).items() if role == "jvm"]
    if jcmd is None or not found:
        return None
    subprocess.run([jcmd, str(found[0]), "GC.run"], capture_output=True, check=True)
    told = subprocess.run([jcmd, str(found[0]), "GC.heap_info"], capture_output=True, check=True, text=True)
    # One figure for each generation, or one for the whole heap; what is used follows the word.
    heap = told.stdout.partition("Metaspace")[0].replace(",", " ").split()
    return sum(int(b.rstrip("K")) for a, b in itertools.pairwise(heap) if a == "used") / 1024


def _part(watched: _Watched, batches: list[dict[str, Any]], clock_began: datetime, speed: float) -> Part:
    those = [batch for batch in batches if watched.began <= batch["created_at"] < watched.ended]
    lags = [NOW + (batch["created_at"] - clock_began) * speed - batch["window_end"] for batch in those]
    return Part(
        hours=round((watched.ended - clock_began).total_seconds() * speed / 3600, 2),
        batches=len(those),
        lag_s=round(max(lags, default=timedelta()).total_seconds(), 1),
        memory_mb={role: round(size, 1) for role, size in watched.memory_mb.items()},
        live_heap_mb=None if watched.live_heap_mb is None else round(watched.live_heap_mb, 1),
    )


def _command(folder: Path, url: str) -> list[str]:
    """The command line of ``pi-datasource ingest``."""
    command = [str(Path(sys.executable).with_name("pi-datasource")), "ingest", "--url", url]
    command += ["--lakehouse", str(folder / "lake"), "--start-time", START.isoformat(), "--overlap", OVERLAP]
    return [*command, "--tag-pattern", TAG_PATTERN]


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is stopped with Ctrl-C."""
    with (folder / "words").open("wb") as words:
        child = subprocess.Popen(command, cwd=folder, stdout=words, stderr=words, start_new_session=True)
    try:
        yield child
        os.killpg(child.pid, signal.SIGINT)
        child.wait(timeout=300)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def growth(parts: Sequence[Part]) -> dict[str, float]:
    """For all that must not grow: the maximum of the last quarter divided by that of the quarter before half time."""
    earlier, later = parts[PARTS // 4 : PARTS // 2], parts[-PARTS // 4 :]

    def ratio(of: Any) -> float:
        return round(max(map(of, later)) / max(1.0, *map(of, earlier)), 2)

    found = {
        role: ratio(lambda part, role=role: part.memory_mb[role]) for role in ("driver", "planner", "worker")
    }
    found["lag"] = ratio(lambda part: part.lag_s)
    if all(part.live_heap_mb is not None for part in parts):
        found["live heap"] = ratio(lambda part: part.live_heap_mb)
    return found


def markdown(results: dict[str, Any]) -> str:
    """The results as a Markdown page."""
    about = results["machine"]
    lines = [
        "# Continuous ingestion",
        "",
        f"Measured {results['measured_at'][:10]} by `scripts/bench continuous` on {about['cores']} cores "
        f"({about['processor']}): `pi-datasource ingest --every '{EVERY}' --overlap {OVERLAP}`, {results['tags']:,} tags with "
        f"an event every {PERIOD_S:.0f} s each, {results['hours']:g} hours of a clock that runs {results['speed']:g} times as "
        "fast. Sizes are the largest resident ones, in MB; the lag is what lay between a batch's end and the server's clock.",
        "",
        "| hours | batches | largest lag, s | driver | planner | worker | JVM | JVM's live heap |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for part in results["parts"]:
        sizes = " | ".join(f"{part['memory_mb'][role]:,.0f}" for role in ROLES)
        heap = "–" if part["live_heap_mb"] is None else f"{part['live_heap_mb']:,.0f}"
        lines.append(f"| {part['hours']:.2f} | {part['batches']} | {part['lag_s']:.0f} | {sizes} | {heap} |")
    grown = ", ".join(f"{name} {ratio}" for name, ratio in results["growth"].items())
    lines += [
        "",
        f"The last quarter's largest by that of the second quarter: {grown} (bound {BOUND}).",
        "",
        f"Afterwards {results['proof']}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
