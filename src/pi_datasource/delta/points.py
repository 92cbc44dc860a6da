"""The table ``pi_points``: every tag as it was discovered, when it was first and last seen, and whether it has ended.

A tag is known by its WebID, which a rename leaves as it is. It has a row for each selection of tags that it belongs to:
what is new in one, or waits there for its history, another one has long had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.pandas.types import from_arrow_schema

from pi_datasource.delta import timestamps
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Point
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

SEEN_EVERY = timedelta(
    hours=1
)  # how exact `last_seen` is; writing it at each look would rewrite the table each time
FEW_TAGS = 200  # so many are listed in a condition; of more, only their range is
_MOMENT = pa.timestamp("us", tz="UTC")
_AS_FOUND = {
    "tag_name": pa.string(),
    "point_type": pa.string(),
    "units": pa.string(),
    "step": pa.bool_(),
    "server_name": pa.string(),
}
SCHEMA = pa.schema(
    [
        pa.field("tag_webid", pa.string()),
        *(pa.field(name, kind) for name, kind in _AS_FOUND.items()),
        pa.field("selection", pa.string()),
        pa.field("first_seen", _MOMENT),
        pa.field("last_seen", _MOMENT),
        pa.field("ended_at", _MOMENT),
        pa.field("filled_at", _MOMENT),
    ]
)
Known = Mapping[str, Row]
"""Rows of the table by WebId."""


@dataclass(frozen=True)
class Discovery:
    """The points that the options select, as the server listed them when its clock showed ``at``."""

    points: tuple[Point, ...]
    at: datetime


def prepare(spark: SparkSession, lakehouse: Lakehouse) -> None:
    """Makes sure that the table exists."""
    lakehouse.table(spark, lakehouse.points, from_arrow_schema(SCHEMA), cluster_by=("tag_webid",))


def look(options: Options) -> Discovery:
    """Asks the server which points there are now; a tag that has gone is left out, and one that is missing is no error."""
    with PIClient(options) as api:
        servers = data_servers.select(api, options)
        now = data_servers.server_now(servers)
        found = discovery.points(api, servers, options, strict=False, more_fields=("Step",))
    return Discovery(tuple(found), now)


def known(spark: SparkSession, lakehouse: Lakehouse, selection: str) -> Known:
    """What is recorded of the tags of a selection."""
    table = spark.read.table(lakehouse.points).where(F.col("selection") == selection)
    return {row["tag_webid"]: row for row in timestamps.rows(table)}


def back(known: Known, found: Discovery) -> dict[Point, datetime]:
    """The points that had ended and are listed again, each with when it had been seen before."""
    return {
        point: known[point.web_id]["last_seen"]
        for point in found.points
        if point.web_id in known and known[point.web_id]["ended_at"] is not None
    }


def record(
    spark: SparkSession,
    lakehouse: Lakehouse,
    selection: str,
    known: Known,
    found: Discovery,
    *,
    fill_new: bool,
) -> None:
    """Writes what is new, different or gone since the last look of this selection.

    A tag that is new in a selection seen before waits for its history (``filled_at`` is null) if ``fill_new``. Finding
    none at all ends none: a server that hides its tags for a moment is likelier than one that lost all of them.
    """
    if not found.points:
        return
    if not _news(known, found):
        return
    first_look = not known
    fresh = _frame(spark, found.points).withColumn("selection", F.lit(selection))
    now, never = timestamps.column(found.at), F.lit(None).cast(timestamps.TYPE)
    filled = never if fill_new and not first_look else now
    given = {name: f"s.{name}" for name in (*_AS_FOUND, "selection")}
    seen = {**given, "last_seen": now, "ended_at": never}
    retried(
        lambda: (
            DeltaTable.forName(spark, lakehouse.points)
            .alias("t")
            .merge(fresh.alias("s"), "t.tag_webid = s.tag_webid AND t.selection = s.selection")
            .whenMatchedUpdate(set=seen)
            .whenNotMatchedInsert(
                values={"tag_webid": "s.tag_webid", **seen, "first_seen": now, "filled_at": filled}
            )
            .whenNotMatchedBySourceUpdate(
                (F.col("t.selection") == selection) & F.col("t.ended_at").isNull(), {"ended_at": now}
            )
            .execute()
        )
    )


def unfilled(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, seen_before: datetime | None = None
) -> set[str]:
    """The WebIDs of tags that wait for their history; with ``seen_before`` only of those first seen before."""
    table = spark.read.table(lakehouse.points)
    waiting = table.where(
        (F.col("selection") == selection) & F.col("filled_at").isNull() & F.col("ended_at").isNull()
    )
    if seen_before is not None:
        waiting = waiting.where(F.col("first_seen") < timestamps.column(seen_before))
    return {row[0] for row in waiting.select("tag_webid").collect()}


def mark_filled(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, web_ids: Sequence[str], at: datetime
) -> None:
    """These tags of the selection wait no longer."""
    chosen = _chosen(selection, web_ids)
    retried(
        lambda: DeltaTable.forName(spark, lakehouse.points).update(
            chosen, {"filled_at": timestamps.column(at)}
        )
    )


def end(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, web_ids: Sequence[str], at: datetime
) -> None:
    """These tags of the selection have ended, as far as they had not."""
    chosen = _chosen(selection, web_ids) & F.col("ended_at").isNull()
    retried(
        lambda: DeltaTable.forName(spark, lakehouse.points).update(
            chosen, {"ended_at": timestamps.column(at)}
        )
    )


def web_ids(spark: SparkSession, points: Sequence[Point]) -> DataFrame:
    """One row ``tag_webid`` per point."""
    return spark.createDataFrame(pa.table({"tag_webid": pa.array([p.web_id for p in points], pa.string())}))


def among(web_ids: Sequence[str]) -> Column:
    """Whether a row is of one of these tags; of many, whether its tag lies between the first and the last of them.

    Delta skips the files that hold none of them.
    """
    tag = F.col("tag_webid")
    if len(web_ids) <= FEW_TAGS:
        return tag.isin(list(web_ids))
    return tag.between(min(web_ids), max(web_ids))


def _chosen(selection: str, web_ids: Sequence[str]) -> Column:
    return (F.col("selection") == selection) & F.col("tag_webid").isin(list(web_ids))


def _news(known: Known, found: Discovery) -> bool:
    """Whether the table would change by more than a fresher ``last_seen``, or that is too old."""
    living = {web_id for web_id, row in known.items() if row["ended_at"] is None}
    if living != {point.web_id for point in found.points}:
        return True
    if any(
        _as_found(point) != tuple(known[point.web_id][name] for name in _AS_FOUND) for point in found.points
    ):
        return True
    oldest = min(known[web_id]["last_seen"] for web_id in living)
    return bool(found.at - oldest >= SEEN_EVERY)


def _as_found(point: Point) -> tuple[str | bool | None, ...]:
    return (point.name, point.point_type, point.units, point.step, point.server)


def _frame(spark: SparkSession, points: Sequence[Point]) -> DataFrame:
    columns = [[point.web_id for point in points], *zip(*map(_as_found, points), strict=True)]
    schema = pa.schema([SCHEMA.field("tag_webid"), *(SCHEMA.field(name) for name in _AS_FOUND)])
    return spark.createDataFrame(
        pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    )
