"""What is compared is read once: a server that fails or changes after the read makes no difference to the batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame

from mock_server import Faults, Plant
from pi_datasource.delta import changes
from tests.integration.support.site import NOW, Site, site_of

# Classic Spark only: in the middle of a micro-batch the tests change their simulator, which is in this process.
pytestmark = [pytest.mark.integration, pytest.mark.slow]

START = NOW - timedelta(minutes=20)
PLANT = Plant(seed=12, tags=4, plants=2)
NAMES = [point.name for point in PLANT.points]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def site(spark: Any, tmp_path: Path, faults: Faults) -> Iterator[Site]:
    with site_of(spark, tmp_path / "lake", PLANT, faults=faults) as site:
        site.options.update({"start_time": START.isoformat(), "max_retries": "0"})
        yield site


@pytest.mark.parametrize("on_error", ["fail", "report"])
def test_all_tags_may_fail_once_the_overlap_is_staged(
    on_error: str, site: Site, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.options["on_error"] = on_error
    site.ingest()
    site.spark.sql(f"DELETE FROM {site.lakehouse.bronze} WHERE tag_name = '{NAMES[0]}'")
    site.now += timedelta(minutes=5)
    compare, compared = changes.diff, []

    def after_the_read(*arguments: Any) -> DataFrame:
        faults.points.update(dict.fromkeys(NAMES, "500"))
        compared.append(compare(*arguments))
        return compared[-1]

    monkeypatch.setattr(changes, "diff", after_the_read)
    stream, overlap = site.ingest(overlap="20m")
    assert len(compared) == 1  # the window itself was appended
    assert stream.read_failures == overlap.read_failures == 0
    assert overlap.rows_inserted > 0  # of the tag that was missing
    site.assert_bronze_is_exact(START)
    site.assert_gold_is_recomputed()


def test_a_window_that_holds_rows_already_is_read_once(
    site: Site, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.ingest(tags=NAMES[0])
    compare = changes.diff

    def after_the_read(*arguments: Any) -> DataFrame:
        faults.points.update(dict.fromkeys(NAMES, "500"))
        return compare(*arguments)

    monkeypatch.setattr(changes, "diff", after_the_read)
    (report,) = site.ingest()
    assert (report.read_failures, report.rows_updated, report.rows_deleted) == (0, 0, 0)
    assert 0 < report.rows_inserted < report.rows_read
    site.assert_bronze_is_exact(START)
    site.assert_gold_is_recomputed()
