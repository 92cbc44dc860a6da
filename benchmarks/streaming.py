"""The cost of a stream relative to a batch, and of a micro-batch relative to Spark's rate source and an empty source.

    scripts/bench streaming            ten million rows, five repeats
    scripts/bench streaming --quick    a hundred thousand rows, one repeat: only to see that it works

Writes streaming.json and streaming.md into benchmarks/results; 1 if rows were missing. Seconds of CPU are those of the
whole Spark program.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from benchmarks.read import machine, recordings, servers
from benchmarks.read.recordings import Shape
from benchmarks.read.servers import ROOT

RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "bench-streaming"
GOAL_STREAM, GOAL_BATCH = 1.3, 1.5
_TIMEOUT_S = 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results; 1 if rows were missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int)
    options = parser.parse_args(arguments)
    shape = Shape(200, 500) if options.quick else Shape(1000, 10_000)
    repeats = options.repeats or (1 if options.quick else 5)
    before = machine.describe()
    found = _measure(shape, repeats, batches=10 if options.quick else 40)
    results = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": {**before, "load_after": round(os.getloadavg()[0], 1)},
        "rows": shape.rows,
        **found,
        **figures(found),
    }
    if not options.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "streaming.json").write_text(json.dumps(results, indent=1) + "\n")
        (RESULTS / "streaming.md").write_text(markdown(results))
    print(markdown(results))  # noqa: T201 - a program for a person
    runs = [*found["batch"], *found["stream"], *found["stream_unbounded"]]
    return 0 if all(each["rows"] == shape.rows for each in runs) else 1


def _measure(shape: Shape, repeats: int, batches: int) -> dict[str, Any]:
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    try:
        with servers.running("static", shape) as wide, servers.running("static", Shape(1, 1440)) as small:
            command = [
                sys.executable,
                "-m",
                "benchmarks.streaming_session",
                "--wide",
                wide.url,
                "--small",
                small.url,
            ]
            command += ["--start", recordings.START.isoformat(), "--end", recordings.END.isoformat()]
            command += ["--window", "6h", "--batches", str(batches), "--repeats", str(repeats)]
            done = subprocess.run(
                [*command, "--folder", str(SCRATCH)],
                stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True, timeout=_TIMEOUT_S,
            )  # fmt: skip
            result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
            return result
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)


def figures(found: dict[str, Any]) -> dict[str, float]:
    """The ratios that are goals: medians over repeats that were run in turn."""

    def ratio(upper: str, lower: str, what: str) -> float:
        pairs = zip(found[upper], found[lower], strict=True)
        return round(statistics.median(a[what] / b[what] for a, b in pairs), 2)

    return {
        "stream_to_batch_cpu": ratio("stream", "batch", "cpu_s"),
        "unbounded_stream_to_batch_cpu": ratio("stream_unbounded", "batch", "cpu_s"),
        "pi_to_rate_cpu": ratio("pi", "rate", "cpu_s_per_batch"),
        "pi_to_rate_wall": ratio("pi", "rate", "wall_s_per_batch"),
        "empty_to_rate_wall": ratio("empty", "rate", "wall_s_per_batch"),
    }


def markdown(results: dict[str, Any]) -> str:
    """The results as a Markdown page."""
    about = results["machine"]

    def median(what: str, key: str) -> float:
        return statistics.median(each[key] for each in results[what])

    rows = results["rows"]
    lines = [
        "# Streams beside batches",
        "",
        f"Measured {results['measured_at'][:10]} with Spark {results['spark']}, Python {about['python']} on {about['cores']} "
        f"cores ({about['processor']}); load {about['load_before']} before and {about['load_after']} after"
        + (", in the quick form" if results["quick"] else "")
        + ". Medians.",
        "",
        "| what | CPU µs per row | wall s |",
        "|---|---:|---:|",
    ]
    for name, key in (
        (f"batch, {rows:,} rows, noop", "batch"),
        ("AvailableNow in 4 or 5 micro-batches", "stream"),
        ("AvailableNow in one micro-batch", "stream_unbounded"),
    ):
        lines.append(f"| {name} | {median(key, 'cpu_s') / rows * 1e6:.2f} | {median(key, 'wall_s'):.2f} |")
    lines += ["", "| one small micro-batch | CPU s | wall s |", "|---|---:|---:|"]
    for name, key in (
        ("this source, one tag", "pi"),
        ("a Python source without any work", "empty"),
        ("Spark's rate source", "rate"),
    ):
        lines.append(
            f"| {name} | {median(key, 'cpu_s_per_batch'):.3f} | {median(key, 'wall_s_per_batch'):.3f} |"
        )
    lines += [
        "",
        f"- Bounded stream against batch, CPU: {results['stream_to_batch_cpu']} (goal {GOAL_STREAM}).",
        f"- Micro-batch against rate source: CPU {results['pi_to_rate_cpu']}, wall {results['pi_to_rate_wall']} "
        f"(goal {GOAL_BATCH}); of a Python source without any work, wall {results['empty_to_rate_wall']}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
