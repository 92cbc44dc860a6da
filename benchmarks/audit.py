"""What the audit table costs a run, a page and `status` after a year: CPU beside that on a table of 100 rows.

    scripts/bench audit                 35,000 rows: a year of runs every 15 minutes
    scripts/bench audit --rows 500000   a year of runs every minute

Both tables have the same 100 newest rows in files of their own; older rows are in one file, as compaction leaves them. Writes
audit.json and audit.md into benchmarks/results; 1 if the two tables give different answers.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from rich.console import Console

from benchmarks.read import machine, processes
from pi_datasource.cli import status
from pi_datasource.dashboard import LocalBackend
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.delta import Lakehouse, audit, local_spark, schema_setup
from pi_datasource.delta.audit import ReadCounts, WriteCounts, build_report
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import STREAM

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "bench-audit"
SMALL, FILES = 100, 100
STREAM_ID = "5c9e1c55-6a1c-4b0e-8a5c-000000000000"
NOW = datetime.now(timezone.utc)
OPTIONS = Options.parse({"url": "http://localhost:1/piwebapi"})
YEAR = timedelta(days=365)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=35_000, help="rows of the long table (default 35,000)")
    parser.add_argument("--repeats", type=int, default=5, help="how often each query is asked (default 5)")
    given = parser.parse_args(arguments)
    spark = local_spark("audit", master="local[2]")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    try:
        tables = [_measure(spark, rows, given.repeats, given.rows) for rows in (SMALL, given.rows)]
    finally:
        spark.stop()
        shutil.rmtree(SCRATCH, ignore_errors=True)
    measured = {"rows": given.rows, "files": FILES, "tables": tables, "machine": machine.describe()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audit.json").write_text(json.dumps(measured, indent=1) + "\n")
    (RESULTS / "audit.md").write_text(_report(measured))
    sys.stdout.write(_report(measured))
    return int(tables[0]["answers"] != tables[1]["answers"])


def _measure(spark: SparkSession, rows: int, repeats: int, longest: int) -> dict[str, Any]:
    """The cost of each query on a table of so many rows, of which the newest are those of the longest table."""
    folder = SCRATCH / str(rows)
    lakehouse = Lakehouse.in_directory(folder)
    for schema in ("bronze", "gold", "checkpoints"):
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    schema_setup.prepare(spark, lakehouse, OPTIONS)
    numbers = range(longest - rows, longest)
    for part, files in ((numbers[:-FILES], 1), (numbers[-FILES:], FILES)):
        if part:
            table = pa.Table.from_pylist([_row(number, longest) for number in part], audit.SCHEMA)
            frame = spark.createDataFrame(table).repartitionByRange(files, "created_at")
            frame.sortWithinPartitions("created_at").write.format("delta").mode("append").saveAsTable(
                lakehouse.audit
            )
    costs, answers = {}, {}
    for name, query in _queries(spark, lakehouse, folder).items():
        costs[name], answers[name] = _cpu(query, repeats)
    return {"rows": rows, "cpu_s": costs, "answers": answers}


def _row(number: int, longest: int) -> dict[str, Any]:
    length = YEAR / longest
    end = NOW - (longest - 1 - number) * length
    counts = ReadCounts(rows=1000, tags=1000), WriteCounts(inserted=1000)
    report = build_report(
        STREAM,
        STREAM_ID,
        number,
        Window(end - length, end),
        time.monotonic(),
        counts[1],
        counts[0],
        bronze_version=number,
    )
    return {**asdict(report), "created_at": end, "seconds": 2.0, "lag_seconds": 5.0}


def _queries(spark: SparkSession, lakehouse: Lakehouse, folder: Path) -> Mapping[str, Callable[[], Any]]:
    selection = Selection.parse([("range", "1h")], NOW)

    def panel(name: str) -> Any:
        with closing(LocalBackend(folder)) as backend:
            return evaluate(PANELS[name], QueryContext(backend, selection, NOW))

    def show() -> None:
        status.show(folder, Console(file=io.StringIO(), width=200), NOW)

    return {
        "run: version of gold": lambda: audit.gold_version(spark, lakehouse),
        "run: version of the stream": lambda: audit.last_version(spark, lakehouse, STREAM_ID),
        "run: window of the stream": lambda: _end(audit.covered_window(spark, lakehouse, STREAM_ID)),
        "run: last batches": lambda: [
            r.batch_id for r in audit.reports(spark, lakehouse, STREAM_ID, newest=5)
        ],
        "page: runs": lambda: panel("health")["runs"][0]["batch_id"],
        "page: changes": lambda: panel("changes")["totals"]["inserted"],
        "status": show,
    }


def _end(window: Window | None) -> str | None:
    return None if window is None else window.end.isoformat()


def _cpu(query: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median CPU seconds of this program and Spark, after one run that is not counted; and the answer."""
    answer, costs = query(), []
    for _ in range(repeats):
        before = processes.own_cpu_s()
        query()
        costs.append(processes.own_cpu_s() - before)
    return round(statistics.median(costs), 3), answer


def _report(measured: Mapping[str, Any]) -> str:
    short, long = measured["tables"]
    lines = [
        "# Audit table",
        "",
        f"CPU seconds on a table of {short['rows']:,} and of {long['rows']:,} rows; the newest {measured['files']} rows are "
        "in files of their own.",
        "",
        f"| query | {short['rows']:,} rows | {long['rows']:,} rows | ratio |",
        "|---|---:|---:|---:|",
    ]
    for name, cost in short["cpu_s"].items():
        other = long["cpu_s"][name]
        lines.append(f"| {name} | {cost:.2f} | {other:.2f} | {other / max(cost, 0.001):.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
