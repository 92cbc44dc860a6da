"""Sessions as users have them: zones whose clocks change, other types of time, other ways to compare names, other logs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import pi_datasource
from oracle_check import read_delta
from pi_datasource.delta import Lakehouse, audit, backfill, ingest, maintain, repair, start, timestamps
from pi_datasource.errors import InvalidOption, StreamInUse
from tests.integration.support.site import forget
from tests.integration.support.small_pi import Answer, SmallPI, serving

# On Spark Connect only what depends on the zone: serverless compute refuses the other settings, and continuous queries.
pytestmark = pytest.mark.integration

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 11, 15, tzinfo=timezone.utc)
QUARTER = timedelta(minutes=15)
# Zone, and a time around which its clocks skip an hour (or half of one) or have it twice; read as UTC, and as local time.
CHANGES = (
    ("Europe/Berlin", "2026-03-29T02:00"),
    ("Europe/Berlin", "2026-10-25T00:00"),
    ("America/New_York", "2026-03-08T02:00"),
    ("America/New_York", "2026-11-01T05:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:00"),
    ("Australia/Lord_Howe", "2026-04-04T14:45"),
    ("Asia/Kathmandu", "2026-06-01T00:00"),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@contextmanager
def session(spark: Any, **settings: str) -> Iterator[None]:
    """Settings of the session for as long as the block lasts."""
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


@contextmanager
def zone(spark: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """The session's zone and this process's."""
    with session(spark, **{"spark.sql.session.timeZone": name}), monkeypatch.context() as patched:
        patched.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def pi() -> Iterator[SmallPI]:
    """One tag with an event every quarter of an hour for two hours before and after each change of the clocks."""
    around = [utc(at) + n * QUARTER for _, at in CHANGES for n in range(-8, 9)]
    with serving(SmallPI(NOW, {"A": {at: float(n) for n, at in enumerate(around)}})) as pi:
        yield pi


@pytest.fixture
def lakehouse(spark: Any, tmp_path: Path) -> Iterator[Lakehouse]:
    forget(spark)
    yield Lakehouse.in_directory(tmp_path / "lake")
    forget(spark)


def stored(lakehouse: Lakehouse, tag: str = "A") -> dict[datetime, float]:
    """The tag's events in bronze, read without Spark."""
    rows = read_delta(f"{lakehouse.directory}/bronze/pi_timeseries").to_pylist()
    return {row["timestamp"].astimezone(timezone.utc): row["value"] for row in rows if row["tag_name"] == tag}


def hours(lakehouse: Lakehouse, tag: str = "A") -> dict[datetime, tuple[int, float]]:
    """How many events each of the tag's hours has in gold, and their mean."""
    rows = read_delta(f"{lakehouse.directory}/gold/pi_metrics_hourly").to_pylist()
    return {
        row["hour"].astimezone(timezone.utc): (row["event_count"], row["mean_value"])
        for row in rows
        if row["tag_name"] == tag
    }


def hours_of(events: dict[datetime, float]) -> dict[datetime, tuple[int, float]]:
    found: dict[datetime, list[float]] = {}
    for at, value in events.items():
        found.setdefault(at.replace(minute=0), []).append(value)
    return {hour: (len(values), sum(values) / len(values)) for hour, values in found.items()}


def assert_as_on_the_server(lakehouse: Lakehouse, pi: SmallPI, tag: str = "A") -> None:
    assert stored(lakehouse, tag) == pi.events[tag]
    assert hours(lakehouse, tag) == hours_of(pi.events[tag])


@pytest.mark.connect
@pytest.mark.parametrize(
    "changes", [CHANGES[:2], pytest.param(CHANGES[2:], marks=pytest.mark.slow)], ids=["berlin", "elsewhere"]
)
def test_edits_and_deletions_arrive_whenever_the_sessions_clocks_change(
    spark: Any,
    pi: SmallPI,
    lakehouse: Lakehouse,
    monkeypatch: pytest.MonkeyPatch,
    changes: tuple[tuple[str, str], ...],
) -> None:
    options = {**pi.options, "start_time": START.isoformat(), "overlap": "300d"}
    ingest(spark, options, lakehouse)
    assert_as_on_the_server(lakehouse, pi)
    for name, at in changes:
        middle = utc(at)
        pi.now += timedelta(seconds=1)
        # Nothing else changes: the bounds of what is written are these times.
        pi.events["A"][middle + QUARTER] += 1000
        del pi.events["A"][middle + 2 * QUARTER]
        with zone(spark, monkeypatch, name):
            report, overlap = ingest(spark, options, lakehouse)
            assert [report, overlap] == audit.reports(spark, lakehouse, report.stream_id, newest=1)
        assert (report.rows_updated, report.rows_deleted, report.rows_inserted) == (0, 0, 0)
        assert (overlap.rows_updated, overlap.rows_deleted, overlap.rows_inserted) == (1, 1, 0)
        assert (report.window_start, report.window_end) == (pi.now - timedelta(seconds=1), pi.now)
        assert_as_on_the_server(lakehouse, pi)


