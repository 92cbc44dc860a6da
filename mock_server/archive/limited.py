"""The archive as requests read it: with limits, and with checkpoints for other requests."""

from collections.abc import Sequence

from mock_server.plant.checkpoints import checkpoint
from mock_server.plant.data_archive import Archive, Window
from mock_server.plant.events import Block
from mock_server.plant.point import Point


class LimitedArchive(Archive):
    """An archive with a `checkpoint` in each read, which collects at most `most_events` for one answer."""

    def __init__(self, archive: Archive, most_events: int | None) -> None:
        self.most_events = most_events
        self._archive = archive

    def read(self, points: Sequence[Point], wanted: Window) -> Block:
        """See `Archive`."""
        checkpoint()
        low, high, now, limit, newest_first = wanted
        return self._archive.window(points, low, high, now=now, limit=limit, newest_first=newest_first)

    def snapshot(self, points: Sequence[Point], *, now: int) -> Block:
        """See `Archive`."""
        checkpoint()
        return self._archive.snapshot(points, now=now)
