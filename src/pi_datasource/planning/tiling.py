"""Points × window → tasks that tile it exactly: every (point, microsecond) lies in one task and no other."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from datetime import datetime

from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options.declaration import Options

POINTS_PER_TASK = 1_000  # a task is sent to its worker: 30 kB at most, and a retried one repeats little
EVENTS_PER_TASK = 20_000_000  # under a minute of reading, which is what a retried task repeats


def plan(
    points: Sequence[Point],
    window: Window,
    options: Options,
    ingestion_time: datetime,
    events: Sequence[float] | None = None,
) -> list[ReadTask]:
    """About ``num_partitions`` tasks; none for no points or an empty window.

    ``events`` estimates how many events each point has, all above 0; without it all points count the same. A
    point with more than a task's share of the events gets tasks of its own, each for a part of the window; the others
    are grouped so that tasks are about equal. Very many points or events make more tasks. A bound on requests or on
    concurrency bounds the number of tasks, and each gets a share of the rate: if every task keeps to its share, all of
    them together keep to the rate, wherever they run.
    """
    if not points or window.start == window.end:
        return []
    wanted = _tasks_wanted(options, sum(events or ()))
    slices = _slices(events, len(points), wanted)
    tasks: list[tuple[tuple[Point, ...], Window]] = [
        ((points[i],), part) for i, parts in slices.items() for part in window.split(parts)
    ]
    every = range(len(points))  # of a million points no list is made
    others: Sequence[int] = [i for i in every if i not in slices] if slices else every
    if others:
        bins = min(max(1, wanted - sum(slices.values())), len(others))
        if _bound(options) is None:
            bins = max(bins, math.ceil(len(others) / POINTS_PER_TASK))
        tasks += [(tuple(points[i] for i in group), window) for group in _grouped(others, events, bins)]
    rates = shares(options.requests_per_second, len(tasks))
    return [
        _task(group, part, options, ingestion_time, rate)
        for (group, part), rate in zip(tasks, rates, strict=True)
    ]


def without_points(window: Window, options: Options, ingestion_time: datetime) -> ReadTask:
    """A task that makes no request: it only produces status rows."""
    return _task((), window, options, ingestion_time, None)


def _task(
    points: tuple[Point, ...], window: Window, options: Options, ingestion_time: datetime, rate: float | None
) -> ReadTask:
    return ReadTask(
        table=options.table,
        window=window,
        points=points,
        ingestion_time=ingestion_time,
        page_size=options.page_size,
        batch_size=options.batch_size,
        on_error=options.on_error,
        report_metrics=options.report_metrics,
        read_mode=options.read_mode,
        requests_per_second=rate,
    )


def _slices(events: Sequence[float] | None, points: int, wanted: int) -> dict[int, int]:
    """The number of window parts for each point that has more than a task's share."""
    if events is None:
        parts = wanted // points
        return dict.fromkeys(range(points), parts) if parts > 1 else {}
    share = sum(events) / wanted
    counts = ((i, int(count / share + 1e-9)) for i, count in enumerate(events))
    return {i: parts for i, parts in counts if parts > 1}


def _grouped(chosen: Sequence[int], weights: Sequence[float] | None, bins: int) -> list[Sequence[int]]:
    """``chosen`` in ``bins`` groups of about equal weight, the heaviest first, each to the lightest group with room."""
    if weights is None or len(set(weights)) == 1:
        return [chosen[first::bins] for first in range(bins)]
    room = max(POINTS_PER_TASK, math.ceil(len(chosen) / bins))
    groups: list[list[int]] = [[] for _ in range(bins)]
    lightest = [(0.0, group) for group in range(bins)]
    for i in sorted(chosen, key=lambda i: (-weights[i], i)):
        load, group = heapq.heappop(lightest)
        groups[group].append(i)
        if len(groups[group]) < room:
            heapq.heappush(lightest, (load + weights[i], group))
    return [sorted(group) for group in groups]


def _tasks_wanted(options: Options, events: float) -> int:
    bound = _bound(options)
    if bound is None:
        return max(options.num_partitions, math.ceil(events / EVENTS_PER_TASK))
    return max(1, min(options.num_partitions, bound))


def _bound(options: Options) -> int | None:
    """The maximum number of tasks that may call the server at once; None if unlimited."""
    rate = options.requests_per_second
    bounds = [options.max_concurrent_requests, None if rate is None else int(rate)]
    return min((bound for bound in bounds if bound is not None), default=None)


def shares(rate: float | None, tasks: int) -> list[float | None]:
    """The share of ``rate`` of each of ``tasks``: whole requests per second if there are several."""
    if rate is None or tasks <= 1:
        return [rate] * tasks
    each, more = divmod(int(rate), tasks)
    return [float(each + (number < more)) for number in range(tasks)]
