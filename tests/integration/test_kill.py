"""``kill -9`` at any moment and another run: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from mock_server import TAG_PATTERN, Plant, running
from oracle_check import compare, read_delta

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
KILLS = 20
LONGEST_S = 9.0  # about what a run of three micro-batches needs after Spark has started
CHILD = Path(__file__).parent / "support" / "ingest_child.py"


def test_twenty_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    random_moments = random.Random(20260301)
    plant = Plant(seed=3, tags=64, plants=4)
    clock = {"now": NOW}
    lake = tmp_path / "lake"
    finished = 0
    with running(plant, clock=lambda: clock["now"]) as url:
        options = {
            "url": url,
            "start_time": "*-1h",
            "max_window_per_trigger": "20m",
            "tag_pattern": TAG_PATTERN,
            "num_partitions": "2",
        }
        for _ in range(KILLS):
            finished += _run_and_kill(lake, options, random_moments.uniform(0.0, LONGEST_S))
            clock["now"] += timedelta(minutes=random_moments.choice((0, 5, 30)))
        assert finished < KILLS, "every run ended before its kill: the moments prove nothing"
        assert _run(lake, options) == "done"
    _assert_exact(plant, lake, NOW - timedelta(hours=1), clock["now"] - timedelta(seconds=5))


def _run_and_kill(lake: Path, options: dict[str, str], after_s: float) -> bool:
    """Kills Python, the JVM and its workers at once; whether the run had ended by itself before."""
    child = _start(lake, options)
    try:
        assert _line(child) == "ready"
        time.sleep(after_s)
        return child.poll() is not None
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _run(lake: Path, options: dict[str, str]) -> str:
    child = _start(lake, options)
    text, _ = child.communicate(timeout=300)
    return text.split()[-1]


def _start(lake: Path, options: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(lake), json.dumps(options)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd=lake.parent,
    )


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _assert_exact(plant: Plant, lake: Path, start: datetime, end: datetime) -> None:
    bronze = read_delta(str(lake / "bronze" / "pi_timeseries"))
    comparison = compare(plant, bronze, start, end)
    assert comparison.equal, str(comparison)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("bronze", bronze)
    connection.register("gold", read_delta(str(lake / "gold" / "pi_metrics_hourly")))
    connection.register("ledger", read_delta(str(lake / "checkpoints" / "pi_ingestion_checkpoint")))
    want = "SELECT tag_webid, date_trunc('hour', timestamp), count(*), max(value) FILTER (good) FROM bronze GROUP BY ALL"
    got = "SELECT tag_webid, hour, event_count, max_value FROM gold"
    for one, other in ((want, got), (got, want)):
        assert connection.execute(f"({one}) EXCEPT ALL ({other})").fetchall() == []
    batches = connection.execute(
        "SELECT batch_id, epoch_us(window_start), epoch_us(window_end), rows_inserted FROM ledger ORDER BY batch_id"
    ).fetchall()
    assert [batch[0] for batch in batches] == list(range(len(batches)))
    assert [batch[1] for batch in batches[1:]] == [batch[2] for batch in batches[:-1]]
    assert sum(batch[3] for batch in batches) == bronze.num_rows
