"""Which columns to cluster events by: files and bytes that a query must read, before and after OPTIMIZE.

    scripts/bench clustering                1,000 tags, an event an hour, a year
    scripts/bench clustering --per-day 96   four times as many

Two queries matter: one tag over the year, and all tags over one hour. The table is written as a pipeline does it: a file per
week, sorted by tag and time. As a table of a plant has thousands of files of up to a gigabyte, OPTIMIZE makes files of a
smaller size here, so that there are as many to choose from. A file must be read where its statistics allow a row of the query,
which is how Delta and every other reader skips files. Writes clustering.json and clustering.md into benchmarks/results; 1
if the two queries do not find the rows that they must.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from benchmarks.read import machine, processes
from pi_datasource.delta import local_spark, timestamps

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH = ROOT / "build" / "bench-clustering"
TAGS, WEEKS = 1000, 52
START = datetime(2025, 1, 1, tzinfo=timezone.utc)
BYTES_PER_DAY = 43_000  # of a file for each event that a tag has in a day: some fifty files
LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "timestamp, tag_webid": ("timestamp", "tag_webid"),
    "tag_webid, timestamp": ("tag_webid", "timestamp"),
}
TAG, HOUR = "F1DPbench000417", START + timedelta(days=200, hours=8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--per-day", type=int, default=24, help="events of a tag in a day (default 24)")
    per_day = parser.parse_args(arguments).per_day
    spark = local_spark("clustering", master="local[2]")
    spark.conf.set("spark.databricks.delta.optimize.maxFileSize", str(BYTES_PER_DAY * per_day))
    try:
        layouts = [_measure(spark, name, keys, per_day) for name, keys in LAYOUTS.items()]
    finally:
        spark.stop()
        shutil.rmtree(SCRATCH, ignore_errors=True)
    wanted = {"one tag, the year": WEEKS * 7 * per_day, "all tags, one hour": TAGS * max(per_day // 24, 1)}
    measured = {
        "tags": TAGS,
        "rows": WEEKS * 7 * per_day * TAGS,
        "layouts": layouts,
        "machine": machine.describe(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "clustering.json").write_text(json.dumps(measured, indent=1) + "\n")
    (RESULTS / "clustering.md").write_text(_report(measured))
    sys.stdout.write(_report(measured))
    return int(any(layout["found"] != wanted for layout in layouts))


def events(spark: SparkSession, per_day: int) -> DataFrame:
    """A year of events of all tags, in one partition per week, each in the order of tag and time."""
    in_week = 7 * per_day
    step = 86_400_000_000 // per_day
    first = int(START.timestamp() * 1e6)
    return spark.range(0, WEEKS * TAGS * in_week, 1, WEEKS).selectExpr(
        f"concat('F1DPbench', lpad(id div {in_week} % {TAGS}, 6, '0')) AS tag_webid",
        f"timestamp_micros({first} + (id div {TAGS * in_week} * {in_week} + id % {in_week}) * {step}) AS timestamp",
        "CAST(0 AS INT) AS sequence",
        "round(100 * rand(1), 3) AS value",
        "true AS good",
        f"concat('PLANT_', id div {in_week} % {TAGS}) AS tag_name",
    )


def _measure(spark: SparkSession, name: str, keys: Sequence[str], per_day: int) -> dict[str, Any]:
    path = SCRATCH / name.replace(", ", "-")
    shutil.rmtree(path, ignore_errors=True)
    table = "clustered_" + "_".join(keys or ("by_nothing",))
    columns = ", ".join(
        f"{field.name} {timestamps.sql_type(field.dataType)}" for field in events(spark, 1).schema
    )
    # Without quotes, Delta takes the name `timestamp` for an expression.
    clustering = f"CLUSTER BY ({', '.join(f'`{key}`' for key in keys)})" if keys else ""
    spark.sql(f"CREATE TABLE {table} ({columns}) USING delta {clustering} LOCATION '{path}'")
    written = _cpu(lambda: events(spark, per_day).write.format("delta").mode("append").saveAsTable(table))
    before = _files(path)
    optimized = _cpu(lambda: spark.sql(f"OPTIMIZE {table}").collect())
    found = {
        query: spark.sql(f"SELECT * FROM {table} WHERE {where}").count() for query, where in _where().items()
    }
    result = {"clustering": name, "write_cpu_s": written, "optimize_cpu_s": optimized, "found": found}
    return {**result, "before": before, "after": _files(path)}


def _where() -> dict[str, str]:
    first, last = HOUR, HOUR + timedelta(hours=1)
    return {
        "one tag, the year": f"tag_webid = '{TAG}'",
        "all tags, one hour": f"timestamp >= {timestamps.literal(first)} AND timestamp < {timestamps.literal(last)}",
    }


def _files(path: Path) -> dict[str, Any]:
    """All files of the table, and those that each query must read."""
    rows = pa.table(DeltaTable(str(path)).get_add_actions(flatten=True)).to_pylist()
    by_tag = [row for row in rows if row["min.tag_webid"] <= TAG <= row["max.tag_webid"]]
    end = HOUR + timedelta(hours=1)
    by_hour = [row for row in rows if _utc(row["min.timestamp"]) < end and _utc(row["max.timestamp"]) >= HOUR]
    parts = {"table": rows, "one tag, the year": by_tag, "all tags, one hour": by_hour}
    return {
        name: {"files": len(part), "bytes": sum(row["size_bytes"] for row in part)}
        for name, part in parts.items()
    }


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _cpu(work: Callable[[], object]) -> float:
    before = processes.own_cpu_s()
    work()
    return round(processes.own_cpu_s() - before, 1)


def _report(measured: Mapping[str, Any]) -> str:
    lines = [
        "# Clustering",
        "",
        f"{measured['rows']:,} events of {measured['tags']:,} tags over a year; files and megabytes that a query must read.",
        "",
        "| clustered by | table | one tag, the year: before | after | all tags, one hour: before | after | OPTIMIZE |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for layout in measured["layouts"]:
        cells = [
            _cell(layout[when][query])
            for query in ("one tag, the year", "all tags, one hour")
            for when in ("before", "after")
        ]
        table = _cell(layout["after"]["table"])
        lines.append(
            f"| {layout['clustering']} | {table} | {' | '.join(cells)} | {layout['optimize_cpu_s']:.1f} CPU s |"
        )
    return "\n".join(lines) + "\n"


def _cell(part: Mapping[str, int]) -> str:
    return f"{part['files']}, {part['bytes'] / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
