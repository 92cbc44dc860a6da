"""Points × window → tasks that tile it exactly: every (point, microsecond) lies in one task and no other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options import Options

POINTS_PER_TASK = 1_000  # a task travels to its worker: 30 kB at most, and a retried one repeats little


def plan(
    points: Sequence[Point], window: Window, options: Options, ingestion_time: datetime
) -> list[ReadTask]:
    """About ``num_partitions`` tasks; none for no points or an empty window.

    Points are dealt out in turn, so that neighbours, which tend to be alike, spread over the tasks. When there are
    fewer points than tasks wanted, the window is cut as well; when there are very many, so are the tasks. A bound on
    requests or on concurrency bounds the tasks, and each gets an equal share of the rate: kept by every task on its own,
    it holds for all of them wherever they run.
    """
    if not points or window.start == window.end:
        return []
    wanted = _tasks_wanted(options)
    groups = min(wanted, len(points))
    if _bound(options) is None:
        groups = max(groups, math.ceil(len(points) / POINTS_PER_TASK))
    slices = window.split(max(1, wanted // groups))
    share = _share(options, groups * len(slices))
    return [
        ReadTask(
            table=options.table,
            window=part,
            points=tuple(points[group::groups]),
            ingestion_time=ingestion_time,
            page_size=options.page_size,
            batch_size=options.batch_size,
            on_error=options.on_error,
            read_mode=options.read_mode,
            requests_per_second=share,
        )
        for part in slices
        for group in range(groups)
    ]


def _tasks_wanted(options: Options) -> int:
    bound = _bound(options)
    return options.num_partitions if bound is None else max(1, min(options.num_partitions, bound))


def _bound(options: Options) -> int | None:
    """The most tasks that may call the server at once; None if any number may."""
    rate = options.requests_per_second
    bounds = [options.max_concurrent_requests, None if rate is None else int(_for_tasks(rate))]
    return min((bound for bound in bounds if bound is not None), default=None)


def _for_tasks(rate: float) -> float:
    """What is left of a rate when two requests a second are kept for discovery and for asking the time."""
    return max(rate - 2.0, rate / 2.0)


def _share(options: Options, tasks: int) -> float | None:
    rate = options.requests_per_second
    return None if rate is None else _for_tasks(rate) / tasks
