"""Finds the tag that makes whole answers unreadable, by splitting calls in half until the tag is alone. Pure.

A value that no JSON parser accepts makes the answers for all tags of its call unreadable; so does a server in trouble, for a
while. A call is therefore sent again unchanged, once, and then as two halves, after everything else that waits: answers that
can be read meanwhile show that the server works, and that the tag is the cause.
"""

from __future__ import annotations

import itertools
from enum import Enum

from pi_datasource.recorded.calls import Call, Cursor

# Consecutive unreadable answers beyond the retries before the server is the cause: several tags of a call may be bad.
_MOST_DAMAGED, _MOST_NOT_JSON = 32, 8


class Cause(Enum):
    """What makes an answer unreadable."""

    UNKNOWN = "not known yet"
    TAG = "the only tag of the call"
    SERVER = "the server"


class Bisection:
    """The unreadable answers of one task."""

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries
        self._consecutive = self._readable = 0
        self._groups = itertools.count(1)
        # By WebId: the answers that were readable before the first one with this tag that was not.
        self._readable_before: dict[str, int] = {}
        self._is_first = False

    def record_readable(self) -> None:
        """Counts an answer that could be read."""
        self._consecutive = 0
        self._readable += 1

    def diagnose(self, call: Call, *, is_json: bool) -> Cause:
        """Returns the cause of an unreadable answer; while it is unknown, the cursors are grouped for their next calls.

        ``is_json`` is true for an answer that begins as a batch reply does. Any other answer, such as a proxy's page, is
        blamed on a tag only if other answers have been readable since.
        """
        cursors = call.cursors
        self._consecutive += 1
        attempts = max(cursor.unreadable for cursor in cursors) + 1
        self._is_first = attempts == 1
        for cursor in cursors:
            cursor.unreadable = attempts
            if attempts == 1 or cursor.point.web_id not in self._readable_before:
                self._readable_before[cursor.point.web_id] = self._readable
        if len(cursors) == 1 and not call.sets and attempts > self._max_retries:
            server_works = self._readable > self._readable_before[cursors[0].point.web_id]
            return Cause.TAG if is_json or server_works else Cause.SERVER
        if self._consecutive > self._max_retries + (_MOST_DAMAGED if is_json else _MOST_NOT_JSON):
            return Cause.SERVER
        if attempts > min(1, self._max_retries) and (len(cursors) > 1 or call.sets):
            self._split(cursors)
        return Cause.UNKNOWN

    def pause_attempt(self) -> int | None:
        """The attempt to pass to ``PIClient.pause`` after an unreadable answer; None if no pause is needed.

        A server in trouble needs time; one that has just answered another call does not.
        """
        needed = (self._is_first or self._consecutive > 1) and self._consecutive <= self._max_retries
        return self._consecutive - 1 if needed else None

    def _split(self, cursors: list[Cursor]) -> None:
        middle = len(cursors) // 2
        for half in (cursors[:middle], cursors[middle:]):
            group = next(self._groups)
            for cursor in half:
                cursor.group = group
                if len(half) == 1:  # from here on its answers are its own
                    cursor.alone, cursor.unreadable = True, 1
