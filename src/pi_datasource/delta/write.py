"""Writes what was read of a window into bronze: an append where nothing is stored, else only the differences.

Reading PI is the expensive part, so it is done once: an append writes the rows as they come, and what has to be compared
is staged first. Stream, overlap, backfill and repair share this path.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation, SparkSession

from pi_datasource.delta import bronze, changes, commits, points, read_summary
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.read_summary import ReadSummary
from pi_datasource.delta.staging import Staging
from pi_datasource.model import Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """What was asked for: the events of these WebIDs in ``window``.

    With ``complete``, what was read replaces what is stored: of the WebIDs that it returns, which were read without a
    failure, stored events that the server no longer has are deleted. They are those of version ``since`` of bronze, the
    latest when the server was asked: an event that another writer has stored later may have reached the server later, too,
    and is kept.
    """

    window: Window
    web_ids: Sequence[str]
    complete: Callable[[ReadSummary], Sequence[str]] | None = None
    since: int | None = None


@dataclass(frozen=True)
class Written:
    """What was read, and the numbers of rows that were inserted, updated and deleted.

    ``appended`` says that one commit has added all of it to a window without events of these tags.
    """

    summary: ReadSummary
    rows: commits.MergedRows
    appended: bool


@dataclass(frozen=True)
class WindowWriter:
    """Writes windows; ``mark`` names the commits in the history of bronze, ``staging`` is the writer's own."""

    spark: SparkSession
    lakehouse: Lakehouse
    staging: Staging
    mark: str

    def write(self, rows: DataFrame, asked: Asked) -> Written:
        """Makes bronze equal to the events among ``rows``, which are read now, for the window and tags of ``asked``.

        It can be repeated: events that an earlier attempt has written are found.
        """
        stored = bronze.nothing_stored(self.spark, self.lakehouse.bronze, asked.window, asked.web_ids)
        if stored is not None:
            try:
                written = self._append(rows, stored)
            except Exception as error:
                if not commits.is_conflict(error):
                    raise
            else:
                if written is not None:
                    return written
            log.info("another writer has committed meanwhile: comparing %s with it", asked.window)
        return self._compare(rows, asked)

    def _append(self, rows: DataFrame, stored: DataFrame) -> Written | None:
        """Appends all rows; None if it was not all of them, because another writer has just stored some."""
        observed = Observation()
        events = bronze.events(rows.observe(observed, *read_summary.aggregates()))
        appended = commits.append_new(events, self.lakehouse.bronze, stored, changes.KEY, self.mark)
        summary = read_summary.parse(observed.get)
        if appended < summary.rows:
            return None
        return Written(summary, commits.MergedRows(appended, 0, 0), appended=appended > 0)

    def _compare(self, rows: DataFrame, asked: Asked) -> Written:
        spark, table = self.spark, self.lakehouse.bronze
        staged = self.staging.write(rows, "rows")
        summary = read_summary.of(staged)
        complete = None if asked.complete is None else points.web_ids(spark, asked.complete(summary))
        stored = bronze.stored_of_tags(spark, table, asked.window, asked.web_ids, asked.since)
        replaced = None if complete is None else asked.window
        diff = self.staging.write(changes.diff(stored, bronze.events(staged), replaced, complete), "changes")
        counts = changes.count(diff)
        if counts.first is not None:
            bronze.apply(spark, table, diff, counts, self.mark)
        return Written(summary, commits.MergedRows(*counts[:3]), appended=False)
