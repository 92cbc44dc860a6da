"""Runs of the pipeline that kills of driver, workers and simulator meet, then its tables compared with the truth."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.kill.lakes import Progress, lakehouse
from benchmarks.kill.processes import Ingestion, Simulator
from benchmarks.proof import proven
from benchmarks.simulator import machine
from mock_server import TAG_PATTERN, Plant

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=20)
SETTLE = timedelta(seconds=5)
PERIOD_S = 4.0
CHANGES = 0.03
OVERLAP_S = int(PERIOD_S * 2048)  # what is older cannot change any more
LATEST_BEGIN_S = 10.0  # runs of a round begin one after the other: a kill meets them at different moments
LONGEST_ROUND_S = 1800.0
LONGEST_WAIT_S = 2.0  # from a phase to the kill
LONGEST_AWAY_S = 5.0
MOST_KILLS = 3  # in one round, which the driver's death ends
DONE = "done"
PROVEN_EVERY = 50  # runs of a long soak
RESULTS = Path(__file__).parent / "results" / "soak_pipeline.md"
LAST_RUNS = 3
DRIVER_SHARE = 0.4  # of the runs that a kill has met, at least
VICTIMS = {"driver": 4, "simulator": 3, "worker": 3}


@dataclass(frozen=True)
class Kill:
    """Who is killed, and how long after which run has come to a phase.

    So kills spread over all phases of a run on a slow machine as on a fast one; the other runs are wherever they are.
    """

    victim: str
    lake: int
    phase: str
    after_s: float

    @classmethod
    def drawn(cls, chance: random.Random, runs: Sequence[Progress]) -> Kill:
        """A kill by chance."""
        victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        lake = chance.randrange(len(runs))
        return cls(victim, lake, chance.choice(runs[lake].possible), chance.uniform(0.0, LONGEST_WAIT_S))


@dataclass
class Soak:
    """What happened. A run counts as met if it was under way at a kill, and once for each victim."""

    kills: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    proofs: list[str] = field(default_factory=list)
    runs_met: int = 0
    last_runs_failed: int = 0

    def add(self, victims: dict[int, list[str]]) -> None:
        """Notes which victims each run of a round has seen die."""
        self.runs_met += len(victims)
        for seen in victims.values():
            self.met.update(set(seen))

    def __str__(self) -> str:
        told = [f"{count:5}  {what}" for what, count in sorted(self.moments.items())]
        ended = ", ".join(f"{count} {how}" for how, count in sorted(self.endings.items()))
        killed = ", ".join(f"{victim} {count}" for victim, count in sorted(self.kills.items()))
        met = ", ".join(f"{victim} {count}" for victim, count in sorted(self.met.items()))
        told += [f"runs that came to their end: {ended}", f"kills: {killed}"]
        if self.last_runs_failed:
            told.append(f"undisturbed runs that failed, and were done again: {self.last_runs_failed}")
        return "\n".join([*told, f"{self.runs_met} runs were met by a kill ({met})", *self.proofs])


@dataclass
class Trial:
    """Runs that are killed: an ingestion into ``lakes`` lakehouses of ``folder``, and the simulator that it reads."""

    folder: Path
    lakes: int
    chance: random.Random
    simulator: Simulator
    ingestion: Ingestion
    result: Soak = field(default_factory=Soak)

    def round(self) -> None:
        """One run of each lakehouse, and up to three kills while they are under way."""
        runs = [Progress(self.folder, lake) for lake in range(self.lakes)]
        self.ingestion.begin([self.chance.uniform(0.0, LATEST_BEGIN_S) for _ in runs])
        seen: dict[int, list[str]] = {}
        for _ in range(self.chance.randint(1, MOST_KILLS)):
            kill = Kill.drawn(self.chance, runs)
            self._await(kill)
            hit = self.ingestion.under_way
            if not hit:
                break
            moments = [f"{kill.victim} killed when a run had {runs[lake].last}" for lake in hit]
            if not self._strike(kill.victim):
                continue
            for lake in hit:
                seen.setdefault(lake, []).append(kill.victim)
            self.result.moments.update(moments)
            self.result.kills[kill.victim] += 1
            if kill.victim == "driver":
                break
        if self.ingestion.alive:
            self._until_all_ended()
        self.result.endings.update(word for word in self.ingestion.words.values() if word != "begun")
        self.result.add(seen)

    def last_runs(self, say: Callable[[str], None]) -> None:
        """Undisturbed runs until one of each lakehouse has come to its end, each time in a new process.

        Spark holds on to idle workers that were killed, and each of its pools fails once when it takes one up again
        ("Stream closed", Spark 4.2.0): a kill is not over for the driver that saw it. And now and then Spark fails a run
        when several share a driver. What is at fault in the tables or checkpoints fails every time.

        Raises:
            AssertionError: the runs of a lakehouse have failed ``LAST_RUNS`` times.
        """
        self.simulator.start(self.simulator.now + timedelta(minutes=1), faults=False)
        left = set(range(self.lakes))
        for _ in range(LAST_RUNS):
            self.ingestion.kill()
            self.ingestion.begin([0.0] * self.lakes)
            self._until_all_ended()
            left -= {lake for lake, word in self.ingestion.words.items() if word == DONE}
            if not left:
                return
            self.result.last_runs_failed += len(left)
            say(f"a last run has failed: {self.ingestion.causes()}")
        message = f"the last runs of lakehouses {sorted(left)} failed: {self.ingestion.causes()}"
        raise AssertionError(message)

    def _strike(self, victim: str) -> bool:
        """Kills; False if there was nobody to kill, as when Spark has no worker just then."""
        if victim == "worker":
            return self.ingestion.kill_workers() > 0
        if victim == "driver":
            self.ingestion.kill()
        else:
            self.simulator.kill()
            time.sleep(self.chance.uniform(0.0, LONGEST_AWAY_S))
            self.simulator.start(self.simulator.now)
        return True

    def _await(self, kill: Kill) -> None:
        """Returns at the kill's moment; later if its run has ended before, at last when all have."""
        run, began = Progress(self.folder, kill.lake), time.monotonic()
        while not run.reached(kill.phase) and self.ingestion.words.get(kill.lake, "begun") == "begun":
            self._listen(began, within_s=0.02)
        strike_at = time.monotonic() + kill.after_s
        while (left := strike_at - time.monotonic()) > 0 and not self._all_ended():
            self._listen(began, within_s=left)

    def _until_all_ended(self) -> None:
        began = time.monotonic()
        while not self._all_ended():
            self._listen(began, within_s=1.0)

    def _listen(self, began: float, within_s: float) -> None:
        assert time.monotonic() - began < LONGEST_ROUND_S, (
            f"a run does not end: {self.ingestion.last_words()}"
        )
        self.ingestion.listen(within_s)

    def _all_ended(self) -> bool:
        return len(self.ingestion.words) == self.lakes and not self.ingestion.under_way


