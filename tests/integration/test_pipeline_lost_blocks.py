"""Spark loses what it held of a read, as with an executor, and reads anew: with another outcome nothing goes unsaid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame

from mock_server import Faults, Plant
from pi_datasource.delta import changes, repair
from tests.integration.support.site import NOW, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

START = NOW - timedelta(minutes=20)
PLANT = Plant(seed=12, tags=4, plants=2)
BAD = PLANT.points[0].name


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def site(spark: Any, tmp_path: Path, faults: Faults) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", PLANT, faults=faults) as site:
        site.options.update({"start_time": START.isoformat(), "on_error": "report", "max_retries": "0"})
        yield site


@pytest.fixture
def lose(site: Site, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on, before events are compared with the stored ones, what was read is lost and a tag fails."""
    compare = changes.diff

    def after_a_loss(stored: DataFrame, read: DataFrame, *more: Any) -> DataFrame:
        assert BAD in {row["tag_name"] for row in read.select("tag_name").distinct().collect()}
        faults.points[BAD] = "500"
        context = site.spark.sparkContext._jsc
        for rdd in context.getPersistentRDDs():
            context.sc().env().blockManager().master().removeRdd(rdd, True)
        return compare(stored, read, *more)

    return lambda: monkeypatch.setattr(changes, "diff", after_a_loss)


def test_a_tag_that_fails_then_is_told_and_repaired(
    site: Site, faults: Faults, lose: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lose()
    (report,) = site.ingest()
    monkeypatch.undo()
    faults.points.clear()
    assert report.read_failures > 0
    done = repair(site.spark, site.options, site.lakehouse)
    assert (done.repaired, done.failing) == (report.read_failures, 0)
    site.assert_bronze_is_exact(START)
    site.assert_gold_is_recomputed()


def test_a_tag_that_fails_then_in_the_overlap_loses_nothing(
    site: Site, faults: Faults, lose: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.ingest()
    site.now += timedelta(minutes=5)
    lose()
    with pytest.raises(StreamingQueryException, match="read again"):
        site.ingest(overlap="10m")
    monkeypatch.undo()
    faults.points.clear()
    site.ingest(overlap="10m")
    site.assert_bronze_is_exact(START)
    site.assert_gold_is_recomputed()
