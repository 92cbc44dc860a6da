"""The audit table on real Delta: what a row says after failures and replays, and which rows count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from pi_datasource import redaction
from pi_datasource.delta import Lakehouse, audit, schema_setup
from pi_datasource.delta.audit import BatchReport, ReadCounts, WriteCounts, build_report
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import BACKFILL, DONE, FAILED, OVERLAP, STREAM
from tests.integration.support.site import forget

pytestmark = pytest.mark.integration

OPTIONS = Options.parse({"url": "http://localhost:1/piwebapi"})
START = datetime(2026, 3, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def prepared(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    forget(spark)
    lakehouse = Lakehouse.in_directory(tmp_path_factory.mktemp("audit"))
    schema_setup.prepare(spark, lakehouse, OPTIONS)
    yield lakehouse
    forget(spark)


@pytest.fixture
def lakehouse(spark: Any, prepared: Lakehouse) -> Lakehouse:
    spark.sql(f"DELETE FROM {prepared.audit}")
    return prepared


def window(number: int, minutes: int = 1) -> Window:
    return Window(START + number * MINUTE, START + (number + minutes) * MINUTE)


def report(number: int, kind: str = STREAM, stream: str = "s", **more: Any) -> BatchReport:
    counts = {"written": WriteCounts(3, 2, 1, 0), "read": ReadCounts(rows=5, tags=2), "server": "http://pi"}
    return build_report(kind, stream, number, more.pop("window", window(number)), 0.0, **{**counts, **more})


def stored(spark: Any, lakehouse: Lakehouse) -> set[tuple[Any, ...]]:
    rows = spark.read.table(lakehouse.audit)
    return {tuple(row) for row in rows.select("batch_id", "kind", "status", "rows_read", "error").collect()}


def commits_of(spark: Any, lakehouse: Lakehouse) -> int:
    return int(spark.sql(f"DESCRIBE HISTORY {lakehouse.audit} LIMIT 1").first()["version"])


def test_a_batch_and_its_overlap_are_one_commit_and_come_back_as_they_were(
    spark: Any, lakehouse: Lakehouse
) -> None:
    before = commits_of(spark, lakehouse)
    rows = [report(0, stream="one"), report(0, OVERLAP, "one", window=window(-5, 5), bronze_version=7)]
    audit.record(spark, lakehouse, rows, may_repeat=False)
    assert commits_of(spark, lakehouse) == before + 1
    assert audit.reports(spark, lakehouse, "one") == rows
    assert audit.reports(spark, lakehouse, "one", newest=1) == rows
    # The stream begins where its own windows do.
    covered = audit.covered_window(spark, lakehouse, "one")
    assert covered == window(0)


def test_a_batch_that_is_recorded_again_replaces_both_rows(spark: Any, lakehouse: Lakehouse) -> None:
    audit.record(
        spark,
        lakehouse,
        [report(4, stream="again"), report(4, OVERLAP, "again", window=window(0, 4))],
        may_repeat=False,
    )
    again = [
        report(4, stream="again", read=ReadCounts(rows=50)),
        report(4, OVERLAP, "again", window=window(0, 4), read=ReadCounts(rows=60)),
    ]
    audit.record(spark, lakehouse, again, may_repeat=True)
    assert stored(spark, lakehouse) == {(4, STREAM, DONE, 50, None), (4, OVERLAP, DONE, 60, None)}
    assert audit.reports(spark, lakehouse, "again") == again


def test_a_failure_counts_nowhere_and_a_later_success_replaces_it(spark: Any, lakehouse: Lakehouse) -> None:
    audit.record(spark, lakehouse, [report(0, stream="failed", bronze_version=3)], may_repeat=False)
    for text in ("first", "second"):
        audit.record_failure(spark, lakehouse, report(1, stream="failed", error=text, bronze_version=9))
    assert stored(spark, lakehouse) == {(0, STREAM, DONE, 5, None), (1, STREAM, FAILED, 5, "second")}
    assert [each.batch_id for each in audit.reports(spark, lakehouse, "failed")] == [0]
    assert audit.covered_window(spark, lakehouse, "failed") == window(0)
    assert audit.recorded_windows(spark, lakehouse, "failed", window(0, 10)) == {0: [window(0)]}
    assert audit.next_batch_id(spark, lakehouse, "failed") == 1
    assert audit.gold_version(spark, lakehouse) == 3
    audit.record(spark, lakehouse, [report(1, stream="failed", bronze_version=4)], may_repeat=True)
    assert stored(spark, lakehouse) == {(0, STREAM, DONE, 5, None), (1, STREAM, DONE, 5, None)}
    assert audit.last_version(spark, lakehouse, "failed") == 4
    assert audit.last_version(spark, lakehouse, "failed", before=1) == 3


def test_a_piece_that_fails_in_one_window_and_is_done_in_another_has_one_row_for_each_that_is_done(
    spark: Any, lakehouse: Lakehouse
) -> None:
    """The windows of a piece differ where a backfill begins or ends within it."""
    short, whole = window(6, 2), window(6, 6)
    job = f"{BACKFILL} s 360s"
    audit.record(spark, lakehouse, [report(1, BACKFILL, job, window=short)], may_repeat=True)
    audit.record_failure(spark, lakehouse, report(1, BACKFILL, job, window=whole, error="e"))
    assert audit.recorded_windows(spark, lakehouse, job, whole) == {1: [short]}
    audit.record(spark, lakehouse, [report(1, BACKFILL, job, window=short)], may_repeat=True)
    assert audit.recorded_windows(spark, lakehouse, job, whole) == {1: [short]}
    audit.record(spark, lakehouse, [report(1, BACKFILL, job, window=whole)], may_repeat=True)
    found = audit.recorded_windows(spark, lakehouse, job, whole)
    assert sorted(found[1], key=lambda each: each.end) == [short, whole]
    assert {row[2] for row in stored(spark, lakehouse)} == {DONE}


def test_a_failure_holds_no_secret_and_never_raises(
    spark: Any, lakehouse: Lakehouse, caplog: pytest.LogCaptureFixture
) -> None:
    redaction.register("hunter2-hunter2")
    audit.record_failure(
        spark, lakehouse, report(0, stream="secret", error="login hunter2-hunter2 refused " + "x" * 5000)
    )
    ((_, _, status, _, error),) = stored(spark, lakehouse)
    assert status == FAILED
    assert error.startswith("login *** refused xxx")
    assert len(error) == audit.LONGEST_ERROR
    audit.record_failure(
        spark, replace(lakehouse, checkpoint_schema="nowhere"), report(1, stream="secret", error="lost")
    )
    assert "does not say that this failed" in caplog.text


def test_what_is_not_recent_is_found_as_well(
    spark: Any, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [
        replace(report(n, stream="old", bronze_version=n + 10), created_at=START) for n in (1, 2)
    ]  # no first batch
    for each in old:
        audit.record(spark, lakehouse, [each], may_repeat=False)
    for recent in (audit.RECENT, timedelta(days=100_000)):
        monkeypatch.setattr(audit, "RECENT", recent)
        assert audit.gold_version(spark, lakehouse) == 12
        assert audit.last_version(spark, lakehouse, "old") == 12
        assert audit.next_batch_id(spark, lakehouse, "old") == 3
        assert audit.covered_window(spark, lakehouse, "old") == window(1, 2)
        assert audit.reports(spark, lakehouse, "old", newest=5) == old
        assert audit.reports(spark, lakehouse, "old", newest=1) == old[1:]
    assert audit.gold_version(spark, lakehouse) == 12
    assert audit.last_version(spark, lakehouse, "another") is None
