"""The pipeline beside a plain Delta append of the same rows: time, CPU, memory, jobs, commits, files and bytes.

    scripts/bench pipeline                        everything
    scripts/bench pipeline --quick                a hundredth of the rows: only to see that it works
    scripts/bench pipeline --only "100 rows" --keep    the other cases stay as they were measured before
    scripts/bench pipeline --before build/old/pipeline.json    with the figures of another run beside

Writes pipeline.json and pipeline.md into benchmarks/results; 1 if a case failed or a table has wrong contents.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.ingestion import cases, moving_server, page, shell
from benchmarks.ingestion.cases import Case
from benchmarks.read import machine
from benchmarks.read.servers import ROOT

RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "bench-pipeline"
_TIMEOUT_S = 3600
_HEAP = "1g"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results."""
    options = _arguments(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that child processes are stopped
    every = cases.cases(quick=options.quick, rounds=1 if options.quick else options.rounds)
    chosen = [case for case in every if _wanted(case.name, options.only)]
    if not chosen:
        sys.stderr.write(f"no case holds any of {options.only}; nothing is written. The cases are:\n")
        sys.stderr.writelines(f"  {case.name}\n" for case in every)
        return 2
    results: dict[str, Any] = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": {**machine.describe(), "load_after": None},
        "cases": json.loads((options.out / "pipeline.json").read_text())["cases"] if options.keep else {},
    }
    before = json.loads(options.before.read_text())["cases"] if options.before else {}
    for case in chosen:
        sys.stderr.write(f"{case.name} …\n")
        measured = _measured(case)
        # Cases that were kept from another run say when they were measured, and on how busy a machine.
        stamp = {"measured_at": results["measured_at"], "load": round(os.getloadavg()[0], 1)}
        results["cases"] |= {name: {**found, **stamp} for name, found in measured.items()}
        results["machine"]["load_after"] = machine.describe()["load_before"]
        _write(options.out, results, before)  # after each case: a run takes long and may be interrupted
        sys.stderr.writelines(f"    {page.one_line(name, found)}\n" for name, found in measured.items())
    wrong = [name for name, found in results["cases"].items() if page.problem(found)]
    if wrong:
        sys.stderr.write(f"failed: {', '.join(wrong)}\n")
    return 1 if wrong else 0


def _measured(case: Case) -> dict[str, dict[str, Any]]:
    """The results by name: one for the case, or one for each run from the shell."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    try:
        with moving_server.running(case.shape) as plant:
            if case.kind == "shell":
                return _from_the_shell(case, list(shell.runs(plant, SCRATCH, case.job["news"])))
            found = _session(case, plant)
            return {case.name: {**found, "limits": [vars(each) for each in case.limits]}}
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)


def _from_the_shell(case: Case, runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    *runs, contents = runs
    return {
        f"{case.name}: {run['name']}": {
            "rounds": [{**run, "wrong": contents["wrong"]}],
            "limits": [vars(each) for each in cases.SHELL_LIMITS.get(run["name"], ())],
        }
        for run in runs
    }


def _session(case: Case, plant: moving_server.Plant) -> dict[str, Any]:
    """What the measured Spark program says."""
    job = {"case": case.kind, "folder": str(SCRATCH), "url": plant.url, "server_pid": plant.pid}
    job |= {"tags": case.shape.tags, "events": case.shape.events, **case.job}
    given = os.environ.get("PYSPARK_SUBMIT_ARGS", "pyspark-shell")
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"--driver-memory {_HEAP} {given}"}
    log = ROOT / "build" / "logs" / "bench-pipeline.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as words:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.ingestion.session", json.dumps(job)],
            stdout=subprocess.PIPE, stderr=words, text=True, cwd=ROOT, env=environment, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    if not done.stdout:
        return {
            "rounds": [],
            "failed": f"the program ended with {done.returncode}; see {log.relative_to(ROOT)}",
        }
    return dict(json.loads(done.stdout))


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(part.lower() in name.lower() for part in only)


def _write(folder: Path, results: dict[str, Any], before: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "pipeline.md").write_text(page.markdown(results, before))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench pipeline", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="small amounts, to see that it works")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="cases whose name holds NAME; repeatable"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep what is not measured now as it stands in --out"
    )
    parser.add_argument("--rounds", type=int, default=2, help="of each large load (2)")
    parser.add_argument(
        "--before", type=Path, metavar="FILE", help="another run's pipeline.json to show beside"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder (default benchmarks/results)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
