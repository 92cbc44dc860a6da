"""``readStream.format("pi")``: offsets are watermark times, micro-batches are half-open windows between them.

Times are those of the PI server's clock, less ``settle``. Spark asks for the initial offset more than once. Spark 4.0 and
4.1 do not pass the start offset to ``latestOffset``; the offset that was returned or planned last stands in for it, and
after a restart Spark plans the last logged batch, empty, before it asks for another (seen on 4.0.5 and 4.1.4).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from pi_datasource.errors import InvalidOption, OffsetError, ServerError
from pi_datasource.model import Window, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.spark import batch_sizing, offsets
from pi_datasource.spark.offsets import Offset, Position, window_of
from pi_datasource.spark.partitions import carried, concise_errors, read_planned
from pi_datasource.tables import registry
from pi_datasource.webapi.data_servers import ServerClock
from pi_datasource.webapi.outage import Outage

try:
    from pyspark.sql.streaming.datasource import (
        ReadAllAvailable,
        ReadLimit,
        ReadMaxRows,
        SupportsTriggerAvailableNow,
    )
except (
    ImportError
):  # Spark 4.0 and 4.1: no admission control, and AvailableNow makes one micro-batch of each run
    ReadAllAvailable = ReadLimit = ReadMaxRows = None  # type: ignore[assignment,misc]

    class SupportsTriggerAvailableNow:  # type: ignore[no-redef]
        """Stands in where Spark has none."""


__all__ = ["PIStreamReader", "window_of"]

log = logging.getLogger(__name__)

MANY_WINDOWS = 1_000  # micro-batches before the present, above which it pays to ask where the events begin
_ANY_NUMBER_OF_ROWS = 2**31 - 1


class PIStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads everything from ``start_time`` on, once, in windows that follow the PI server's clock.

    The object that plans lives as long as the query; workers read with a copy that shares no state with it.
    """

    def __init__(self, options: Options, schema: pa.Schema) -> None:
        self.options, self.schema = options, schema
        registry.check_projection(options, schema)
        self._clock = ServerClock(options)
        followed = registry.lookup(options.table).stream(options, self._clock)
        if followed is None:
            message = f"option 'table': {options.table!r} cannot be streamed; use spark.read"
            raise InvalidOption(message)
        self._table = followed
        self._outage = Outage(options.wait_for_server.total_seconds())
        most = options.max_events_per_trigger
        self._budget = None if most is None else batch_sizing.Budget(most)
        self._initial: Offset | None = None
        self._position: Offset | None = None  # the current position, for Spark versions that do not pass it
        self._frozen_at: datetime | None = None

    def initialOffset(self) -> Offset:
        """Where the first run starts: the earliest start of any tag, resolved once by the server's clock."""
        with concise_errors():
            if self._initial is None:
                now = self._clock.now()
                # A tag that selects nothing is an error only when a stream is first started; later, tags come and go.
                self._table.refresh(now, strict=bool(self.options.tags or self.options.tag_filter))
                start = self._table.start(now)
                self._initial = Position(Window(start, start), now).to_json()
            return dict(self._initial)

    def latestOffset(self, start: Offset | None = None, limit: Any = None) -> Offset:
        """The end of the next micro-batch; ``start`` unchanged if nothing is new.

        It never lies before ``start``, whatever the server's clock does.
        """
        with concise_errors():
            begin = start or self._position or self.initialOffset()
            self._position = begin
            position = offsets.parse(begin)
            horizon = self._horizon()
            if horizon is not None and self._is_due(position.window.end, horizon):
                self._table.refresh(self._clock.now(), planned=position.points)
                unbounded = limit is not None and isinstance(limit, ReadAllAvailable)
                end = horizon if unbounded else self._bounded(position, horizon)
                window = Window(position.window.end, end)
                points = self._table.fingerprint(_pending(window, position.started))
                self._position = Position(window, position.started, points).to_json()
            return dict(self._position)

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        """The tasks of ``[start, end)``: the same ones whenever Spark asks, while the tags are the same.

        Raises:
            OffsetError: an offset was not written by this source, or ``end`` lies before ``start``.
        """
        with concise_errors():
            self._position = end
            last = offsets.parse(end)
            if start == end:
                return []
            window = _between(offsets.parse(start), last)
            pending = _pending(window, last.started)
            self._table.restore(self._clock.now, last.points, pending)
            return carried(self._table.plan(window, pending, json.dumps(last.to_json())), self.options)

    def read(self, partition: InputPartition | None) -> Iterator[pa.RecordBatch]:
        """The rows of one task."""
        return read_planned(self.options, self.schema, partition)

    def getDefaultReadLimit(self) -> ReadLimit:
        """A bound on the micro-batch if an option sets one; Spark passes ``ReadAllAvailable`` with ``Trigger.Once``."""
        if self._budget is None and self.options.max_window_per_trigger is None:
            return ReadAllAvailable()
        return ReadMaxRows(self.options.max_events_per_trigger or _ANY_NUMBER_OF_ROWS)

    def prepareForTriggerAvailableNow(self) -> None:
        """Ends the stream at the server's present time."""
        with concise_errors():
            self._frozen_at = self._clock.now() - self.options.settle

    def reportLatestOffset(self) -> Offset:
        """The newest time that can be read, by the clock when last asked; the lag is its distance to the end of a batch."""
        with concise_errors():
            settled = (self._clock.last or self._clock.now()) - self.options.settle
            return Position(Window(settled, settled), settled).to_json()

    def commit(self, end: Offset) -> None:
        """Nothing to do: Spark's checkpoint is the only one."""

    def stop(self) -> None:
        """Nothing to do: connections end with their process."""

    def _horizon(self) -> datetime | None:
        """The end of what can be read; None while the stream waits for a server that is down."""
        if self._frozen_at is not None:
            return self._frozen_at
        try:
            now = self._clock.now(wait=False)
        except ServerError as error:
            if not self._outage.should_wait(error):
                raise
            return None
        self._outage.over()
        return now - self.options.settle

    def _is_due(self, position: datetime, horizon: datetime) -> bool:
        least = self.options.min_window_per_trigger
        return horizon > position and (self._frozen_at is not None or horizon - position >= least)

    def _bounded(self, position: Position, horizon: datetime) -> datetime:
        start, longest, end = position.window.end, self.options.max_window_per_trigger, horizon
        if longest is not None and longest < horizon - start:
            end = start + longest
            if position.initial and self._budget is None and horizon - start > MANY_WINDOWS * longest:
                end = max(end, self._silent_end(start, horizon, longest))
        return end if self._budget is None else self._budget.end(start, end, self._table.count)

    def _silent_end(self, start: datetime, horizon: datetime, step: timedelta) -> datetime:
        """Where the events begin, so that the empty years before them are read in one micro-batch."""
        try:
            return batch_sizing.silent_end(start, horizon, step, self._table.count)
        except ServerError as refused:
            log.info(
                "the server does not count events (%s): micro-batches have their usual length from the start",
                refused,
            )
            return start


def _pending(window: Window, started: datetime) -> datetime | None:
    """When the stream was first started, if tags may start within ``window`` or later."""
    return started if window.start < started else None


def _between(begin: Position, last: Position) -> Window:
    """The window between two offsets.

    When Spark replays the first batch it asks for the initial offset again; the batch's own offset holds where it began.
    """
    if begin.initial:
        return last.window
    if last.window.end < begin.window.end:
        message = (
            f"the checkpoint's offsets go backwards, from {iso_utc(begin.window.end)} to {iso_utc(last.window.end)}, which "
            "format('pi') never writes; restore the checkpoint folder, or start with a new one"
        )
        raise OffsetError(message)
    return Window(begin.window.end, last.window.end)
