"""The difference between stored events and those just read: rows to insert, to update and to delete."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import timestamps
from pi_datasource.model import Window
from pi_datasource.tables.timeseries import Timeseries

KEY = Timeseries.key
LINEAGE = "ingestion_timestamp"
CHANGE = "_change"
INSERT, UPDATE, DELETE = "insert", "update", "delete"

_READ, _STORED = "_read", "_stored"


class ChangeCounts(NamedTuple):
    """Numbers of changes, and the first and last of their timestamps (None without changes)."""

    inserted: int
    updated: int
    deleted: int
    first: datetime | None
    last: datetime | None


def diff(stored: DataFrame, read: DataFrame, replaced: Window | None, tags: DataFrame | None) -> DataFrame:
    """The rows of ``read`` that are missing or different in ``stored``, and the keys that must be deleted there.

    In the window ``replaced``, ``read`` holds all events of ``tags`` (a column ``tag_webid``): stored events that it lacks
    are deleted. Elsewhere it only inserts and updates. An unchanged row is not a change: its file is not rewritten.
    """
    compared = [name for name in read.columns if name not in (*KEY, LINEAGE) and name in stored.columns]
    both = read.withColumn(_READ, F.lit(True)).alias("s")
    both = both.join(
        stored.select(*KEY, *compared).withColumn(_STORED, F.lit(True)).alias("t"),
        [F.col(f"s.{name}") == F.col(f"t.{name}") for name in KEY],
        "full_outer",
    )
    differs = F.lit(False)
    for name in compared:
        differs = differs | ~F.col(f"s.`{name}`").eqNullSafe(F.col(f"t.`{name}`"))
    missing = F.col(_READ).isNull()
    change = (
        F.when(missing, F.lit(DELETE))
        .when(F.col(_STORED).isNull(), F.lit(INSERT))
        .when(differs, F.lit(UPDATE))
    )
    if replaced is None or tags is None:
        both = both.where(~missing)
    else:
        both = both.join(
            tags.select(F.col("tag_webid").alias("_asked")), F.col("t.tag_webid") == F.col("_asked"), "left"
        )
        both = both.where(
            ~missing | (timestamps.within("t.timestamp", replaced) & F.col("_asked").isNotNull())
        )
    columns = [
        F.coalesce(F.col(f"s.`{name}`"), F.col(f"t.`{name}`")).alias(name)
        if name in KEY
        else F.col(f"s.`{name}`").alias(name)
        for name in read.columns
    ]
    return both.select(*columns, change.alias(CHANGE)).where(F.col(CHANGE).isNotNull())


def count(changes: DataFrame) -> ChangeCounts:
    """Counts the changes of ``diff``."""
    totals = changes.agg(
        *(F.count_if(F.col(CHANGE) == kind).alias(kind) for kind in (INSERT, UPDATE, DELETE)),
        F.min("timestamp").alias("first_at"),
        F.max("timestamp").alias("last_at"),
    )
    (row,) = timestamps.rows(totals)
    return ChangeCounts(*row)
