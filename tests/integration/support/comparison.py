"""Reading with options, and comparing what came with the oracle."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from mock_server import Plant
from oracle_check import compare


def pi(spark: SparkSession, url: str, schema: str | None = None, **options: Any) -> DataFrame:
    """What ``format("pi")`` reads with ``options``; moments may be given as such."""
    texts = {k: v.isoformat() if isinstance(v, datetime) else str(v) for k, v in options.items()}
    reader = spark.read.format("pi").option("url", url).options(**texts)
    return (reader.schema(schema) if schema else reader).load()


def assert_equals_oracle(
    plant: Plant, rows: DataFrame | pa.Table, start: datetime, end: datetime, tags: list[str] | None = None
) -> int:
    """Fails unless ``rows`` are exactly the events in ``[start, end)``; returns how many there are."""
    table = rows if isinstance(rows, pa.Table) else rows.toArrow()
    result = compare(plant, table, start, end, tags)
    assert result.equal, str(result)
    assert result.rows == table.num_rows
    return result.rows


def same(left: float | None, right: float | None) -> bool:
    """Whether two figures are equal but for the order of a sum."""
    return left == right or (left is not None and right is not None and math.isclose(left, right))
