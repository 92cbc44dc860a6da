"""The speed of reading events: this project, a plain reader and a peer, through Spark, from two servers.

    scripts/bench reading              everything; an hour on two cores
    scripts/bench reading --quick      small amounts, to see that it works; about two minutes
    scripts/bench reading --only parquet --only "one core"
    scripts/bench reading --keep --only "100 million"     the other cases stay as they were measured before
    scripts/bench reading --only pi-datasource:           this project's cases alone

Writes reading.json, reading.md and reading.svg into benchmarks/results.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.read import cases, machine, recordings, report, runner, servers
from benchmarks.read.cases import Case
from benchmarks.read.recordings import Shape
from benchmarks.read.runner import Plan
from benchmarks.read.servers import ROOT

RESULTS = ROOT / "benchmarks" / "results"
_TIMEOUT_S = 1800


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results; 1 if a case of this project or the baseline failed."""
    options = _arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that child processes are stopped
    plan = Plan(
        options.warmups,
        1 if options.quick else options.repeats,
        dict(options.option),
        0 if options.quick else options.first_warmups,
    )
    names = _names(quick=options.quick)
    if not any(_wanted(name, options) for name in names):
        sys.stderr.write(f"no case holds any of {options.only}; nothing is written. The cases are:\n")
        sys.stderr.writelines(f"  {name}\n" for name in names)
        return 2
    chosen = [
        case for case in (cases.QUICK if options.quick else cases.FULL) if _wanted(case.full_name, options)
    ]
    progress = Progress(len(chosen))
    results: dict[str, Any] = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "warmups": plan.warmups,
        "first_warmups": plan.first_warmups,
        "options": plan.options,
        "machine": {**machine.describe(), "load_after": None},
    }
    kept: dict[str, Any] = {"pure": [], "planning": {}, "spark": []}
    if options.keep:
        kept = json.loads((options.out / "reading.json").read_text())
        results["kept_from"] = [*kept.get("kept_from", []), kept["measured_at"]]
    results["pure"] = _with_kept(list(_pure(options, plan, progress)), kept["pure"])
    results["planning"] = _planning(options, plan, progress) or kept["planning"]
    results["spark"] = kept["spark"]
    measured: list[dict[str, Any]] = []
    for result in _spark(chosen, plan, progress):
        measured.append({**result, "measured_at": results["measured_at"]})
        results["spark"] = _with_kept(measured, kept["spark"])
        _write(options.out, results)  # after each case: a run takes long and may be interrupted
    results["machine"]["load_after"] = machine.describe()["load_before"]
    _write(options.out, results)
    failed = [
        each["name"] for each in _all(results) if "failed" in each and each.get("engine") != "pyspark-pi"
    ]
    if failed:
        progress.line(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


class Progress:
    """Progress lines on standard error: the running case, its number, its result."""

    def __init__(self, total: int) -> None:
        self.total, self.number, self.started = total, 0, time.monotonic()

    def line(self, text: str) -> None:
        """One line with the time since the start."""
        passed = int(time.monotonic() - self.started)
        sys.stderr.write(f"[{passed // 60:3d}:{passed % 60:02d}] {text}\n")
        sys.stderr.flush()

    def case(self, case: Case, what: dict[str, Any] | str) -> None:
        """A case begins (``running``), has failed, or has a result."""
        if what == "running":
            self.number += 1
            self.line(f"{self.number}/{self.total} {case.name} ({case.engine}, {case.master})")
        else:
            self.line("    " + (what if isinstance(what, str) else report.one_line(what)))


def _with_kept(measured: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The measured cases, those that stand among the kept ones in their place."""
    by_name = {result["name"]: result for result in measured}
    replaced = [by_name.pop(result["name"], result) for result in kept]
    return [*replaced, *by_name.values()]


def _spark(chosen: list[Case], plan: Plan, progress: Progress) -> Iterator[dict[str, Any]]:
    for _, group in groupby(chosen, lambda case: (case.engine, case.master)):
        yield from runner.run_group(list(group), plan, progress.case)


def _pure(options: argparse.Namespace, plan: Plan, progress: Progress) -> Iterator[dict[str, Any]]:
    shapes = cases.QUICK_PURE_SHAPES if options.quick else cases.PURE_SHAPES
    for name, shape in shapes.items():
        if not _wanted(f"pure {name}", options):
            continue
        progress.line(f"without Spark, {name}")
        with servers.running("static", shape) as target:
            origin = int(target.start.timestamp()) * 1_000_000
            counts = ["--warmups", str(plan.warmups), "--repeats", str(max(3, plan.repeats))]
            found = _program("pure", _source_options(target, plan), "--origin-us", str(origin), *counts)
            result = {"name": name, "rows": target.truth.rows, **found}
            if wrong := recordings.differences(found["sums"], target.truth):
                result = {"name": name, "engine": "pi-datasource", "failed": wrong}
            progress.line("    " + (wrong or report.pure_line(result)))
            yield result


def _planning(options: argparse.Namespace, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Many points found and planned: in one process three times, and once through Spark."""
    if not _wanted("planning", options):
        return {}
    points = cases.QUICK_POINTS if options.quick else cases.POINTS
    progress.line(f"{points:,} points found and planned")
    with servers.running("static", Shape(points, 1)) as target:
        source = _source_options(target, plan)
        runs = [_program("planning", source) for _ in range(2 if options.quick else 4)][1:]
        result: dict[str, Any] = {"points": points, "runs": runs}
        try:
            with runner.session("pi-datasource", "local[2]") as spark:
                result["spark"] = runner.planned(spark, target, source)
        except runner.Failed as failure:
            result |= {"name": "planning", "failed": str(failure)}
    progress.line("    " + report.planning_line(result))
    return result


def _source_options(target: servers.Target, plan: Plan) -> dict[str, str]:
    window = {"start_time": target.start.isoformat(), "end_time": target.end.isoformat()}
    return {"url": target.url, **window, **plan.options}


def _program(name: str, source: dict[str, str], *arguments: str) -> dict[str, Any]:
    """What a program of the benchmark prints, run in a process of its own."""
    command = [sys.executable, "-m", f"benchmarks.read.{name}", *arguments, json.dumps(source)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=_TIMEOUT_S, cwd=ROOT
    )
    return dict(json.loads(done.stdout))


def _names(*, quick: bool) -> list[str]:
    """What ``--only`` can choose from."""
    pure = cases.QUICK_PURE_SHAPES if quick else cases.PURE_SHAPES
    spark = cases.QUICK if quick else cases.FULL
    return [*(f"pure {name}" for name in pure), "planning", *(case.full_name for case in spark)]


def _wanted(name: str, options: argparse.Namespace) -> bool:
    return not options.only or any(part.lower() in name.lower() for part in options.only)


def _all(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [*results["spark"], *results["pure"], results["planning"]]


def _write(folder: Path, results: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reading.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "reading.md").write_text(report.markdown(results))
    (folder / "reading.svg").write_text(report.plot(results))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench reading", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--quick", action="store_true", help="small amounts, one repeat: to see that it works"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="cases whose reader and name, such as 'pi-datasource: 5 million', hold NAME; repeatable",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep what is not measured now as it stands in the folder of --out",
    )
    parser.add_argument("--repeats", type=int, default=5, help="measured runs of each case (default 5)")
    parser.add_argument(
        "--warmups", type=int, default=2, help="runs before them (default 2; the first one proves)"
    )
    parser.add_argument(
        "--first-warmups",
        type=int,
        default=15,
        help="more of them before the first case of each Spark, whose JVM is cold (default 15)",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=lambda text: tuple(text.split("=", 1)),
        metavar="NAME=VALUE",
        help="an option for this project's reader, to try it out; repeatable",
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder for the results (default benchmarks/results)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
