"""Several writers of one window at once: whoever comes last has the last word, and no event stands twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from mock_server import Plant
from pi_datasource.delta import bronze, changes, commits, gold, repair, timestamps
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.write import Asked, WindowWriter, Written
from pi_datasource.model import Window
from tests.integration.support.site import NOW, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]

WINDOW = Window(NOW - timedelta(hours=2), NOW)


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", Plant(seed=5, tags=4, plants=2, period_s=60.0)) as site:
        site.ingest()
        yield site


def test_an_event_that_another_writer_changes_meanwhile_stands_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = site.spark.read.table(site.lakehouse.bronze)
    rows = table.where("value IS NOT NULL").orderBy("timestamp", "tag_webid").collect()
    old, new = rows[0], rows[-1]
    read = site.spark.createDataFrame([old, new], table.schema)
    site.spark.sql(f"DELETE FROM {site.lakehouse.bronze} WHERE {_is(new)}")
    apply = bronze.apply

    def after_another(*arguments: Any) -> None:
        site.spark.sql(f"UPDATE {site.lakehouse.bronze} SET value = value + 1 WHERE {_is(old)}")
        apply(*arguments)

    monkeypatch.setattr(bronze, "apply", after_another)
    _write(site, read, WINDOW)
    for row in (old, new):
        assert site.spark.read.table(site.lakehouse.bronze).where(_is(row)).count() == 1


@pytest.mark.classic_only("its rows come from a UDF that waits, and UDFs are refused")
@pytest.mark.parametrize("same", [True, False], ids=["the same events", "events of other tags"])
def test_a_window_that_another_writer_fills_while_it_is_read_has_every_event_once(
    same: bool, site: Site, tmp_path: Path
) -> None:
    earlier, whole = _earlier(site)
    mine = earlier if same else earlier.where("tag_name LIKE 'NORTH%'")
    others = earlier if same else earlier.where("tag_name NOT LIKE 'NORTH%'")
    begun, go_on = tmp_path / "begun", tmp_path / "go on"

    def slowly(batches: Iterator[Any]) -> Iterator[Any]:
        begun.touch()
        while not go_on.exists():
            time.sleep(0.05)
        yield from batches

    def another() -> None:
        try:
            while not begun.exists():
                time.sleep(0.05)
            _write(site, others, whole)
        finally:
            go_on.touch()

    thread = Thread(target=another)
    thread.start()
    written = _write(site, mine.coalesce(1).mapInArrow(slowly, mine.schema), whole)
    thread.join()
    assert not written.appended  # the commits collide, even if the tags are others: the rows are compared
    stored = site.spark.read.table(site.lakehouse.bronze)
    assert stored.count() == 2 * earlier.count()
    assert stored.select("tag_webid", "timestamp", "sequence").distinct().count() == stored.count()


def test_hours_that_another_writer_adds_meanwhile_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier, whole = _earlier(site)
    mine, others = (earlier.where(F.abs(F.hash("timestamp")) % 2 == part) for part in (0, 1))
    since = bronze.latest_version(site.spark, site.lakehouse.bronze)
    others = site.spark.createDataFrame(others.collect(), earlier.schema)  # as they are now
    merge, append = commits.merge, commits.append_new

    def before(commit: Any) -> Any:
        def after_another(*arguments: Any, **named: Any) -> Any:
            if site.lakehouse.gold not in arguments:
                return commit(*arguments, **named)
            monkeypatch.setattr(commits, "merge", merge)
            monkeypatch.setattr(commits, "append_new", append)
            _write(site, others, whole)
            gold.refresh(site.spark, site.lakehouse, _staging(site, "another"), since)
            return commit(*arguments, **named)

        return after_another

    _write(site, mine, whole)
    monkeypatch.setattr(commits, "merge", before(merge))
    monkeypatch.setattr(commits, "append_new", before(append))
    gold.refresh(site.spark, site.lakehouse, _staging(site), since)
    assert commits.merge is merge  # the other one has written in between
    assert site.spark.read.table(site.lakehouse.bronze).count() == 2 * earlier.count()
    site.assert_gold_is_recomputed()


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(
            "overlap", marks=pytest.mark.classic_only("it changes what this process does in a batch")
        ),
        "repair",
    ],
)
def test_what_another_writer_stores_after_the_server_was_asked_is_no_excess(
    way: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = site.spark.read.table(site.lakehouse.bronze)
    (event,) = table.where(F.col("timestamp") >= NOW - timedelta(minutes=20)).limit(1).collect()
    before, meanwhile = ({**event.asDict(), "sequence": sequence} for sequence in (98, 99))
    compare = changes.diff

    def after_another(*arguments: Any) -> DataFrame:
        monkeypatch.setattr(changes, "diff", compare)
        _append(site, site.lakehouse.bronze, meanwhile)
        return compare(*arguments)

    _append(site, site.lakehouse.bronze, before)
    monkeypatch.setattr(changes, "diff", after_another)
    if way == "overlap":
        site.now += timedelta(minutes=5)
        site.ingest(overlap="30m")
    else:
        unread = {"tag_webid": event["tag_webid"], "window_start": WINDOW.start, "window_end": WINDOW.end}
        _append(site, site.lakehouse.errors, unread)
        assert repair(site.spark, site.options, site.lakehouse).repaired == 1
    stored = site.spark.read.table(site.lakehouse.bronze)
    assert [stored.where(_is(row)).count() for row in (before, event, meanwhile)] == [0, 1, 1]


def _earlier(site: Site) -> tuple[DataFrame, Window]:
    """All events once more, three hours earlier, and the window in which they lie: nothing is stored there."""
    table = site.spark.read.table(site.lakehouse.bronze)
    events = site.spark.createDataFrame(table.collect(), table.schema)
    shifted = events.withColumn("timestamp", F.expr("timestamp - INTERVAL 3 HOURS"))
    return shifted, Window(WINDOW.start - timedelta(hours=3), WINDOW.end - timedelta(hours=3))


def _write(site: Site, rows: DataFrame, window: Window) -> Written:
    web_ids = [point.web_id("IDOnly") for point in site.plant.points]
    return WindowWriter(site.spark, site.lakehouse, _staging(site), "a mark").write(
        rows, Asked(window, web_ids)
    )


def _staging(site: Site, name: str = "writer") -> Staging:
    return Staging(site.lakehouse.staging, f"{name} {threading.get_ident()}")


def _append(site: Site, table: str, row: Mapping[str, Any]) -> None:
    schema = site.spark.read.table(table).schema
    rows = site.spark.createDataFrame([tuple(row.get(name) for name in schema.names)], schema)
    rows.write.format("delta").mode("append").saveAsTable(table)


def _is(row: Any) -> str:
    return f"tag_webid = '{row['tag_webid']}' AND timestamp = {timestamps.literal(row['timestamp'])} AND sequence = {row['sequence']}"
