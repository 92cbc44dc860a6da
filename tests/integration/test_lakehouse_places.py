"""Where tables lie: a Spark session that knows one lakehouse does not write another one's events into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mock_server import Plant
from pi_datasource.delta import Lakehouse
from pi_datasource.errors import InvalidOption
from tests.integration.support.site import Site, site_of

pytestmark = pytest.mark.integration


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    with site_of(spark, tmp_path / "one lake #1", Plant(seed=5, tags=4, plants=1)) as site:
        site.options["start_time"] = "*-10m"
        yield site


def test_a_second_lakehouse_in_one_session_is_refused_and_the_first_stays_as_it_is(
    site: Site, tmp_path: Path
) -> None:
    site.ingest()
    rows = site.table("bronze/pi_timeseries").num_rows
    first, site.lakehouse = site.lakehouse, Lakehouse.in_directory(tmp_path / "another")
    with pytest.raises(InvalidOption, match=r"knows bronze\.pi_timeseries in .*one lake #1.*another session"):
        site.ingest()
    assert not (tmp_path / "another" / "bronze").exists()
    site.lakehouse = first
    site.ingest()  # the session that knows the tables may go on with them
    assert site.table("bronze/pi_timeseries").num_rows == rows
