"""Decides which part of the task's window each request asks for, and what follows from the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pi_datasource.errors import ServerError, ServerTimeout
from pi_datasource.recorded.calls import Call, Cursor, Request
from pi_datasource.recorded.events import text_of_ticks
from pi_datasource.recorded.paging import Span
from pi_datasource.recorded.window_parts import SLOW, TOO_LONG, LearnedLength, format_duration
from pi_datasource.webapi.outage import is_temporary

log = logging.getLogger(__name__)

_DIVISOR_FOR_CALLS = 4  # of the length when a whole call was too slow: each try costs a whole time-out


class Windows:
    """The windows of one task's cursors; ``learned`` is shared with other tasks."""

    def __init__(self, span: Span, end: str, learned: LearnedLength) -> None:
        self._span, self._end, self._learned = span, end, learned

    def set_ends(self, cursors: Iterable[Cursor]) -> None:
        """Sets the end of each cursor's next request: that of the window, or of a part of it."""
        for cursor in cursors:
            if cursor.parts.length is None:
                self._learned.apply_to(cursor.parts)
            cursor.end_ticks = cursor.parts.end(cursor.start_ticks, self._span.end)
            cursor.end = self._end if cursor.end_ticks == self._span.end else text_of_ticks(cursor.end_ticks)

    def wanted_span(self, cursor: Cursor) -> Span:
        """The span of time from which events of the current answer are kept."""
        return Span(self._span.start, cursor.end_ticks)

    def record_success(self, cursor: Cursor) -> None:
        """Counts an answered part; the first success of a shorter window is logged, the first of all as a warning."""
        parts = cursor.parts
        if parts.record_success() and parts.length is not None:
            logged, self._learned.logged = self._learned.logged, True
            level = logging.INFO if logged else logging.WARNING
            details = (parts.refusal, format_duration(parts.length))
            log.log(level, "%s: %s; windows are now read in parts of %s", cursor.point.name, *details)

    def advance(self, cursor: Cursor) -> bool:
        """Moves a cursor whose part is complete to the next part; returns False if there is none."""
        if cursor.end_ticks < self._span.end:
            cursor.start, cursor.start_ticks, cursor.page_size = cursor.end, cursor.end_ticks, 0
            return True
        self._learned.learn_from(cursor.parts)
        return False

    def shorten(self, request: Request, status: int, message: str, *, sets: bool) -> bool:
        """Shortens the parts of a refused request; returns False if that does not help or a set must be split first."""
        if status not in TOO_LONG or (sets and not request.cursors[0].parts.doubled):
            return False
        return _shorten(request.cursors, f"HTTP {status} {message}".rstrip(), 2)

    def shorten_all(self, call: Call, error: ServerError) -> bool:
        """Shortens the parts of a call that was too slow as a whole; returns False if they are as short as can be."""
        return _shorten(call.cursors, str(error), _DIVISOR_FOR_CALLS)

    def failure_hint(self, cursor: Cursor) -> str:
        """An addition to the message of a failure that names the part that failed; empty if the window has no parts."""
        if cursor.parts.length is None:
            return ""
        return (
            f"; this was [{cursor.start}, {cursor.end}), and no shorter window was tried: leave it out by 'start_time' "
            "and 'end_time', or leave out the tag"
        )


def is_slow(error: ServerError) -> bool:
    """Whether the server was reached and took too long for the whole call."""
    return (isinstance(error, ServerTimeout) or error.status in SLOW) and not is_temporary(error)


def _shorten(cursors: Iterable[Cursor], refusal: str, divisor: int) -> bool:
    shortened = False
    for cursor in cursors:
        if cursor.parts.shorten(cursor.start_ticks, cursor.end_ticks, refusal, divisor):
            cursor.attempts, shortened = 0, True
    return shortened
