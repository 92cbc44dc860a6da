"""The Spark program that is measured: one case, given as JSON, in a session of its own.

    python -m benchmarks.ingestion.session '{"case": "load", …}'

prints the figures as one JSON object. Each kind of case measures the pipeline and a plain append of the same rows in
turn; who begins changes with each round.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.ingestion import contents, costs
from benchmarks.ingestion.moving_server import Plant
from benchmarks.read.recordings import END, START, Shape
from pi_datasource.delta import Lakehouse, backfill, ingest, local_spark, start

# Small micro-batches of one stream: the first ones compile code, the last one is measured.
TRIGGER = "4 seconds"
WARM_UP_TAGS = "*TI00000??"
OVERLAP = timedelta(hours=2)
_PATIENCE_S = 300.0


class Bench:
    """What the cases share: the session, the server and fresh places for tables."""

    def __init__(self, spark: SparkSession, plant: Plant, folder: Path, job: dict[str, Any]) -> None:
        self.spark, self.plant, self.folder, self.job = spark, plant, folder, job
        self.number = 0
        self.all_tags = range(plant.shape.tags)

    def options(self, begin: datetime, **more: str) -> dict[str, str]:
        """The options of the pipeline."""
        return {"url": self.plant.url, "start_time": begin.isoformat(), "settle": "0s", **more}

    def place(self) -> tuple[Lakehouse, Path]:
        """A new lakehouse, whose schemas have names of their own because one session knows them all; a new table."""
        self.number += 1
        number = str(self.number)
        names = {name: f"{name.removesuffix('_schema')}_{number}" for name in _SCHEMAS}
        folder = self.folder / number
        return replace(Lakehouse.in_directory(folder), **names), self.folder / f"plain-{number}"

    def append(self, path: Path, begin: datetime, end: datetime, **more: str) -> dict[str, Any]:
        """The cost of a plain append of a window."""
        options = {
            "url": self.plant.url,
            "start_time": begin.isoformat(),
            "end_time": end.isoformat(),
            **more,
        }

        def work() -> None:
            rows = self.spark.read.format("pi").options(**options).load()
            rows.write.format("delta").mode("append").save(str(path))

        return costs.measured(self.spark, work)[0]

    def compare(
        self,
        lake: Lakehouse,
        path: Path | None,
        begin: datetime,
        end: datetime,
        tags: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """What is stored in both, and how the tables differ from the server; files of the plain one are counted once."""
        chosen = self.all_tags if tags is None else tags
        bronze, gold = self.spark.read.table(lake.bronze), self.spark.read.table(lake.gold)
        wrong = contents.wrong(bronze, self.plant, begin, end, chosen) or contents.wrong_hours(gold, bronze)
        stored = {"pipeline": costs.stored(self.spark, table_path(lake, lake.bronze))}
        if path is not None:
            plain = self.spark.read.format("delta").load(str(path))
            stored["plain"] = costs.stored(self.spark, path)
            wrong = wrong or contents.wrong(plain, self.plant, begin, end, chosen)
        return {"wrong": wrong, "stored": stored}

    def warm_up(self) -> None:
        """A small load by both ways, which compiles their code."""
        lake, path = self.place()
        end = START + timedelta(hours=2)
        self.plant.set_clock(end)
        self.append(path, START, end, tags=WARM_UP_TAGS)
        ingest(self.spark, self.options(START, tags=WARM_UP_TAGS), lake)
        self.remove(lake, path)

    def remove(self, lake: Lakehouse, *paths: Path) -> None:
        """Frees the disk."""
        for path in (Path(lake.directory or ""), *paths):
            shutil.rmtree(path, ignore_errors=True)


_SCHEMAS = ("bronze_schema", "gold_schema", "checkpoint_schema")


def load(bench: Bench) -> Iterator[dict[str, Any]]:
    """The whole day into an empty lakehouse."""
    bench.warm_up()
    bench.plant.set_clock(END)
    for number in range(bench.job["rounds"]):
        lake, path = bench.place()
        found = _in_turn(
            number,
            pipeline=lambda lake=lake: _cost(
                bench, lake, lambda: ingest(bench.spark, bench.options(START), lake)
            ),
            plain=lambda path=path: bench.append(path, START, END),
        )
        yield {"rows": bench.plant.shape.rows, **found, **bench.compare(lake, path, START, END)}
        bench.remove(lake, path)


def increment(bench: Bench) -> Iterator[dict[str, Any]]:
    """Successive windows of a stream that keeps running, whose first one is large."""
    overlap = timedelta(0) if not bench.job.get("overlap") else OVERLAP
    begin = START + timedelta(hours=1)
    clock = bench.plant.after(begin, bench.job["stored"])
    lake, path = bench.place()
    bench.plant.set_clock(clock)
    more = {"overlap": f"{int(overlap.total_seconds())}s"} if overlap else {}
    query = start(bench.spark, bench.options(begin, **more), lake, every=TRIGGER)
    seen = _wait(query, -1)["batchId"]
    bench.append(path, begin, clock)
    for number in range(bench.job["batches"]):
        until = bench.plant.after(clock, bench.job["rows"])
        if overlap:
            bench.plant.edit(number, max(begin, clock - overlap))
        found = _in_turn(
            number,
            pipeline=lambda until=until, seen=seen + number: _micro_batch(bench, lake, query, until, seen),
            plain=lambda clock=clock, until=until: bench.append(path, clock, until),
        )
        yield {"rows": bench.plant.rows(clock, until), **found}
        clock = until
    query.stop()
    # Edited events stay as they were in the plain table.
    yield bench.compare(lake, None if overlap else path, begin, clock)


def fill(bench: Bench) -> Iterator[dict[str, Any]]:
    """The first ten elevenths of the day, beside a stream that began with the last one."""
    bench.warm_up()
    edge = START + (END - START) * 10 / 11
    edge -= timedelta(microseconds=edge.microsecond)
    bench.plant.set_clock(END)
    for number in range(bench.job["rounds"]):
        lake, path = bench.place()
        ingest(bench.spark, bench.options(edge), lake)
        bench.append(path, edge, END)
        found = _in_turn(
            number,
            pipeline=lambda lake=lake: _cost(bench, lake, lambda: _filled(bench, lake, START, edge)),
            plain=lambda path=path: bench.append(path, START, edge),
        )
        yield {"rows": bench.plant.rows(START, edge), **found, **bench.compare(lake, path, START, END)}
        bench.remove(lake, path)


def fill_tag(bench: Bench) -> Iterator[dict[str, Any]]:
    """One tag more in the window of all others; ``alone`` is the same backfill into an empty lakehouse."""
    last = bench.plant.shape.tags - 10
    hundreds = last // 100
    masks = [f"*TI{each:05d}??" for each in range(hundreds)]
    masks += [f"*TI{each:06d}?" for each in range(hundreds * 10, last // 10)]
    bench.plant.set_clock(END)
    lake, path = bench.place()
    ingest(bench.spark, bench.options(START, tags=",".join(masks)), lake)
    bench.append(path, START, END, tags=",".join(masks))
    for number in range(bench.job["batches"]):
        tag = last + number
        name = f"*TI{tag:07d}"
        empty, _ = bench.place()
        found = _in_turn(
            number,
            pipeline=lambda name=name: _cost(
                bench, lake, lambda: _filled(bench, lake, START, END, tags=name)
            ),
            alone=lambda name=name, empty=empty: _cost(
                bench, empty, lambda: _filled(bench, empty, START, END, tags=name)
            ),
            plain=lambda name=name: bench.append(path, START, END, tags=name),
        )
        bench.remove(empty)
        yield {"rows": bench.plant.shape.events, **found}
    yield bench.compare(lake, path, START, END, range(last + bench.job["batches"]))


CASES: dict[str, Callable[[Bench], Iterator[dict[str, Any]]]] = {
    "load": load,
    "increment": increment,
    "fill": fill,
    "fill_tag": fill_tag,
}


def _filled(bench: Bench, lake: Lakehouse, begin: datetime, end: datetime, **more: str) -> None:
    options = bench.options(begin, end_time=end.isoformat(), **more)
    for _ in backfill(bench.spark, options, lake):
        pass


def _cost(bench: Bench, lake: Lakehouse, work: Callable[[], Any]) -> dict[str, Any]:
    return costs.measured(bench.spark, work, lake)[0]


def _micro_batch(bench: Bench, lake: Lakehouse, query: Any, until: datetime, seen: int) -> dict[str, Any]:
    """The cost of the micro-batch after ``seen``, which ends at ``until``; its time is without the wait for the trigger."""

    def work() -> dict[str, Any]:
        bench.plant.set_clock(until)
        return _wait(query, seen)

    cost, report = costs.measured(bench.spark, work, lake)
    return {**cost, "wall_s": report["durationMs"]["triggerExecution"] / 1000}


def _wait(query: Any, seen: int) -> dict[str, Any]:
    """The report of the next micro-batch that read something."""
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE_S:
        for report in query.recentProgress:
            if report["batchId"] > seen and report["numInputRows"]:
                return dict(report)
        if not query.isActive:
            raise query.exception() or RuntimeError
        time.sleep(0.05)
    message = f"no micro-batch after {seen} within {_PATIENCE_S:.0f} s"
    raise RuntimeError(message)


def _in_turn(number: int, **work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The costs by name; those that begin in one round come last in the next one."""
    names = list(work) if number % 2 else list(reversed(work))
    return {name: work[name]() for name in names}


def table_path(lake: Lakehouse, name: str) -> Path:
    """The folder of a table."""
    return Path(lake.directory or "", *name.replace("`", "").split("."))


def main() -> int:
    """Measures the case and prints its figures; an error is a figure."""
    job = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Spark prints goes to standard error
    folder = Path(job["folder"])
    spark = local_spark("bench pipeline")
    plant = Plant(job["url"], job["server_pid"], Shape(job["tags"], job["events"]))
    found: dict[str, Any] = {"heap_mb": costs.heap_mb(spark), "rounds": []}
    try:
        found["rounds"] = list(CASES[job["case"]](Bench(spark, plant, folder, job)))
    except Exception as error:  # noqa: BLE001 - whatever the code under test raises is its result
        found["failed"] = f"{type(error).__name__}: {error}"[:2000]
    answers.write(json.dumps(found) + "\n")
    answers.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
