"""What was read, into bronze and gold: the one way of stream, backfill and repair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession

from pi_datasource.delta import audit, bronze, changes, gold, points
from pi_datasource.delta.audit import Written
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import Read
from pi_datasource.model import Window

_COMMIT_MARK = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True)
class Reading:
    """Events of ``window`` that were read (persisted: they are looked at more than once).

    Of the points in ``tags`` (a column ``tag_webid``) they are all there is in the window ``replaced``: what is stored
    in excess there is deleted. They are compared with version ``since`` of bronze, the newest when the server was asked:
    what another writer has stored after that may have reached the server after that, too, and is no excess. Events before
    ``late_before`` that were not stored yet are late. ``asked`` are the WebIds that the server was asked for: what is stored
    of other tags is not looked at. None stands for any tag.
    """

    events: DataFrame
    window: Window
    late_before: datetime
    replaced: Window | None = None
    tags: DataFrame | None = None
    since: int | None = None
    asked: tuple[str, ...] | None = None

    @classmethod
    def replacing(cls, read: Read, window: Window) -> Reading:
        """All of ``window`` as it was read, in place of what is stored of its tags."""
        return cls(read.events, window, window.start, window, read.whole, read.since, read.asked)


def write(
    spark: SparkSession, lakehouse: Lakehouse, reading: Reading, mark: str, *, may_repeat: bool
) -> Written:
    """Makes bronze equal to ``reading`` and gold to bronze; says what all attempts marked ``mark`` have written.

    With ``may_repeat`` an earlier attempt may have come as far as bronze and no further: every hour of the window and of the
    tags that were asked for is computed anew, and not just those that change now. Hours that turn out to be as they are
    stored are not written.
    """
    stored = bronze.between(spark, lakehouse.bronze, reading.window, reading.since)
    if reading.asked is not None:
        stored = stored.where(points.among(reading.asked))
    found = changes.between(stored, reading.events, reading.replaced, reading.tags).persist()
    try:
        counts = changes.counted(found, reading.late_before)
        if not (counts.any or may_repeat):
            return Written(0, 0, 0, 0)
        # Held by itself and before bronze changes: a commit of Delta's, be it another writer's, makes Spark compute anew
        # what it cached of the table, and compared with the new bronze nothing differs any more.
        touched = gold.hours_of(found).localCheckpoint()
        if counts.any:
            with _marked(spark, f"{mark} late={counts.late}"):
                bronze.apply(spark, lakehouse.bronze, found, counts)
        if may_repeat:
            known = gold.hours_within(spark, lakehouse, reading.window)
            if reading.asked is not None:
                known = known.where(points.among(reading.asked))
            touched = touched.union(gold.hours_of(reading.events)).union(known).distinct()
        gold.refresh(spark, lakehouse, touched)
    finally:
        found.unpersist()
    if may_repeat:
        return audit.written(spark, lakehouse.bronze, mark)
    return Written(counts.inserted, counts.updated, counts.deleted, counts.late)


@contextmanager
def _marked(spark: SparkSession, mark: str) -> Iterator[None]:
    """Delta notes ``mark`` in the commits made within, so that a replay can find what an earlier attempt wrote."""
    before = spark.conf.get(_COMMIT_MARK, None)
    spark.conf.set(_COMMIT_MARK, mark)
    try:
        yield
    finally:
        if before is None:
            spark.conf.unset(_COMMIT_MARK)
        else:
            spark.conf.set(_COMMIT_MARK, before)