def soak(
    folder: Path, *, runs: int, seed: int, tags: int, lakes: int, say: Callable[[str], None] = lambda _: None
) -> Soak:
    """Runs ingestions into several lakehouses until kills have met so many runs, and then to their end; proves all tables.

    At least ``DRIVER_SHARE`` of as many runs have then lost their driver.

    Raises:
        AssertionError: a table differs from the truth, or a run that nobody disturbed has failed.
    """
    chance = random.Random(seed)
    plant = Plant(seed=seed, tags=tags, plants=2, period_s=PERIOD_S, changes=CHANGES)
    flags = {"seed": seed, "tags": tags, "plants": 2, "period": PERIOD_S, "changes": CHANGES, "speed": 0}
    with (
        Simulator(folder, flags, NOW, chance) as simulator,
        Ingestion(folder, lakes, _options(simulator.url)) as ingestion,
    ):
        trial = Trial(folder, lakes, chance, simulator, ingestion)
        result = trial.result
        while result.runs_met < runs or result.met["driver"] < runs * DRIVER_SHARE:
            assert result.kills.total() < 2 * runs, f"kills come too late: {result}"
            trial.round()
            say(f"{result.runs_met} of {runs} runs met by {result.kills.total()} kills")
            # After runs that came to their end nothing would be left to do if the clock stood.
            minutes = chance.choice((3, 12) if DONE in ingestion.words.values() else (0, 3, 12))
            simulator.start(simulator.now + timedelta(minutes=minutes))
        # Replay in their own windows what was begun, and read what has changed there since.
        trial.last_runs(say)
        for lake in range(lakes):
            end = simulator.now
            result.proofs.append(proven(lakehouse(folder, lake), plant, START, end - SETTLE, as_of=end))
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


def main() -> None:
    """Prints and writes at which moments kills met runs, how runs ended, and the proofs: after fifty runs, of fresh tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="that a kill has met (default 200)")
    parser.add_argument("--seed", type=int, default=20260301)
    parser.add_argument("--tags", type=int, default=24)
    parser.add_argument("--lakes", type=int, default=5, help="lakehouses at once (default 5)")
    chosen = parser.parse_args()
    began = time.monotonic()

    def say(progress: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:6.0f} s] {progress}\n")

    met, told = 0, ""
    for seed in itertools.count(chosen.seed):
        runs = min(chosen.runs - met, PROVEN_EVERY)
        with TemporaryDirectory(prefix="pi-soak-") as folder:
            result = soak(Path(folder), runs=runs, seed=seed, tags=chosen.tags, lakes=chosen.lakes, say=say)
        met += result.runs_met
        chapter = f"seed {seed}\n{result}\n{met} runs so far, {time.monotonic() - began:.0f} s\n\n"
        sys.stdout.write(chapter)
        sys.stdout.flush()
        told += chapter
        if met >= chosen.runs:
            RESULTS.write_text(_page(chosen.tags, chosen.lakes, told))
            return


def _page(tags: int, lakes: int, told: str) -> str:
    how = f"{tags} tags into {lakes} lakehouses at once; {machine()}"
    what = "Runs that `kill -9` has met, and the proofs that follow them"
    return (
        f"# The crash test\n\n{what}; measured by `scripts/soak`, {how}.\n\n```text\n{told.rstrip()}\n```\n"
    )


if __name__ == "__main__":
    main()
