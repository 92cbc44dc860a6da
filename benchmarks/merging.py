"""The cost of writing a micro-batch into bronze, by the size of the table.

    scripts/bench merging            100,000 events into 1,000,000 and into 100,000,000
    scripts/bench merging --quick    into 200,000 and 1,000,000

The long table is the short one with more history: files of a million events each, in the order of time. Two kinds of
batches: new events, behind all that is stored; and the last minutes that are stored, read again, in which one event in a
hundred is different. Seconds of CPU are those of the whole Spark program. Writes merging.json and merging.md into
benchmarks/results; 1 if the tables do not have the expected contents afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from deltalake import write_deltalake
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from benchmarks import dashboard_tables
from benchmarks.read import machine, processes
from pi_datasource.delta import bronze, changes, local_spark
from pi_datasource.delta.staging import Staging
from pi_datasource.model import Window

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "bench-merging"
BATCH = 100_000
FILE = 1_000_000
GOAL = 1.5
# Ten times as many events a second as the dashboard's table: a thousand tags, each every 2.6 seconds.
SPAN_OF_FILE = timedelta(days=30) / 100 / 10


@dataclass(frozen=True)
class Kind:
    """A batch: ``behind`` all that is stored, or what is stored last."""

    name: str
    behind: bool


KINDS = (Kind("new events", behind=True), Kind("read again", behind=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    sizes = (200_000, 1_000_000) if options.quick else (1_000_000, 100_000_000)
    before = machine.describe()
    shutil.rmtree(SCRATCH, ignore_errors=True)
    try:
        runs = _measure(sizes, 1 if options.quick else options.repeats)
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    results = {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": {**before, "load_after": round(os.getloadavg()[0], 1)},
        "rows": list(sizes),
        "runs": runs,
        "ratios": {kind.name: _ratios(runs, kind.name, sizes) for kind in KINDS},
    }
    text = markdown(results)
    if not options.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "merging.json").write_text(json.dumps(results, indent=1) + "\n")
        (RESULTS / "merging.md").write_text(text)
    sys.stdout.write(text)
    return 0 if all(run["right"] for run in runs) else 1


def _measure(sizes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """All runs; the tables take turns, so that changes in the machine's load affect both."""
    for rows in sizes:
        _make(SCRATCH / str(rows), rows)
    spark = local_spark("bench merging")
    tables = [_known(spark, SCRATCH / str(rows), rows) for rows in sizes]
    runs = []
    for repeat in range(-1, repeats):  # the first one warms up
        for table in tables:
            for kind in KINDS:
                run = _run(spark, table, kind, repeat)
                if repeat >= 0:
                    runs.append({"table_rows": table.rows, "kind": kind.name, **run})
                sys.stderr.write(f"  {table.rows:,} rows, {kind.name}: {run['wall_s']:.1f} s\n")
    spark.stop()
    return runs


@dataclass
class Table:
    """A bronze table by its name; it had so many ``rows`` at first, and its events end at ``end``."""

    name: str
    rows: int
    end: datetime = dashboard_tables.END


