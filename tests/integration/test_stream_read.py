"""``spark.readStream.format("pi")`` reads everything once, run after run, and replays exactly what failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from mock_server import Plant, running
from oracle_check import read_delta
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.comparison import assert_equals_oracle

pytestmark = pytest.mark.integration

HOUR, MINUTE, SETTLE = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=5)


def stream(spark: SparkSession, url: str, **options: str) -> DataFrame:
    return spark.readStream.format("pi").option("url", url).options(**options).load()


def offsets(checkpoint: Path) -> list[dict[str, Any]]:
    """The offsets that Spark has logged, oldest first, as they stand in the files."""
    files = sorted((checkpoint / "offsets").glob("[0-9]*"), key=lambda file: int(file.name))
    return [json.loads(file.read_text().splitlines()[-1]) for file in files]


def iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass
class Runs:
    """Two AvailableNow runs into one Delta table, an hour apart on the server; what the table held after each."""

    site: Plant
    url: str
    folder: Path
    clock: Clock = field(default_factory=lambda: Clock(NOW))
    tables: list[pa.Table] = field(default_factory=list)
    logged: list[list[dict[str, Any]]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    def run(self, spark: SparkSession) -> None:
        rows = stream(spark, self.url, start_time="*-2h", max_window_per_trigger="40m")
        writer = rows.writeStream.format("delta").option(
            "checkpointLocation", str(self.folder / "checkpoint")
        )
        query = writer.trigger(availableNow=True).start(str(self.folder / "events"))
        assert query.awaitTermination(120)
        self.tables.append(read_delta(str(self.folder / "events")))
        self.logged.append(offsets(self.folder / "checkpoint"))


class TestRunsOneAfterTheOther:
    """The first run reads from ``*-2h``; then an hour passes and tags are added."""

    @pytest.fixture(scope="class")
    @staticmethod
    def runs(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
        site, clock = Plant(seed=3, tags=64, plants=4), Clock(NOW)
        with running(site, clock=clock) as url:
            runs = Runs(site, url, tmp_path_factory.mktemp("runs"), clock)
            runs.run(spark)
            runs.added = [point.name for point in site.add_points(3, clock.now)]
            clock.now += HOUR
            runs.run(spark)
            yield runs

    def test_the_first_reads_from_start_time_to_the_settled_present(self, runs: Runs) -> None:
        names = [point.name for point in runs.site.points if point.name not in runs.added]
        assert_equals_oracle(runs.site, runs.tables[0], NOW - 2 * HOUR, NOW - SETTLE, names)

    def test_together_they_hold_every_event_once(self, runs: Runs) -> None:
        assert_equals_oracle(runs.site, runs.tables[1], NOW - 2 * HOUR, NOW + HOUR - SETTLE)

    def test_the_second_reads_only_what_is_new(self, runs: Runs) -> None:
        first, second = runs.tables
        known = set(first["ingestion_timestamp"].to_pylist())
        fresh = [row for row in second.to_pylist() if row["ingestion_timestamp"] not in known]
        assert len(fresh) == second.num_rows - first.num_rows
        assert min(row["timestamp"] for row in fresh) >= NOW - SETTLE

    def test_tags_added_between_them_arrive_by_themselves(self, runs: Runs) -> None:
        assert not set(runs.added) & set(runs.tables[0]["tag_name"].to_pylist())
        assert set(runs.added) <= set(runs.tables[1]["tag_name"].to_pylist())

    def test_a_bounded_window_makes_several_micro_batches_that_tile(self, runs: Runs) -> None:
        starts = [NOW - 2 * HOUR + 40 * n * MINUTE for n in range(4)]
        ends = [*starts[1:3], NOW - SETTLE]
        assert [entry["to"] for entry in runs.logged[0]] == [iso(end) for end in ends]
        chain = [(entry["from"], entry["to"]) for entry in runs.logged[1]]
        assert [begin for begin, _ in chain[1:]] == [end for _, end in chain[:-1]]
        assert chain[-1][1] == iso(NOW + HOUR - SETTLE)

    def test_offsets_are_one_readable_line(self, runs: Runs) -> None:
        last = (runs.folder / "checkpoint/offsets/0").read_text().splitlines()[-1]
        begin, end = iso(NOW - 2 * HOUR), iso(NOW - 80 * MINUTE)
        points = json.loads(last)["points"]
        started = f'"started": "{iso(NOW)}", "points": "{points}"'
        assert last == f'{{"version": 2, "from": "{begin}", "to": "{end}", {started}}}'
        assert points.startswith("64-")


class TestAFailureBetweenReadingAndWriting:
    """The function of foreachBatch fails; the query is started again when the server's clock has moved on."""

    def test_replays_the_same_range_and_loses_nothing(
        self, spark: SparkSession, server_factory: Callable[..., str], clock: Clock, tmp_path: Path
    ) -> None:
        site = Plant(seed=4, tags=32, plants=4)
        url = server_factory(site, clock=clock)
        attempts: list[tuple[int, pa.Table]] = []
        failing = {0, 1}

        def write(batch: DataFrame, batch_id: int) -> None:
            attempts.append((batch_id, batch.toArrow()))
            if batch_id in failing:
                failing.discard(batch_id)
                message = "the disk is full"
                raise OSError(message)

        def run() -> None:
            rows = stream(spark, url, start_time="*-1h")
            writer = rows.writeStream.foreachBatch(write).option("checkpointLocation", str(tmp_path))
            writer.trigger(availableNow=True).start().awaitTermination(120)

        ends = [NOW - SETTLE]
        with pytest.raises(StreamingQueryException, match="the disk is full"):
            run()
        clock.now += 30 * MINUTE
        ends.append(clock.now - SETTLE)
        with pytest.raises(StreamingQueryException, match="the disk is full"):
            run()  # batch 0 again, and then batch 1 fails
        clock.now += 30 * MINUTE
        ends.append(clock.now - SETTLE)
        run()

        assert [batch_id for batch_id, _ in attempts] == [0, 0, 1, 1, 2]
        starts = [NOW - HOUR, *ends[:-1]]
        for batch_id, table in attempts:
            assert_equals_oracle(site, table, starts[batch_id], ends[batch_id])
        assert attempts[0][1].equals(attempts[1][1])
        assert attempts[2][1].equals(attempts[3][1])


