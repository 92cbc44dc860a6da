"""A lease in the audit table: one of two gets it, a dead owner frees it, a living one keeps it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql.pandas.types import from_arrow_schema

from mock_server import Plant
from pi_datasource.delta import Lakehouse, audit, commits, lease
from pi_datasource.delta.checkpoint import last_planned_batch
from pi_datasource.delta.lease_table import LeaseRow
from pi_datasource.errors import StreamInUse
from pi_datasource.options.declaration import Options
from tests.integration.support.site import site_of

pytestmark = [pytest.mark.integration, pytest.mark.connect]

NAME = "recorded-0123456789"
HOLDER = """
import sys
from pyspark.sql import SparkSession
from pi_datasource.delta import lease_table
lease_table.RENEWALS = 300  # one a second
spark = SparkSession.builder.getOrCreate()
row = lease_table.LeaseRow(sys.argv[1], sys.argv[2], "ingestion", "the holder")
row.acquire(spark)
lease_table.TableLease(spark, row)
print("held", flush=True)
sys.stdin.read()
"""
IN_USE = r"another ingestion of this server and these tags is running \({}.* UTC; if that has died, its lease ends at .* UTC\)"


@pytest.fixture
def table(spark: Any, tmp_path: Path) -> str:
    """An audit table as several processes know it."""
    name = f"delta.`{tmp_path / 'audit'}`"
    spark.createDataFrame([], from_arrow_schema(audit.SCHEMA)).write.format("delta").save(
        str(tmp_path / "audit")
    )
    return name


def row(table: str, owner: str, time_to_live_s: int = 300) -> LeaseRow:
    return LeaseRow(table, NAME, "ingestion", owner, time_to_live_s)


def expire(spark: Any, table: str) -> None:
    """The owner has not renewed it for as long as it lives."""
    statement = f"UPDATE {table} SET expires_at = current_timestamp() - INTERVAL '1' SECOND"
    commits.retry_conflicts(lambda: spark.sql(statement).collect())  # with a last renewal


def stored(spark: Any, table: str) -> list[tuple[str, str, str]]:
    rows = spark.sql(f"SELECT stream_id, status, run_id FROM {table} WHERE kind = 'lease'").collect()
    return [tuple(row) for row in rows]


def test_a_held_lease_is_refused_until_it_is_released_or_expires(spark: Any, table: str) -> None:
    first, second, third = (row(table, owner) for owner in ("one", "two", "three"))
    first.acquire(spark)
    with pytest.raises(StreamInUse, match=IN_USE.format("one since ")):
        second.acquire(spark)
    replace(row(table, "another"), name="recorded-9876543210").acquire(spark)
    first.release(spark)
    second.acquire(spark)
    first.release(spark)  # it is not the holder any more, and frees nothing
    with pytest.raises(StreamInUse, match=IN_USE.format("two since ")):
        third.acquire(spark)
    expire(spark, table)
    third.acquire(spark)
    assert (NAME, "held", "three") in stored(spark, table)


def test_one_that_renews_in_time_is_never_robbed_and_one_that_was_robbed_is_told(
    spark: Any, table: str
) -> None:
    first, second = row(table, "one"), row(table, "two")
    first.acquire(spark)
    expire(spark, table)
    assert first.renew(spark)  # late, but nobody has taken it
    first.check(spark)
    with pytest.raises(StreamInUse):
        second.acquire(spark)
    expire(spark, table)
    second.acquire(spark)
    assert not first.renew(spark)
    with pytest.raises(StreamInUse, match=IN_USE.format("two since ")):
        first.check(spark)
    first.release(spark)
    second.check(spark)
    assert stored(spark, table) == [(NAME, "held", "two")]


@pytest.mark.parametrize("known", [False, True], ids=["first-ever", "released-before"])
def test_of_many_that_acquire_at_once_one_wins(spark: Any, table: str, known: bool) -> None:
    if known:
        before = row(table, "before")
        before.acquire(spark)
        before.release(spark)

    def acquires(owner: str) -> bool:
        try:
            row(table, owner).acquire(spark)
        except StreamInUse:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(acquires, ["a", "b", "c", "d"]))
    assert won.count(True) == 1
    assert stored(spark, table) == [(NAME, "held", "abcd"[won.index(True)])]


@pytest.mark.connect_only  # two clients of one server; on classic Spark the other process would need a JVM of its own
def test_a_living_process_keeps_its_lease_and_a_killed_one_loses_it(spark: Any, table: str) -> None:
    mine = row(table, "mine")
    command = [sys.executable, "-c", HOLDER, table, NAME]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        expiries = set()
        while len(expiries) < 3:  # it renews
            (found,) = spark.sql(f"SELECT unix_micros(expires_at) FROM {table}").collect()
            expiries.add(found[0])
            with pytest.raises(StreamInUse, match=IN_USE.format("the holder since ")):
                mine.acquire(spark)
        other.kill()
    with pytest.raises(StreamInUse, match=IN_USE.format("the holder since ")):
        mine.acquire(spark)  # nobody knows yet that it is dead
    expire(spark, table)
    mine.acquire(spark)
    assert stored(spark, table) == [(NAME, "held", "mine")]


def test_ingestions_into_a_catalog_exclude_each_other(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(seed=3, tags=4, plants=1)
    with site_of(spark, tmp_path / "unused", plant) as site:
        site.lakehouse = Lakehouse.in_catalog("spark_catalog", str(tmp_path / "checkpoints"))
        (report,) = site.ingest()
        name = site.lakehouse.selection(Options.parse(site.options))
        ((leased, status, holder),) = stored(spark, site.lakehouse.audit)
        assert (leased, status) == (name, "released")
        assert holder.startswith(lease.this_process())
        assert spark.read.table(site.lakehouse.bronze).count() == report.rows_inserted > 0

        other = LeaseRow(site.lakehouse.audit, name, "ingestion", "somebody else")
        other.acquire(spark)
        with pytest.raises(StreamInUse, match=IN_USE.format("somebody else since ")):
            site.ingest()
        other.release(spark)

        acquire = lease.acquire

        def and_lose(*arguments: Any) -> lease.Lease:
            held = acquire(*arguments)
            expire(spark, f"{site.lakehouse.audit}")
            other.acquire(spark)
            return held

        site.now += site.now - report.window_end
        with monkeypatch.context() as patched:
            patched.setattr(lease, "acquire", and_lose)
            with pytest.raises(StreamingQueryException, match=IN_USE.format("somebody else since ")):
                site.ingest()
        assert spark.read.table(site.lakehouse.bronze).count() == report.rows_inserted
        assert stored(spark, site.lakehouse.audit) == [(name, "held", "somebody else")]


@pytest.mark.parametrize(("names", "last"), [((), -1), (("0", "9", "10", ".11.tmp"), 10)])
def test_spark_finds_the_planned_micro_batches_that_this_process_cannot_see(
    spark: Any, tmp_path: Path, names: tuple[str, ...], last: int
) -> None:
    elsewhere = f"file://{tmp_path}"
    assert last_planned_batch(spark, elsewhere) == -1
    (tmp_path / "offsets").mkdir()
    for name in names:
        (tmp_path / "offsets" / name).write_text("v1\n{}")
    assert last_planned_batch(spark, elsewhere) == last
