"""The archive as requests read it: within its limits, and giving way to other requests."""

from collections.abc import Sequence
from dataclasses import dataclass

from mock_server import ticks
from mock_server.archive import Archive
from mock_server.checkpoints import checkpoint
from mock_server.events import Block
from mock_server.point import Point


@dataclass(frozen=True)
class LimitedArchive:
    """An archive every read of which is a `checkpoint`, and that collects at most `most_events` for one answer."""

    archive: Archive
    most_events: int | None

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
        """See `Archive`."""
        checkpoint()
        return self.archive.window(points, low, high, now=now, limit=limit, newest_first=newest_first)

    def last_before(self, point: Point, instant: int, *, now: int) -> Block:
        """See `Archive`."""
        checkpoint()
        return self.archive.last_before(point, instant, now=now)

    def first_after(self, point: Point, instant: int, *, now: int) -> Block:
        """See `Archive`."""
        checkpoint()
        return self.archive.first_after(point, instant, now=now)

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """See `Archive`."""
        checkpoint()
        return self.archive.snapshot(points, now=now)
