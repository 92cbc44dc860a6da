"""The errors table: one row per tag and window that could not be read, until it is repaired or dismissed.

Rows of a tag that no selection reads any more are dismissed and wait again when the tag returns. A deleted tag does not
return: a tag that returns was hidden, for example from an account without read access to it. For the windows that were
read meanwhile, it gets a row as well.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone

import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import audit, checkpoint, commits, points, timestamps
from pi_datasource.delta.changes import LINEAGE
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.points import Discovery, StoredPoints
from pi_datasource.errors import PointFailure, shown
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import READ_FAILURE
from pi_datasource.spark.partitions import arrow_schema

log = logging.getLogger(__name__)

ABANDONED_AFTER = timedelta(days=7)
"""A selection that no ingestion has read for this long no longer owns its tags."""
UNLISTED = "the server no longer lists the tag: deleted, renamed, or hidden from this account"
DESELECTED = f"no ingestion of the last {ABANDONED_AFTER.days} days selects the tag"
HIDDEN = "the server did not list this tag for a while"
CLOCK_MARGIN = timedelta(hours=1)  # added to the time for which a tag was hidden, because clocks drift
_KEY = ("tag_webid", "window_start", "window_end")


def failures(batch: DataFrame) -> DataFrame:
    """One row of the table for each point and window that could not be read, from the status rows of ``batch``."""
    details = F.from_json("value_string", "window_end string, status int, message string")
    return batch.where(F.col("value_kind") == READ_FAILURE).select(
        "tag_webid",
        "tag_name",
        F.col("timestamp").alias("window_start"),
        details["window_end"].cast(timestamps.TYPE).alias("window_end"),
        *(details[name].alias(name) for name in ("status", "message")),
        *(F.lit(None).cast(timestamps.TYPE).alias(name) for name in ("repaired_at", "dismissed_at")),
        F.lit(None).cast("string").alias("dismissed_reason"),
        F.col(LINEAGE),
    )


def record(spark: SparkSession, lakehouse: Lakehouse, status: DataFrame) -> None:
    """Adds a row for each failure among the status rows of a read; the same failure twice is one row."""
    commits.upsert(spark, lakehouse.errors, failures(status), _KEY)


def record_hidden(
    spark: SparkSession,
    lakehouse: Lakehouse,
    options: Options,
    returned: Mapping[Point, datetime],
    at: datetime,
) -> None:
    """Adds a row for each returned point: all that the stream has read since the point was last seen, or more.

    The values of ``returned`` (last seen) and ``at`` (now) are times of the PI server's clock.
    """
    stream = checkpoint.find_stream_id(spark, lakehouse.checkpoint(options))
    if stream is None:
        return
    now = datetime.now(timezone.utc)  # audit rows have the driver's clock
    read = {
        seen: audit.covered_window(spark, lakehouse, stream, since=now - (at - seen) - CLOCK_MARGIN)
        for seen in set(returned.values())
    }
    missed = {point: window for point, seen in returned.items() if (window := read[seen]) is not None}
    if not missed:
        return
    failed = [PointFailure(point.name, point.web_id, None, f"{HIDDEN}: {missed[point]}") for point in missed]
    message = "%d tag(s) are listed again; 'repair' reads the events they may have missed: %s"
    log.warning(message, len(failed), shown(failed))
    rows = [
        {
            "tag_webid": point.web_id,
            "tag_name": point.name,
            "window_start": window.start,
            "window_end": window.end,
            "message": HIDDEN,
            LINEAGE: now,
        }
        for point, window in missed.items()
    ]
    schema = arrow_schema(spark.read.table(lakehouse.errors).schema)
    commits.upsert(spark, lakehouse.errors, spark.createDataFrame(pa.Table.from_pylist(rows, schema)), _KEY)


def unrepaired(
    spark: SparkSession, lakehouse: Lakehouse, known: Collection[str]
) -> tuple[dict[Window, list[str]], Counter[str]]:
    """The windows to repair with their tags, and the number of waiting rows of each tag that is not ``known``."""
    rows = spark.read.table(lakehouse.errors).where(F.col("repaired_at").isNull())
    windows: dict[Window, list[str]] = {}
    unlisted: Counter[str] = Counter()
    columns = rows.select("tag_webid", "window_start", "window_end", "dismissed_at")
    for tag, start, end, dismissed_at in timestamps.rows(columns):
        if tag in known:
            windows.setdefault(Window(start, end), []).append(tag)
        elif dismissed_at is None:
            unlisted[tag] += 1
    return windows, unlisted


def mark_repaired(spark: SparkSession, lakehouse: Lakehouse, window: Window, tags: Sequence[str]) -> None:
    """Sets ``repaired_at`` of the rows of these tags and exactly this window."""
    if not tags:
        return
    rows = (
        f"t.repaired_at IS NULL AND t.window_start = {timestamps.literal(window.start)} "
        f"AND t.window_end = {timestamps.literal(window.end)}"
    )
    values = {"repaired_at": timestamps.literal(datetime.now(timezone.utc))}
    commits.update_tags(spark, lakehouse.errors, tags, rows, values)


def reasons(rows: Collection[Row], selection: str, unlisted: Collection[str], at: datetime) -> dict[str, str]:
    """Why the error rows of each ``unlisted`` tag can be dismissed; tags that another selection owns are left out.

    ``rows`` are rows of ``pi_points``, ``unlisted`` the WebIDs that ``selection`` does not list at the time ``at``.
    """
    owned = {
        row["tag_webid"]
        for row in rows
        if row["selection"] != selection
        and row["ended_at"] is None
        and at - row["last_seen"] < ABANDONED_AFTER
    }
    mine = {row["tag_webid"] for row in rows if row["selection"] == selection}
    return {tag: UNLISTED if tag in mine else DESELECTED for tag in unlisted if tag not in owned}


def dismiss(
    spark: SparkSession, lakehouse: Lakehouse, selection: str, found: Discovery, unlisted: Collection[str]
) -> Collection[str]:
    """Dismisses the error rows of those ``unlisted`` tags that no selection reads any more; returns these tags.

    A server that lists no tag at all probably hides them for a moment: then nothing is dismissed.
    """
    if not unlisted or not found.points:
        return ()
    table = spark.read.table(lakehouse.points)
    rows = timestamps.rows(table.where(F.col("tag_webid").isin(list(unlisted))))
    dismissed = reasons(rows, selection, unlisted, found.at)
    tags = {why: [tag for tag in dismissed if dismissed[tag] == why] for why in (DESELECTED, UNLISTED)}
    # First, so that the next ingestion that lists such a tag recognizes it as returned.
    points.mark(spark, lakehouse, selection, tags[UNLISTED], ended_at=found.at)
    now = timestamps.literal(datetime.now(timezone.utc))
    waiting = "t.repaired_at IS NULL AND t.dismissed_at IS NULL"
    for reason, ids in tags.items():
        if ids:
            log.warning("the error rows of %d tag(s) no longer wait for repair: %s", len(ids), reason)
            values = {"dismissed_at": now, "dismissed_reason": f"'{reason}'"}
            commits.update_tags(spark, lakehouse.errors, ids, waiting, values)
    return dismissed.keys()


def restore(spark: SparkSession, lakehouse: Lakehouse, stored: StoredPoints, found: Discovery) -> None:
    """Dismissed error rows wait for repair again if the selection lists their tag again or for the first time."""
    returned = {point.web_id for point in found.points if _has_returned(stored, point.web_id, found.at)}
    if not returned:
        return
    dismissed = "repaired_at IS NULL AND dismissed_at IS NOT NULL"
    rows = spark.read.table(lakehouse.errors).where(dismissed).select("tag_webid").distinct().collect()
    tags = sorted({row[0] for row in rows} & returned)
    if tags:
        log.warning("the error rows of %d tag(s) that are selected again wait for repair again", len(tags))
        values = {"dismissed_at": "NULL", "dismissed_reason": "NULL"}
        commits.update_tags(spark, lakehouse.errors, tags, dismissed, values)


def _has_returned(stored: StoredPoints, web_id: str, at: datetime) -> bool:
    row = stored.get(web_id)
    if row is None or row["ended_at"] is not None:
        return True
    last_seen: datetime = row["last_seen"]
    return at - last_seen >= ABANDONED_AFTER
