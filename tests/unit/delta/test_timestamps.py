"""Moments as literals, and types as DDL, that mean the same in every session."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StringType, StructType, TimestampNTZType, TimestampType

from pi_datasource import schema
from pi_datasource.delta import timestamps
from pi_datasource.delta.definitions import TableDefinition
from pi_datasource.delta.table_setup import _check_timestamps
from pi_datasource.errors import InvalidOption


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 29, 2, 30, tzinfo=timezone.utc), "timestamp_ltz'2026-03-29T02:30:00.000000Z'"),
        (
            datetime(2026, 3, 29, 2, 30, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "timestamp_ltz'2026-03-28T20:45:00.000007Z'",
        ),
        (datetime(1, 1, 1, tzinfo=timezone.utc), "timestamp_ltz'0001-01-01T00:00:00.000000Z'"),
    ],
)
def test_a_literal_is_in_utc(moment: datetime, text: str) -> None:
    assert timestamps.literal(moment) == text


def test_types_of_time_are_written_out_at_any_depth() -> None:
    inner = StructType().add("timestamp", TimestampType()).add("n", StringType())
    assert timestamps.sql_type(inner) == "struct<`timestamp`: timestamp_ltz, `n`: string>"
    hours = timestamps.sql_type(from_arrow_schema(schema.hourly()))
    assert hours.count("timestamp_ltz") == 6


def test_a_table_of_wall_clock_times_is_refused_and_a_users_own_column_is_not() -> None:
    table = TableDefinition(
        "`bronze`.`t`", pa.schema({"at": schema.TIMESTAMP, "n": pa.string()}), "", ("at",), ("at",), {}
    )
    stored = StructType().add("At", TimestampNTZType()).add("n", StringType())
    with pytest.raises(InvalidOption, match=r"the column 'At' of bronze\.t holds times without a time zone"):
        _check_timestamps(table, stored)
    _check_timestamps(table, StructType().add("at", TimestampType()).add("own", TimestampNTZType()))
