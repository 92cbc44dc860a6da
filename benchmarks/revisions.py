"""CPU of reading and of the simulator: a git revision against the working tree, alternating in one run."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import simulator
from benchmarks.read import machine, servers
from benchmarks.read.recordings import Shape
from mock_server import Plant

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
KINDS = ("numeric", "mixed", "states")  # of values
TAGS, EVENTS = 200, 5_000
READS_PER_RUN = 3
# The public interface alone, because this runs on every revision.
WORKER = f"""
import json, sys, time
from pi_datasource import PIDataSource
source = PIDataSource(json.loads(sys.argv[1]))
reader = source.reader(source.schema())

def drain():
    before = time.process_time()
    rows = sum(batch.num_rows for part in reader.partitions() for batch in reader.read(part))
    return rows, time.process_time() - before

drain()
runs = [drain() for _ in range({READS_PER_RUN})]
print(json.dumps([runs[0][0], min(cpu for _, cpu in runs)]))
"""


@dataclass(frozen=True)
class Measured:
    """CPU seconds of one case, by round."""

    case: str
    base: list[float]
    tree: list[float]

    @property
    def ratio(self) -> float:
        """Tree to base: the median over rounds."""
        return statistics.median(new / old for old, new in zip(self.base, self.tree, strict=True))

    @property
    def ratio_of_minima(self) -> float:
        """Tree to base: the least disturbed round of each."""
        return min(self.tree) / min(self.base)


def main() -> int:
    """Measures, prints a table, and writes ``results/revisions.{json,md}``."""
    parser = argparse.ArgumentParser(prog="scripts/bench revisions", description=__doc__)
    parser.add_argument(
        "--base", required=True, metavar="REVISION", help="what the working tree is compared with"
    )
    parser.add_argument("--rounds", type=int, default=7, help="of each case, base and tree in turn (7)")
    arguments = parser.parse_args()
    described = machine.describe()
    with _checked_out(arguments.base) as base:
        measured = [*_reading(base, arguments.rounds), *_simulator(base, arguments.rounds)]
    text = _report(arguments.base, arguments.rounds, measured)
    sys.stdout.write(text)
    (RESULTS / "revisions.md").write_text(text, encoding="utf-8")
    cases = [vars(each) | {"ratio": round(each.ratio, 3)} for each in measured]
    content = {"base": arguments.base, "machine": described, "cases": cases}
    (RESULTS / "revisions.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


@contextmanager
def _checked_out(revision: str) -> Iterator[Path]:
    folder = ROOT / "build" / "revisions" / revision
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "worktree", "prune"], cwd=ROOT, check=True)
    subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(folder), revision], cwd=ROOT, check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(folder)], cwd=ROOT, check=True)


def _alternating(case: str, rounds: int, base: Callable[[], float], tree: Callable[[], float]) -> Measured:
    """Who begins changes with each round."""
    measured = Measured(case, [], [])
    for number in range(rounds):
        turns = [(base, measured.base), (tree, measured.tree)]
        for measure, found in turns if number % 2 else reversed(turns):
            found.append(round(measure(), 4))
    return measured


def _reading(base: Path, rounds: int) -> Iterator[Measured]:
    for kind in KINDS:
        with servers.running("static", Shape(TAGS, EVENTS, kind)) as target:
            options = {
                "url": target.url,
                "start_time": target.start.isoformat(),
                "end_time": target.end.isoformat(),
                "num_partitions": "1",
            }
            yield _alternating(
                f"reading {TAGS * EVENTS:,} events, {kind}",
                rounds,
                lambda options=options: _read(base, options),  # type: ignore[misc]
                lambda options=options: _read(ROOT, options),  # type: ignore[misc]
            )


def _read(tree: Path, options: dict[str, str]) -> float:
    """CPU seconds of one read by the code of ``tree``, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-c", WORKER, json.dumps(options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows, cpu_s = json.loads(done.stdout)
    if rows != TAGS * EVENTS:
        message = f"{rows} rows were read, not {TAGS * EVENTS}"
        raise RuntimeError(message)
    return float(cpu_s)


def _simulator(base: Path, rounds: int) -> Iterator[Measured]:
    plant = ("--seed", str(simulator.SEED), "--tags", str(simulator.TAGS))
    with simulator.serving(*plant, tree=base) as old, simulator.serving(*plant, tree=ROOT) as new:
        web_ids = simulator.web_ids_of(Plant(seed=simulator.SEED, tags=simulator.TAGS))
        for read in simulator.READS:
            path = read.path(web_ids)
            if _without_ports(old.get(path)) != _without_ports(new.get(path)):
                message = f"{read.name}: the two do not answer the same"
                raise RuntimeError(message)
            yield _alternating(
                f"simulator: {read.name}",
                rounds,
                lambda path=path, calls=read.calls: _serve(old, path, calls),  # type: ignore[misc]
                lambda path=path, calls=read.calls: _serve(new, path, calls),  # type: ignore[misc]
            )


def _without_ports(body: bytes) -> bytes:
    return re.sub(rb"(https?://[^/:\"]+):\d+", rb"\1", body)


def _serve(server: simulator.Server, path: str, calls: int) -> float:
    server.reconnect()
    server.get(path)
    before = server.cpu_s()
    for _ in range(calls):
        server.get(path)
    return server.cpu_s() - before


def _report(base: str, rounds: int, measured: list[Measured]) -> str:
    lines = [
        f"# CPU of the working tree and of revision {base}",
        "",
        f"`scripts/bench revisions --base {base}`: {rounds} rounds of each case, in turn. Below 1 the tree needs less.",
        "",
        "| case | base, CPU s (least) | tree, CPU s (least) | tree : base (median of rounds) | of the least |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {each.case} | {min(each.base):.3f} | {min(each.tree):.3f} | {each.ratio:.2f} | {each.ratio_of_minima:.2f} |"
            for each in measured
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
