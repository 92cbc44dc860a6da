"""From one page of a stream to the next, so that every event comes once: the rule of the reference, section 3. Pure.

Nothing says that an answer was cut but that it is full. The last timestamp of a full page may go on behind it: its events
are held back, and the next page starts there and brings them whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pi_datasource.recorded.calls import Cursor
from pi_datasource.recorded.events import Events, text_of_ticks

_GROWTH = 10  # of a page that one timestamp fills


@dataclass(frozen=True)
class Span:
    """A half-open window in ticks."""

    start: int
    end: int


class Step(NamedTuple):
    """What a page brought: events to deliver, and whether the stream is at its end, goes on, or cannot go on (``failure``)."""

    events: Events
    finished: bool
    failure: str | None = None


def advance(
    cursor: Cursor,
    page: Events,
    size: int,
    *,
    cut: bool,
    span: Span,
    server_limit: int | None,
    alone: bool = True,
) -> Step:
    """Moves ``cursor`` behind a page of at most ``size`` events in order, which may have been ``cut``.

    ``server_limit`` is the most events that the server returns, None where it is not known; ``alone`` is false for a page
    that came among those of other streams, which may have used up the limit.
    """
    cursor.attempts = cursor.unreadable = cursor.group = 0
    if not page.size:
        return Step(page, finished=not cut)
    ticks = page.ticks
    # A server may ignore the start that it is asked for.
    wanted = Span(max(span.start, cursor.start_ticks), span.end)
    if not cut and wanted.start <= ticks.item(0) and ticks.item(-1) < wanted.end:
        return Step(page, finished=True)
    if cut and ticks[-1] < wanted.end:
        at_most = size * _GROWTH if server_limit is None else server_limit
        larger = None if alone and size >= at_most else min(size * _GROWTH, at_most)
        return _held_back(cursor, page, size, wanted, larger)
    return Step(_within(page, wanted), finished=True)


def _held_back(cursor: Cursor, page: Events, size: int, span: Span, larger: int | None) -> Step:
    """All but the last timestamp; ``larger`` is the size to ask for where that fills a page, None if there is none."""
    last = int(page.ticks[-1])
    keep = int(np.searchsorted(page.ticks, last))
    if last < cursor.start_ticks or (keep and last == cursor.start_ticks):
        message = (
            f"the server's pages do not advance: the last event of a full page from {cursor.start} on is at "
            f"{text_of_ticks(last)}"
        )
        return Step(page.slice(0, 0), finished=True, failure=message)
    if keep or page.size < size:
        cursor.page_size = 0
    elif larger is not None:
        cursor.page_size = larger
    else:
        return Step(
            page.slice(0, 0),
            finished=True,
            failure=f"at least {size} events share the timestamp {text_of_ticks(last)}, and the server returns no more "
            "in one call; raise its MaxReturnedItemsPerCall",
        )
    cursor.start, cursor.start_ticks = text_of_ticks(last), last
    return Step(_within(page.slice(0, keep), span), finished=False)


def _within(page: Events, span: Span) -> Events:
    """The events in ``[start, end)``: PI's windows include their end, ours do not."""
    first, after = np.searchsorted(page.ticks, (span.start, span.end)).tolist()
    return page.slice(first, after)
