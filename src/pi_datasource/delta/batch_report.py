"""The rows of the audit table: one window that was read and written, with its counts, duration and lag."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa

from pi_datasource.model import Window
from pi_datasource.schema import BATCH_COUNTS, DONE, FAILED, STREAM, TIMESTAMP
from pi_datasource.webapi.metrics import NONE, RequestMetrics


@dataclass(frozen=True)
class BatchReport:
    """One window of one run; ``(stream_id, batch_id, kind)`` is its key.

    A micro-batch with overlap has two rows: kind ``stream`` for its own window, and ``overlap`` for the one behind it. In
    both, ``rows_read`` are the events read there; in an overlap, all inserted events are late (``rows_late``). Rows of
    versions without ``kind`` have both windows in one, with the events of the overlap in ``rows_reread``.

    What was written (``rows_inserted``, ``rows_updated``, ``rows_deleted``) adds up over replays. ``seconds`` is the last
    attempt's, and so are ``calls``, ``retries`` and ``throttled_seconds``, the cost of reading the events (see
    ``RequestMetrics``). ``lag_seconds`` is how far the window's end was behind the driver's clock when it was written.
    Gold includes every change of bronze up to ``bronze_version``.
    """

    stream_id: str
    batch_id: int
    window_start: datetime
    window_end: datetime
    tags: int
    rows_read: int
    rows_reread: int
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    rows_late: int
    read_failures: int
    calls: int
    retries: int
    throttled_seconds: float
    seconds: float
    lag_seconds: float
    created_at: datetime
    kind: str | None = None
    status: str | None = None
    error: str | None = None
    selection: str | None = None
    server: str | None = None
    run_id: str | None = None
    job_id: str | None = None
    bronze_version: int | None = None

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in BATCH_COUNTS}
        text = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
        kind = "" if self.kind in (None, STREAM) else f" ({self.kind})"
        return (
            f"batch {self.batch_id}{kind} up to {self.window_end:%Y-%m-%d %H:%M:%S} UTC in {self.seconds:.1f} s, "
            f"lag {self.lag_seconds:.0f} s: {self.error or text or 'nothing new'}"
        )


class ReadCounts(NamedTuple):
    """Numbers of events, failed points, tags with events and deleted points of a window; the cost of reading them."""

    rows: int = 0
    failures: int = 0
    tags: int = 0
    deleted: int = 0
    metrics: RequestMetrics = NONE


class WriteCounts(NamedTuple):
    """Numbers of rows that were inserted, updated and deleted; ``late`` is part of those inserted."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    late: int = 0


NOTHING_READ, NOTHING_WRITTEN = ReadCounts(), WriteCounts()


def build_report(  # noqa: PLR0917 - all that a row says
    kind: str,
    stream_id: str,
    batch_id: int,
    window: Window,
    began_s: float,
    written: WriteCounts = NOTHING_WRITTEN,
    read: ReadCounts = NOTHING_READ,
    *,
    selection: str | None = None,
    server: str | None = None,
    run_id: str | None = None,
    job_id: str | None = None,
    bronze_version: int | None = None,
    error: str | None = None,
) -> BatchReport:
    """The row of a window whose work began at ``began_s`` of the monotonic clock and ends now; failed if it has an error."""
    now = datetime.now(timezone.utc)
    return BatchReport(
        stream_id=stream_id,
        batch_id=batch_id,
        window_start=window.start,
        window_end=window.end,
        tags=read.tags,
        rows_read=read.rows,
        rows_reread=0,
        rows_inserted=written.inserted,
        rows_updated=written.updated,
        rows_deleted=written.deleted,
        rows_late=written.late,
        read_failures=read.failures,
        **asdict(read.metrics),
        seconds=time.monotonic() - began_s,
        lag_seconds=(now - window.end).total_seconds(),
        created_at=now,
        kind=kind,
        status=DONE if error is None else FAILED,
        error=error,
        selection=selection,
        server=server,
        run_id=run_id,
        job_id=job_id,
        bronze_version=bronze_version,
    )


@dataclass(frozen=True)
class Run:
    """One start of an ingestion, backfill or repair, as its audit rows name it."""

    selection: str
    server: str
    run_id: str = field(default_factory=lambda: uuid4().hex)

    def report(  # noqa: PLR0917 - all that a row says
        self,
        kind: str,
        stream_id: str,
        batch_id: int,
        window: Window,
        began_s: float,
        written: WriteCounts = NOTHING_WRITTEN,
        read: ReadCounts = NOTHING_READ,
        *,
        bronze_version: int | None = None,
        error: str | None = None,
    ) -> BatchReport:
        """The row of a window of this run, as ``build_report``."""
        return build_report(
            kind,
            stream_id,
            batch_id,
            window,
            began_s,
            written,
            read,
            selection=self.selection,
            server=self.server,
            run_id=self.run_id,
            bronze_version=bronze_version,
            error=error,
        )


def _field(name: str, kind: pa.DataType, comment: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable, {"comment": comment})


SCHEMA = pa.schema(
    [
        _field(
            "stream_id",
            pa.string(),
            "The streaming query, or the job with its selection of tags",
            nullable=False,
        ),
        _field(
            "batch_id",
            pa.int64(),
            "Number of the micro-batch, or of the piece of a job",
            nullable=False,
        ),
        _field("window_start", TIMESTAMP, "Start of the window, included"),
        _field("window_end", TIMESTAMP, "End of the window, not included"),
        _field("tags", pa.int64(), "Tags that have events in the window"),
        _field("rows_read", pa.int64(), "Events that the server returned"),
        _field("rows_reread", pa.int64(), "Events of the overlap, in rows of versions without kind"),
        _field("rows_inserted", pa.int64(), "Events inserted by all attempts"),
        _field("rows_updated", pa.int64(), "Events changed by all attempts"),
        _field("rows_deleted", pa.int64(), "Events deleted by all attempts"),
        _field("rows_late", pa.int64(), "Inserted events that arrived late"),
        _field("read_failures", pa.int64(), "Tags that could not be read"),
        _field("calls", pa.int64(), "HTTP requests, including retries"),
        _field("retries", pa.int64(), "Requests that were sent again"),
        _field("throttled_seconds", pa.float64(), "Time waited for the rate limit or the server's refusals"),
        _field("seconds", pa.float64(), "Duration of the last attempt"),
        _field("lag_seconds", pa.float64(), "How far window_end was behind the clock when it was written"),
        _field("created_at", TIMESTAMP, "When the row was written, by the driver's clock", nullable=False),
        _field(
            "kind",
            pa.string(),
            "stream, overlap, backfill, repair, history or lease; null in rows of older versions",
        ),
        _field("status", pa.string(), "done or failed; of a lease held or released; null is done"),
        _field("error", pa.string(), "Why it failed"),
        _field("selection", pa.string(), "The server and the tags that were selected, as an identifier"),
        _field("server", pa.string(), "Address of PI Web API"),
        _field("run_id", pa.string(), "One per start of an ingestion, backfill or repair"),
        _field("job_id", pa.string(), "The platform's run of a job, where there is one"),
        _field("bronze_version", pa.int64(), "Gold includes the changes of bronze up to this version"),
        _field("expires_at", TIMESTAMP, "When a lease ends unless it is extended"),
    ]
)
