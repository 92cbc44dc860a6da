"""Kills driver, workers and simulator during many runs of the pipeline, then compares its tables with the oracle."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
SPEED = 3.0  # of the server's clock: every run finds something new
OVERLAP_S = int(PERIOD_S * 2048)  # what is older cannot change any more
LONGEST_PAUSE_S = 5.0  # between runs of a lakehouse: a kill meets the others at other moments
LONGEST_SILENCE_S = 1800.0
LONGEST_WAIT_S = 2.0  # from a phase to the kill
LONGEST_AWAY_S = 5.0
DONE = "done"
ENDINGS = (DONE, "failed")
PROVEN_EVERY = 50  # runs of a long soak
RESULTS = Path(__file__).parent / "results" / "soak_pipeline.md"
LAST_RUNS = 3
DRIVER_SHARE = 0.4  # of the runs that a kill has met, at least
VICTIMS = {"driver": 4, "simulator": 3, "worker": 3}


@dataclass
class Run:
    """One run of a lakehouse, and who was killed while it was under way."""

    progress: Progress
    seen: set[str] = field(default_factory=set)


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

    def killed(self, victim: str, runs: Sequence[Run]) -> None:
        """Notes that these runs were under way when the victim died."""
        self.kills[victim] += 1
        for run in runs:
            self.moments[f"{victim} killed when a run had {run.progress.last}"] += 1
            self.runs_met += not run.seen
            self.met[victim] += victim not in run.seen
            run.seen.add(victim)

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
    """Ingestions into ``lakes`` lakehouses of ``folder``, again and again, and the simulator that they read; all are killed."""

    folder: Path
    lakes: int
    chance: random.Random
    simulator: Simulator
    ingestion: Ingestion
    result: Soak = field(default_factory=Soak)
    runs: dict[int, Run] = field(default_factory=dict)

    def kill(self, victim: str) -> None:
        """Kills ``victim`` at a random time after a random run has reached a random phase.

        So kills are spread over all phases of a run on slow and fast machines alike; the other runs are in any phase.
        """
        self._keep_running()
        run = self.runs[self.chance.randrange(self.lakes)]
        phase = self.chance.choice(run.progress.ahead or [run.progress.last])
        self._watch(lambda: run.progress.reached(phase) or run not in self.runs.values())
        strike_at = time.monotonic() + self.chance.uniform(0.0, LONGEST_WAIT_S)
        self._watch(lambda: time.monotonic() >= strike_at)
        self._watch(lambda: self._strike(victim))

    def last_runs(self, say: Callable[[str], None]) -> None:
        """Undisturbed runs until one of each lakehouse has come to its end, each time in a new process.

        Spark holds on to idle workers that were killed, and each of its pools fails once when it takes one up again
        ("Stream closed", Spark 4.2.0): a kill is not over for the driver that saw it. And now and then Spark fails a run
        when several share a driver. What is at fault in the tables or checkpoints fails every time.

        Raises:
            AssertionError: the runs of a lakehouse have failed ``LAST_RUNS`` times.
        """
        self.simulator.start(self.simulator.now + timedelta(minutes=1), disturbed=False)
        left = set(range(self.lakes))
        for _ in range(LAST_RUNS):
            self.ingestion.kill()
            for lake in left:
                self.ingestion.begin(lake, after_s=0.0)
            self._until(lambda: all(word in ENDINGS for word in self.ingestion.words.values()))
            left -= {lake for lake, word in self.ingestion.words.items() if word == DONE}
            if not left:
                return
            self.result.last_runs_failed += len(left)
            say(f"a last run has failed: {self.ingestion.causes()}")
        message = f"the last runs of lakehouses {sorted(left)} failed: {self.ingestion.causes()}"
        raise AssertionError(message)

    def _strike(self, victim: str) -> bool:
        """Kills ``victim``; False if no run is under way, or if there is no such process, as when Spark has no worker."""
        met = [self.runs[lake] for lake in self.ingestion.under_way]
        if not met or (victim == "worker" and not self.ingestion.kill_workers()):
            return False
        if victim == "driver":
            self.ingestion.kill()
        elif victim == "simulator":
            self.simulator.kill()
        self.result.killed(victim, met)
        if victim == "simulator":
            time.sleep(self.chance.uniform(0.0, LONGEST_AWAY_S))
            self.simulator.start(self.simulator.now)
        return True

    def _watch(self, over: Callable[[], bool]) -> None:
        """Lets all lakehouses run, one run after the other, until it is over."""
        self._until(over, self._keep_running)

    def _keep_running(self) -> None:
        for lake in range(self.lakes):
            word = self.ingestion.words.get(lake)
            if word is None or word in ENDINGS:
                if word is not None:
                    self.result.endings[word] += 1
                self.runs[lake] = Run(Progress(self.folder, lake))
                self.ingestion.begin(lake, self.chance.uniform(0.0, LONGEST_PAUSE_S))

    def _until(self, over: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
        began = time.monotonic()
        while not over():
            late = time.monotonic() - began > LONGEST_SILENCE_S
            assert not late, f"a run does not end: {self.ingestion.last_words()}"
            self.ingestion.listen(within_s=0.02)
            meanwhile()


def soak(
    folder: Path, *, runs: int, seed: int, tags: int, lakes: int, say: Callable[[str], None] = lambda _: None
) -> Soak:
    """Runs ingestions into several lakehouses until ``runs`` of them were hit by a kill, then completes and compares all.

    At least ``DRIVER_SHARE`` of that number have then lost their driver.

    Raises:
        AssertionError: a table differs from the oracle, or an undisturbed run has failed.
    """
    chance = random.Random(seed)
    plant = Plant(seed=seed, tags=tags, plants=2, period_s=PERIOD_S, changes=CHANGES)
    flags = {"seed": seed, "tags": tags, "plants": 2, "period": PERIOD_S, "changes": CHANGES, "speed": SPEED}
    with (
        Simulator(folder, flags, NOW, chance) as simulator,
        Ingestion(folder, lakes, _options(simulator.url)) as ingestion,
    ):
        trial = Trial(folder, lakes, chance, simulator, ingestion)
        result = trial.result
        victims = _victims(chance)
        while result.runs_met < runs or result.met["driver"] < runs * DRIVER_SHARE:
            assert result.kills.total() < 2 * runs, f"kills come too late: {result}"
            trial.kill(next(victims))
            say(f"{result.runs_met} of {runs} runs met by {result.kills.total()} kills")
        # Replays the interrupted windows, and reads what has changed in them since.
        trial.last_runs(say)
        for lake in range(lakes):
            end = simulator.now
            result.proofs.append(proven(lakehouse(folder, lake), plant, START, end - SETTLE, as_of=end))
    return result


def _victims(chance: random.Random) -> Iterator[str]:
    """An endless sequence of victims: rounds in random order, in which each occurs as often as its share says."""
    turn = [victim for victim, share in VICTIMS.items() for _ in range(share)]
    while True:
        yield from chance.sample(turn, len(turn))


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
