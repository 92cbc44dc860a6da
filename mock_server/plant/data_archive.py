"""The interface of an archive of recorded events, and its errors."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from mock_server.plant import ticks
from mock_server.plant.events import Block
from mock_server.plant.point import Point


class ArchiveError(Exception):
    """The archive rejects a read; the text is its message."""


class TooManyEvents(ArchiveError):
    """A read would collect more events than the archive allows (its `ArcMaxCollect`)."""

    def __init__(self) -> None:
        super().__init__("[-11091] Event collection exceeded the maximum allowed.")


class Window(NamedTuple):
    """A read of events: inclusive bounds, the instant it is made for, the most events and whether the newest first."""

    low: int
    high: int
    now: int
    limit: int | None
    newest_first: bool


class Archive(ABC):
    """The recorded events of streams; every time-series call can read any archive.

    All bounds are inclusive ticks, and `now` is the instant as of which the archive is read.
    """

    most_events: int | None = None
    """How many events one read may collect to compute its answer; None for any number."""

    @abstractmethod
    def read(self, points: Sequence[Point], wanted: Window) -> Block:
        """The events of a window of each stream."""

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
        """The events with low <= ticks <= high of each stream, at most `limit` each, oldest or newest first."""
        return self.read(points, Window(low, high, now, limit, newest_first))

    def last_before(self, point: Point, instant: int, *, now: int) -> Block:
        """The last event before `instant`, or an empty block."""
        return self.window([point], ticks.FIRST, instant - 1, now=now, limit=1, newest_first=True)

    def first_after(self, point: Point, instant: int, *, now: int) -> Block:
        """The first event after `instant`, or an empty block."""
        return self.window([point], instant + 1, ticks.LAST, now=now, limit=1)

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """The newest event of each stream."""
        return self.window(points, ticks.FIRST, now, now=now, limit=1, newest_first=True)
