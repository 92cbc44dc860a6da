"""Windows that could not be read, read again later."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import audit, bronze, dismissed_errors, points, schema_setup, timestamps
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.reread import window_read
from pi_datasource.delta.write import Reading, write
from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from pi_datasource.schema import REPAIR


@dataclass(frozen=True)
class Repair:
    """What became of the error rows that wait: repaired, failing as before, or of tags that these options do not select.

    ``without_tag`` are those of such tags that go on waiting, because another selection of tags has them. ``dismissed`` are
    those that no longer wait: no selection has their tags any more.
    """

    repaired: int
    failing: int
    without_tag: int
    rows_inserted: int
    dismissed: int = 0


def repair(spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse) -> Repair:
    """Reads every window of the errors table that is not repaired yet, and notes in ``repaired_at`` which could be read.

    Rows of tags that are deleted or no longer selected are dismissed: ``dismissed_at`` and ``dismissed_reason`` say so. A
    dismissed row waits again as soon as an ingestion lists its tag again, and is read by any repair that selects it. Each window leaves a row in the checkpoint table.

    Raises:
        ConfigurationError: an option that cannot be used.
        ServerError: the server cannot be reached or does not let us in.
        StreamInUse: another repair of the same tags is running.
    """
    schema_setup.check_session(spark)
    checked = Options.parse(options).model_copy(update={"on_error": "report"})
    with Lease.take(f"{lakehouse.checkpoint_root}/repair-{lakehouse.selection(checked)}", "repair"):
        return _repaired(spark, checked, lakehouse)


def _repaired(spark: SparkSession, checked: Options, lakehouse: Lakehouse) -> Repair:
    columns = schema_setup.prepare(spark, lakehouse, checked)
    found = points.look(checked)
    known = {point.web_id: point for point in found.points}
    waiting, unlisted = _waiting(spark, lakehouse, set(known))
    selection = lakehouse.selection(checked)
    dismissed_tags = dismissed_errors.dismiss(spark, lakehouse, selection, found, unlisted)
    stream = f"{REPAIR} {selection}"
    repaired = inserted = 0
    for window, tags in sorted(waiting.items(), key=lambda item: item[0].start):
        began = time.monotonic()
        chosen = [known[tag] for tag in tags]
        with window_read(spark, checked, lakehouse, chosen, window, columns) as read:
            number = audit.next_batch(spark, lakehouse, stream)
            replacing = Reading.replacing(read, window)
            done = write(spark, lakehouse, replacing, f"pi-datasource {stream} {number}", may_repeat=True)
            if read.failed:
                bronze.merge_failures(spark, lakehouse.errors, read.failures)
            whole = [row[0] for row in read.whole.collect()]
        report = audit.report_of(
            stream,
            number,
            window,
            began,
            done,
            tags=len(tags),
            read=read.rows,
            failed=read.failed,
            metrics=read.metrics,
        )
        audit.record_piece(spark, lakehouse, report)
        # Last: what was not marked is read again, and has another row then; what was not recorded never had one.
        _mark(spark, lakehouse, window, whole)
        repaired, inserted = repaired + len(whole), inserted + done.inserted
    asked = sum(len(tags) for tags in waiting.values())
    dismissed = sum(count for tag, count in unlisted.items() if tag in dismissed_tags)
    return Repair(repaired, asked - repaired, sum(unlisted.values()) - dismissed, inserted, dismissed)


def _waiting(
    spark: SparkSession, lakehouse: Lakehouse, known: set[str]
) -> tuple[dict[Window, list[str]], Counter[str]]:
    """The windows to read with their tags, and how many rows wait of each tag that is not ``known``."""
    rows = spark.read.table(lakehouse.errors).where(F.col("repaired_at").isNull())
    windows: dict[Window, list[str]] = {}
    unlisted: Counter[str] = Counter()
    waiting = rows.select("tag_webid", "window_start", "window_end", "dismissed_at")
    for tag, start, end, dismissed_at in timestamps.rows(waiting):
        if tag in known:
            windows.setdefault(Window(start, end), []).append(tag)
        elif dismissed_at is None:
            unlisted[tag] += 1
    return windows, unlisted


def _mark(spark: SparkSession, lakehouse: Lakehouse, window: Window, tags: list[str]) -> None:
    if not tags:
        return
    chosen = (
        F.col("repaired_at").isNull()
        & (F.col("window_start") == timestamps.column(window.start))
        & (F.col("window_end") == timestamps.column(window.end))
        & F.col("tag_webid").isin(tags)
    )
    now = timestamps.column(datetime.now(timezone.utc))
    retried(lambda: DeltaTable.forName(spark, lakehouse.errors).update(chosen, {"repaired_at": now}))
