"""Small files merged now and then: the pipeline's tables by request, the audit table by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from mock_server import Plant
from oracle_check import compare
from pi_datasource.delta import Lakehouse, audit, background, bronze, commits, maintain, schema_setup, start
from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.write import Asked, WindowWriter
from pi_datasource.errors import InvalidOption
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from tests.integration.support.site import NOW, forget, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]

DAY = timedelta(days=1)
OPTIONS = Options.parse({"url": "http://localhost:1/piwebapi"})


@pytest.fixture
def lakehouse(spark: Any, tmp_path: Path) -> Iterator[Lakehouse]:
    forget(spark)
    lakehouse = Lakehouse.in_directory(tmp_path / "lake")
    schema_setup.prepare(spark, lakehouse, OPTIONS)
    yield lakehouse
    forget(spark)


def test_tables_are_optimized_once_per_interval(spark: Any, lakehouse: Lakehouse) -> None:
    tables = [lakehouse.bronze, lakehouse.gold, lakehouse.audit, lakehouse.errors, lakehouse.points]
    now = datetime.now(timezone.utc)

    def run(after: timedelta = timedelta(0)) -> list[str]:
        return maintain(spark, lakehouse, optimize_every=DAY, now=now + after)

    assert run(timedelta(hours=23)) == []  # they were made a moment ago
    for number in range(4):
        _append(spark, lakehouse, number)
    assert run(DAY) == tables
    assert _files(spark, lakehouse.audit) == 1
    for number in range(4, 8):
        _append(spark, lakehouse, number)
    assert run(2 * DAY - timedelta(seconds=1)) == []
    assert _files(spark, lakehouse.audit) == 5
    assert run(2 * DAY) == tables
    assert _files(spark, lakehouse.audit) == 1
    assert run(2 * DAY + timedelta(hours=2)) == []  # nor those in which there was nothing to merge
    times = spark.read.table(lakehouse.maintenance).select("table_name").collect()
    assert {row[0] for row in times} == set(tables)
    assert len(times) == len(tables)


def test_the_audit_table_never_holds_more_small_files_than_a_bound(
    spark: Any, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "COMPACT_EVERY", 5)
    for number in range(6):
        audit.record(spark, lakehouse, [_report(number)], may_repeat=number == 3)
        assert _files(spark, lakehouse.audit) == (number + 1 if number < 4 else number - 3)
    rows = audit.reports(spark, lakehouse, "stream")
    assert rows == [_report(number) for number in range(6)]
    assert audit.reports(spark, lakehouse, "stream", newest=2) == rows[-2:]
    assert audit.reports(spark, lakehouse, "stream", since=rows[4].created_at) == rows[4:]
    reach = audit.covered_window(spark, lakehouse, "stream")
    assert reach is not None
    assert (reach.start, reach.end) == (rows[0].window_start, rows[-1].window_end)
    third = Window(rows[2].window_start, rows[2].window_end)
    assert audit.recorded_windows(spark, lakehouse, "stream", third) == {2: [third]}
    assert audit.next_batch_id(spark, lakehouse, "stream") == 6


@pytest.mark.classic_only("serverless compute has no such settings")
def test_a_table_that_compacts_itself_changes_no_count_of_a_replay(spark: Any, lakehouse: Lakehouse) -> None:
    for option in (
        "spark.databricks.delta.autoCompact.minNumFiles",
        "spark.databricks.delta.autoCompact.enabled",
    ):
        spark.conf.set(option, "2" if option.endswith("Files") else "true")
    try:
        columns = schema_setup.read_columns(OPTIONS)
        window = Window(NOW - DAY, NOW)
        writer = WindowWriter(spark, lakehouse, Staging(lakehouse.staging, "a test"), "a mark")
        since = bronze.latest_version(spark, lakehouse.bronze)
        for stored in range(1, 4):
            events = spark.createDataFrame([_event(columns, number) for number in range(stored)], columns)
            writer.write(events, Asked(window, ["W"]))
            assert commits.written(spark, lakehouse.bronze, "a mark", since) == (stored, 0, 0)
    finally:
        for option in ("minNumFiles", "enabled"):
            spark.conf.unset(f"spark.databricks.delta.autoCompact.{option}")
    history = commits.history(spark, lakehouse.bronze, None).collect()
    operations = Counter(row["operation"] for row in history)
    assert (operations["WRITE"], operations["MERGE"]) == (1, 2)
    assert operations["OPTIMIZE"] > 0
    assert {row["operation"] for row in history if row["userMetadata"] == "a mark"} >= {"WRITE"}


@pytest.mark.classic_only("serverless compute has no continuous queries")
def test_a_continuous_ingestion_from_python_fills_new_tags_and_maintains_tables(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "INTERVAL_S", 0.5)
    maintained = Event()

    def fails_first(*_: Any, **named: Any) -> None:
        assert named["optimize_every"] == DAY
        assert named["keep"] == 8 * DAY
        if not any("maintenance: failed" in record.message for record in caplog.records):
            message = "no space left"
            raise OSError(message)
        maintained.set()

    monkeypatch.setattr(background, "maintain", fails_first)
    with site_of(spark, tmp_path / "lake", Plant(seed=11, tags=4, plants=2)) as site:
        site.options |= {"start_time": (NOW - timedelta(minutes=30)).isoformat(), "new_tags": "backfill"}
        site.ingest()
        site.plant.add_points(1, NOW - timedelta(hours=2))
        site.now += timedelta(minutes=5)
        query = start(
            spark, site.options, site.lakehouse, every="1 second", optimize_every=DAY, keep_versions=8 * DAY
        )
        try:
            (thread,) = (one for one in enumerate_threads() if one.name == "pi-datasource background")
            query.processAllAvailable()
            site.now += timedelta(minutes=20)  # the stream lists its tags anew
            deadline = time.monotonic() + 120
            while any(row["filled_at"] is None for row in site.table("bronze/pi_points").to_pylist()):
                assert query.isActive
                assert time.monotonic() < deadline
                time.sleep(0.5)
            assert maintained.wait(60)
        finally:
            query.stop()
        thread.join(60)
        assert not thread.is_alive()
        reach = audit.covered_window(spark, site.lakehouse, str(query.id))
        assert reach is not None
        comparison = compare(
            site.plant, site.table("bronze/pi_timeseries"), reach.start, reach.end, as_of=site.now
        )
        assert comparison.equal, str(comparison)
        site.assert_gold_is_recomputed()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"optimize_every": DAY}, "optimize_every: start.. maintains"),
        ({"every": "1 minute", "keep_versions": DAY}, "give 'optimize_every' too"),
        ({"every": "1 minute", "optimize_every": timedelta(0)}, "must be longer than 0s"),
    ],
)
def test_maintenance_that_would_not_happen_is_refused(
    spark: Any, tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    lakehouse = Lakehouse.in_directory(tmp_path / "lake")
    with pytest.raises(InvalidOption, match=words):
        start(spark, {"url": "http://localhost:1/piwebapi"}, lakehouse, **arguments)
    assert not (tmp_path / "lake").exists()


def _event(columns: Any, number: int) -> tuple[Any, ...]:
    at = NOW - timedelta(minutes=10 + number)
    values = {"tag_webid": "W", "tag_name": "T", "timestamp": at, "sequence": 0, "value": 1.0, "good": True}
    values |= {"value_kind": "number", "ingestion_timestamp": NOW}
    flags = ("questionable", "substituted", "annotated")
    return tuple({**values, **dict.fromkeys(flags, False)}.get(name) for name in columns.names)


def _append(spark: Any, lakehouse: Lakehouse, number: int) -> None:
    audit.record(spark, lakehouse, [_report(number)], may_repeat=True)


def _report(number: int) -> BatchReport:
    start = datetime(2026, 3, 1, tzinfo=timezone.utc) + timedelta(minutes=number)
    end = start + timedelta(minutes=1)
    return BatchReport(
        "stream",
        number,
        start,
        end,
        8,
        10,
        0,
        10,
        0,
        0,
        0,
        0,
        3,
        0,
        0.0,
        2.5,
        3.0,
        end + timedelta(seconds=3),
    )


def _files(spark: Any, table: str) -> int:
    return int(spark.sql(f"DESCRIBE DETAIL {table}").select("numFiles").first()[0])
