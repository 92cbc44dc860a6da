"""Hourly metrics of each tag, recomputed from bronze for exactly the hours that have changed since the last refresh."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import (
    bronze_changes,
    commits,
    ddl,
    hourly_metrics,
    neighbours,
    time_weighted,
    timestamps,
)
from pi_datasource.delta.bronze import stored_events
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.staging import Staging
from pi_datasource.model import Window

log = logging.getLogger(__name__)

_KEY = ["tag_webid", "hour"]
_HOUR = time_weighted.HOUR
# Computed at once when everything is; bounds memory and the rows of one commit.
_PIECE = timedelta(days=30)
_FEW_HOURS = 24  # so many hours of all tags fit into the memory of every process
_STORED_MEANWHILE = "hours of these tags were stored while they were computed"


@dataclass(frozen=True)
class Appended:
    """Rows that one commit appended to bronze, all of them new and in no hour before that of ``first``.

    ``first`` and ``last`` are timestamps; ``tags`` are the WebIDs, if few.
    """

    first: datetime
    last: datetime
    tags: Sequence[str] | None


@dataclass(frozen=True)
class _Scope:
    """What to recompute: all hours from ``first`` to ``last`` of tags that satisfy ``tags``, or ``pairs`` among them."""

    first: datetime
    last: datetime
    tags: str
    pairs: DataFrame | None = None

    def hours(self, before: timedelta, after: timedelta, hour: str = "hour") -> str:
        """A condition on ``hour``: from ``before`` the first to ``after`` the last one."""
        low, high = self.first - before, self.last + after
        return f"{hour} >= {timestamps.literal(low)} AND {hour} <= {timestamps.literal(high)}"


def refresh(
    spark: SparkSession,
    lakehouse: Lakehouse,
    staging: Staging,
    since: int | None,
    appended: Appended | None = None,
) -> int:
    """Brings gold up to bronze's latest version and returns that version; rows that are right already are not rewritten.

    ``since`` is the version that gold includes already. Without it, or when the changes since then are no longer stored,
    everything is recomputed.
    """
    latest, since_then = bronze_changes.commits_since(spark, lakehouse.bronze, since)
    if since is None or latest < since:
        _recompute(spark, lakehouse)
    elif appended is not None and since_then is not None and len(since_then) == 1:
        first, last = (_hour_of(moment) for moment in (appended.first, appended.last))
        _refresh(spark, lakehouse, _Scope(first, last, _listed(appended.tags)))
    elif since_then != []:
        _follow(spark, lakehouse, staging, since, latest)
    return latest


def _follow(spark: SparkSession, lakehouse: Lakehouse, staging: Staging, since: int, latest: int) -> None:
    """Recomputes the (tag, hour) pairs of the events that changed after version ``since``."""
    try:
        changed = bronze_changes.stage_pairs(spark, lakehouse.bronze, since, latest, staging)
    except bronze_changes.Unavailable:
        log.warning(
            "the changes of bronze since version %s are no longer stored: all hours are recomputed", since
        )
        log.debug("why the changes cannot be read", exc_info=True)
        _recompute(spark, lakehouse)
        return
    if changed is not None:
        tags = f"tag_webid BETWEEN {ddl.text(changed.low)} AND {ddl.text(changed.high)}"
        _refresh(spark, lakehouse, _Scope(changed.first, changed.last, tags, changed.pairs))


def _recompute(spark: SparkSession, lakehouse: Lakehouse) -> None:
    """Recomputes all hours, from the earliest to the latest: an hour depends on the one before it."""
    span = _PIECE // timedelta(microseconds=1)
    times = spark.read.table(lakehouse.bronze).select(F.col("timestamp").alias("at"))
    times = times.union(spark.read.table(lakehouse.gold).select("hour"))
    pieces = times.select(F.expr(f"unix_micros(at) - pmod(unix_micros(at), {span}) AS piece")).distinct()
    for start in sorted(row["piece"] for row in pieces.collect()):
        first = timestamps.EPOCH + timedelta(microseconds=start)
        _refresh(spark, lakehouse, _Scope(first, first + _PIECE - _HOUR, "true"))


def _refresh(spark: SparkSession, lakehouse: Lakehouse, scope: _Scope) -> None:
    commits.retry_conflicts(lambda: _write(spark, lakehouse, scope))


def _write(spark: SparkSession, lakehouse: Lakehouse, scope: _Scope) -> None:
    near = f"{scope.hours(time_weighted.REACH, time_weighted.REACH)} AND {scope.tags}"
    if spark.read.table(lakehouse.gold).where(near).isEmpty():  # by Delta's statistics, mostly
        nothing = spark.read.table(lakehouse.gold).where("false")
        rows = _compute_hours(spark, lakehouse, scope, nothing).drop("_deleted")
        # Hours that another writer stores meanwhile would have to be updated, and the ones next to them.
        empty = f"{near} AND CASE WHEN {near} THEN raise_error('{_STORED_MEANWHILE}') IS NULL END"
        try:
            commits.append_new(rows, lakehouse.gold, spark.read.table(lakehouse.gold).where(empty), _KEY)
        except Exception as error:
            if _STORED_MEANWHILE not in str(error):
                raise
        else:
            return
    _merge_hours(spark, lakehouse, scope)


def _merge_hours(spark: SparkSession, lakehouse: Lakehouse, scope: _Scope) -> None:
    # Not staged: Delta reads the events after its transaction has begun, so hours that another writer commits later are a
    # conflict, and hours committed earlier contain what is read here.
    rows = _compute_hours(spark, lakehouse, scope, spark.read.table(lakehouse.gold))
    names = [name for name in rows.columns if name != "_deleted"]
    bounds = scope.hours(time_weighted.REACH, time_weighted.REACH, "t.hour")
    clauses = ["WHEN MATCHED AND s._deleted THEN DELETE", *commits.copied(names, "NOT s._deleted")]
    commits.merge(spark, lakehouse.gold, rows, [bounds, *commits.same(_KEY)], clauses)


def _compute_hours(spark: SparkSession, lakehouse: Lakehouse, scope: _Scope, stored: DataFrame) -> DataFrame:
    """The hours of ``scope``, and those next to them, as they should be and are not in ``stored``.

    ``_deleted`` marks stored hours without events.
    """
    # Bounds on the timestamp itself let Delta skip the files of all other hours.
    events = stored_events(spark, lakehouse.bronze, Window(scope.first, scope.last + _HOUR)).where(scope.tags)
    if scope.pairs is not None:
        events = events.withColumn("hour", F.expr(hourly_metrics.HOUR))
        events = events.join(scope.pairs, _KEY, "left_semi").drop("hour")
    steps = _steps(spark, lakehouse)
    fresh = hourly_metrics.metrics(events, steps, few=scope.last - scope.first < _FEW_HOURS * _HOUR)
    names = [name for name in stored.columns if name in {*fresh.columns, *neighbours.LATER_COLUMNS}]
    new = fresh.select(*_KEY, F.struct(*fresh.columns).alias("_new"))
    old = _nearest(stored, scope).select(*_KEY, F.struct(*names).alias("_old"))
    both = new.unionByName(old, allowMissingColumns=True)
    if scope.pairs is None:
        touched = F.expr(scope.hours(timedelta(0), timedelta(0)))
    else:
        both = both.unionByName(scope.pairs.withColumn("_pair", F.lit(True)), allowMissingColumns=True)
        touched = F.coalesce(F.first("_pair", ignorenulls=True), F.lit(False))
    rows = both.repartition("tag_webid").groupBy(
        *_KEY
    )  # not by the key: the next step needs all hours of a tag
    versions = [F.first(name, ignorenulls=True).alias(name) for name in ("_new", "_old")]
    return neighbours.changed_hours(rows.agg(*versions, touched.alias("_touched")), steps, names)


def _steps(spark: SparkSession, lakehouse: Lakehouse) -> DataFrame:
    """Which tags are step tags; a tag has a row for each selection that it belongs to."""
    points = spark.read.table(lakehouse.points).groupBy("tag_webid")
    return F.broadcast(points.agg(F.max_by("step", "last_seen").alias("step")))


def _nearest(stored: DataFrame, scope: _Scope) -> DataFrame:
    """The stored hours in and around the hours of ``scope``, as far as a figure depends on them."""
    stored = stored.where(f"{scope.hours(time_weighted.REACH, time_weighted.REACH)} AND {scope.tags}")
    if scope.pairs is None:
        return stored
    return stored.join(scope.pairs.select("tag_webid"), "tag_webid", "left_semi")


def _hour_of(moment: datetime) -> datetime:
    return moment - (moment - timestamps.EPOCH) % _HOUR


def _listed(tags: Sequence[str] | None) -> str:
    if tags is None:
        return "true"
    return f"tag_webid IN ({', '.join(map(ddl.text, tags))})" if tags else "false"
