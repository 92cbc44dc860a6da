"""The engine against a simulated server in trouble: exactly the oracle's rows, or an error that says what is missing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mock_server import Plant, running
from mock_server.server.faults import Faults
from oracle_check import compare
from pi_datasource.errors import PIError, ReadFailed
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from pi_datasource.points import discovery
from pi_datasource.recorded import fetch
from pi_datasource.tables import registry
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
START = NOW - timedelta(minutes=2)
PLANT = Plant(seed=11, tags=16, plants=2)
ROUNDS, SEEDS_IN_ROUND = 10, 12

PASSING = (
    "reset", "close", "cut", "cut-chunked", "malformed", "empty", "portal", "429", "429-reason", "500", "500-text",
    "502", "503", "503-page", "503-seconds", "503-date", "504", "web-exception",
    "member.429", "member.500", "member.500-text", "member.503", "member.web-exception",
)  # fmt: skip
LASTING = (
    "401",
    "403",
    "404",
    "404-message",
    "member.403",
    "member.404",
    "member.404-message",
    "member.409-text",
)


def options_for(url: str, dice: random.Random, **more: str) -> Options:
    given = {
        "url": url,
        "start_time": START.isoformat(),
        "end_time": NOW.isoformat(),
        "page_size": str(dice.choice([2, 7, 50, 1000, 10_000])),
        "batch_size": str(dice.choice([1, 5, 24, 1000])),
        "num_partitions": str(dice.choice([1, 2, 8, 64])),
        "read_mode": dice.choice(["auto", "streams"]),
        **more,
    }
    return Options.parse(given)


def read(options: Options) -> pa.Table:
    """All rows of the options' window, task after task."""
    schema = registry.columns(options)
    with PIClient(options, sleep=lambda _seconds: None) as client:
        servers = data_servers.select(client, options)
        points = discovery.points(client, servers, options)
        tasks = plan(points, options.window(NOW), options, NOW)
        batches = [batch for task in tasks for batch in fetch.run(client, task, schema)]
    return pa.Table.from_batches(batches, schema)


def schedules(number: int) -> Iterator[tuple[int, random.Random]]:
    for seed in range(number * SEEDS_IN_ROUND, (number + 1) * SEEDS_IN_ROUND):
        yield seed, random.Random(seed)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_faults_that_pass_cost_time_and_no_row(number: int) -> None:
    met: set[str] = set()
    for seed, dice in schedules(number):
        names = dice.sample(PASSING, 5)
        faults = Faults(seed, {name: dice.choice([0.02, 0.1, 0.15]) for name in names}, tries=2)
        with running(PLANT, clock=lambda: NOW, faults=faults) as url:
            # Each of the five kinds may hit the same page twice, and all retries count together.
            options = options_for(url, dice, max_retries="12")
            found = compare(PLANT, read(options), START, NOW)
        assert found.equal, f"seed {seed}, {names}: {found}"
        met.update(names)
    assert len(met) > 15


@pytest.mark.parametrize("number", range(ROUNDS))
def test_faults_that_last_are_told_and_nothing_is_wrong(number: int) -> None:
    told, named = 0, set[str]()
    for seed, dice in schedules(number + 1000):
        rates = dict.fromkeys(dice.sample(LASTING, 3), 0.01)
        rates |= dict.fromkeys(dice.sample(PASSING, 3), 0.05)
        with running(PLANT, clock=lambda: NOW, faults=Faults(seed, rates, tries=0)) as url:
            options = options_for(url, dice)
            try:
                table = read(options)
            except ReadFailed as error:
                told += 1
                named |= {failure.point for failure in error.failures}
                continue
            except PIError:
                told += 1
                continue
            found = compare(PLANT, table, START, NOW)
            assert found.equal, f"seed {seed}, {rates}: {found}"
    assert named <= {point.name for point in PLANT.points}
    assert told, "no schedule of this round did any harm: it proves nothing"


@pytest.mark.parametrize("number", range(3))
def test_points_that_fail_are_exactly_those_reported(number: int) -> None:
    for seed, dice in schedules(number + 2000):
        chosen = dice.sample([point.name for point in PLANT.points], 3)
        faults = Faults(seed, points={tag: dice.choice(["404", "500", "403"]) for tag in chosen})
        with running(PLANT, clock=lambda: NOW, faults=faults) as url:
            options = options_for(url, dice, on_error="report", max_retries="1", num_partitions="2")
            table = read(options)
        kinds = table.column("value_kind")
        failed = table.filter(pa.compute.equal(kinds, "read_failure"))
        assert set(failed.column("tag_name").to_pylist()) == set(chosen)
        rest = [point.name for point in PLANT.points if point.name not in chosen]
        read_whole = table.filter(pa.compute.not_equal(kinds, "read_failure"))
        found = compare(PLANT, read_whole, START, NOW, rest)
        assert found.equal, f"seed {seed}: {found}"


def requests_by_second(log: Path) -> list[tuple[float, int]]:
    """When each request came, in seconds, and for how many it counts (see the simulator's --help)."""
    rows = [line.split() for line in log.read_text().splitlines()]
    return [
        (datetime.fromisoformat(row[4].replace("Z", "+00:00")).timestamp(), max(1, int(row[5])))
        for row in rows
    ]


@pytest.mark.parametrize("rate", [20, 60])
def test_no_second_sees_more_requests_than_the_rate_though_tasks_run_side_by_side(
    tmp_path: Path, rate: int
) -> None:
    long_ago = NOW - timedelta(minutes=8)
    log = tmp_path / "access.log"
    with running(PLANT, clock=lambda: NOW, access_log=log) as url:
        options = options_for(
            url, random.Random(1), requests_per_second=str(rate), num_partitions="8", read_mode="streams",
            page_size="4", batch_size="1000", start_time=long_ago.isoformat(),
        )  # fmt: skip
        schema = registry.columns(options)
        with PIClient(options) as client:
            points = discovery.points(client, data_servers.select(client, options), options)
        tasks = plan(points, options.window(NOW), options, NOW)

        def run(task: Any) -> list[pa.RecordBatch]:
            with PIClient(options) as own:
                return list(fetch.run(own, task, schema))

        with ThreadPoolExecutor(len(tasks)) as pool:
            batches = [batch for found in pool.map(run, tasks) for batch in found]
    assert compare(PLANT, pa.Table.from_batches(batches, schema), long_ago, NOW).equal
    seen = requests_by_second(log)
    assert len(tasks) == 8
    assert sum(count for _, count in seen) > 1.5 * rate, "too few requests to prove anything"
    busiest = max(sum(count for at, count in seen if begin <= at < begin + 1.0) for begin, _ in seen)
    assert busiest <= rate
