"""Long windows read in parts, for archives that refuse a long window or are too slow for it. Pure.

The length of a part is halved until the archive answers. After some parts in a row twice the length is tried, because what
was refused may have been a dense or damaged stretch and not the length; each try that fails doubles the number of parts
before the next one. The requests of a window are therefore those of its parts and a number that grows with the logarithm
of the window. Parts are half-open and meet at whole seconds, so all events of one timestamp lie in one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

SHORTEST = 60 * 10_000_000  # ticks: a minute that cannot be read is a failure of the tag
REQUEST_TIMEOUT, GATEWAY_TIMEOUT = 408, 504
SLOW = (REQUEST_TIMEOUT, GATEWAY_TIMEOUT)  # each of these answers has cost a whole time-out
TOO_LONG = (*SLOW, 500)  # what archives and proxies answer to a window that is too long for them
_SECOND = 10_000_000
_PATIENCE = 4  # parts in a row before twice their length is tried
_LONGEST_PATIENCE = 16  # that is handed on: what holds for one window may not hold for the next
_WINDOWS = 64  # in a row without a refusal, before the next one begins with parts of twice the length


@dataclass
class Parts:
    """The length of the parts in which one point's window is read, in ticks; None: the whole window at once."""

    length: int | None = None
    unproven: bool = False  # a longer part was refused, and nothing has been answered since
    doubled: bool = False  # the part that is read now is twice as long as those that worked
    refusal: str = ""  # the first refusal since something was answered
    refused_end: int = 0  # of the last part that was refused: something in it, or its length, is to blame
    patience: int = _PATIENCE
    _streak: int = 0

    def end(self, start: int, window_end: int) -> int:
        """Where the part that begins at ``start`` ends: at most at ``window_end``, later than ``start``."""
        if self.length is None or start + self.length >= window_end:
            return window_end
        border = start + self.length
        return border - border % _SECOND

    def retries(self, status: int | None, start: int, end: int, most: int) -> int:
        """How often the part ``[start, end)`` that was refused with ``status`` is asked for again before a shorter one is."""
        if status not in TOO_LONG:
            return most
        if self.unproven or self.doubled:  # the shorter part is the next try
            return 0
        slow = status in SLOW and end - start > SHORTEST
        return min(1, most) if slow or end <= self.refused_end else most

    def shorten(self, start: int, end: int, refusal: str, divisor: int = 2) -> bool:
        """Takes note that the part ``[start, end)`` was refused; False, with nothing changed, if it cannot be shorter."""
        length = end - start
        if length <= SHORTEST:
            return False
        self.refused_end = end
        if self.doubled:
            self.patience *= 2
        elif not self.unproven:
            self.refusal = f"a window of {duration(length)} failed ({refusal})"
        self.unproven = self.unproven or not self.doubled
        self.length = max(SHORTEST, length // divisor)
        self.doubled, self._streak = False, 0
        return True

    def worked(self) -> bool:
        """Takes note of an answer; True if it is the first one since a part was refused."""
        first, self.unproven, self.doubled = self.unproven, False, False
        if self.length is None:
            return first
        self._streak += 1
        if self._streak >= self.patience:
            self.length *= 2
            self._streak, self.doubled = 0, True
        return first

    @property
    def proven(self) -> int | None:
        """The length that has worked last."""
        return self.length if self.length is None or not self.doubled else self.length // 2


@dataclass
class Memory:
    """The length of the parts in which a window was read last, for those that follow; None: windows are read whole."""

    length: int | None = None
    logged: bool = False
    _patience: int = _PATIENCE
    _unrefused: int = 0

    def recall(self, parts: Parts) -> None:
        """Begins a window with what worked for others."""
        if self.length is not None:
            parts.length, parts.patience = self.length, self._patience

    def note(self, parts: Parts) -> None:
        """Takes note of a window that was read to its end in ``parts``."""
        if parts.length is None:
            return
        self.length, self._patience = parts.proven, min(parts.patience, _LONGEST_PATIENCE)
        self._unrefused = 0 if parts.refused_end else self._unrefused + 1
        if self._unrefused >= _WINDOWS and self.length is not None:
            self.length, self._unrefused = self.length * 2, 0


def duration(ticks: int) -> str:
    """A length in words, such as ``22 days, 19:52:30``; fractions of a second are left out."""
    return str(timedelta(seconds=ticks // _SECOND))
