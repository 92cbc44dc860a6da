"""The table ``pi_points``: every discovered tag, when it was first and last seen, and whether it has ended.

A tag is identified by its WebID, which survives a rename. It has one row per selection of tags that it belongs to: a tag
that is new in one selection, or waits there for its history, may have been in another one for a long time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import commits, definitions, timestamps
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.model import Point
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

# Precision of `last_seen`; a finer one would rewrite the table at each discovery.
SEEN_EVERY = timedelta(hours=1)
MAX_TAGS_LISTED = 200  # a filter lists up to this many tags, and else only bounds their range
_SERVER_FIELDS = ("tag_name", "point_type", "units", "step", "server_name")
StoredPoints = Mapping[str, Row]
"""Rows of the table by WebID."""


@dataclass(frozen=True)
class Discovery:
    """The points that the options select, as the server listed them at its time ``at``."""

    points: tuple[Point, ...]
    at: datetime


def discover(options: Options) -> Discovery:
    """Asks the server for the selected points; a selected tag that does not exist is left out and is not an error."""
    with PIClient(options) as api:
        servers = data_servers.select(api, options)
        now = data_servers.server_now(servers)
        found = discovery.points(api, servers, options, strict=False, more_fields=("Step",))
    return Discovery(tuple(found), now)


def stored(spark: SparkSession, lakehouse: Lakehouse, selection: str) -> StoredPoints:
    """The rows of a selection."""
    table = spark.read.table(lakehouse.points).where(F.col("selection") == selection)
    return {row["tag_webid"]: row for row in timestamps.rows(table)}


def returned(stored: StoredPoints, found: Discovery) -> dict[Point, datetime]:
    """The points that had ended and are listed again, each with the time when it was last seen."""
    return {
        point: row["last_seen"]
        for point in found.points
        if (row := stored.get(point.web_id)) is not None and row["ended_at"] is not None
    }


def record(
    spark: SparkSession,
    lakehouse: Lakehouse,
    selection: str,
    stored: StoredPoints,
    found: Discovery,
    *,
    fill_new: bool,
) -> None:
    """Writes which tags are new, changed or no longer listed since the last discovery of this selection.

    With ``fill_new``, a tag that is new in a selection recorded before waits for its history (``filled_at`` is null). A
    discovery without any tag ends none: the server probably hides its tags for a moment.
    """
    if not found.points or not _needs_update(stored, found):
        return
    fresh = _to_frame(spark, found.points).withColumn("selection", F.lit(selection))
    now = timestamps.literal(found.at)
    seen = {name: f"s.{name}" for name in (*_SERVER_FIELDS, "selection")}
    seen |= {"last_seen": now, "ended_at": "NULL"}
    filled = "NULL" if fill_new and stored else now
    inserted = {"tag_webid": "s.tag_webid", **seen, "first_seen": now, "filled_at": filled}
    clauses = [
        f"WHEN MATCHED THEN UPDATE SET {', '.join(f't.{name} = {value}' for name, value in seen.items())}",
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(inserted)}) VALUES ({', '.join(inserted.values())})",
        f"WHEN NOT MATCHED BY SOURCE AND t.selection = '{selection}' AND t.ended_at IS NULL "
        f"THEN UPDATE SET t.ended_at = {now}",
    ]
    key = commits.same(("tag_webid", "selection"))
    commits.retry_conflicts(lambda: commits.merge(spark, lakehouse.points, fresh, key, clauses))


def unfilled(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, seen_before: datetime | None = None
) -> set[str]:
    """The WebIDs of tags that wait for their history; with ``seen_before`` only those first seen before that time."""
    table = spark.read.table(lakehouse.points)
    waiting = table.where(
        (F.col("selection") == selection) & F.col("filled_at").isNull() & F.col("ended_at").isNull()
    )
    if seen_before is not None:
        waiting = waiting.where(F.col("first_seen") < timestamps.column(seen_before))
    return {row[0] for row in waiting.select("tag_webid").collect()}


def mark(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, web_ids: Sequence[str], **times: datetime
) -> None:
    """Records ``filled_at`` or ``ended_at`` of these tags of the selection, unless it was recorded before."""
    for name, at in times.items():
        where = f"t.selection = '{selection}' AND t.{name} IS NULL"
        commits.update_tags(spark, lakehouse.points, web_ids, where, {name: timestamps.literal(at)})


def web_ids(spark: SparkSession, ids: Sequence[str]) -> DataFrame:
    """One row ``tag_webid`` per WebID."""
    return spark.createDataFrame(pa.table({"tag_webid": pa.array(ids, pa.string())}))


def tag_filter(web_ids: Sequence[str]) -> Column:
    """Whether a row belongs to one of these tags or, if they are many, lies between the first and the last of them.

    Delta skips the files that hold none of them.
    """
    tag = F.col("tag_webid")
    if len(web_ids) <= MAX_TAGS_LISTED:
        return tag.isin(list(web_ids))
    return tag.between(min(web_ids), max(web_ids))


def _needs_update(stored: StoredPoints, found: Discovery) -> bool:
    """Whether the table would change by more than a newer ``last_seen``, or ``last_seen`` is too old."""
    present = {web_id: row for web_id, row in stored.items() if row["ended_at"] is None}
    if present.keys() != {point.web_id for point in found.points}:
        return True
    oldest = min(row["last_seen"] for row in present.values())
    return found.at - oldest >= SEEN_EVERY or any(
        _server_values(point) != tuple(present[point.web_id][name] for name in _SERVER_FIELDS)
        for point in found.points
    )


def _server_values(point: Point) -> tuple[str | bool | None, ...]:
    return (point.name, point.point_type, point.units, point.step, point.server)


def _to_frame(spark: SparkSession, points: Sequence[Point]) -> DataFrame:
    schema = pa.schema([definitions.POINTS.field(name) for name in ("tag_webid", *_SERVER_FIELDS)])
    rows = [dict(zip(schema.names, (point.web_id, *_server_values(point)), strict=True)) for point in points]
    return spark.createDataFrame(pa.Table.from_pylist(rows, schema))
