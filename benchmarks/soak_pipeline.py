"""The pipeline through hundreds of kills of driver, workers and simulator, then its tables compared with the truth."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.kill.processes import Ingestion, Simulator
from benchmarks.proof import proven
from mock_server import TAG_PATTERN, Plant

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=20)
SETTLE = timedelta(seconds=5)
PERIOD_S = 4.0
CHANGES = 0.03
OVERLAP_S = int(PERIOD_S * 2048)  # what is older cannot change any more
LONGEST_RUN_S = 900.0
LONGEST_WAIT_S = 1.0  # from a phase to the kill
MOST_TRIES = 4  # for each kill that meets a run
DONE, TOO_LATE = "done", "ended before"
# What a run leaves on disk, in the order in which it does. A kill comes a random moment after one of these has moved, so
# that kills spread over all phases of a run on a slow machine as on a fast one.
PHASES = {
    "planned": "_checkpoints/*/offsets/*",
    "bronze": "bronze/pi_timeseries/_delta_log/*.json",
    "gold": "gold/pi_metrics_hourly/_delta_log/*.json",
    "audit": "checkpoints/pi_ingestion_checkpoint/_delta_log/*.json",
    "committed": "_checkpoints/*/commits/*",
}
# A killed driver costs a start of Spark; the others are as deadly for a run and leave the process for the next one.
VICTIMS = {"driver": 4, "simulator": 3, "worker": 3}


@dataclass(frozen=True)
class Kill:
    """Who is killed, and how long after a phase of the run has moved."""

    victim: str
    phase: str
    after_s: float

    @classmethod
    def drawn(cls, chance: random.Random) -> Kill:
        """A kill by chance."""
        victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        return cls(victim, chance.choice(list(PHASES)), chance.uniform(0.0, LONGEST_WAIT_S))


@dataclass
class Soak:
    """What happened: how each run ended, by what was killed and when."""

    endings: Counter[str] = field(default_factory=Counter)
    proof: str = ""

    def kills(self, victim: str = "") -> int:
        """Runs that a kill, of that victim if one is named, has met; some have ended before it comes."""
        met = {ending: count for ending, count in self.endings.items() if not ending.endswith(TOO_LATE)}
        return sum(count for ending, count in met.items() if ending.startswith(victim))


def soak(folder: Path, kills: int, seed: int, tags: int) -> Soak:
    """Runs an ingestion until kills have met so many runs, and then to its end; proves its tables.

    Raises:
        AssertionError: a table differs from the truth, or a run that nobody killed has failed.
    """
    chance = random.Random(seed)
    result = Soak()
    plant = Plant(seed=seed, tags=tags, plants=2, period_s=PERIOD_S, changes=CHANGES)
    flags = {
        "seed": seed,
        "tags": tags,
        "plants": 2,
        "period": PERIOD_S,
        "changes": CHANGES,
        "speed": 0,
    }
    lake = folder / "lake"
    with (
        Simulator(folder, flags, NOW, chance) as simulator,
        Ingestion(folder, lake, _options(simulator.url)) as ingestion,
    ):
        while result.kills() < kills:
            assert result.endings.total() < MOST_TRIES * kills, f"kills come too late: {result.endings}"
            kill = Kill.drawn(chance)
            ending = _run(ingestion, simulator, lake, kill)
            result.endings[f"{kill.victim} at {kill.phase}: {ending}"] += 1
            # After a run that came to its end nothing would be left to do if the clock stood.
            minutes = chance.choice((3, 12) if ending.endswith((DONE, TOO_LATE)) else (0, 3, 12))
            simulator.start(simulator.now + timedelta(minutes=minutes))
        # A batch that was begun earlier is replayed in its own window; what has changed there since comes with the next.
        for _ in range(2):
            simulator.start(simulator.now + timedelta(minutes=1), faults=False)
            ingestion.begin()
            ending = _awaited(ingestion)
            assert ending == DONE, f"a last run ended otherwise: {ingestion.words()}"
        result.proof = proven(lake, plant, START, simulator.now - SETTLE, as_of=simulator.now)
    return result


def _options(url: str) -> dict[str, str]:
    return {
        "url": url,
        "start_time": START.isoformat(),
        "max_window_per_trigger": "20m",
        "tag_pattern": TAG_PATTERN,
        "num_partitions": "2",
        "overlap": f"{OVERLAP_S}s",
        "max_retries": "8",
    }


def _run(ingestion: Ingestion, simulator: Simulator, lake: Path, kill: Kill) -> str:
    """How a run has ended that the kill meets, if it comes in time."""
    before = len(list(lake.glob(PHASES[kill.phase])))
    ingestion.begin()
    while len(list(lake.glob(PHASES[kill.phase]))) == before:
        if ingestion.ending(within_s=0.02) is not None:
            return TOO_LATE
    if ingestion.ending(within_s=kill.after_s) is not None:
        return TOO_LATE
    if kill.victim == "driver":
        ingestion.kill()
        return "killed"
    if kill.victim == "simulator":  # it is away for as long as it takes to start
        simulator.start(simulator.now)
    else:
        ingestion.kill_workers()
    return _awaited(ingestion)


def _awaited(ingestion: Ingestion) -> str:
    ending = ingestion.ending(within_s=LONGEST_RUN_S)
    assert ending is not None, f"a run does not end: {ingestion.words()}"
    return ending


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
    sys.stdout.write(f"{result.proof}\n{result.kills()} kills in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
