"""How far ingestion has read, and how far back panels look that are about more than the chosen range."""

from __future__ import annotations

from dataclasses import dataclass

from pi_datasource.dashboard.queries import Ask, Query
from pi_datasource.dashboard.selection import HOUR_US
from pi_datasource.schema import PAST_JOBS

__all__ = ["LOOKBACK", "Watermark", "lookback_us", "watermark"]

LOOKBACK_DAYS = 30
LOOKBACK = {"gold": ("lookback", "end")}

# The newest end of a window over all streams, and over what fills in the past. The ledger is small; it is never cut in
# time here, so that a pipeline that stopped a year ago is told as such.
_LIVE = " AND ".join(f"stream_id NOT LIKE '{job} %'" for job in PAST_JOBS)
_WATERMARK = Query(
    f"SELECT unix_micros(max(CASE WHEN {_LIVE} THEN window_end END)) AS streams, "
    "unix_micros(max(window_end)) AS every FROM {ledger}"
)


@dataclass(frozen=True)
class Watermark:
    """The time up to which events have been read: ``read_until_us`` by anything, where no stream has run yet.

    ``stream_us`` is that of the streams alone, which a backfill does not move; both are None before the first run.
    """

    stream_us: int | None
    read_until_us: int | None


def watermark(ask: Ask) -> Watermark:
    """How far the tables go."""
    row = ask.one(_WATERMARK)
    streams, every = (None if row[name] is None else int(row[name]) for name in ("streams", "every"))
    return Watermark(streams, every if streams is None else streams)


def lookback_us(ask: Ask) -> int:
    """The start of the last 30 days before the end of the range, or of the range where that is longer; a whole hour."""
    chosen = ask.selection
    start = min(chosen.start_us, chosen.end_us - LOOKBACK_DAYS * 24 * HOUR_US)
    return max(start, 0) // HOUR_US * HOUR_US
