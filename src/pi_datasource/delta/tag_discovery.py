"""Which tags there are, while a pipeline runs: looked up now and then, and noted in ``pi_points``."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyspark.sql import SparkSession

from pi_datasource.delta import dismissed_errors, missing_points, points
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.points import Discovery
from pi_datasource.options.declaration import Options
from pi_datasource.points.tracked_points import fingerprint


class Tags:
    """The tags of one selection; what was found last, or anew when that is old or the stream has found others."""

    def __init__(self, options: Options, lakehouse: Lakehouse) -> None:
        self.options, self.lakehouse = options, lakehouse
        self._found: Discovery | None = None
        self._looked = 0.0
        self._known: set[str] = set()

    def note(self, spark: SparkSession, found: Discovery) -> None:
        """From here on ``found`` is what there is; what the stream has read without a tag that is back is noted, too."""
        self._found, self._looked = found, time.monotonic()
        self._known = {fingerprint(found.points)}
        selection = self.lakehouse.selection(self.options)
        known = points.known(spark, self.lakehouse, selection)
        back = points.back(known, found)
        if back:  # before they are recorded as living: whoever is stopped in between finds them ended again
            missing_points.note(
                spark, self.lakehouse, self.lakehouse.checkpoint(self.options), back, found.at
            )
        dismissed_errors.restore(spark, self.lakehouse, known, found)
        fill_new = self.options.new_tags == "backfill"
        points.record(spark, self.lakehouse, selection, known, found, fill_new=fill_new)

    def end(self, spark: SparkSession, web_ids: Sequence[str]) -> None:
        """The stream has found these to be gone. One that is listed again is back, and what was read without it is noted."""
        assert self._found is not None
        points.end(spark, self.lakehouse, self.lakehouse.selection(self.options), web_ids, self._found.at)
        self._found = None

    def current(self, spark: SparkSession, planned: str | None) -> Discovery:
        """What there is, as far as it is known: no longer than by the stream, whose tags ``planned`` tells."""
        old = time.monotonic() - self._looked >= self.options.discovery_interval.total_seconds()
        if self._found is None or old or (planned is not None and planned not in self._known):
            self.note(spark, points.look(self.options))
            # Where tags have starts of their own, or have come or gone since, the two never agree: once is enough.
            self._known |= {planned} if planned is not None else set()
        assert self._found is not None
        return self._found
