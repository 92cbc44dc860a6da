"""Which part of the task's window each request asks for, and what follows from its answer, by ``parts``."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pi_datasource.errors import ServerError, ServerTimeout
from pi_datasource.recorded.calls import Call, Cursor, Request
from pi_datasource.recorded.events import text_of_ticks
from pi_datasource.recorded.paging import Span
from pi_datasource.recorded.window_parts import SLOW, TOO_LONG, Memory, duration
from pi_datasource.webapi.outage import is_temporary

log = logging.getLogger(__name__)

_WHOLE_CALL = 4  # divides the length when a whole call was too slow: each try costs a whole time-out


class Windows:
    """The windows of one task's cursors; ``memory`` is shared with other tasks."""

    def __init__(self, span: Span, end: str, memory: Memory) -> None:
        self._span, self._end, self._memory = span, end, memory

    def aim(self, cursors: Iterable[Cursor]) -> None:
        """Sets the end of what each cursor asks for next: that of the window, or of a part of it."""
        for cursor in cursors:
            if cursor.parts.length is None:
                self._memory.recall(cursor.parts)
            cursor.end_ticks = cursor.parts.end(cursor.start_ticks, self._span.end)
            cursor.end = self._end if cursor.end_ticks == self._span.end else text_of_ticks(cursor.end_ticks)

    def asked(self, cursor: Cursor) -> Span:
        """Up to where events are wanted of the present answer."""
        return Span(self._span.start, cursor.end_ticks)

    def worked(self, cursor: Cursor) -> None:
        """Takes note of an answer; the first time that it is one for a shorter window is logged as a warning."""
        parts = cursor.parts
        if parts.worked() and parts.length is not None:
            logged, self._memory.logged = self._memory.logged, True
            level = logging.INFO if logged else logging.WARNING
            words = (parts.refusal, duration(parts.length))
            log.log(level, "%s: %s; windows are now read in parts of %s", cursor.point.name, *words)

    def advance(self, cursor: Cursor) -> bool:
        """Moves a cursor whose part is complete to the next part; False if this was the last one."""
        if cursor.end_ticks < self._span.end:
            cursor.start, cursor.start_ticks, cursor.page_size = cursor.end, cursor.end_ticks, 0
            return True
        self._memory.note(cursor.parts)
        return False

    def shorten(self, request: Request, status: int, message: str, *, sets: bool) -> bool:
        """Whether shorter windows are tried from here on; before that, the streams of a set are asked for alone."""
        if status not in TOO_LONG or (sets and not request.cursors[0].parts.doubled):
            return False
        return _shorten(request.cursors, f"HTTP {status} {message}".rstrip(), 2)

    def shorten_all(self, call: Call, error: ServerError) -> bool:
        """Whether shorter windows are tried from here on, because the whole call was too slow."""
        return _shorten(call.cursors, str(error), _WHOLE_CALL)

    def hint(self, cursor: Cursor) -> str:
        """What to add to the message of a failure: the part that failed, if the window was read in parts."""
        if cursor.parts.length is None:
            return ""
        return (
            f"; this was [{cursor.start}, {cursor.end}), and no shorter window was tried: leave it out by 'start_time' "
            "and 'end_time', or leave out the tag"
        )


def is_slow(error: ServerError) -> bool:
    """Whether the server was reached, and took too long for the whole call."""
    return (isinstance(error, ServerTimeout) or error.status in SLOW) and not is_temporary(error)


def _shorten(cursors: Iterable[Cursor], refusal: str, divisor: int) -> bool:
    shortened = [
        cursor
        for cursor in cursors
        if cursor.parts.shorten(cursor.start_ticks, cursor.end_ticks, refusal, divisor)
    ]
    for cursor in shortened:
        cursor.attempts = 0
    return bool(shortened)
