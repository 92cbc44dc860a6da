"""Finds the tag that makes a whole answer unreadable: calls are halved until it stands alone. Pure.

One value that no JSON parser accepts makes all tags of its call unreadable; so does a server in trouble, for a while. A call
is therefore sent again as it was, once, and then as two halves, behind everything else that waits: what is read meanwhile
shows that the server is well, and that it is the tag that is not.
"""

from __future__ import annotations

import itertools
from enum import Enum

from pi_datasource.recorded.calls import Call, Cursor

# Unreadable answers in a row beyond the retries, from which on the server is blamed: some tags of a call may all be bad.
_MOST_IN_A_ROW, _MOST_NOT_JSON = 32, 8


class Verdict(Enum):
    """Who is to blame for an unreadable answer."""

    UNKNOWN = "ask again"
    TAG = "the only tag of the call"
    SERVER = "the server"


class Isolation:
    """The unreadable answers of one task."""

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries
        self._in_a_row = self._readable = 0
        self._groups = itertools.count(1)
        # Answers that could be read before each tag (WebId) was first in one that could not.
        self._readable_before: dict[str, int] = {}
        self._first_time = False

    def readable(self) -> None:
        """Takes note of an answer that could be read."""
        self._in_a_row = 0
        self._readable += 1

    def unreadable(self, call: Call, *, is_json: bool) -> Verdict:
        """Decides about a call whose answer could not be read; cursors to ask again for are grouped for it.

        ``is_json`` says that the answer began as a batch reply does. One that did not, such as a proxy's page, is blamed on a
        tag only if other answers could be read since.
        """
        cursors = call.cursors
        self._in_a_row += 1
        attempts = max(cursor.unreadable for cursor in cursors) + 1
        self._first_time = attempts == 1
        for cursor in cursors:
            cursor.unreadable = attempts
            if attempts == 1 or cursor.point.web_id not in self._readable_before:
                self._readable_before[cursor.point.web_id] = self._readable
        if len(cursors) == 1 and not call.sets and attempts > self._max_retries:
            server_is_well = self._readable > self._readable_before[cursors[0].point.web_id]
            return Verdict.TAG if is_json or server_is_well else Verdict.SERVER
        if self._in_a_row > self._max_retries + (_MOST_IN_A_ROW if is_json else _MOST_NOT_JSON):
            return Verdict.SERVER
        if attempts > min(1, self._max_retries) and (len(cursors) > 1 or call.sets):
            self._halve(cursors)
        return Verdict.UNKNOWN

    def pause(self) -> int | None:
        """The attempt to pause for after an unreadable answer (``PIClient.pause``); None if there is no need to wait.

        A server in trouble needs time. One that has just answered another call does not.
        """
        waits = (self._first_time or self._in_a_row > 1) and self._in_a_row <= self._max_retries
        return self._in_a_row - 1 if waits else None

    def _halve(self, cursors: list[Cursor]) -> None:
        middle = len(cursors) // 2
        for half in (cursors[:middle], cursors[middle:]):
            group = next(self._groups)
            for cursor in half:
                cursor.group = group
                if len(half) == 1:  # from here on its answers are its own
                    cursor.alone, cursor.unreadable = True, 1
