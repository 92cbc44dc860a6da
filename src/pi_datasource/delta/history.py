"""Backfills: events of the past, read beside the stream in pieces that are each written and recorded once."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import SparkSession

from pi_datasource.delta import audit, lease, points, schema_setup
from pi_datasource.delta.audit import BatchReport, Run
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.reread import WindowRewriter
from pi_datasource.delta.timestamps import EPOCH
from pi_datasource.errors import InvalidOption, StreamInUse
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.schema import BACKFILL, HISTORY
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

PIECE = timedelta(hours=6)


@dataclass(frozen=True)
class BackfillProgress:
    """``done`` of ``total`` pieces; this run has spent ``seconds`` on ``worked`` of them."""

    done: int
    total: int
    worked: int
    seconds: float
    report: BatchReport | None = None

    @property
    def remaining_s(self) -> float | None:
        """The estimated time left at the pace of this run; None before its first piece."""
        return self.seconds / self.worked * (self.total - self.done) if self.worked else None


def backfill(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    piece: timedelta = PIECE,
    newest_first: bool = True,
    again: bool = False,
) -> Iterator[BackfillProgress]:
    """Reads ``start_time`` to ``end_time`` of the tags into the tables; yields its progress after each piece.

    Pieces recorded in the checkpoint table by any run are skipped, unless ``again`` is set: they lack tags that were added
    to the selection since. The stored events of the tags in a piece are replaced. A running ingestion of the same tags is
    not affected.

    Raises:
        ConfigurationError: an option is invalid.
        ReadFailed: with ``on_error="fail"``, a tag could not be read; finished pieces stay.
        StreamInUse: another backfill of the same tags is running.
    """
    schema_setup.check_session(spark)
    checked = Options.parse(options)
    with PIClient(checked) as api:
        servers = data_servers.select(api, checked)
        now = data_servers.server_now(servers)
        chosen = discovery.points(api, servers, checked)
    window = checked.window(now)
    window = Window(window.start, min(window.end, now - checked.settle))
    selection = lakehouse.selection(checked)
    with lease.acquire(spark, lakehouse, f"backfill-{selection}", "backfill") as held:
        columns = schema_setup.prepare(spark, lakehouse, checked)
        stream_id = f"{BACKFILL} {selection} {int(piece.total_seconds())}s"
        rewriter = WindowRewriter(
            spark, checked, lakehouse, columns, Run(selection, checked.url), BACKFILL, stream_id
        )
        for step in _fill(rewriter, chosen, window, piece, newest_first=newest_first, again=again):
            held.check()
            yield step


def fill_new_tags(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    stream_id: str,
    *,
    settled_only: bool = False,
    wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Reads the history of new tags that wait for it, from the stream's start to its present position.

    Beside a running stream, ``settled_only`` leaves out tags that the stream may not read yet: it discovers tags only at
    intervals. This can take longer than the time to the next run: while one process fills the history, others skip it.
    ``wanted`` is asked before each piece; when it returns False, the rest is left to the next call.
    """
    selection = lakehouse.selection(options)
    if not points.unfilled(spark, lakehouse, selection):
        return
    covered = audit.covered_window(spark, lakehouse, stream_id)
    if covered is None:
        return
    seen_before = covered.end - options.discovery_interval if settled_only else None
    if not points.unfilled(spark, lakehouse, selection, seen_before):
        return
    try:
        held = lease.acquire(spark, lakehouse, f"history-{selection}", "filling of new tags' history")
    except StreamInUse as busy:
        log.info("%s", busy)
        return
    with held:
        # Queried again: the previous holder of the lease may have filled them.
        if waiting := points.unfilled(spark, lakehouse, selection, seen_before):
            _fill_waiting(spark, options, lakehouse, waiting, covered, wanted)


def _fill_waiting(  # noqa: PLR0917 - what is read, and until when
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    waiting: set[str],
    window: Window,
    wanted: Callable[[], bool],
) -> None:
    chosen = [point for point in points.discover(options).points if point.web_id in waiting]
    if not chosen:
        return
    # The digest names the tags that are read: pieces recorded under one name must always hold the same tags.
    web_ids = sorted(point.web_id for point in chosen)
    digest = hashlib.sha256(" ".join(web_ids).encode()).hexdigest()[:10]
    selection = lakehouse.selection(options)
    stream_id = f"{HISTORY} {selection} {digest} {int(PIECE.total_seconds())}s"
    columns = schema_setup.read_columns(options)
    rewriter = WindowRewriter(
        spark, options, lakehouse, columns, Run(selection, options.url), HISTORY, stream_id
    )
    for step in _fill(rewriter, chosen, window, PIECE, newest_first=True, again=False):
        if step.done < step.total and not wanted():
            return
    points.mark(spark, lakehouse, selection, web_ids, filled_at=window.end)


def _fill(
    rewriter: WindowRewriter,
    chosen: Sequence[Point],
    window: Window,
    length: timedelta,
    *,
    newest_first: bool,
    again: bool,
) -> Iterator[BackfillProgress]:
    """Rewrites each piece of ``window`` that is not recorded yet, or with ``again`` each piece."""
    every = pieces(window, length)
    spark, lakehouse = rewriter.spark, rewriter.lakehouse
    recorded = {} if again else audit.recorded_windows(spark, lakehouse, rewriter.stream_id, window)
    left = [(number, piece) for number, piece in every if not _covers(recorded.get(number, ()), piece)]
    began, done = time.monotonic(), len(every) - len(left)
    yield BackfillProgress(done, len(every), 0, 0.0)
    for worked, (number, piece) in enumerate(reversed(left) if newest_first else left, 1):
        report, _ = rewriter.rewrite(number, piece, chosen)
        yield BackfillProgress(done + worked, len(every), worked, time.monotonic() - began, report)


def pieces(window: Window, length: timedelta) -> list[tuple[int, Window]]:
    """Cuts ``window`` at multiples of ``length`` since 1970; a piece has the same number in every run.

    Raises:
        InvalidOption: ``length`` is not positive.
    """
    if length <= timedelta(0):
        message = "a piece of a backfill must be longer than 0s"
        raise InvalidOption(message)
    first = (window.start - EPOCH) // length
    last = -((EPOCH - window.end) // length)
    cut = [(n, EPOCH + n * length, EPOCH + (n + 1) * length) for n in range(first, last)]
    return [(n, Window(max(start, window.start), min(end, window.end))) for n, start, end in cut]


def _covers(recorded: Sequence[Window], piece: Window) -> bool:
    return any(window.start <= piece.start and piece.end <= window.end for window in recorded)
