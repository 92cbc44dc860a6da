"""What every read of time series needs from the thing that holds them."""

from collections.abc import Sequence
from typing import Protocol

from mock_server import ticks
from mock_server.events import Block
from mock_server.point import Point


class ArchiveError(Exception):
    """The archive refuses a read; the text is what it says."""


class TooManyEvents(ArchiveError):
    """A read would collect more events than the archive allows (its `ArcMaxCollect`)."""

    def __init__(self) -> None:
        super().__init__("[-11091] Event collection exceeded the maximum allowed.")


class Archive(Protocol):
    """The reads of `History`; whatever offers them can be asked through every time-series call.

    All bounds are inclusive ticks, and `now` is the instant as of which is read.
    """

    @property
    def most_events(self) -> int | None:
        """How many events a read may collect to make its answer of; None for any number."""
        ...

    def window(
        self,
        points: Sequence[Point],
        low: int,
        high: int,
        *,
        now: int = ticks.LAST,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Block:
        """The events with low <= ticks <= high of each stream, at most `limit` each."""
        ...

    def last_before(self, point: Point, instant: int, *, now: int) -> Block:
        """The last event before `instant`, or an empty block."""
        ...

    def first_after(self, point: Point, instant: int, *, now: int) -> Block:
        """The first event after `instant`, or an empty block."""
        ...

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """The newest event of each stream."""
        ...
