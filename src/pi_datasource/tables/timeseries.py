"""``pi_timeseries``: the recorded events of points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

import pyarrow as pa

from pi_datasource import schema as schemas
from pi_datasource import time_strings
from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.planning.tiling import plan, without_points
from pi_datasource.points import discovery, event_counts, start_times
from pi_datasource.points.tracked_points import TrackedPoints
from pi_datasource.recorded import fetch
from pi_datasource.tables.table import Table, TableStream, Task
from pi_datasource.webapi import client, data_servers
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.data_servers import ServerClock


class Timeseries(Table):
    """One row per recorded event."""

    name = "pi_timeseries"
    grain = "one recorded event of one point"
    key = schemas.TIMESERIES_KEY
    reports = True

    def schema(self, options: Options) -> pa.Schema:
        """All columns: those of an event, the groups of ``tag_pattern``, metadata if asked for, lineage."""
        return schemas.timeseries(options.pattern_columns, options.include_metadata)

    def plan(self, client: PIClient, pruning: Pruning) -> list[ReadTask]:
        """Points x window, divided into about ``num_partitions`` tasks of the same size, on the server's clock.

        Raises:
            NoTagMatches: a tag or pattern of the options selects nothing; one that only a predicate mentions may.
            InvalidOption: the window ends before it starts.
        """
        options, tags = pruning.options, pruning.tags()
        servers = data_servers.select(client, options)
        now = data_servers.server_now(servers)
        window = pruning.window(now)
        if tags is None:
            listed = discovery.points(client, servers, options)
        else:
            asked = options.model_copy(update={"tags": tags})
            listed = discovery.points(client, servers, asked, strict=False) if tags else []
        found = pruning.points(listed)
        events = event_counts.per_point(client, found, window, options.num_partitions)
        return plan(found, window, options, now, events)

    def read(
        self, client: PIClient, task: Task, schema: pa.Schema, options: Options
    ) -> Iterator[pa.RecordBatch]:
        """The events of a ``ReadTask``, each point's in the server's order."""
        return fetch.run(client, cast(ReadTask, task), schema, options.tag_pattern)

    def stream(self, options: Options, clock: ServerClock) -> TableStream:
        """Events from ``start_time`` on, each tag's from its own start if ``start_times`` says so."""
        return _Stream(options, clock)


class _Stream(TableStream):
    def __init__(self, options: Options, clock: ServerClock) -> None:
        self._options, self._clock = options, clock
        self._tracked = TrackedPoints(options, self._listing)

    def refresh(self, now: datetime, *, planned: str | None = None, strict: bool = False) -> None:
        self._tracked.refresh(now, planned=planned, strict=strict)

    def restore(self, now: Callable[[], datetime], planned: str | None, started: datetime | None) -> None:
        self._tracked.ready(now, planned, started)

    def start(self, now: datetime) -> datetime:
        if each := self._tracked.starts(now):
            return min(each.values())
        zone = time_strings.zone_named(self._options.time_zone)
        return min(time_strings.resolve(self._options.start_time, now, zone), now)

    def fingerprint(self, started: datetime | None) -> str:
        return self._tracked.fingerprint(started)

    def count(self, window: Window) -> float:
        return event_counts.total(client.shared(self._options), self._tracked.points, window, self._options)

    def plan(self, window: Window, started: datetime | None, offset: str) -> Sequence[ReadTask]:
        each = self._tracked.starts(started) if started else None
        planned = plan(self._tracked.points, window, self._options, window.end)
        clipped = [start_times.clip(task, each) for task in planned] if each else planned
        tasks = [replace(task, skip_deleted=True) for task in clipped if task is not None]
        if not self._options.report_metrics:
            return tasks
        # Rows say where the micro-batch ends: who writes it need not read Spark's own log. One says so without a point.
        tasks = tasks or [without_points(window, self._options, window.end)]
        return [replace(task, offset=offset) for task in tasks]

    def _listing(self, strict: bool) -> Sequence[Point]:
        api = client.shared(self._options)
        return discovery.points(api, self._clock.servers, self._options, strict=strict)