class _CountedClock(Clock):
    asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        return self.now


class TestAQueryThatKeepsRunning:
    """With a processing-time trigger."""

    def test_makes_no_batches_while_the_server_s_clock_stands_still(
        self, spark: SparkSession, server_factory: Callable[..., str], tmp_path: Path
    ) -> None:
        site, clock = Plant(seed=5, tags=8, plants=1), _CountedClock(NOW)
        url = server_factory(site, clock=clock)
        rows = stream(spark, url, start_time="*-1h", settle="0s")
        writer = rows.writeStream.format("parquet").option("checkpointLocation", str(tmp_path / "checkpoint"))
        query = writer.trigger(processingTime="100 milliseconds").start(str(tmp_path / "events"))
        try:
            self._wait(query, lambda: len(offsets(tmp_path / "checkpoint")) == 1)
            query.processAllAvailable()
            seen = clock.asked
            self._wait(query, lambda: clock.asked >= seen + 3)  # it goes on asking
            assert len(offsets(tmp_path / "checkpoint")) == 1

            clock.now += MINUTE
            self._wait(query, lambda: len(offsets(tmp_path / "checkpoint")) == 2)
            query.processAllAvailable()
        finally:
            query.stop()

        table = spark.read.parquet(str(tmp_path / "events"))
        assert_equals_oracle(site, table, NOW - HOUR, NOW + MINUTE)
        assert [entry["to"] for entry in offsets(tmp_path / "checkpoint")] == [iso(NOW), iso(NOW + MINUTE)]

    @staticmethod
    def _wait(query: StreamingQuery, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not until():
            assert query.isActive, query.exception()
            assert time.monotonic() < deadline
            time.sleep(0.05)
