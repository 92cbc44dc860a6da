"""Splits long windows into parts, for archives that refuse a long window or are too slow for it. Pure.

The length of a part is halved until the archive answers. After some parts in a row twice the length is tried, because the
cause may have been a dense or damaged stretch and not the length; each such try that fails doubles the number of parts
before the next one. A window thus costs the requests of its parts and a number that grows with the logarithm of the window.
Parts are half-open and meet at whole seconds, so all events of one timestamp lie in one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_SECOND = 10_000_000  # ticks
SHORTEST = 60 * _SECOND  # a minute that cannot be read is a failure of the tag
REQUEST_TIMEOUT, GATEWAY_TIMEOUT = 408, 504
SLOW = (REQUEST_TIMEOUT, GATEWAY_TIMEOUT)  # each of these answers has cost a whole time-out
TOO_LONG = (*SLOW, 500)  # what archives and proxies answer to a window that is too long for them
_PARTS_BEFORE_DOUBLING = 4  # consecutive successes before twice the length is tried
_MOST_INHERITED = 16  # of those, taken over by the next window: it may be easier to read
_WINDOWS_BEFORE_DOUBLING = (
    64  # consecutive windows without a refusal before the next one starts with longer parts
)


@dataclass
class Parts:
    """The length of the parts in which one point's window is read, in ticks; None reads the whole window at once."""

    length: int | None = None
    unproven: bool = False  # a longer part was refused, and nothing has been answered since
    doubled: bool = False  # the current part is twice as long as those that worked
    refusal: str = ""  # the first refusal since the last answer
    refused_end: int = 0  # of the last part that was refused, whether for its content or its length
    parts_before_doubling: int = _PARTS_BEFORE_DOUBLING
    _successes: int = 0

    def end(self, start: int, window_end: int) -> int:
        """The end of the part that begins at ``start``: later than ``start``, and at most ``window_end``."""
        if self.length is None or start + self.length >= window_end:
            return window_end
        border = start + self.length
        return border - border % _SECOND

    def retries(self, status: int | None, start: int, end: int, most: int) -> int:
        """How often the part ``[start, end)`` that was refused with ``status`` is retried before a shorter one is tried."""
        if status not in TOO_LONG:
            return most
        if self.unproven or self.doubled:  # the shorter part is the next try
            return 0
        slow = status in SLOW and end - start > SHORTEST
        return min(1, most) if slow or end <= self.refused_end else most

    def shorten(self, start: int, end: int, refusal: str, divisor: int = 2) -> bool:
        """Shortens the parts because ``[start, end)`` was refused; returns False if they are as short as can be."""
        length = end - start
        if length <= SHORTEST:
            return False
        self.refused_end = end
        if self.doubled:
            self.parts_before_doubling *= 2
        elif not self.unproven:
            self.refusal = f"a window of {format_duration(length)} failed ({refusal})"
        self.unproven = self.unproven or not self.doubled
        self.length = max(SHORTEST, length // divisor)
        self.doubled, self._successes = False, 0
        return True

    def record_success(self) -> bool:
        """Counts an answered part; returns True if it is the first one since a part was refused."""
        first, self.unproven, self.doubled = self.unproven, False, False
        if self.length is None:
            return first
        self._successes += 1
        if self._successes >= self.parts_before_doubling:
            self.length *= 2
            self._successes, self.doubled = 0, True
        return first

    @property
    def proven(self) -> int | None:
        """The last length that worked."""
        return self.length if self.length is None or not self.doubled else self.length // 2


@dataclass
class LearnedLength:
    """The length of the parts that worked for earlier windows of a server; None if whole windows do."""

    length: int | None = None
    logged: bool = False
    _parts_before_doubling: int = _PARTS_BEFORE_DOUBLING
    _unrefused: int = 0

    def apply_to(self, parts: Parts) -> None:
        """Starts a window with the length that worked for others."""
        if self.length is not None:
            parts.length, parts.parts_before_doubling = self.length, self._parts_before_doubling

    def learn_from(self, parts: Parts) -> None:
        """Takes over the length of the ``parts`` in which a window was read to its end."""
        if parts.length is None:
            return
        self.length = parts.proven
        self._parts_before_doubling = min(parts.parts_before_doubling, _MOST_INHERITED)
        self._unrefused = 0 if parts.refused_end else self._unrefused + 1
        if self._unrefused >= _WINDOWS_BEFORE_DOUBLING and self.length is not None:
            self.length, self._unrefused = self.length * 2, 0


def format_duration(ticks: int) -> str:
    """A length of time such as ``22 days, 19:52:30``, without fractions of a second."""
    return str(timedelta(seconds=ticks // _SECOND))
