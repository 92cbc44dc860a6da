"""Several writers of one window at once: whoever comes last has the last word, and no event stands twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from mock_server import Plant
from pi_datasource.delta import batch, bronze, gold, repair, timestamps, write
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
    read = site.spark.createDataFrame([old, new], table.schema).persist()
    site.spark.sql(f"DELETE FROM {site.lakehouse.bronze} WHERE {_is(new)}")
    apply = bronze.apply

    def after_another(*arguments: Any) -> None:
        site.spark.sql(f"UPDATE {site.lakehouse.bronze} SET value = value + 1 WHERE {_is(old)}")
        apply(*arguments)

    monkeypatch.setattr(bronze, "apply", after_another)
    write.write(site.spark, site.lakehouse, write.WindowEvents(read, WINDOW, NOW), "a mark", may_repeat=False)
    for row in (old, new):
        assert site.spark.read.table(site.lakehouse.bronze).where(_is(row)).count() == 1


def test_hours_that_another_writer_adds_meanwhile_stay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    table = site.spark.read.table(site.lakehouse.bronze)
    read = site.spark.createDataFrame(table.collect(), table.schema).persist()
    earlier = read.withColumn("timestamp", F.expr("timestamp - INTERVAL 3 HOURS"))
    whole = Window(WINDOW.start - timedelta(hours=3), WINDOW.end)
    merge = gold._merge_hours

    def after_another(*arguments: Any) -> None:
        monkeypatch.setattr(gold, "_merge_hours", merge)
        other = write.WindowEvents(earlier, whole, NOW)
        write.write(site.spark, site.lakehouse, other, "the other", may_repeat=False)
        merge(*arguments)

    monkeypatch.setattr(gold, "_merge_hours", after_another)
    write.write(site.spark, site.lakehouse, write.WindowEvents(read, whole, NOW), "a mark", may_repeat=True)
    assert site.spark.read.table(site.lakehouse.bronze).count() == 2 * read.count()
    site.assert_gold_is_recomputed()


def test_an_hour_that_another_writer_computes_meanwhile_has_the_events_of_both(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = site.spark.read.table(site.lakehouse.bronze)
    read = site.spark.createDataFrame(table.collect(), table.schema).persist()
    earlier = read.withColumn("timestamp", F.expr("timestamp - INTERVAL 3 HOURS"))
    mine, others = (earlier.where(F.abs(F.hash("timestamp")) % 2 == part) for part in (0, 1))
    whole = Window(WINDOW.start - timedelta(hours=3), WINDOW.end)
    computed = gold._compute_hours

    def before_another(*arguments: Any) -> Any:
        rows = computed(*arguments)
        monkeypatch.setattr(gold, "_compute_hours", computed)
        other = write.WindowEvents(others, whole, NOW)
        write.write(site.spark, site.lakehouse, other, "the other", may_repeat=False)
        return rows

    monkeypatch.setattr(gold, "_compute_hours", before_another)
    write.write(site.spark, site.lakehouse, write.WindowEvents(mine, whole, NOW), "a mark", may_repeat=False)
    assert site.spark.read.table(site.lakehouse.bronze).count() == 2 * read.count()
    site.assert_gold_is_recomputed()


@pytest.mark.parametrize("way", [batch, write])
def test_what_another_writer_stores_after_the_server_was_asked_is_no_excess(
    way: ModuleType, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = site.spark.read.table(site.lakehouse.bronze)
    (event,) = table.where(F.col("timestamp") >= NOW - timedelta(minutes=20)).limit(1).collect()
    before, meanwhile = ({**event.asDict(), "sequence": sequence} for sequence in (98, 99))
    write = way.write

    def after_another(*arguments: Any, **named: Any) -> Any:
        _append(site, site.lakehouse.bronze, meanwhile)
        return write(*arguments, **named)

    _append(site, site.lakehouse.bronze, before)
    monkeypatch.setattr(way, "write", after_another)
    if way is batch:
        site.now += timedelta(minutes=5)
        site.ingest(overlap="30m")
    else:
        unread = {"tag_webid": event["tag_webid"], "window_start": WINDOW.start, "window_end": WINDOW.end}
        _append(site, site.lakehouse.errors, unread)
        assert repair(site.spark, site.options, site.lakehouse).repaired == 1
    stored = site.spark.read.table(site.lakehouse.bronze)
    assert [stored.where(_is(row)).count() for row in (before, event, meanwhile)] == [0, 1, 1]


def _append(site: Site, table: str, row: Mapping[str, Any]) -> None:
    schema = site.spark.read.table(table).schema
    rows = site.spark.createDataFrame([tuple(row.get(name) for name in schema.names)], schema)
    rows.write.format("delta").mode("append").saveAsTable(table)


def _is(row: Any) -> str:
    return f"tag_webid = '{row['tag_webid']}' AND timestamp = {timestamps.literal(row['timestamp'])} AND sequence = {row['sequence']}"
