"""The tags that a running pipeline reads: discovered at intervals, and recorded in ``pi_points``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession

from pi_datasource.delta import errors_table, points
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.points import Discovery
from pi_datasource.options.declaration import Options
from pi_datasource.points.tracked_points import fingerprint


class TagDiscovery:
    """The tags of one selection; discovered again after ``discovery_interval``, or if the stream has found others."""

    def __init__(self, options: Options, lakehouse: Lakehouse) -> None:
        self.options, self.lakehouse = options, lakehouse
        self._selection = lakehouse.selection(options)
        self._found: Discovery | None = None
        self._discovered_s = 0.0
        self._fingerprints: set[str] = set()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The age of the discovery counts from here: another process may have another monotonic clock."""
        self.__dict__.update(state, _discovered_s=time.monotonic())

    def record(self, spark: SparkSession, found: Discovery) -> None:
        """Makes ``found`` the current tags and records them, with the windows that tags which are listed again missed."""
        self._found, self._discovered_s = found, time.monotonic()
        self._fingerprints = {fingerprint(found.points)}
        stored = points.stored(spark, self.lakehouse, self._selection)
        # Before `points.record` stores them as present: a process that is killed in between must find them ended again.
        if returned := points.returned(stored, found):
            errors_table.record_hidden(spark, self.lakehouse, self.options, returned, found.at)
        errors_table.restore(spark, self.lakehouse, stored, found)
        fill_new = self.options.new_tags == "backfill"
        points.record(spark, self.lakehouse, self._selection, stored, found, fill_new=fill_new)

    def mark_deleted(self, spark: SparkSession, web_ids: Sequence[str]) -> None:
        """Records tags that the stream found deleted. One that is listed again has returned, with windows it missed."""
        assert self._found is not None
        points.mark(spark, self.lakehouse, self._selection, web_ids, ended_at=self._found.at)
        self._found = None

    def current(self, spark: SparkSession, planned: str | None) -> Discovery:
        """The current tags; ``planned`` is the fingerprint of the stream's own, which may be newer."""
        old = time.monotonic() - self._discovered_s >= self.options.discovery_interval.total_seconds()
        if self._found is None or old or (planned is not None and planned not in self._fingerprints):
            self.record(spark, points.discover(self.options))
            # Tags with their own starts, or deleted since, keep the two different: one discovery per fingerprint is enough.
            self._fingerprints |= {planned} if planned is not None else set()
        assert self._found is not None
        return self._found
