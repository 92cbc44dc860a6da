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
START = NOW - timedelta(minutes=40)
KILLS = 20
QUICK = {
    **os.environ,
    "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}  # for JVMs that live shortly
CHILD = Path(__file__).parent / "support" / "ingest_child.py"

# What a run leaves on disk, in the order in which it does. A kill comes a random moment after one of these has moved,
# so that the kills spread over all phases of a run on a slow machine as on a fast one.
PHASES = {
    "created": "bronze/pi_timeseries/_delta_log/*.json",
    "planned": "_checkpoints/*/offsets/*",
    "bronze": "bronze/pi_timeseries/_delta_log/*.json",
    "gold": "gold/pi_metrics_hourly/_delta_log/*.json",
    "audit": "checkpoints/pi_ingestion_checkpoint/_delta_log/*.json",
    "committed": "_checkpoints/*/commits/*",
}


def test_twenty_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260301)
    plant = Plant(seed=3, tags=32, plants=4)
    clock = {"now": NOW}
    lake = tmp_path / "lake"
    killed = dict.fromkeys(PHASES, 0)
    with running(plant, clock=lambda: clock["now"]) as url:
        options = {
            "url": url,
            "start_time": START.isoformat(),
            "max_window_per_trigger": "20m",
            "tag_pattern": TAG_PATTERN,
            "num_partitions": "2",
        }
        for kill in range(KILLS):
            phase = list(PHASES)[kill % len(PHASES)]
            killed[phase] += _run_and_kill(lake, options, phase, chance.uniform(0.0, 0.8))
            clock["now"] += timedelta(minutes=chance.choice((0, 5, 30)))
        assert sum(killed.values()) >= KILLS - 2, f"runs ended before they could be killed: {killed}"
        assert _run(lake, options) == "done"
    _assert_exact(plant, lake, START, clock["now"] - timedelta(seconds=5))


def _run_and_kill(lake: Path, options: dict[str, str], phase: str, after_s: float) -> bool:
    """Kills Python, the JVM and its workers at once, ``after_s`` after ``phase``; False if the run ended before."""
    child = _start(lake, options)
    assert _line(child) == "ready", _words(lake)
    before = len(list(lake.glob(PHASES[phase])))
    while child.poll() is None and len(list(lake.glob(PHASES[phase]))) == before:
        time.sleep(0.02)
    try:
        code = child.wait(after_s)
        assert code == 0, f"a run after a kill failed by itself: {_words(lake)}"
        return False
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return True
    finally:
        child.communicate()


def _run(lake: Path, options: dict[str, str]) -> str:
    child = _start(lake, options)
    text, _ = child.communicate(timeout=300)
    assert text.endswith("done\n"), _words(lake)
    return text.split()[-1]


def _start(lake: Path, options: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(lake), json.dumps(options)]
    with lake.with_name("words").open("w") as words:
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            start_new_session=True,
            cwd=lake.parent,
            env=QUICK,
        )


def _words(lake: Path) -> str:
    return lake.with_name("words").read_text()[-3000:]


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
