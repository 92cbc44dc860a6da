"""A Spark session that runs jobs from standard input, one JSON object per line.

Run with the Python of the reader to be measured; needs nothing but pyspark and the reader. The program that tells it
what to do measures it from outside.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from benchmarks.read.cases import COLUMNS, FORMATS


def main() -> int:
    """Answers jobs until standard input ends; each answer is one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(FORMATS), required=True)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--folder", type=Path, required=True, help="for everything that Spark writes")
    options = parser.parse_args()
    answers = _private_stdout()
    spark = _start(options.engine, options.master, options.folder)
    java: Any = spark._jvm
    java_version = java.java.lang.System.getProperty("java.version")
    _say(answers, {"spark": spark.version, "java": java_version})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            _say(answers, _JOBS[job["job"]](spark, FORMATS[options.engine], job, COLUMNS[options.engine]))
        except Exception as error:  # noqa: BLE001 - whatever a reader raises is its result
            _say(answers, {"error": f"{type(error).__name__}: {error}"[:8000]})
    spark.stop()
    return 0


def read_noop(spark: SparkSession, source: str, job: dict[str, Any], _: object) -> dict[str, Any]:
    """Reads everything and throws it away; the rows are those that the scan itself counted."""
    started = time.perf_counter()
    _frame(spark, source, job).write.format("noop").mode("overwrite").save()
    wall_s = time.perf_counter() - started
    return {"wall_s": wall_s, "rows": _scanned(spark)}


def read_files(spark: SparkSession, source: str, job: dict[str, Any], _: object) -> dict[str, Any]:
    """Reads everything into Parquet files or a Delta table."""
    started = time.perf_counter()
    _frame(spark, source, job).write.format(job["sink"]).mode("overwrite").save(job["out"])
    return {"wall_s": time.perf_counter() - started}


def stream(spark: SparkSession, source: str, job: dict[str, Any], _: object) -> dict[str, Any]:
    """Reads everything as one AvailableNow stream."""
    started = time.perf_counter()
    options = {
        name: value for name, value in job["options"].items() if name != "end_time"
    }  # ends at the server's time
    reader = spark.readStream.format(source).options(**options)
    query = (
        (reader.schema(job["schema"]) if job.get("schema") else reader)
        .load()
        .writeStream.format(job["sink"])
        .option("checkpointLocation", job["out"] + ".checkpoint")
        .trigger(availableNow=True)
        .start(*([] if job["sink"] == "noop" else [job["out"]]))
    )
    query.awaitTermination()
    wall_s = time.perf_counter() - started
    batches = [each["numInputRows"] for each in query.recentProgress]
    return {"wall_s": wall_s, "rows": sum(batches), "batches": len(batches)}


def prove(spark: SparkSession, source: str, job: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    """What the rows add up to, to be compared with what the server holds."""
    name, when, value, good = (sf.col(column) for column in columns)
    started = time.perf_counter()
    row = (
        _frame(spark, source, {**job, "schema": None})
        .agg(
            sf.count(sf.lit(1)).alias("rows"),
            sf.count_distinct(name).alias("tags"),
            sf.sum(good.cast("long")).alias("good"),
            sf.sum(sf.unix_micros(when) - job["origin_us"]).alias("micros"),
            sf.sum(value.cast("double")).alias("value"),
        )
        .first()
    )
    if row is None:
        message = "an aggregate without groups gave no row"
        raise RuntimeError(message)
    return {**row.asDict(), "wall_s": time.perf_counter() - started}


def plan(spark: SparkSession, source: str, job: dict[str, Any], _: object) -> dict[str, Any]:
    """Finds the points and plans the tasks, and reads nothing."""
    started = time.perf_counter()
    tasks = _frame(spark, source, job).rdd.getNumPartitions()
    return {"wall_s": time.perf_counter() - started, "tasks": tasks}


_JOBS = {"plan": plan, "noop": read_noop, "files": read_files, "stream": stream, "prove": prove}


def _frame(spark: SparkSession, source: str, job: dict[str, Any]) -> DataFrame:
    reader = spark.read.format(source).options(**job["options"])
    if job.get("schema"):
        reader = reader.schema(job["schema"])
    return reader.load(job["paths"]) if job.get("paths") else reader.load()


def _scanned(spark: SparkSession) -> int:
    """The rows that the scan of the last query counted: Spark's own metric, which costs the query nothing more."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()  # the metric arrives by that bus
    store = spark._jsparkSession.sharedState().statusStore()
    number = store.executionsList().last().executionId()
    values = store.executionMetrics(number)
    nodes = store.planGraph(number).allNodes()
    for node in (nodes.apply(i) for i in range(nodes.size())):
        if "Scan" in node.name():
            metrics = node.metrics()
            for metric in (metrics.apply(i) for i in range(metrics.size())):
                if metric.name() == "number of output rows":
                    return int(values.apply(metric.accumulatorId()).replace(",", ""))
    message = "Spark tells no number of rows for the scan"
    raise RuntimeError(message)


def _start(engine: str, master: str, folder: Path) -> SparkSession:
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    spark = (
        SparkSession.builder.appName("benchmark")
        .master(master)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(folder / "local"))
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    if engine == "baseline":
        from benchmarks.read.baseline import BaselineSource

        spark.dataSource.register(BaselineSource)
    elif engine == "pyspark-pi":
        spark.dataSource.register(import_module("pyspark_pi").PiDataSource)
    return spark


def _private_stdout() -> TextIO:
    """The real standard output, for answers only; what Spark prints goes to standard error."""
    kept = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return kept


def _say(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
