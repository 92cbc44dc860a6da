"""Paged reads of a stream, so that memory does not grow with the window."""

from collections.abc import Iterator

from mock_server.plant import ticks
from mock_server.plant.data_archive import Archive, TooManyEvents
from mock_server.plant.events import Block
from mock_server.plant.point import Point

PAGE = 65_536
Pages = Iterator[tuple[int, int, Block]]


def pages(archive: Archive, point: Point, low: int, high: int, *, now: int) -> Pages:
    """The window in pages that tile [low, high]: first tick, last tick and events of each.

    Events with the same timestamp are in the same page.
    """
    size = PAGE
    high = max(low, min(high, ticks.LAST))
    while low <= high:
        block = archive.window([point], low, high, now=now, limit=size)
        if len(block.ticks) < size:
            yield low, high, block
            return
        last = int(block.ticks[-1])
        if last == block.ticks[0]:  # one timestamp only: a larger page is needed
            size *= 2
            continue
        yield low, last - 1, block.keep(block.ticks < last)
        low = last


def collected(archive: Archive, point: Point, low: int, high: int, *, now: int) -> Pages:
    """The pages of a read that needs all events of the window, such as a summary.

    Raises:
        TooManyEvents: as soon as there are more than the archive collects for one read.
    """
    count, most = 0, archive.most_events
    for first, last, events in pages(archive, point, low, high, now=now):
        count += len(events.ticks)
        if most is not None and count > most:
            raise TooManyEvents
        yield first, last, events
