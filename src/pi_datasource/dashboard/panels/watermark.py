"""How far ingestion has read, and how far back panels look that are about more than the chosen range."""

from __future__ import annotations

from pi_datasource.dashboard.asking import Ask, Query
from pi_datasource.dashboard.selection import HOUR_US

__all__ = ["LOOKBACK", "lookback_us", "watermark_us"]

LOOKBACK_DAYS = 30
LOOKBACK = {"gold": ("lookback", "end")}

# The newest end of a window over all streams. The ledger is small; it is never cut in time here, so that a pipeline
# that stopped a year ago is told as such.
_WATERMARK = Query("SELECT unix_micros(max(window_end)) AS moment FROM {ledger}")


def watermark_us(ask: Ask) -> int | None:
    """The time up to which events have been read, or None before the first run."""
    moment = ask.one(_WATERMARK)["moment"]
    return None if moment is None else int(moment)


def lookback_us(ask: Ask) -> int:
    """The start of the last 30 days before the end of the range, or of the range where that is longer; a whole hour."""
    chosen = ask.selection
    start = min(chosen.start_us, chosen.end_us - LOOKBACK_DAYS * 24 * HOUR_US)
    return max(start, 0) // HOUR_US * HOUR_US
