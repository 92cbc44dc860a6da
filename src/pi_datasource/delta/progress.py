"""The progress of a running ingestion, from Spark's own progress reports."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource.errors import OffsetError
from pi_datasource.spark.stream_reader import window_of


@dataclass(frozen=True)
class Progress:
    """One finished micro-batch: it ended at ``read_until``; ``latest`` was the latest time that could be read then."""

    batch_id: int
    read_from: datetime
    read_until: datetime
    latest: datetime


def follow(query: StreamingQuery, poll_s: float = 0.3) -> Iterator[Progress | None]:
    """Yields each finished micro-batch once, and None for every poll in between, until the query ends.

    Raises:
        StreamingQueryException: the query failed.
    """
    shown = -1
    while query.isActive:
        current = _parse(query.lastProgress)
        if current is not None and current.batch_id != shown:
            shown = current.batch_id
            yield current
        else:
            yield None
        time.sleep(poll_s)
    query.awaitTermination()
    last = _parse(query.lastProgress)
    if last is not None and last.batch_id != shown:
        yield last


def _parse(report: Any) -> Progress | None:
    if report is None:
        return None
    source = report["sources"][0]
    try:
        offsets = (source[name] for name in ("endOffset", "latestOffset"))
        parsed = (json.loads(offset) if isinstance(offset, str) else offset for offset in offsets)
        window, newest = map(window_of, parsed)
    except (OffsetError, ValueError):
        return None  # Spark before 4.2 reports no latest offset
    return Progress(report["batchId"], window.start, window.end, newest.end)
