"""Repairs: windows that could not be read are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from pi_datasource.delta import audit, errors_table, lease, points, schema_setup
from pi_datasource.delta.audit import Run
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import WindowRewriter
from pi_datasource.options.declaration import Options
from pi_datasource.schema import REPAIR


@dataclass(frozen=True)
class Repair:
    """Numbers of error rows that were repaired, that still fail, and of those whose tags these options do not select.

    Of the latter, ``without_tag`` still wait, because another selection has their tags, and ``dismissed`` no longer wait,
    because no selection has them. ``rows_inserted`` are events.
    """

    repaired: int
    failing: int
    without_tag: int
    rows_inserted: int
    dismissed: int = 0


def repair(spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse) -> Repair:
    """Reads every unrepaired window of the errors table, and sets ``repaired_at`` of those that could be read.

    Rows of tags that are deleted or no longer selected are dismissed (``dismissed_at``, ``dismissed_reason``). A dismissed
    row waits again once an ingestion lists its tag again, and any repair that selects the tag reads it. Each window adds a
    row to the checkpoint table.

    Raises:
        ConfigurationError: an option is invalid.
        ServerError: the server cannot be reached or denies access.
        StreamInUse: another repair of the same tags is running.
    """
    schema_setup.check_session(spark)
    checked = Options.parse(options).model_copy(update={"on_error": "report"})
    selection = lakehouse.selection(checked)
    with lease.acquire(spark, lakehouse, f"repair-{selection}", "repair"):
        columns = schema_setup.prepare(spark, lakehouse, checked)
        found = points.discover(checked)
        known = {point.web_id: point for point in found.points}
        windows, unlisted = errors_table.unrepaired(spark, lakehouse, known)
        dismissed_tags = errors_table.dismiss(spark, lakehouse, selection, found, unlisted)
        rewriter = WindowRewriter(
            spark, checked, lakehouse, columns, Run(selection, checked.url), REPAIR, f"{REPAIR} {selection}"
        )
        repaired = inserted = 0
        for window, tags in sorted(windows.items(), key=lambda item: item[0].start):
            number = audit.next_batch_id(spark, lakehouse, rewriter.stream_id)
            report, complete = rewriter.rewrite(number, window, [known[tag] for tag in tags], len(tags))
            # Last: an unmarked window is read again and gets another audit row; an unrecorded one would never get any.
            errors_table.mark_repaired(spark, lakehouse, window, complete)
            repaired, inserted = repaired + len(complete), inserted + report.rows_inserted
        asked = sum(len(tags) for tags in windows.values())
        dismissed = sum(count for tag, count in unlisted.items() if tag in dismissed_tags)
        return Repair(repaired, asked - repaired, sum(unlisted.values()) - dismissed, inserted, dismissed)
