"""Reads with a predicate, each with a name: `pi_datasource.read(where=…)` needs Spark, unlike all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession

import pi_datasource
from tests.digests.reads import PATTERN, RECENT, REPORTING


@dataclass(frozen=True)
class Where:
    """One read of the rows for which ``predicate`` is true."""

    predicate: str
    options: dict[str, Any]
    site: str = "plain"


def rows(spark: SparkSession, read: Where, url: str) -> pa.Table:
    """What ``read`` gives, in a session whose time zone is UTC."""
    found = pi_datasource.read(spark, read.predicate, url=url, **read.options)
    return found.toArrow()


def _wheres() -> Iterator[tuple[str, Where]]:
    late = "timestamp >= '2026-03-01 05:55:00'"
    yield "where_tag", Where("tag_name = 'NORTH.A1.FLOW_0001.PV'", {**RECENT})
    yield "where_group_and_value", Where("plant = 'NORTH' AND value > 20 AND NOT questionable", {**PATTERN})
    yield "where_time_in_place_of_options", Where(f"{late} AND timestamp < '2026-03-01 05:57:00.5'", {})
    yield "where_time_cuts_options", Where(f"{late} AND sensor_type LIKE '%L%'", {**PATTERN})
    yield (
        "where_either",
        Where(f"(plant = 'HARBOR' AND {late}) OR tag_name IN ('NORTH.A1.FLOW_0001.PV', 'X')", {**PATTERN}),
    )
    columns = {**PATTERN, "columns": ["value", "tag_name"]}
    yield "where_of_columns_not_read", Where(f"plant <> 'NORTH' AND {late} AND good", columns)
    yield "where_failures_pass", Where("plant = 'NORTH' AND value < 100", {**PATTERN, **REPORTING}, "faulty")
    yield "where_never", Where("plant = 'NOWHERE'", {**PATTERN})


WHERES = dict(_wheres())
