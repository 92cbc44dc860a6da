"""The watermark of the ingestion, and the lookback of panels that cover more than the selected range."""

from __future__ import annotations

from dataclasses import dataclass

from pi_datasource.dashboard.queries import Query, QueryContext
from pi_datasource.dashboard.selection import HOUR_US
from pi_datasource.schema import PAST_JOBS

__all__ = ["LOOKBACK", "Watermark", "lookback_us", "watermark"]

LOOKBACK_DAYS = 30
LOOKBACK = {"gold": ("lookback", "end")}

# The newest end of a window over the streams alone, and over backfills and the like as well. The ledger is small; this
# does not bound its time, so that a pipeline that stopped a year ago is shown as such.
_LIVE = " AND ".join(f"stream_id NOT LIKE '{job} %'" for job in PAST_JOBS)
_WATERMARK = Query(
    f"SELECT unix_micros(max(CASE WHEN {_LIVE} THEN window_end END)) AS streams, "
    "unix_micros(max(window_end)) AS every FROM {ledger}"
)


@dataclass(frozen=True)
class Watermark:
    """The time up to which events have been read; both are None before the first run.

    ``stream_us`` is that of the streams, which a backfill does not move; ``read_until_us`` is that of backfills where
    no stream has run yet.
    """

    stream_us: int | None
    read_until_us: int | None


def watermark(context: QueryContext) -> Watermark:
    """The watermark from the ledger."""
    row = context.one(_WATERMARK)
    streams, every = (None if row[name] is None else int(row[name]) for name in ("streams", "every"))
    return Watermark(streams, every if streams is None else streams)


def lookback_us(context: QueryContext) -> int:
    """The start of the range or of the 30 days before its end, whichever is earlier; a whole hour."""
    selection = context.selection
    start = min(selection.start_us, selection.end_us - LOOKBACK_DAYS * 24 * HOUR_US)
    return max(start, 0) // HOUR_US * HOUR_US
