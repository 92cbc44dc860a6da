"""What must happen to bronze so that it equals what was just read: rows to insert, to update and to delete."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import timestamps
from pi_datasource.model import Window
from pi_datasource.tables import registry

KEY = registry.TABLES["pi_timeseries"].key
LINEAGE = "ingestion_timestamp"
CHANGE = "_change"
INSERT, UPDATE, DELETE = "insert", "update", "delete"

_READ, _STORED = "_read", "_stored"


class Counts(NamedTuple):
    """How many changes there are, and the first and last of their timestamps."""

    inserted: int
    updated: int
    deleted: int
    late: int
    first: datetime | None
    last: datetime | None

    @property
    def any(self) -> bool:
        """Whether there is anything to write."""
        return self.first is not None


def between(stored: DataFrame, read: DataFrame, replaced: Window | None, tags: DataFrame | None) -> DataFrame:
    """The rows of ``read`` that ``stored`` lacks or holds differently, and the keys that it holds in excess.

    ``read`` takes the place of what is stored of ``tags`` (a column ``tag_webid``) in the window ``replaced``; elsewhere
    it only adds and updates. A row that is stored already, unchanged, is no change: its file is not touched.
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
    change = (
        F.when(F.col(_READ).isNull(), F.lit(DELETE))
        .when(F.col(_STORED).isNull(), F.lit(INSERT))
        .when(differs, F.lit(UPDATE))
    )
    gone = F.col(_READ).isNull()
    if replaced is None or tags is None:
        both = both.where(~gone)
    else:
        both = both.join(
            tags.select(F.col("tag_webid").alias("_asked")), F.col("t.tag_webid") == F.col("_asked"), "left"
        )
        start, end = timestamps.column(replaced.start), timestamps.column(replaced.end)
        inside = (F.col("t.timestamp") >= start) & (F.col("t.timestamp") < end)
        both = both.where(~gone | (inside & F.col("_asked").isNotNull()))
    shaped = [
        F.coalesce(F.col(f"s.`{name}`"), F.col(f"t.`{name}`")).alias(name)
        if name in KEY
        else F.col(f"s.`{name}`").alias(name)
        for name in read.columns
    ]
    return both.select(*shaped, change.alias(CHANGE)).where(F.col(CHANGE).isNotNull())


def counted(changes: DataFrame, window_start: datetime) -> Counts:
    """How many changes there are; an event inserted before ``window_start`` is late."""
    late = (F.col(CHANGE) == INSERT) & (F.col("timestamp") < timestamps.column(window_start))
    totals = changes.agg(
        *(F.count_if(F.col(CHANGE) == kind).alias(kind) for kind in (INSERT, UPDATE, DELETE)),
        F.count_if(late).alias("late"),
        F.min("timestamp").alias("first_at"),
        F.max("timestamp").alias("last_at"),
    )
    (row,) = timestamps.rows(totals)
    return Counts(*row)
