"""Events of the past into the tables, beside the stream: in pieces that are each read, written and recorded once."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from pi_datasource.delta import audit, bronze, points, schema_setup
from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import Lease
from pi_datasource.delta.reread import window_read
from pi_datasource.delta.write import Reading, write
from pi_datasource.errors import InvalidOption, StreamInUse
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery
from pi_datasource.schema import BACKFILL, HISTORY
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

PIECE = timedelta(hours=6)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Filled:
    """How far a backfill is: ``done`` of ``total`` pieces; ``seconds`` were spent on the ``worked`` ones of this run."""

    done: int
    total: int
    worked: int
    seconds: float
    report: BatchReport | None = None

    @property
    def remaining_s(self) -> float | None:
        """What is left at the pace of this run; None as long as it has none."""
        return self.seconds / self.worked * (self.total - self.done) if self.worked else None


def backfill(
    spark: SparkSession,
    options: Mapping[str, str],
    lakehouse: Lakehouse,
    *,
    piece: timedelta = PIECE,
    newest_first: bool = True,
    again: bool = False,
) -> Iterator[Filled]:
    """Reads ``start_time`` to ``end_time`` of the tags into the tables, and says after each piece how far it is.

    A piece that the checkpoint table holds is done, whichever run did it, unless ``again``: tags that have come to the
    selection since are not in it. What is stored of the tags in a piece is replaced. A running ingestion of the same tags
    is left alone.

    Raises:
        ConfigurationError: an option that cannot be used.
        ReadFailed: with ``on_error="fail"``, a tag could not be read; what was done before stays.
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
    with Lease.take(f"{lakehouse.checkpoint_root}/backfill-{selection}", "backfill"):
        columns = schema_setup.prepare(spark, lakehouse, checked)
        job = _Job(f"{BACKFILL} {selection}", checked, lakehouse, tuple(chosen), columns)
        yield from job.run(spark, window, piece, newest_first, again)


def fill_new_tags(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    stream_id: str,
    *,
    settled_only: bool = False,
    wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Reads what the tags that wait for it have recorded since the stream's start, up to where the stream stands.

    Beside a running stream, ``settled_only`` leaves out tags that it may not read yet: it keeps its list for a while.
    A history can take longer than the time to the next run: while another one fills it, this one leaves it alone. No
    further piece of it is begun when ``wanted`` no longer holds; the pieces that are left come the next time.
    """
    selection = lakehouse.selection(options)
    if not points.unfilled(spark, lakehouse, selection):
        return
    reach = audit.reach(spark, lakehouse, stream_id)
    if reach is None:
        return
    seen_before = reach.end - options.discovery_interval if settled_only else None
    if not points.unfilled(spark, lakehouse, selection, seen_before):
        return
    try:
        lease = Lease.take(f"{lakehouse.checkpoint_root}/history-{selection}", "filling of new tags' history")
    except StreamInUse as busy:
        log.info("%s", busy)
        return
    with lease:
        # Asked again: whoever had the lease may have filled them.
        if waiting := points.unfilled(spark, lakehouse, selection, seen_before):
            _fill_waiting(spark, options, lakehouse, waiting, reach, wanted)


def _fill_waiting(  # noqa: PLR0917 - as above
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    waiting: set[str],
    reach: Window,
    wanted: Callable[[], bool],
) -> None:
    chosen = tuple(point for point in points.look(options).points if point.web_id in waiting)
    if not chosen:
        return
    # Of those that are read: the pieces recorded under a name must hold the same tags whenever they are looked up.
    web_ids = sorted(point.web_id for point in chosen)
    digest = hashlib.sha256(" ".join(web_ids).encode()).hexdigest()[:10]
    selection = lakehouse.selection(options)
    job = _Job(
        f"{HISTORY} {selection} {digest}", options, lakehouse, chosen, schema_setup.columns_of(options)
    )
    for step in job.run(spark, reach, PIECE, newest_first=True, again=False):
        if step.done < step.total and not wanted():
            return
    points.mark_filled(spark, lakehouse, selection, web_ids, reach.end)


def pieces(window: Window, length: timedelta) -> list[tuple[int, Window]]:
    """``window`` cut at whole multiples of ``length`` since 1970, each piece with its number: the same ones in any run.

    Raises:
        InvalidOption: ``length`` is not positive.
    """
    if length <= timedelta(0):
        message = "a piece of a backfill must be longer than 0s"
        raise InvalidOption(message)
    first = (window.start - _EPOCH) // length
    last = -((_EPOCH - window.end) // length)
    cut = [(n, _EPOCH + n * length, _EPOCH + (n + 1) * length) for n in range(first, last)]
    return [(n, Window(max(start, window.start), min(end, window.end))) for n, start, end in cut]


@dataclass(frozen=True)
class _Job:
    """Some points' past; ``stream_id`` is the name under which its pieces stand in the checkpoint table."""

    stream_id: str
    options: Options
    lakehouse: Lakehouse
    chosen: tuple[Point, ...]
    columns: StructType

    def run(
        self, spark: SparkSession, window: Window, length: timedelta, newest_first: bool, again: bool
    ) -> Iterator[Filled]:
        """Each piece that is not recorded yet, once."""
        whole = pieces(window, length)
        stream = f"{self.stream_id} {int(length.total_seconds())}s"
        known = {} if again else audit.windows(spark, self.lakehouse, stream, window)
        left = [(n, piece) for n, piece in whole if not _covers(known.get(n), piece)]
        began = time.monotonic()
        yield Filled(len(whole) - len(left), len(whole), 0, 0.0)
        for worked, (number, piece) in enumerate(reversed(left) if newest_first else left, 1):
            report = self._fill(spark, stream, number, piece)
            done = len(whole) - len(left) + worked
            yield Filled(done, len(whole), worked, time.monotonic() - began, report)

    def _fill(self, spark: SparkSession, stream: str, number: int, piece: Window) -> BatchReport:
        began = time.monotonic()
        with window_read(spark, self.options, self.lakehouse, self.chosen, piece, self.columns) as read:
            found = Reading.replacing(read, piece)
            mark = f"pi-datasource {stream} {number}"
            # Whether an earlier run died in the middle of this piece is not known.
            done = write(spark, self.lakehouse, found, mark, may_repeat=True)
            if read.failed:
                bronze.merge_failures(spark, self.lakehouse.errors, read.failures)
            tags = read.events.select("tag_webid").distinct().count()
        report = audit.report_of(
            stream,
            number,
            piece,
            began,
            done,
            tags=tags,
            read=read.rows,
            failed=read.failed,
            metrics=read.metrics,
        )
        audit.record_piece(spark, self.lakehouse, report)
        return report


def _covers(known: Sequence[Window] | None, piece: Window) -> bool:
    return any(window.start <= piece.start and piece.end <= window.end for window in known or ())
