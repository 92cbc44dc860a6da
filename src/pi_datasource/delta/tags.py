"""Which tags there are, while a pipeline runs: looked up now and then, and noted in ``pi_points``."""

from __future__ import annotations

import time
from datetime import timedelta

from pyspark.sql import SparkSession

from pi_datasource.delta import points
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.points import Discovery
from pi_datasource.options import Options

_LOOK_EVERY = timedelta(minutes=10)


def look_every(options: Options) -> timedelta:
    """How old a list of tags may be: as old as the stream's own, else the two would not agree on what is new."""
    return getattr(options, "discovery_interval", _LOOK_EVERY)


class Tags:
    """The tags of one selection; what was found last, or anew when that is older than ``look_every``."""

    def __init__(self, options: Options, lakehouse: Lakehouse) -> None:
        self.options, self.lakehouse = options, lakehouse
        self._found: Discovery | None = None
        self._looked = 0.0

    def note(self, spark: SparkSession, found: Discovery) -> None:
        """From here on ``found`` is what there is."""
        self._found, self._looked = found, time.monotonic()
        fill_new = self.options.new_tags == "backfill"
        points.record(spark, self.lakehouse, self.lakehouse.selection(self.options), found, fill_new)

    def current(self, spark: SparkSession) -> Discovery:
        """What there is, as far as it is known."""
        if self._found is None or time.monotonic() - self._looked >= look_every(self.options).total_seconds():
            self.note(spark, points.look(self.options))
        assert self._found is not None
        return self._found
