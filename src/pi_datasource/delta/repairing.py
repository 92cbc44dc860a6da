"""Windows that could not be read, read again later."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import bronze, ledger, moments, points, preparing
from pi_datasource.delta.conflicts import retried
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.reading import window_read
from pi_datasource.delta.writing import Reading, write
from pi_datasource.model import Window
from pi_datasource.options import Options
from pi_datasource.schema import REPAIR


@dataclass(frozen=True)
class Repair:
    """What became of the error rows: repaired, failing as before, or of tags that the options select no more."""

    repaired: int
    failing: int
    without_tag: int
    rows_inserted: int


def repair(spark: SparkSession, options: Mapping[str, str], lakehouse: Lakehouse) -> Repair:
    """Reads every window of the errors table that waits for it, and notes in ``repaired_at`` which could be read.

    Each window leaves a row in the checkpoint table.

    Raises:
        ConfigurationError: an option that cannot be used.
        ServerError: the server cannot be reached or does not let us in.
        StreamInUse: another repair of the same tags is running.
    """
    preparing.check_session(spark)
    checked = Options.parse(options).model_copy(update={"on_error": "report"})
    with Lease.take(f"{lakehouse.checkpoint_root}/repair-{lakehouse.selection(checked)}", "repair"):
        return _repaired(spark, checked, lakehouse)


def _repaired(spark: SparkSession, checked: Options, lakehouse: Lakehouse) -> Repair:
    columns = preparing.prepare(spark, lakehouse, checked)
    known = {point.web_id: point for point in points.look(checked).points}
    waiting, without_tag = _waiting(spark, lakehouse, set(known))
    stream = f"{REPAIR} {lakehouse.selection(checked)}"
    repaired = inserted = 0
    for window, tags in sorted(waiting.items(), key=lambda item: item[0].start):
        began = time.monotonic()
        chosen = [known[tag] for tag in tags]
        with window_read(spark, checked, lakehouse, chosen, window, columns) as read:
            number = ledger.next_batch(spark, lakehouse, stream)
            found = Reading.replacing(read, window)
            done = write(spark, lakehouse, found, f"pi-datasource {stream} {number}", may_repeat=True)
            if read.failed:
                bronze.merge_failures(spark, lakehouse.errors, read.failures)
            whole = [row[0] for row in read.whole.collect()]
        report = ledger.report_of(
            stream,
            number,
            window,
            began,
            done,
            tags=len(tags),
            read=read.rows,
            failed=read.failed,
            effort=read.effort,
        )
        ledger.record_piece(spark, lakehouse, report)
        # Last: what was not marked is read again, and has another row then; what was not recorded never had one.
        _mark(spark, lakehouse, window, whole)
        repaired, inserted = repaired + len(whole), inserted + done.inserted
    asked = sum(len(tags) for tags in waiting.values())
    return Repair(repaired, asked - repaired, without_tag, inserted)


def _waiting(
    spark: SparkSession, lakehouse: Lakehouse, known: set[str]
) -> tuple[dict[Window, list[str]], int]:
    rows = spark.read.table(lakehouse.errors).where(F.col("repaired_at").isNull())
    windows: dict[Window, list[str]] = {}
    without_tag = 0
    for tag, start, end in moments.rows(rows.select("tag_webid", "window_start", "window_end")):
        if tag in known:
            windows.setdefault(Window(start, end), []).append(tag)
        else:
            without_tag += 1
    return windows, without_tag


def _mark(spark: SparkSession, lakehouse: Lakehouse, window: Window, tags: list[str]) -> None:
    if not tags:
        return
    chosen = (
        F.col("repaired_at").isNull()
        & (F.col("window_start") == moments.column(window.start))
        & (F.col("window_end") == moments.column(window.end))
        & F.col("tag_webid").isin(tags)
    )
    now = moments.column(datetime.now(timezone.utc))
    retried(lambda: DeltaTable.forName(spark, lakehouse.errors).update(chosen, {"repaired_at": now}))
