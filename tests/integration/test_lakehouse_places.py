"""Where tables lie: a Spark session that knows one lakehouse does not write another one's events into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_datasource.delta import Lakehouse, schema_setup
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from tests.integration.support.site import forget

pytestmark = pytest.mark.integration

OPTIONS = Options.parse({"url": "http://127.0.0.1:1/piwebapi"})


@pytest.fixture
def session(spark: Any) -> Iterator[Any]:
    forget(spark)
    yield spark
    forget(spark)


def test_a_second_lakehouse_in_one_session_is_refused_and_the_first_goes_on(
    session: Any, tmp_path: Path
) -> None:
    first, second = (Lakehouse.in_directory(tmp_path / name) for name in ("one lake #1", "another"))
    schema_setup.prepare(session, first, OPTIONS)
    with pytest.raises(InvalidOption, match=r"knows bronze\.pi_timeseries in .*one lake #1.*another session"):
        schema_setup.prepare(session, second, OPTIONS)
    assert not (tmp_path / "another").exists()
    schema_setup.prepare(session, first, OPTIONS)
    assert (tmp_path / "one lake #1" / "bronze" / "pi_timeseries" / "_delta_log").is_dir()


def test_a_tag_pattern_may_name_a_column_like_what_spark_calls_the_place(
    session: Any, tmp_path: Path
) -> None:
    lakehouse = Lakehouse.in_directory(tmp_path)
    options = OPTIONS.model_copy(update={"tag_pattern": r"(?P<Location>\w+)\..*"})
    schema_setup.prepare(session, lakehouse, options)
    schema_setup.prepare(session, lakehouse, options)
    assert "Location" in session.read.table(lakehouse.bronze).columns
