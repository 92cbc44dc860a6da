"""From one page of a stream to the next, so that every event comes once: the rule of the reference, section 3. Pure.

Nothing says that an answer was cut but that it is full. The last timestamp of a full page may go on behind it: its events
are held back, and the next page starts there and brings them whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pi_datasource.calls import Cursor
from pi_datasource.errors import UnexpectedReply
from pi_datasource.events import Events, text_of_ticks

_GROWTH = 10  # of a page that one timestamp fills


@dataclass(frozen=True)
class Span:
    """A half-open window in ticks."""

    start: int
    end: int


class Step(NamedTuple):
    """What a page brought: events to deliver, and whether the stream is at its end, goes on, or cannot go on."""

    events: Events
    finished: bool
    failure: str | None = None


def advance(
    cursor: Cursor, page: Events, size: int, *, cut: bool, span: Span, server_limit: int | None
) -> Step:
    """Moves ``cursor`` behind a page of at most ``size`` events, which may have been ``cut``.

    Raises:
        UnexpectedReply: the server's pages do not advance, or their events are out of order.
    """
    cursor.attempts = 0
    if not page.size:
        return Step(page, finished=not cut)
    ticks = page.ticks
    if not cut and span.start <= ticks.item(0) and ticks.item(-1) < span.end:
        return Step(page, finished=True)
    if len(ticks) > 1 and (np.diff(ticks) < 0).any():
        message = (
            f"the server sent the events of {cursor.point.name} out of order, which would lose some of them"
        )
        raise UnexpectedReply(message)
    if cut and ticks[-1] < span.end:
        return _held_back(cursor, page, size, span, server_limit)
    return Step(_within(page, span), finished=True)


def _held_back(cursor: Cursor, page: Events, size: int, span: Span, server_limit: int | None) -> Step:
    last = int(page.ticks[-1])
    keep = int(np.searchsorted(page.ticks, last))
    if keep:
        if last <= cursor.start_ticks:
            message = (
                f"the server's pages of {cursor.point.name} do not advance: {text_of_ticks(last)} after "
                f"{cursor.start}"
            )
            raise UnexpectedReply(message)
        cursor.page_size = 0
    elif server_limit is not None and size >= server_limit:
        return Step(
            page.cut(0, 0),
            finished=True,
            failure=f"at least {size} events share the timestamp {text_of_ticks(last)}, and the server returns no more "
            "in one call; raise its MaxReturnedItemsPerCall",
        )
    else:
        cursor.page_size = min(size * _GROWTH, server_limit or size * _GROWTH)
    cursor.start, cursor.start_ticks = text_of_ticks(last), last
    return Step(_within(page.cut(0, keep), span), finished=False)


def _within(page: Events, span: Span) -> Events:
    """The events in ``[start, end)``: PI's windows include their end, ours do not."""
    first, after = np.searchsorted(page.ticks, (span.start, span.end)).tolist()
    return page.cut(first, after)
