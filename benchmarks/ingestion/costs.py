"""What work in this Spark program costs: time, CPU and memory by process, Spark jobs and stages, Delta commits, files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.read import processes
from pi_datasource.delta import Lakehouse

ROLES = ("driver", "planner", "worker", "jvm")


def measured(
    spark: SparkSession, work: Callable[[], Any], lake: Lakehouse | None = None
) -> tuple[dict[str, Any], Any]:
    """The cost of ``work`` in this program and its processes, and what it returned."""
    driver = os.getpid()
    commits = {} if lake is None else commits_by_table(lake)
    jobs, stages = _totals(spark)
    with processes.PeakMemory(driver) as memory:
        before, began = processes.cpu_s(driver), time.monotonic()
        result = work()
        wall_s = time.monotonic() - began
        after = processes.cpu_s(driver)
    jobs_after, stages_after = _totals(spark)
    cost: dict[str, Any] = {
        "wall_s": round(wall_s, 3),
        # A process that Spark has ended meanwhile takes its earlier seconds with it.
        "cpu_s": {role: round(max(0.0, after[role] - before[role]), 2) for role in ROLES},
        "peak_mb": {role: round(memory.peaks.get(role, 0.0)) for role in ROLES},
        "jobs": jobs_after - jobs,
        "stages": stages_after - stages,
    }
    if lake is not None:
        made = {name: count - commits.get(name, 0) for name, count in commits_by_table(lake).items()}
        cost["commits"] = {name: count for name, count in made.items() if count}
    return cost, result


def commits_by_table(lake: Lakehouse) -> dict[str, int]:
    """The number of commits in the log of each table of a lakehouse in a folder."""
    schemas = (lake.bronze_schema, lake.gold_schema, lake.checkpoint_schema)
    logs = [log for schema in schemas for log in Path(lake.directory or "", schema).glob("*/_delta_log")]
    return {log.parent.name: len(list(log.glob("*[0-9].json"))) for log in logs}


def stored(spark: SparkSession, path: Path) -> dict[str, int]:
    """Files and bytes of a table's latest version."""
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").first()
    assert detail is not None
    return {"files": detail["numFiles"], "bytes": detail["sizeInBytes"]}


def heap_mb(spark: SparkSession) -> int:
    """The largest heap that the JVM may have."""
    java: Any = spark._jvm
    return int(java.java.lang.Runtime.getRuntime().maxMemory()) >> 20


def _totals(spark: SparkSession) -> tuple[int, int]:
    """Jobs and stages that have run since the program started."""
    context: Any = spark.sparkContext._jsc.sc()  # type: ignore[union-attr]
    context.listenerBus().waitUntilEmpty()  # the counts arrive by that bus
    summary = context.statusStore().appSummary()
    return int(summary.numCompletedJobs()), int(summary.numCompletedStages())
