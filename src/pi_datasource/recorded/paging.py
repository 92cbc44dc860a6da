"""Pages through a stream so that every event is delivered once: the rule of the reference, section 3. Pure.

Only its size shows that an answer was truncated. The last timestamp of a full page may have more events: those in the page
are held back, and the next page starts at this timestamp and holds all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pi_datasource.recorded.calls import Cursor
from pi_datasource.recorded.events import Events, text_of_ticks

_GROWTH = 10  # of the page size when one timestamp fills a page


@dataclass(frozen=True)
class Span:
    """A half-open window in ticks."""

    start: int
    end: int


class Step(NamedTuple):
    """The events of a page to deliver, and whether the stream has ended, has more pages, or cannot be read on (``failure``)."""

    events: Events
    finished: bool
    failure: str | None = None


def advance(
    cursor: Cursor,
    page: Events,
    size: int,
    *,
    truncated: bool,
    span: Span,
    server_limit: int | None,
    alone: bool = True,
) -> Step:
    """Moves ``cursor`` past an ordered page of at most ``size`` events that may have been ``truncated``.

    ``server_limit`` is the most events that the server returns, None if not known; ``alone`` is false for a page of a stream
    set, in which other streams may have used up the limit.
    """
    cursor.attempts = cursor.unreadable = cursor.group = 0
    if not page.size:
        return Step(page, finished=not truncated)
    ticks = page.ticks
    # A server may ignore the start of the request.
    wanted = Span(max(span.start, cursor.start_ticks), span.end)
    if not truncated and wanted.start <= ticks.item(0) and ticks.item(-1) < wanted.end:
        return Step(page, finished=True)
    if truncated and ticks[-1] < wanted.end:
        at_most = size * _GROWTH if server_limit is None else server_limit
        larger = None if alone and size >= at_most else min(size * _GROWTH, at_most)
        return _hold_back_last_timestamp(cursor, page, size, wanted, larger)
    return Step(_clip(page, wanted), finished=True)


def _hold_back_last_timestamp(
    cursor: Cursor, page: Events, size: int, span: Span, larger: int | None
) -> Step:
    """Delivers all but the last timestamp; ``larger`` is the next page size if that one fills the page, None at the limit."""
    last = int(page.ticks[-1])
    keep = int(np.searchsorted(page.ticks, last))
    failure = None
    if last < cursor.start_ticks or (keep and last == cursor.start_ticks):
        failure = (
            f"the server's pages do not advance: the last event of a full page from {cursor.start} on is at "
            f"{text_of_ticks(last)}"
        )
    elif keep or page.size < size:
        cursor.page_size = 0
    elif larger is not None:
        cursor.page_size = larger
    else:
        failure = (
            f"at least {size} events share the timestamp {text_of_ticks(last)}, and the server returns no more in one "
            "call; raise its MaxReturnedItemsPerCall"
        )
    if failure is not None:
        return Step(page.slice(0, 0), finished=True, failure=failure)
    cursor.start, cursor.start_ticks = text_of_ticks(last), last
    return Step(_clip(page.slice(0, keep), span), finished=False)


def _clip(page: Events, span: Span) -> Events:
    """The events in ``[start, end)``: PI's windows include their end, ours do not."""
    first, after = np.searchsorted(page.ticks, (span.start, span.end)).tolist()
    return page.slice(first, after)
