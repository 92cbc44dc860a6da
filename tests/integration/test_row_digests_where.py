"""``pi_datasource.read(where=…)`` gives the rows that are recorded, as do all reads of tests/digests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pyspark.sql import SparkSession

from tests.digests import recorded
from tests.digests.recorded import Sites
from tests.digests.where import WHERES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with ExitStack() as stack:
        yield Sites(stack)


@pytest.mark.parametrize("name", WHERES)
def test_a_predicate_gives_the_rows_that_are_recorded(spark: SparkSession, name: str, sites: Sites) -> None:
    recorded.assert_unchanged(name, recorded.of_where(name, sites, spark))
