"""Batch, stream, AvailableNow, bounds and replay, on the version of Spark that is installed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from mock_server import Plant, running
from pi_datasource.spark.offsets import window_of
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.comparison import assert_equals_oracle

HOUR, MINUTE, SETTLE = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=5)


def admits(spark: SparkSession) -> bool:
    """Whether Spark asks a source for several micro-batches in one AvailableNow run: from 4.2 on."""
    return tuple(map(int, spark.version.split(".")[:2])) >= (4, 2)


def windows(checkpoint: Path) -> list[tuple[datetime, datetime]]:
    """What the log of offsets says, oldest first."""
    files = sorted((checkpoint / "offsets").glob("[0-9]*"), key=lambda file: int(file.name))
    found = [window_of(json.loads(file.read_text().splitlines()[-1])) for file in files]
    return [(window.start, window.end) for window in found]


class Stream:
    """One stream into one table, and what it has written."""

    def __init__(self, spark: SparkSession, url: str, folder: Path, sink: str, **options: str) -> None:
        self.spark, self.url, self.folder, self.sink, self.options = spark, url, folder, sink, options
        self.checkpoint = folder / "checkpoint"

    def writer(self) -> Any:
        rows = self.spark.readStream.format("pi").option("url", self.url).options(**self.options).load()
        return rows.writeStream.format(self.sink).option("checkpointLocation", str(self.checkpoint))

    def run(self) -> int:
        """One AvailableNow run; how many micro-batches it made."""
        before = len(windows(self.checkpoint))
        assert (
            self.writer().trigger(availableNow=True).start(str(self.folder / "events")).awaitTermination(120)
        )
        return len(windows(self.checkpoint)) - before

    def table(self) -> DataFrame:
        return self.spark.read.format(self.sink).load(str(self.folder / "events"))


def test_a_batch_read_is_what_the_oracle_holds(spark: SparkSession) -> None:
    plant = Plant(seed=1, tags=32, plants=2)
    with running(plant, clock=Clock(NOW)) as url:
        frame = spark.read.format("pi").option("url", url).option("start_time", "*-1h").load()
        assert_equals_oracle(plant, frame, NOW - HOUR, NOW)


def test_available_now_reads_everything_once_run_after_run(
    spark: SparkSession, sink: str, tmp_path: Path
) -> None:
    plant, clock = Plant(seed=3, tags=32, plants=2), Clock(NOW)
    with running(plant, clock=clock) as url:
        stream = Stream(spark, url, tmp_path, sink, start_time="*-1h")
        stream.run()
        clock.now += HOUR
        stream.run()
        assert stream.run() == 0
        assert_equals_oracle(plant, stream.table(), NOW - HOUR, NOW + HOUR - SETTLE)


@pytest.mark.parametrize(
    "bound", [{"max_window_per_trigger": "25m"}, {"max_events_per_trigger": "1000"}], ids=["window", "events"]
)
def test_bounded_runs_end_at_the_present_and_lose_nothing(
    spark: SparkSession, sink: str, tmp_path: Path, bound: dict[str, str]
) -> None:
    plant = Plant(seed=4, tags=32, plants=2)
    with running(plant, clock=Clock(NOW)) as url:
        stream = Stream(spark, url, tmp_path, sink, start_time="*-1h", **bound)
        made = [stream.run()]
        while made[-1]:
            made.append(stream.run())
            assert len(made) < 20
        if admits(spark):
            assert made[0] > 2
            assert made[1:] == [0]
        else:
            assert len(made) > 3
            assert set(made) == {0, 1}
        rows = assert_equals_oracle(plant, stream.table(), NOW - HOUR, NOW - SETTLE)
        log = windows(stream.checkpoint)
        assert [start for start, _ in log[1:]] == [end for _, end in log[:-1]]
        assert rows > 3000 or "max_window_per_trigger" in bound


def test_a_running_stream_is_bounded_and_idles(spark: SparkSession, sink: str, tmp_path: Path) -> None:
    plant, access = Plant(seed=5, tags=16, plants=1), tmp_path / "access.log"
    clock = Clock(NOW)
    with running(plant, clock=clock, access_log=access) as url:
        stream = Stream(spark, url, tmp_path, sink, start_time="*-1h", max_window_per_trigger="25m")
        query = stream.writer().trigger(processingTime="200 milliseconds").start(str(tmp_path / "events"))
        try:
            wait(
                query,
                lambda: (
                    bool(windows(stream.checkpoint)) and windows(stream.checkpoint)[-1][1] == NOW - SETTLE
                ),
            )
            query.processAllAvailable()
            idle_from = len(access.read_text().splitlines())
            wait(query, lambda: len(access.read_text().splitlines()) >= idle_from + 3)
            clock.now += HOUR
            wait(query, lambda: windows(stream.checkpoint)[-1][1] == NOW + HOUR - SETTLE)
            query.processAllAvailable()
        finally:
            query.stop()
        assert_equals_oracle(plant, stream.table(), NOW - HOUR, NOW + HOUR - SETTLE)
        assert max(end - start for start, end in windows(stream.checkpoint)) == 25 * MINUTE
        idle = access.read_text().splitlines()[idle_from : idle_from + 3]
        assert all(line.startswith("GET /piwebapi/dataservers?") for line in idle)


def test_a_batch_that_failed_is_read_again_over_its_own_window(spark: SparkSession, tmp_path: Path) -> None:
    plant, clock = Plant(seed=6, tags=16, plants=1), Clock(NOW)
    attempts: list[tuple[int, Any]] = []
    failing = {0, 1}

    def write(batch: DataFrame, batch_id: int) -> None:
        attempts.append((batch_id, batch.toPandas()))
        if batch_id in failing:
            failing.discard(batch_id)
            message = "the disk is full"
            raise OSError(message)

    def run() -> None:
        rows = spark.readStream.format("pi").option("url", url).option("start_time", "*-1h").load()
        writer = rows.writeStream.foreachBatch(write).option("checkpointLocation", str(tmp_path))
        writer.trigger(availableNow=True).start().awaitTermination(120)

    with running(plant, clock=clock) as url:
        for _ in range(6):  # before 4.2 a run that replays reads nothing else
            with suppress(StreamingQueryException):
                run()
            clock.now += 10 * MINUTE
    seen: dict[int, Any] = {}
    for batch_id, rows in attempts:
        if batch_id in seen:
            assert rows.equals(seen[batch_id])
        seen[batch_id] = rows
    assert [batch_id for batch_id, _ in attempts[:4]] == [0, 0, 1, 1]
    log = windows(tmp_path)
    assert log[0][0] == NOW - HOUR
    assert [start for start, _ in log[1:]] == [end for _, end in log[:-1]]
    total = sum(len(rows) for rows in seen.values())
    assert total == plant.oracle_table(None, log[0][0], log[-1][1]).num_rows


def test_a_restart_after_a_week_goes_on_where_it_stood(
    spark: SparkSession, sink: str, tmp_path: Path
) -> None:
    plant, clock = Plant(seed=7, tags=4, plants=1), Clock(NOW)
    with running(plant, clock=clock) as url:
        stream = Stream(spark, url, tmp_path, sink, start_time="*-10m")
        stream.run()
        clock.now += timedelta(days=7)
        stream.run()
        assert_equals_oracle(plant, stream.table(), NOW - 10 * MINUTE, clock.now - SETTLE)


def wait(query: Any, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not until():
        assert query.isActive, query.exception()
        assert time.monotonic() < deadline
        time.sleep(0.05)