@pytest.mark.connect
@pytest.mark.parametrize(
    "change",
    [pytest.param(CHANGES[0], id="skipped"), pytest.param(CHANGES[1], id="twice", marks=pytest.mark.slow)],
)
def test_repair_and_backfill_know_the_windows_that_they_are_to_read(
    spark: Any, pi: SmallPI, lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch, change: tuple[str, str]
) -> None:
    name, middle = change[0], utc(change[1])
    begin, pi.now = middle + QUARTER, middle + 3 * QUARTER
    pi.events["B"] = dict(pi.events["A"])
    options = {**pi.options, "start_time": begin.isoformat(), "on_error": "report", "max_retries": "0"}
    wanted = {moment: value for moment, value in pi.events["B"].items() if begin <= moment < pi.now}
    with zone(spark, monkeypatch, name):
        pi.broken = {"B"}
        (report,) = ingest(spark, options, lakehouse)
        assert (report.window_start, report.window_end, report.read_failures) == (begin, pi.now, 1)
        pi.broken = set()
        assert repair(spark, options, lakehouse).repaired == 1
        (failure,) = timestamps.rows(spark.read.table(lakehouse.errors))
        assert (failure["window_start"], failure["window_end"]) == (begin, pi.now)
        assert failure["repaired_at"] is not None
        assert stored(lakehouse, "B") == wanted
        earlier = {**options, "start_time": (middle - QUARTER).isoformat(), "end_time": pi.now.isoformat()}
        assert [step.worked for step in backfill(spark, earlier, lakehouse, piece=QUARTER)] == [0, 1, 2, 3, 4]
        assert [step.worked for step in backfill(spark, earlier, lakehouse, piece=QUARTER)] == [0]
        assert maintain(spark, lakehouse, optimize_every=timedelta(days=1)) == []
        later = datetime.now(timezone.utc) + timedelta(days=1, minutes=1)
        assert lakehouse.bronze in maintain(spark, lakehouse, optimize_every=timedelta(days=1), now=later)
    wanted = {
        moment: value for moment, value in pi.events["B"].items() if middle - QUARTER <= moment < pi.now
    }
    assert stored(lakehouse, "A") == stored(lakehouse, "B") == wanted
    assert hours(lakehouse, "B") == hours_of(wanted)


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_a_session_whose_timestamps_have_no_zone_reads_and_does_not_ingest(
    spark: Any, pi: SmallPI, lakehouse: Lakehouse, tmp_path: Path, ansi: str
) -> None:
    options = {**pi.options, "start_time": START.isoformat()}
    settings = {"spark.sql.timestampType": "TIMESTAMP_NTZ", "spark.sql.ansi.enabled": ansi}
    with session(spark, **settings, **{"spark.sql.session.timeZone": "Europe/Berlin"}):
        for use in (ingest, repair, lambda *given: list(backfill(*given))):
            with pytest.raises(InvalidOption, match="=TIMESTAMP_NTZ, in which Delta cannot"):
                use(spark, options, lakehouse)
        assert not Path(lakehouse.directory or "").exists()
        rows = spark.read.format("pi").options(**options).load()
        assert dict(rows.dtypes)["timestamp"] == "timestamp"
        assert {row["timestamp"]: row["value"] for row in timestamps.rows(rows)} == pi.events["A"]
        stream = spark.readStream.format("pi").options(**options).load()
        writer = stream.writeStream.format("parquet").option("path", str(tmp_path / "rows"))
        writer = writer.option("checkpointLocation", str(tmp_path / "checkpoint"))
        writer.trigger(availableNow=True).start().awaitTermination()
        rows = spark.read.parquet(str(tmp_path / "rows"))
        assert {row["timestamp"]: row["value"] for row in timestamps.rows(rows)} == pi.events["A"]
        # 03:15 in Berlin is 01:15 UTC: what has no zone is in the session's.
        predicate = "timestamp >= TIMESTAMP '2026-03-29 03:15:00' AND timestamp < '2026-03-29T01:45:00Z'"
        some = pi_datasource.read(spark, predicate, url=pi.url, read_mode="streams")
        middle = utc("2026-03-29T02:00")
        assert {row["timestamp"] for row in timestamps.rows(some)} == {
            middle - 3 * QUARTER,
            middle - 2 * QUARTER,
        }