def _make(lake: Path, rows: int) -> None:
    """A bronze table of ``rows`` events before ``END``."""
    connection = dashboard_tables.connection()
    files = max(1, rows // FILE)
    for number in range(files):
        start = dashboard_tables.END - (files - number) * SPAN_OF_FILE
        found = connection.sql(dashboard_tables.events(start, SPAN_OF_FILE, rows // files))
        write_deltalake(str(lake / "bronze/pi_timeseries"), found.to_arrow_table(), mode="append")
        sys.stderr.write(f"\r  making {rows:,} rows: file {number + 1} of {files}")
    sys.stderr.write("\n")


def _known(spark: SparkSession, lake: Path, rows: int) -> Table:
    """What ``_make`` made, with a name in ``spark``."""
    schema = f"bronze_{rows}"
    spark.sql(f"CREATE SCHEMA {schema}")
    spark.sql(f"CREATE TABLE {schema}.pi_timeseries USING delta LOCATION '{lake}/bronze/pi_timeseries'")
    return Table(f"{schema}.pi_timeseries", rows)


def _run(spark: SparkSession, table: Table, kind: Kind, repeat: int) -> dict[str, Any]:
    """Writes to bronze as a micro-batch does, and checks the contents of the table."""
    span = SPAN_OF_FILE * BATCH / FILE
    start = table.end if kind.behind else table.end - span
    window = Window(start, start + span)
    table.end = window.end
    batch = (_new(spark, window) if kind.behind else _again(spark, table, window, repeat)).localCheckpoint()
    tags = batch.select("tag_webid").distinct().localCheckpoint()
    staging = Staging(str(SCRATCH / "staging"), "benchmark")
    before = spark.read.table(table.name).count()
    cpu_before, began = processes.own_cpu_s(), time.monotonic()
    diff = changes.diff(bronze.stored_events(spark, table.name, window), batch, window, tags)
    found = staging.write(diff, "changes")
    counts = changes.count(found)
    bronze.apply(spark, table.name, found, counts, "benchmark")
    taken = {
        "wall_s": round(time.monotonic() - began, 3),
        "cpu_s": round(processes.own_cpu_s() - cpu_before, 3),
    }
    staging.clear()
    grown = spark.read.table(table.name).count() - before
    missing = batch.exceptAll(bronze.stored_events(spark, table.name, window)).count()
    right = missing == 0 and grown == counts.inserted and counts.inserted + counts.updated > 0
    return {**taken, "inserted": counts.inserted, "updated": counts.updated, "right": right}


def _new(spark: SparkSession, window: Window) -> DataFrame:
    found = dashboard_tables.connection().sql(
        dashboard_tables.events(window.start, window.end - window.start, BATCH)
    )
    return spark.createDataFrame(found.to_arrow_table())


def _again(spark: SparkSession, table: Table, window: Window, repeat: int) -> DataFrame:
    """The stored events, of which one in a hundred gets a new value."""
    hundredth = F.pmod(F.xxhash64("tag_webid", "timestamp"), F.lit(100)) == repeat + 1
    value = F.when(hundredth, F.lit(-2.0 - repeat)).otherwise(F.col("value"))
    return bronze.stored_events(spark, table.name, window).withColumn("value", value)


def _ratios(runs: Sequence[dict[str, Any]], kind: str, sizes: Sequence[int]) -> dict[str, float]:
    """The long table's figures by the short one's: medians over repeats that were run in turn."""
    short, long = (
        [run for run in runs if run["kind"] == kind and run["table_rows"] == rows] for rows in sizes
    )
    return {
        what: round(statistics.median(b[what] / a[what] for a, b in zip(short, long, strict=True)), 2)
        for what in ("cpu_s", "wall_s")
    }


def markdown(results: dict[str, Any]) -> str:
    """The results as a Markdown page."""
    about = results["machine"]
    lines = [
        "# Writing into a long table",
        "",
        f"Measured {results['measured_at'][:10]} with Spark {about['versions']['pyspark']}, Delta "
        f"{about['versions']['delta-spark']} on {about['cores']} cores ({about['processor']}); load "
        f"{about['load_before']} before and {about['load_after']} after. Medians.",
        "",
        f"| a batch of {BATCH:,} events | table | inserted | updated | CPU s | wall s |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        for rows in results["rows"]:
            runs = [run for run in results["runs"] if run["kind"] == kind.name and run["table_rows"] == rows]
            middle = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
            lines.append(
                f"| {kind.name} | {rows:,} | {middle['inserted']:,.0f} | {middle['updated']:,.0f} | "
                f"{middle['cpu_s']:.1f} | {middle['wall_s']:.1f} |"
            )
    lines += ["", "The long table's cost by the short one's:", ""]
    lines += [
        f"- {name}: CPU {ratio['cpu_s']}, wall {ratio['wall_s']} (goal {GOAL})."
        for name, ratio in results["ratios"].items()
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
