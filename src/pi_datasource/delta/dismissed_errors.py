"""Error rows of tags that nobody reads any more: they stop waiting for repair, and say why, until the tag is back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone

from delta.tables import DeltaTable
from pyspark.sql import Column, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import points, timestamps
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.points import Discovery, Known

log = logging.getLogger(__name__)

ABANDONED_AFTER = timedelta(days=7)
"""A selection of tags that no ingestion has read for so long owns no tag any more."""
UNLISTED = "the server no longer lists the tag: deleted, renamed, or hidden from this account"
DESELECTED = f"no ingestion of the last {ABANDONED_AFTER.days} days selects the tag"


def reasons(rows: Collection[Row], selection: str, unlisted: Collection[str], at: datetime) -> dict[str, str]:
    """Why the error rows of each of the tags ``unlisted`` need not wait; a tag that another selection owns is left out.

    ``rows`` are those of ``pi_points``, ``unlisted`` the WebIds that ``selection`` does not list now, ``at`` the time.
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
    """Dismisses the error rows of tags that no selection reads any more; returns these tags.

    A server that lists no tag at all is likelier to hide them for a moment: then nothing is dismissed.
    """
    if not unlisted or not found.points:
        return ()
    table = spark.read.table(lakehouse.points)
    rows = timestamps.rows(table.where(F.col("tag_webid").isin(list(unlisted))))
    why = reasons(rows, selection, unlisted, found.at)
    # Before that, so that the next ingestion that lists such a tag finds it back.
    points.end(spark, lakehouse, selection, [tag for tag, its in why.items() if its == UNLISTED], found.at)
    now = timestamps.column(datetime.now(timezone.utc))
    for reason in sorted(set(why.values())):
        tags = [tag for tag, its in why.items() if its == reason]
        log.warning("the error rows of %d tag(s) no longer wait for repair: %s", len(tags), reason)
        _update(
            spark,
            lakehouse,
            is_waiting() & F.col("tag_webid").isin(tags),
            {"dismissed_at": now, "dismissed_reason": F.lit(reason)},
        )
    return why.keys()


def restore(spark: SparkSession, lakehouse: Lakehouse, known: Known, found: Discovery) -> None:
    """Error rows that were dismissed wait again if the selection lists their tag again, or for the first time."""
    back = {point.web_id for point in found.points if _is_back(known, point.web_id, found.at)}
    if not back:
        return
    dismissed = F.col("repaired_at").isNull() & F.col("dismissed_at").isNotNull()
    table = spark.read.table(lakehouse.errors).where(dismissed)
    tags = sorted({row[0] for row in table.select("tag_webid").distinct().collect()} & back)
    if not tags:
        return
    log.warning("the error rows of %d tag(s) that are selected again wait for repair again", len(tags))
    nothing = {
        "dismissed_at": F.lit(None).cast(timestamps.TYPE),
        "dismissed_reason": F.lit(None).cast("string"),
    }
    _update(spark, lakehouse, dismissed & F.col("tag_webid").isin(tags), nothing)


def is_waiting() -> Column:
    """Whether an error row waits for repair."""
    return F.col("repaired_at").isNull() & F.col("dismissed_at").isNull()


def _is_back(known: Known, web_id: str, at: datetime) -> bool:
    row = known.get(web_id)
    if row is None or row["ended_at"] is not None:
        return True
    last_seen: datetime = row["last_seen"]
    return at - last_seen >= ABANDONED_AFTER


def _update(spark: SparkSession, lakehouse: Lakehouse, rows: Column, values: Mapping[str, Column]) -> None:
    retried(lambda: DeltaTable.forName(spark, lakehouse.errors).update(rows, dict(values)))
