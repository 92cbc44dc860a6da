"""Tags that come, get another name and go; the past filled beside the stream; what could not be read, read later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from mock_server import Faults, Plant, running
from oracle_check import compare
from pi_datasource.delta import (
    audit,
    backfill,
    changes,
    checkpoint,
    errors_table,
    lease,
    points,
    repair,
    schema_setup,
)
from pi_datasource.delta.history import fill_new_tags
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.points import Discovery
from pi_datasource.delta.reread import WindowRead
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.write import WindowWriter
from pi_datasource.errors import ReadFailed, StreamInUse
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from tests.integration.support.site import NOW, SETTLE, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", Plant(seed=11, tags=24, plants=2)) as site:
        site.options["start_time"] = (NOW - timedelta(minutes=30)).isoformat()
        yield site


def test_a_new_tags_history_is_filled_by_policy(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.ingest(new_tags="backfill")
    site.ingest(tags="*")  # another selection, which happens to hold the same tags
    created = NOW - timedelta(hours=2)
    new = site.plant.add_points(3, created)  # they have a past when they are first seen
    site.now += timedelta(minutes=5)
    seen = site.now
    with _lease_of(site, "history"):
        site.ingest(new_tags="backfill")
    waiting = [row["tag_name"] for row in site.table("bronze/pi_points").to_pylist() if not row["filled_at"]]
    assert sorted(waiting) == sorted(point.name for point in new)  # one at a time fills them
    options = Options.parse(site.options)
    stream = checkpoint.stream_id(site.spark, site.lakehouse.checkpoint(options))
    with monkeypatch.context() as patched:
        patched.setattr(
            points, "discover", lambda _: Discovery((), seen)
        )  # the server hides them for a moment
        fill_new_tags(site.spark, options, site.lakehouse, stream)
    site.ingest(new_tags="backfill")
    site.assert_bronze_is_exact(NOW - timedelta(minutes=30))
    site.assert_gold_is_recomputed()
    selection = site.lakehouse.selection(options)
    rows = [row for row in site.table("bronze/pi_points").to_pylist() if row["selection"] == selection]
    known = {row["tag_name"]: row for row in rows}
    assert len(rows) == len(known)
    assert set(known) == {point.name for point in site.plant.points}
    for point in new:
        assert known[point.name]["first_seen"] == seen
        assert known[point.name]["filled_at"] is not None
    assert all(row["ended_at"] is None for row in rows)


@pytest.mark.classic_only(
    "what it replaces changes this process, and micro-batches are written in another one"
)
def test_tags_that_come_while_a_run_goes_on_are_noted_by_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, look, new, looks = audit.record, points.discover, [], []

    def counted(options: Options) -> Discovery:
        looks.append(look(options))
        return looks[-1]

    def after_the_first_micro_batch(*arguments: Any, **named: Any) -> None:
        record(*arguments, **named)
        if not new:
            new.extend(site.plant.add_points(8, NOW - timedelta(hours=2)))
            site.now += timedelta(minutes=11)  # so that the stream lists the tags anew

    monkeypatch.setattr(points, "discover", counted)
    monkeypatch.setattr(audit, "record", after_the_first_micro_batch)
    assert len(site.ingest(max_window_per_trigger="15m", new_tags="backfill")) == 2
    assert len(looks) == 3  # at the start, when the stream has found others, and to fill their history
    known = {row["tag_name"]: row for row in site.table("bronze/pi_points").to_pylist()}
    assert set(known) == {point.name for point in site.plant.points}
    assert {known[point.name]["first_seen"] for point in new} == {site.now}
    assert any(known[point.name]["step"] for point in new)
    site.assert_gold_is_recomputed()
    bronze = site.table("bronze/pi_timeseries")
    comparison = compare(site.plant, bronze, NOW - timedelta(minutes=30), NOW - SETTLE, as_of=site.now)
    assert comparison.equal, str(comparison)


@pytest.mark.classic_only(
    "what it replaces changes this process, and micro-batches are written in another one"
)
@pytest.mark.parametrize("listed", [False, True])
def test_what_was_read_without_a_hidden_tag_is_told_and_repaired(
    listed: bool, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = site.plant.points[2]
    if listed:  # hidden between two micro-batches of one run, and back before the tags are listed again
        record = audit.record

        def before_the_second_micro_batch(*arguments: Any, **named: Any) -> None:
            record(*arguments, **named)
            site.plant.catalog.delete(hidden)

        with monkeypatch.context() as patched:
            patched.setattr(audit, "record", before_the_second_micro_batch)
            site.ingest(max_window_per_trigger="15m")
    else:
        site.ingest()
        site.plant.catalog.delete(hidden)
        site.now += timedelta(minutes=5)
        site.ingest()
    assert site.table("bronze/pi_timeseries_errors").num_rows == 0  # for all that is known it was deleted
    site.plant.catalog.restore(hidden)
    site.now += timedelta(minutes=5)
    site.ingest()
    (waiting,) = site.table("bronze/pi_timeseries_errors").to_pylist()
    assert (waiting["tag_name"], waiting["message"]) == (hidden.name, errors_table.HIDDEN)
    done = repair(site.spark, site.options, site.lakehouse)
    assert (done.repaired, done.failing) == (1, 0)
    site.assert_bronze_is_exact(NOW - timedelta(minutes=30))
    site.assert_gold_is_recomputed()


def test_a_backfill_goes_on_where_it_was_stopped_and_changes_nothing_twice(site: Site) -> None:
    site.ingest()
    start = NOW - timedelta(hours=2, minutes=30)
    window = {"start_time": start.isoformat(), "end_time": (NOW - timedelta(minutes=30)).isoformat()}
    options = {**site.options, **window}

    def fill(**how: Any) -> Any:
        return backfill(site.spark, options, site.lakehouse, piece=timedelta(hours=1), **how)

    stopped = fill()
    first, one = next(stopped), next(stopped)
    stopped.close()
    assert (first.done, first.total, one.done) == (0, 3, 1)
    rest = list(fill(newest_first=False))
    assert [(step.done, step.worked) for step in rest] == [(1, 0), (2, 1), (3, 2)]
    assert rest[1].report is not None
    assert rest[1].report.window_start == start  # oldest first
    assert one.report is not None
    assert one.report.window_end == NOW - timedelta(minutes=30)  # newest first
    assert [step.worked for step in fill()] == [0]
    site.assert_bronze_is_exact(start)
    site.assert_gold_is_recomputed()


def test_a_backfill_takes_nothing_away_that_the_stream_has_read_after_it(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(seed=5, tags=8, plants=2, period_s=6.0, changes=0.05)
    read: set[Any] = set()
    streamed: set[Any] = set()
    with site_of(spark, tmp_path / "lake", plant) as site:
        site.options["start_time"] = (NOW - timedelta(minutes=20)).isoformat()

        def after_the_stream(stored: DataFrame, events: DataFrame, *more: Any) -> DataFrame:
            monkeypatch.setattr(changes, "diff", compare)
            read.update(_keys(events.toArrow()))
            site.now += timedelta(minutes=40)  # by now events have come that are late by some minutes
            site.ingest(tags="*")
            streamed.update(_keys(site.table("bronze/pi_timeseries")))
            return compare(stored, events, *more)

        compare = changes.diff
        site.ingest()  # so that the backfill has something to compare with
        monkeypatch.setattr(changes, "diff", after_the_stream)
        assert [step.done for step in backfill(spark, site.options, site.lakehouse)] == [0, 1]
        stored = _keys(site.table("bronze/pi_timeseries"))
    assert any(key[1] < NOW - timedelta(minutes=1) for key in streamed - read)
    assert streamed <= stored


def test_what_could_not_be_read_is_repaired(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = Plant(seed=12, tags=8, plants=2)
    bad = plant.points[3].name
    with site_of(spark, tmp_path / "lake", plant, faults=Faults(points={bad: "500"})) as site:
        site.options["start_time"] = (NOW - timedelta(minutes=30)).isoformat()
        site.options.update({"on_error": "report", "max_retries": "1"})
        (report,) = site.ingest()
        assert report.read_failures > 0
        with running(plant, clock=lambda: site.now) as mended:
            site.options["url"] = mended
            with monkeypatch.context() as patched:
                patched.setattr(audit, "record", _power_cut)
                with pytest.raises(RuntimeError, match="the power went out"):
                    repair(spark, site.options, site.lakehouse)
            busy = pytest.raises(StreamInUse, match="another repair of this server and these tags is running")
            with _lease_of(site, "repair"), busy:
                repair(spark, site.options, site.lakehouse)
            done = repair(spark, site.options, site.lakehouse)
            again = repair(spark, site.options, site.lakehouse)
        assert (done.repaired, done.failing, done.without_tag) == (report.read_failures, 0, 0)
        assert done.rows_inserted > 0
        assert again.repaired == 0
        rows = site.assert_bronze_is_exact(NOW - timedelta(minutes=30))
        audited = site.table("checkpoints/pi_ingestion_checkpoint")
        # What the repair that was cut short has written is told as well.
        assert sum(audited["rows_inserted"].to_pylist()) == rows
        site.assert_gold_is_recomputed()
        errors = site.table("bronze/pi_timeseries_errors").to_pylist()
        assert {row["tag_name"] for row in errors} == {bad}
        assert all(row["repaired_at"] is not None for row in errors)


def test_errors_of_a_deleted_tag_wait_no_longer_until_it_is_back(site: Site) -> None:
    site.ingest()
    hidden, start = site.plant.points[2], NOW - timedelta(minutes=30)
    _note_error(site, hidden.web_id("IDOnly"), start, "before the columns were added")
    site.plant.catalog.delete(hidden)
    done = repair(site.spark, site.options, site.lakehouse)
    assert (done.repaired, done.failing, done.without_tag, done.dismissed) == (0, 0, 0, 1)
    (row,) = site.table("bronze/pi_timeseries_errors").to_pylist()
    assert (row["repaired_at"], row["dismissed_reason"]) == (None, errors_table.UNLISTED)
    assert row["dismissed_at"] is not None
    again = repair(site.spark, site.options, site.lakehouse)
    assert (again.without_tag, again.dismissed) == (0, 0)
    site.plant.catalog.restore(hidden)
    site.now += timedelta(minutes=5)
    site.ingest()
    rows = site.table("bronze/pi_timeseries_errors").to_pylist()
    assert {row["message"] for row in rows} == {"before the columns were added", errors_table.HIDDEN}
    assert all(row["dismissed_at"] is None and row["dismissed_reason"] is None for row in rows)
    done = repair(site.spark, site.options, site.lakehouse)
    assert (done.repaired, done.failing, done.dismissed) == (2, 0, 0)
    site.assert_bronze_is_exact(start)


def test_a_backfill_of_one_tag_leaves_all_others_alone(site: Site) -> None:
    site.ingest()
    point, start = site.plant.points[2], NOW - timedelta(minutes=30)
    options = {**site.options, "tags": point.name, "start_time": start.isoformat()}
    tables = ("bronze/pi_timeseries", "gold/pi_metrics_hourly")
    before = [_files(site, table) for table in tables]
    steps = list(backfill(site.spark, options, site.lakehouse))
    assert steps[-1].report is not None
    assert steps[-1].report.rows_read > 0
    assert [_files(site, table) for table in tables] == before  # nothing has changed, and nothing is written
    web_id = point.web_id("IDOnly")
    site.spark.sql(f"DELETE FROM {site.lakehouse.bronze} WHERE tag_webid = '{web_id}'")
    site.spark.sql(f"UPDATE {site.lakehouse.gold} SET mean_value = -1 WHERE tag_webid = '{web_id}'")
    list(backfill(site.spark, options, site.lakehouse, again=True))
    site.assert_bronze_is_exact(start)
    site.assert_gold_is_recomputed()


def test_a_tag_that_cannot_be_read_is_not_taken_for_one_that_is_gone(spark: Any, tmp_path: Path) -> None:
    plant, larger = (Plant(seed=12, tags=tags, plants=1) for tags in (4, 5))
    hidden = plant.points[1].name  # listed; its events are not, as of one that was deleted
    with site_of(spark, tmp_path / "lake", plant, faults=Faults(points={hidden: "404"})) as site:
        options = Options.parse(site.options)
        found = points.discover(options).points
        gone = msgspec.structs.replace(found[0], web_id=larger.points[4].web_id("IDOnly"), name="GONE")
        columns = schema_setup.prepare(spark, site.lakehouse, options)
        asked, told = [*found, gone], {}
        staging = Staging(site.lakehouse.staging, "a test")
        for on_error in ("fail", "report"):
            checked = options.model_copy(update={"on_error": on_error})
            read = WindowRead(checked, asked, Window(NOW - timedelta(minutes=5), NOW))
            try:
                written = read.replace(WindowWriter(spark, site.lakehouse, staging, "a mark"), columns)
            except ReadFailed as failed:
                told[on_error] = [point.name for point in asked if point.name in str(failed)]
            else:
                outcome = read.outcome(written.summary)
                told[on_error] = [failure.point for failure in outcome.unread]
                whole = set(outcome.complete)
                noted = {row["tag_name"] for row in site.table("bronze/pi_timeseries_errors").to_pylist()}
    assert told == {"fail": [hidden], "report": [hidden]}
    assert noted == {hidden}
    assert whole == {point.web_id for point in found if point.name != hidden}


def test_a_renamed_tag_stays_itself_and_a_deleted_one_ends(spark: Any, tmp_path: Path) -> None:
    start = NOW - timedelta(hours=2)
    plant = Plant(seed=4, tags=24, plants=2, history_start=start, churn=600.0)
    with site_of(spark, tmp_path / "lake", plant) as site:
        site.now = start + timedelta(minutes=10)
        site.options["start_time"] = start.isoformat()
        site.ingest()
        before = {row["tag_webid"]: row for row in site.table("bronze/pi_points").to_pylist()}
        site.now += timedelta(minutes=60)
        plant.advance(site.now)
        site.ingest()
        after = {row["tag_webid"]: row for row in site.table("bronze/pi_points").to_pylist()}
    living = {point.web_id("IDOnly"): point.name for point in plant.points}
    assert {web_id for web_id, row in after.items() if row["ended_at"] is None} == set(living)
    renamed = [
        web_id for web_id in before if web_id in living and before[web_id]["tag_name"] != living[web_id]
    ]
    assert renamed
    for web_id, name in living.items():
        assert after[web_id]["tag_name"] == name
    assert all(after[web_id]["first_seen"] == before[web_id]["first_seen"] for web_id in renamed)
    assert set(before) - set(living)  # some have ended


def _keys(events: pa.Table) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in events.select(["tag_webid", "timestamp", "sequence"]).to_pylist()}


def _note_error(site: Site, web_id: str, start: datetime, message: str) -> None:
    schema = site.spark.read.table(site.lakehouse.errors).schema
    row = {"tag_webid": web_id, "window_start": start, "window_end": NOW, "message": message}
    rows = site.spark.createDataFrame([tuple(row.get(name) for name in schema.names)], schema)
    rows.write.format("delta").mode("append").saveAsTable(site.lakehouse.errors)


def _files(site: Site, table: str) -> set[str]:
    return set(DeltaTable(f"{site.lakehouse.directory}/{table}").file_uris())


def _power_cut(*_: Any, **__: Any) -> None:
    message = "the power went out"
    raise RuntimeError(message)


def _lease_of(site: Site, what: str) -> Lease:
    selection = site.lakehouse.selection(Options.parse(site.options))
    return lease.acquire(site.spark, site.lakehouse, f"{what}-{selection}")
