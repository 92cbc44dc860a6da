"""A read that is given up asks the server for nothing more, and leaves the session as it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mock_server import Plant, running
from oracle_check import compare
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.recorded import fetch
from pi_datasource.tables import registry
from pi_datasource.tables.timeseries import Timeseries
from pi_datasource.webapi.client import PIClient
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.comparison import assert_equals_oracle, pi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PLANT = Plant(seed=5, tags=16, plants=2)
LONG = {"start_time": "*-400d", "page_size": "100", "batch_size": "2"}  # tens of thousands of calls
SPARK_KILLS_S = (
    2.0  # after which Spark ends the Python worker of a cancelled task (spark.python.task.killTimeout)
)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """A server and how many requests it has had."""
    log = tmp_path / "access.log"
    with running(PLANT, clock=Clock(NOW), access_log=log) as url:
        yield url, lambda: log.read_bytes().count(b"\n") if log.exists() else 0


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s")


def assert_silence(requests: Callable[[], int]) -> None:
    """Fails if the server is asked for anything once there was time to stop."""
    quiet = [requests()]

    def still() -> bool:
        quiet.append(requests())
        return len(quiet) > 40 and len(set(quiet[-40:])) == 1  # for two seconds, in which hundreds could come

    wait_until(still, 20 * SPARK_KILLS_S)


def test_a_cancelled_job_asks_for_no_more_and_the_next_one_works(
    spark: Any, watched: tuple[str, Callable[[], int]]
) -> None:
    url, requests = watched
    failed: list[BaseException] = []

    def read() -> None:
        spark.sparkContext.setJobGroup("given up", "a read that nobody waits for", interruptOnCancel=True)
        try:
            pi(spark, url, **LONG).write.format("noop").mode("overwrite").save()
        except Exception as error:  # noqa: BLE001 - looked at below
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: requests() > 50)
    spark.sparkContext.cancelJobGroup("given up")
    reader.join(60)
    assert not reader.is_alive()
    assert "cancelled" in str(failed[0]).lower()
    assert_silence(requests)
    start = NOW - timedelta(minutes=5)
    assert assert_equals_oracle(PLANT, pi(spark, url, start_time=start, end_time=NOW), start, NOW) > 0


def test_a_stopped_stream_asks_for_no_more(
    spark: Any, watched: tuple[str, Callable[[], int]], tmp_path: Path
) -> None:
    url, requests = watched
    rows = spark.readStream.format("pi").option("url", url).options(**LONG).load()
    query = rows.writeStream.format("noop").option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    wait_until(lambda: requests() > 50)
    query.stop()
    assert_silence(requests)
    assert not query.isActive


def test_two_attempts_of_one_task_at_once_give_the_same_rows_and_one_given_up_disturbs_none(
    watched: tuple[str, Callable[[], int]],
) -> None:
    """What speculative execution does, which Spark itself never does on one machine."""
    url, requests = watched
    start = NOW - timedelta(hours=2)
    options = Options.parse(
        {"url": url, "start_time": start.isoformat(), "end_time": NOW.isoformat(), "page_size": "50", "num_partitions": "1"}
    )  # fmt: skip
    schema = registry.columns(options)
    with PIClient(options) as client:
        (task,) = Timeseries().plan(client, Pruning(options))

    def attempt(most: int | None) -> list[pa.RecordBatch]:
        found = []
        with PIClient(options) as own:
            batches = fetch.run(own, task, schema)
            for batch in batches:
                found.append(batch)
                if len(found) == most:
                    batches.close()  # type: ignore[attr-defined]
                    break
        return found

    with ThreadPoolExecutor(3) as pool:
        one, given_up, two = pool.map(attempt, (None, 3, None))
    assert len(given_up) == 3
    first, second = (pa.Table.from_batches(found, schema) for found in (one, two))
    assert first.equals(second)
    assert compare(PLANT, first, start, NOW).equal
    assert_silence(requests)
