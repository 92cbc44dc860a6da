"""The Spark program that ``benchmarks.streaming`` measures: a batch, a stream, and small micro-batches."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from benchmarks.read import processes
from benchmarks.read.empty_source import EmptySource

WARM_UP_BATCHES = 3


def main() -> int:
    """Prints all measurements as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wide", required=True, help="a server with many rows")
    parser.add_argument(
        "--small", required=True, help="a server with few rows, for what a micro-batch costs by itself"
    )
    parser.add_argument("--start", required=True)
    parser.add_argument("--end", required=True)
    parser.add_argument("--window", required=True, help="longest window of the bounded stream")
    parser.add_argument("--batches", type=int, required=True)
    parser.add_argument("--repeats", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.appName("benchmark")
        .master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.streaming.numRecentProgressUpdates", "1000")
        .config("spark.sql.warehouse.dir", str(options.folder / "warehouse"))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    run = Runs(spark, options.folder)
    given = {"url": options.wide, "start_time": options.start}
    bounded = {**given, "max_window_per_trigger": options.window}
    found: dict[str, Any] = {"spark": spark.version, "batch": [], "stream": [], "stream_unbounded": []}
    run.batch({**given, "end_time": options.end}), run.stream(bounded)  # warm
    for _ in range(options.repeats):  # in turn, so that a busy machine is as busy for each
        found["batch"].append(run.batch({**given, "end_time": options.end}))
        found["stream"].append(run.stream(bounded))
        found["stream_unbounded"].append(run.stream(given))
    pi = {
        "url": options.small,
        "start_time": options.start,
        "max_window_per_trigger": "10m",
        "num_partitions": "1",
    }
    rate = {"rowsPerSecond": "10", "numPartitions": "1"}
    spark.dataSource.register(EmptySource)
    sources = {"pi": ("pi", pi), "empty": (EmptySource.name(), {}), "rate": ("rate", rate)}
    found.update({name: [] for name in sources})
    for _ in range(options.repeats):
        for name, (source, given) in sources.items():
            found[name].append(run.each_batch(source, given, options.batches))
    print(json.dumps(found))  # noqa: T201 - the answer to the program that started this one
    spark.stop()
    return 0


class Runs:
    """Each method runs one query and returns its cost."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder, self.number = spark, folder, 0

    def batch(self, options: dict[str, str]) -> dict[str, float]:
        """A batch read whose rows are discarded."""
        frame = self.spark.read.format("pi").options(**options).load()
        rows = frame.count()
        return {**_taken(lambda: _thrown_away(frame)), "rows": rows}

    def stream(self, options: dict[str, str]) -> dict[str, float]:
        """The same as an AvailableNow stream, from its start to its end."""
        queries: list[Any] = []

        def drain() -> None:
            writer = self.spark.readStream.format("pi").options(**options).load().writeStream.format("noop")
            writer = writer.option("checkpointLocation", self._checkpoint())
            queries.append(writer.trigger(availableNow=True).start())
            queries[0].awaitTermination()

        taken = _taken(drain)
        counts = [each["numInputRows"] for each in queries[0].recentProgress if each["numInputRows"]]
        return {**taken, "rows": sum(counts), "batches": len(counts)}

    def each_batch(self, source: str, options: dict[str, str], batches: int) -> dict[str, float]:
        """What one of many small micro-batches takes, without the first ones."""
        frame = self.spark.readStream.format(source).options(**options).load()
        writer = frame.writeStream.format("noop").option("checkpointLocation", self._checkpoint())
        query = writer.trigger(processingTime="0 seconds").start()
        seen = _done(query, WARM_UP_BATCHES)
        before = processes.own_cpu_s()
        last = _done(query, seen + batches)
        used = processes.own_cpu_s() - before
        reports = [each for each in query.recentProgress if seen < each["batchId"] <= last]
        query.stop()
        wall_ms = [each["durationMs"]["triggerExecution"] for each in reports if each["numInputRows"]]
        return {
            "batches": last - seen,
            "cpu_s_per_batch": used / (last - seen),
            "wall_s_per_batch": statistics.median(wall_ms) / 1000,
            "rows_per_batch": statistics.mean(each["numInputRows"] for each in reports),
        }

    def _checkpoint(self) -> str:
        self.number += 1
        return str(self.folder / f"checkpoint-{self.number}")


def _done(query: Any, batch_id: int) -> int:
    """Waits until that micro-batch is done; the number of the last one that is."""
    while True:
        report = query.lastProgress
        if report and report["batchId"] >= batch_id:
            return int(report["batchId"])
        if not query.isActive:
            raise query.exception() or RuntimeError
        time.sleep(0.05)


def _thrown_away(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()


def _taken(work: Callable[[], None]) -> dict[str, float]:
    before, started = processes.own_cpu_s(), time.perf_counter()
    work()
    return {"wall_s": time.perf_counter() - started, "cpu_s": processes.own_cpu_s() - before}


if __name__ == "__main__":
    sys.exit(main())