@pytest.mark.parametrize("ansi", ["true", "false"])
def test_tables_are_the_same_whatever_a_session_takes_for_the_same_name(
    spark: Any, pi: SmallPI, lakehouse: Lakehouse, ansi: str
) -> None:
    options = {
        **pi.options,
        "start_time": START.isoformat(),
        "overlap": "300d",
        "tag_pattern": "(?P<Letter>.)",
    }
    settings = {"spark.sql.caseSensitive": "true", "spark.sql.ansi.enabled": ansi}
    with session(spark, **settings, **{"spark.sql.session.timeZone": "Europe/Berlin"}):
        ingest(spark, options, lakehouse)
        middle = utc("2026-03-29T02:00")
        pi.now += timedelta(seconds=1)
        pi.events["A"][middle + QUARTER] += 1000
        del pi.events["A"][middle + 2 * QUARTER]
        _, overlap = ingest(spark, options, lakehouse)
        assert (overlap.rows_updated, overlap.rows_deleted) == (1, 1)
    assert_as_on_the_server(lakehouse, pi)


def test_a_log_of_another_format_changes_nothing(spark: Any, pi: SmallPI, lakehouse: Lakehouse) -> None:
    options = {**pi.options, "start_time": "2026-10-01", "max_window_per_trigger": "30d"}
    ends = [utc("2026-10-01"), utc("2026-10-31"), NOW, NOW + QUARTER]
    with session(spark, **{"spark.sql.streaming.offsetLog.formatVersion": "2"}):
        reports = ingest(spark, options, lakehouse)
        (log,) = Path(lakehouse.checkpoint_root).glob("*/offsets/0")
        assert log.read_text(encoding="utf-8").startswith("v2")
        pi.now += QUARTER
        pi.events["A"][NOW] = 7.0
        reports += ingest(spark, options, lakehouse)
    assert [(report.window_start, report.window_end) for report in reports] == list(pairwise(ends))
    assert stored(lakehouse) == {at: value for at, value in pi.events["A"].items() if at >= ends[0]}


class Vanishing(SmallPI):
    """A tag is deleted as soon as its events have been read."""

    def recorded(self, tag: str, query: dict[str, list[str]]) -> Answer:
        answer = super().recorded(tag, query)
        del self.events[tag]
        return answer


def test_a_micro_batch_that_no_tag_belongs_to_is_recorded(spark: Any, lakehouse: Lakehouse) -> None:
    events = {"A": {NOW - 4 * QUARTER: 1.0}, "B": {NOW - QUARTER: 2.0}}
    with serving(Vanishing(NOW, events)) as pi:
        begins = Path(lakehouse.directory or "").with_name("starts.json")
        begins.write_text(json.dumps({"A": "2026-11-14T23:00:00Z", "B": "2026-11-14T23:40:00Z"}))
        options = {**pi.options, "start_times": str(begins), "max_window_per_trigger": "20m"}
        reports = ingest(spark, options, lakehouse)
    assert [(report.rows_read, report.calls) for report in reports] == [(1, 1), (0, 0), (1, 1)]
    ends = [NOW - timedelta(minutes=minutes) for minutes in (60, 40, 20, 0)]
    assert [(report.window_start, report.window_end) for report in reports] == list(pairwise(ends))


def test_two_selections_are_ingested_at_once_and_one_not_twice(
    spark: Any, pi: SmallPI, lakehouse: Lakehouse
) -> None:
    pi.events["B"] = {at: -value for at, value in pi.events["A"].items()}
    one, two = ({**pi.options, "start_time": START.isoformat(), "tags": tag} for tag in "AB")
    queries = [start(spark, options, lakehouse, every="1 second") for options in (one, two)]
    try:
        with pytest.raises(StreamInUse):
            start(spark, one, lakehouse, every="1 second")
        for query in queries:
            query.processAllAvailable()
    finally:
        for query in queries:
            query.stop()
    assert len({query.name for query in queries}) == 2
    for tag in "AB":
        assert_as_on_the_server(lakehouse, pi, tag)
