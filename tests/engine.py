"""Spark's micro-batch loop in plain Python, over the real reader: a scenario of many restarts in moments."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql.streaming.datasource import ReadAllAvailable

from pi_datasource import schema
from pi_datasource.model import ReadTask, Window
from pi_datasource.spark.offsets import window_of
from pi_datasource.spark.stream_reader import PIStreamReader

SCHEMA = schema.timeseries()


@dataclass
class Engine:
    """A checkpoint (``log``, ``commits``) and a table that appends; ``run`` is a query from its start to its end.

    Offsets are compared as text, written ahead, and committed after the read. ``make`` gives a reader, as Spark makes one
    for planning and others for reading. ``old`` is Spark 4.0 and 4.1, which tell the source neither position nor limit.
    """

    make: Callable[[], PIStreamReader]
    old: bool = False
    available_now: bool = False
    log: list[str] = field(default_factory=list)  # offsets/N
    commits: int = 0
    batches: list[pa.RecordBatch] = field(default_factory=list)
    tasks: list[list[ReadTask]] = field(default_factory=list)
    planner: PIStreamReader | None = None

    def run(
        self, *, available_now: bool | None = None, batches: int = 1000, fails_in: int | None = None
    ) -> int:
        """Starts the query anew and lets it make micro-batches until nothing is new; how many it made."""
        self.planner = self.make()
        if (self.available_now if available_now is None else available_now) and not self.old:
            self.planner.prepareForTriggerAvailableNow()
        if self.old and self.log:
            last = json.loads(self.log[-1])
            assert self.planner.partitions(last, last) == []
        if len(self.log) > self.commits:
            self._play(self.planner, len(self.log) - 1)
        return self.go_on(batches, fails_in)

    def go_on(self, batches: int = 1000, fails_in: int | None = None) -> int:
        """Lets the running query make micro-batches; how many it made."""
        assert self.planner is not None
        for made in range(batches):
            if not self._next(self.planner, fails_in):
                return made
        return batches

    @property
    def windows(self) -> list[Window]:
        """Of all micro-batches, as logged."""
        return [window_of(json.loads(text)) for text in self.log]

    @property
    def table(self) -> pa.Table:
        """All that was appended."""
        return pa.Table.from_batches(self.batches, schema=SCHEMA)

    def _next(self, planner: PIStreamReader, fails_in: int | None) -> bool:
        if self.old:
            end = planner.latestOffset()
        else:
            limit, options = planner.getDefaultReadLimit(), planner.options
            bounded = options.max_window_per_trigger or options.max_events_per_trigger
            assert bounded or isinstance(limit, ReadAllAvailable)
            end = planner.latestOffset(self._start(planner, len(self.log)), limit)
            planner.reportLatestOffset()
        if self.log and json.dumps(end) == self.log[-1]:
            return False
        self.log.append(json.dumps(end))
        if fails_in == len(self.log) - 1:
            return False
        self._play(planner, len(self.log) - 1)
        return True

    def _start(self, planner: PIStreamReader, batch: int) -> dict[str, Any]:
        text = json.dumps(planner.initialOffset()) if batch == 0 else self.log[batch - 1]
        found: dict[str, Any] = json.loads(text)
        return found

    def _play(self, planner: PIStreamReader, batch: int) -> None:
        start, end = self._start(planner, batch), json.loads(self.log[batch])
        partitions = cloudpickle.loads(cloudpickle.dumps(planner.partitions(start, end)))
        self.tasks.append([partition.value for partition in partitions])
        worker = self.make()  # another object, in another process
        self.batches += [part for partition in partitions for part in worker.read(partition)]
        planner.commit(end)
        self.commits = batch + 1
