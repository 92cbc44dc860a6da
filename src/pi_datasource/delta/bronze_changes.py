"""What has changed in bronze since a version, from its history and its change data feed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import commits, timestamps
from pi_datasource.delta.hourly_metrics import HOUR
from pi_datasource.delta.staging import Staging

_COMMITS = 10  # looked at to see what others did since; more are read from the feed
_WITHOUT_CHANGES = re.compile(
    r"OPTIMIZE|VACUUM|SET TBLPROPERTIES|ADD COLUMNS|CHANGE COLUMN|CLUSTER BY|COMPUTE STATS"
)
# The feed was switched on later, or its files or the log of its versions are deleted; or bronze was replaced.
_UNAVAILABLE = re.compile(
    r"DELTA_(MISSING_CHANGE_DATA|CHANGE_DATA_(FEED_INCOMPATIBLE|FILE_NOT_FOUND)|CHANGE_TABLE_FEED_DISABLED|LOG_FILE_NOT"
    r"|MISSING_FILES|STATE_RECOVER|TABLE_NOT_ON|TRUNCATED|VERSION(S_NOT|_NOT_FOUND)|CANNOT_RECREATE)"
    r"|FILE_NOT_(EXIST|FOUND)|FileNotFoundException|NoSuchFileException|Cannot time travel"
)


class Unavailable(Exception):
    """The changes since a version are not stored, or not any more."""


class ChangedPairs(NamedTuple):
    """The (tag, hour) pairs of changed events; their first and last hour, and their lowest and highest WebID."""

    pairs: DataFrame
    first: datetime
    last: datetime
    low: str
    high: str


def commits_since(spark: SparkSession, table: str, since: int | None) -> tuple[int, Sequence[int] | None]:
    """The latest version of ``table``, and the versions after ``since`` that may change rows (None: unknown)."""
    found = commits.history(spark, table, _COMMITS).select("version", "operation").collect()
    latest = int(found[0]["version"])
    if since is None or since < int(found[-1]["version"]) - 1:
        return latest, None
    newer = [row for row in found if row["version"] > since]
    return latest, [int(row["version"]) for row in newer if not _WITHOUT_CHANGES.match(row["operation"])]


def stage_pairs(
    spark: SparkSession, table: str, since: int, latest: int, staging: Staging
) -> ChangedPairs | None:
    """Writes the pairs of the events that changed after version ``since`` to ``staging``; None if there are none.

    Raises:
        Unavailable: the changes are not stored, or not any more.
    """
    bounds = Observation()
    try:
        feed = (
            spark.read.option("readChangeFeed", "true")
            .option("startingVersion", since + 1)
            .option("endingVersion", latest)
            .table(table)
        )
        pairs = feed.select("tag_webid", F.expr(HOUR).alias("hour")).distinct()
        observed = pairs.observe(
            bounds,
            F.min(F.unix_micros("hour")).alias("first"),
            F.max(F.unix_micros("hour")).alias("last"),
            F.min("tag_webid").alias("low"),
            F.max("tag_webid").alias("high"),
        )
        staged = staging.write(observed, "pairs")
    except Exception as error:
        if _UNAVAILABLE.search(str(error)) is None:
            raise
        raise Unavailable from error
    found = bounds.get
    if found["first"] is None:
        return None
    first, last = (timestamps.EPOCH + timedelta(microseconds=found[name]) for name in ("first", "last"))
    return ChangedPairs(staged, first, last, found["low"], found["high"])
