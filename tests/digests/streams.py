"""Streams, each with a name: their options, and what the server's clock does between one start of the query and the next."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql.streaming.datasource import ReadAllAvailable

from mock_server import TAG_PATTERN
from pi_datasource import PIDataSource
from tests.digests.digest import difference, digest
from tests.digests.reads import table
from tests.digests.sites import Site

MINUTE = timedelta(minutes=1)
RECENT = {"start_time": "*-5m"}
BOUNDED = {**RECENT, "max_window_per_trigger": "2m", "num_partitions": "2"}
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Stream:
    """One stream.

    It is started once more after each of ``pauses``; its last start sees ``steps`` of the clock while it runs. ``limited``
    says whether Spark asks for bounded batches, ``replays`` whether a micro-batch that is planned anew has the same rows: not
    if the tags are others by then.
    """

    options: dict[str, str]
    site: str = "plain"
    pauses: tuple[timedelta, ...] = (5 * MINUTE,)
    steps: tuple[timedelta, ...] = ()
    available_now: bool = True
    limited: bool = True
    replays: bool = True


@dataclass
class Checkpoint:
    """What Spark keeps: the offsets of all micro-batches, as text; and the rows that came of them."""

    offsets: list[str]
    rows: list[pa.Table]

    def windows(self) -> list[str]:
        """From where to where each micro-batch went."""
        return [f"{offset['from']}/{offset['to']}" for offset in map(json.loads, self.offsets)]

    def table(self) -> pa.Table:
        """All rows, each with the number of its micro-batch."""
        numbered = [
            rows.append_column("micro_batch", pa.repeat(pa.scalar(number, pa.int32()), rows.num_rows))
            for number, rows in enumerate(self.rows)
            if rows.num_columns
        ]
        return pa.concat_tables(numbered) if numbered else pa.table({})


class Query:
    """One start of a stream, driven as Spark drives it."""

    def __init__(self, make: Callable[[], Any], stream: Stream, kept: Checkpoint) -> None:
        self.make, self.stream, self.kept = make, stream, kept
        self.planner = make()
        if stream.available_now:
            self.planner.prepareForTriggerAvailableNow()
        self.first = json.dumps(self.planner.initialOffset())

    def run(self) -> None:
        """Makes micro-batches until nothing is new; each is read twice, and its rows are the same."""
        while self.make_one():
            pass

    def wait(self) -> None:
        """Until something is new: the server's clock is asked at most once a second."""
        deadline = time.monotonic() + 60
        while not self.make_one():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def make_one(self) -> bool:
        """Whether there was a micro-batch to make."""
        begin = self.kept.offsets[-1] if self.kept.offsets else self.first
        limit = self.planner.getDefaultReadLimit() if self.stream.limited else ReadAllAvailable()
        end = json.dumps(self.planner.latestOffset(json.loads(begin), limit))
        if end == begin:
            return False
        self.kept.offsets.append(end)
        rows = _read(self.planner, self.make(), begin, end)
        planner = self.make() if self.stream.replays else self.planner
        said = difference(digest(rows), digest(_read(planner, self.make(), begin, end)))
        assert not said, f"{begin} … {end} is not replayed as it was: {said}"
        self.kept.rows.append(rows)
        self.planner.commit(json.loads(end))
        return True


def played(stream: Stream, site: Site) -> Checkpoint:
    """What the stream has logged and read in the end."""
    source = PIDataSource({"url": site.url, **stream.options})
    schema = source.schema()
    kept, began = Checkpoint([], []), site.now
    try:
        for pause in (timedelta(0), *stream.pauses):
            site.now += pause
            query = Query(lambda: source.streamReader(schema), stream, kept)
            query.run()
        for step in stream.steps:
            site.now += step
            query.wait()
            query.run()
    finally:
        site.now = began
    return kept


def _read(planner: Any, worker: Any, begin: str, end: str) -> pa.Table:
    """The rows of one micro-batch, whose partitions travel to a worker as Spark sends them."""
    partitions = cloudpickle.loads(cloudpickle.dumps(planner.partitions(json.loads(begin), json.loads(end))))
    return table(batch for each in partitions for batch in worker.read(each))


def _starts() -> Iterator[tuple[str, Stream]]:
    """When a stream is started, again and again, and how it runs."""
    for now in (True, False):
        name = "available_now" if now else "running"
        yield name, Stream(RECENT, available_now=now)
        yield f"{name}_bounded", Stream(BOUNDED, available_now=now)
    yield "in_one_batch_though_bounded", Stream(BOUNDED, limited=False)
    often = (MINUTE, timedelta(0), timedelta(seconds=1), -MINUTE, 3 * MINUTE)
    yield "started_often", Stream(RECENT, pauses=often)
    soon = {**RECENT, "min_window_per_trigger": "2m"}
    yield "started_too_soon", Stream(soon, pauses=(MINUTE, MINUTE), available_now=False)
    for every in ("0s", "1h"):
        churning = {
            **RECENT,
            "discovery_interval": every,
            "report_metrics": "true",
            "include_metadata": "true",
        }
        running = Stream(churning, "churning", (45 * MINUTE,), (50 * MINUTE,), False, replays=False)
        yield f"churning_listed_every_{every}", running


def _windows() -> Iterator[tuple[str, Stream]]:
    """How micro-batches are bounded, and where the first begins."""
    events = {"max_events_per_trigger": "200"}
    yield "events_bounded", Stream({**RECENT, **events})
    yield "both_bounded", Stream({**BOUNDED, **events, "max_events_per_trigger": "600"})
    for settle in ("0s", "90s"):
        yield f"settled_for_{settle}", Stream({**RECENT, "settle": settle})
    yield "from_a_fixed_time", Stream({"start_time": "2026-03-01 06:55", "time_zone": "Europe/Berlin"})
    yield "from_the_future", Stream({"start_time": "*+1h"}, pauses=(MINUTE,))
    silent = {"start_time": "2020-01-01", "tags": "*.A1.*", "max_window_per_trigger": "1h"}
    yield "from_silent_years", Stream(silent, "young")
    for kind in ("csv", "json"):
        yield f"start_times_{kind}", Stream({**RECENT, "max_window_per_trigger": "20m", **_file(kind)})
    yield "start_times_in_one_batch", Stream({**RECENT, **_file("csv"), "read_mode": "streams"})


def _file(kind: str) -> dict[str, str]:
    return {"start_times": str(_HERE / f"starts.{kind}")}


def _rows() -> Iterator[tuple[str, Stream]]:
    """What the rows are of, and how they look."""
    pages = {"page_size": "20", "read_mode": "streams", "num_partitions": "3"}
    yield "in_pages", Stream({**BOUNDED, **pages})
    projected = {"columns": "timestamp,tag_name,value,value_string", "tags": "NORTH*"}
    yield "projected", Stream({**BOUNDED, **projected})
    shaped = {"tag_pattern": TAG_PATTERN, "include_metadata": "true", "tag_filter": "*.A1.*"}
    yield "shaped", Stream({**BOUNDED, **shaped})
    yield "changing", Stream(BOUNDED, "changing")
    failing = {"on_error": "report", "report_metrics": "true", "max_retries": "0"}
    yield "failing", Stream({**BOUNDED, **failing}, "faulty")


STREAMS = dict(pair for made in (_starts, _windows, _rows) for pair in made())
