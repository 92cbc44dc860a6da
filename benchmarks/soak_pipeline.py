"""The pipeline through hundreds of kills of driver and simulator, then bronze, gold and audit compared with the truth."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.proof import proven
from mock_server import TAG_PATTERN, Plant

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=20)
SETTLE = timedelta(seconds=5)
PERIOD_S = 4.0
OVERLAP_S = int(PERIOD_S * 2048)  # what is older cannot change any more
CHILD = ROOT / "benchmarks" / "ingesting.py"
LONGEST_RUN_S = 900
MOST_TRIES = 4  # for each kill that meets a run
TOO_LATE = "ended before"
# What a run leaves on disk, in the order in which it does. A kill comes a random moment after one of these has moved, so
# that kills spread over all phases of a run on a slow machine as on a fast one.
PHASES = {
    "created": "bronze/pi_timeseries/_delta_log/*.json",
    "tags": "bronze/pi_points/_delta_log/*.json",
    "planned": "_checkpoints/*/offsets/*",
    "bronze": "bronze/pi_timeseries/_delta_log/*.json",
    "gold": "gold/pi_metrics_hourly/_delta_log/*.json",
    "audit": "checkpoints/pi_ingestion_checkpoint/_delta_log/*.json",
    "committed": "_checkpoints/*/commits/*",
}


@dataclass
class Soak:
    """What happened: how each run ended, by what was killed and when."""

    endings: Counter[str] = field(default_factory=Counter)
    proof: str = ""

    @property
    def kills(self) -> int:
        """Runs that a kill has met; some have ended before it comes."""
        return sum(count for ending, count in self.endings.items() if not ending.endswith(TOO_LATE))


def soak(folder: Path, kills: int, seed: int, tags: int) -> Soak:
    """Runs an ingestion until it was killed so often, and once to its end; proves its tables.

    Raises:
        AssertionError: a table differs from the truth, or a run that nobody killed has failed.
    """
    chance = random.Random(seed)
    result = Soak()
    plant = Plant(seed=seed, tags=tags, plants=2, period_s=PERIOD_S, changes=0.03)
    with _Simulator(folder, seed, tags, chance) as simulator:
        options = {
            "url": simulator.url,
            "start_time": START.isoformat(),
            "max_window_per_trigger": "20m",
            "tag_pattern": TAG_PATTERN,
            "num_partitions": "2",
            "overlap": f"{OVERLAP_S}s",
            "max_retries": "8",
        }
        setting = _Setting(folder, options, simulator)
        while result.kills < kills:
            assert result.endings.total() < MOST_TRIES * kills, f"kills come too late: {result.endings}"
            phase = chance.choice(list(PHASES))
            victim = chance.choices(["driver", "simulator", "worker"], [6, 2, 2])[0]
            ending = _run(setting, victim, phase, chance.uniform(0.0, 1.5))
            result.endings[f"{victim} at {phase}: {ending}"] += 1
            simulator.start(simulator.now + timedelta(minutes=chance.choice((0, 0, 3, 12))))
        simulator.start(simulator.now + timedelta(minutes=1), faults=False)
        # A batch that was begun earlier is replayed in its own window; what has changed there since comes with the next.
        for _ in range(2):
            ending = _run(setting, None, "", 0.0)
            assert ending == "done", f"the last run ended otherwise: {_words(folder)}"
            simulator.start(simulator.now + timedelta(minutes=1), faults=False)
        ended = simulator.now - timedelta(minutes=1)
        result.proof = proven(setting.lake, plant, START, ended - SETTLE, as_of=ended)
    return result


class _Simulator:
    """A simulator in a process of its own, on one port, whose clock stands still."""

    def __init__(self, folder: Path, seed: int, tags: int, chance: random.Random) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/piwebapi"
        self.now = NOW
        self._log = folder / "simulator.log"
        self._plant = ("--seed", str(seed), "--tags", str(tags), "--plants", "2", "--period", str(PERIOD_S))
        self._chance = chance
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Simulator:
        self.start(NOW)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, now: datetime, *, faults: bool = True) -> None:
        """Starts anew at ``now``, with another schedule of faults or none."""
        self.kill()
        self.now = now
        trouble = ("--faults", f"{self._chance.randrange(10**6)}:flaky") if faults else ()
        clock = ("--now", now.isoformat(), "--speed", "0", "--changes", "0.03")
        command = [
            sys.executable,
            "-m",
            "mock_server",
            "--port",
            str(self.port),
            *self._plant,
            *clock,
            *trouble,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        self._wait()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        message = f"the simulator does not start: see {self._log}"
        raise TimeoutError(message)


@dataclass(frozen=True)
class _Setting:
    """Where a run works, with what, and against which server."""

    folder: Path
    options: dict[str, str]
    simulator: _Simulator

    @property
    def lake(self) -> Path:
        return self.folder / "lake"


def _run(setting: _Setting, victim: str | None, phase: str, after_s: float) -> str:
    """One run, in which ``victim`` is killed ``after_s`` after ``phase`` has moved; how the run ended."""
    lake = setting.lake
    before = len(list(lake.glob(PHASES[phase]))) if phase else 0
    with _ingesting(setting) as child:
        if victim is not None:
            while child.poll() is None and len(list(lake.glob(PHASES[phase]))) == before:
                time.sleep(0.02)
            time.sleep(after_s)
            if child.poll() is not None:
                return TOO_LATE
            if victim == "driver":
                return "killed"
            if victim == "simulator":
                setting.simulator.kill()
            else:
                _kill_workers(child.pid)
        text, _ = child.communicate(timeout=LONGEST_RUN_S)
    return "done" if text.endswith("done\n") else "failed"


@contextmanager
def _ingesting(setting: _Setting) -> Iterator[subprocess.Popen[str]]:
    """A process that ingests; it is killed with all its children when the block ends."""
    command = [sys.executable, str(CHILD), str(setting.lake), json.dumps(setting.options)]
    quick = {
        **os.environ,
        "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC",
    }
    with (setting.folder / "words").open("w") as words:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,
            cwd=setting.folder,
            env=quick,
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _kill_workers(leader: int) -> None:
    """Kills the Python workers of the process group: what an executor is where all runs in one JVM."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
            words = (entry / "cmdline").read_text()
        except OSError:
            continue  # it has ended meanwhile
        if group == leader and "pyspark.daemon" in words:
            os.kill(int(entry.name), signal.SIGKILL)


def _words(folder: Path) -> str:
    return (folder / "words").read_text()[-3000:]


def main() -> None:
    """Prints how the runs ended, and the proof."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20260301)
    parser.add_argument("--tags", type=int, default=24)
    chosen = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory(prefix="pi-soak-") as folder:
        result = soak(Path(folder), chosen.kills, chosen.seed, chosen.tags)
    for ending, count in sorted(result.endings.items()):
        sys.stdout.write(f"{count:5}  {ending}\n")
    sys.stdout.write(f"{result.proof}\n{result.kills} kills in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
