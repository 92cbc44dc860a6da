"""Points × window → tasks that tile it exactly: every (point, microsecond) lies in one task and no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options import Options


def plan(
    points: Sequence[Point], window: Window, options: Options, ingestion_time: datetime
) -> list[ReadTask]:
    """About ``num_partitions`` tasks; none for no points or an empty window.

    Points are dealt out in turn, so that neighbours, which tend to be alike, spread over the tasks. When there are
    fewer points than tasks wanted, the window is cut as well.
    """
    if not points or window.start == window.end:
        return []
    groups = min(options.num_partitions, len(points))
    slices = window.split(options.num_partitions // groups)
    return [
        ReadTask(
            table=options.table,
            window=part,
            points=tuple(points[group::groups]),
            ingestion_time=ingestion_time,
            page_size=options.page_size,
            batch_size=options.batch_size,
            on_error=options.on_error,
        )
        for part in slices
        for group in range(groups)
    ]
