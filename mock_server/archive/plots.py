"""Plot values: the few events of a window that preserve the shape of its trend."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from mock_server.archive.interpolation import Reader
from mock_server.archive.paging import collected
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import BAD, I64, Block, Kind, chained


def plot_values(stream: Reader, low: int, high: int, intervals: int) -> Block:
    """The first, last, highest, lowest and first bad event of each of the equal intervals.

    Each event is returned once, in time order. An interval includes its start; the last one includes its end too.
    """
    edges = _edges(low, high, intervals)
    chosen = []
    for part, events in _whole_intervals(stream, edges):
        bounds = np.searchsorted(events.ticks, part, side="left")
        bounds[-1] = len(events.ticks)
        rows = [
            row
            for first, after in paced(pairwise(bounds.tolist()))
            for row in _significant(events, first, after)
        ]
        chosen.append(_taken(events, rows))
    return chained(chosen)


def _edges(low: int, high: int, intervals: int) -> I64:
    """The bounds of the intervals; differences of huge bounds need Python's integers."""
    width = high - low
    return np.array([low + width * at // intervals for at in range(intervals)] + [high], dtype=np.int64)


def _whole_intervals(stream: Reader, edges: I64) -> Iterator[tuple[I64, Block]]:
    """The events of the window in parts of whole intervals, with the bounds of those intervals.

    Of an interval longer than a page only the significant events so far are held.
    """
    final, begun = len(edges) - 1, 0
    waiting = stream.events(0, -1)
    for _, last, events in collected(
        stream.archive, stream.point, int(edges[0]), int(edges[-1]), now=stream.now
    ):
        rows = chained([waiting, events])
        done = final if last >= edges[-1] else int(np.searchsorted(edges, last, side="right")) - 1
        if done > begun:
            ready = rows.ticks < edges[done] if done < final else np.ones(len(rows.ticks), dtype=np.bool_)
            yield edges[begun : done + 1], rows.keep(ready)
            rows, begun = rows.keep(~ready), done
        waiting = _taken(rows, _significant(rows, 0, len(rows.ticks)))


def _taken(rows: Block, places: list[int]) -> Block:
    return rows.take(np.array(places, dtype=np.int64), np.array([0, len(places)]))


def _significant(events: Block, first: int, after: int) -> list[int]:
    """The significant rows of one interval."""
    if after <= first:
        return []
    rows = np.arange(first, after)
    chosen = {first, int(after) - 1}
    good = events.flags[rows] & BAD == 0
    numbers = rows[good & (events.kind[rows] == Kind.NUMBER)]
    if len(numbers):
        values = events.number[numbers]
        if events.points[0].point_type == "Float32":  # of values that a client sees as equal the first counts
            values = values.astype(np.float32)
        chosen |= {int(numbers[values.argmax()]), int(numbers[values.argmin()])}
    exceptional = rows[~good]
    if len(exceptional):
        chosen.add(int(exceptional[0]))
    return sorted(chosen)
