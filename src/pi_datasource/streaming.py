"""``readStream.format("pi")``: offsets are watermark times, micro-batches are half-open windows between them.

An offset is ``{"version": 1, "from": T0, "to": T1}``: everything before ``to`` has been planned, and ``from`` is where
the micro-batch that ends here began, so that the first one can be replayed exactly although ``start_time`` was
relative. Times are those of the PI server's clock, less ``settle``. Spark compares offsets as text, asks for the
initial one more than once, and on Spark 4.0 and 4.1 does not say where a stream stands (``latestOffset(self)``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from pi_datasource import client, discover, tables, timespec
from pi_datasource.errors import OffsetError
from pi_datasource.model import Window, iso_utc
from pi_datasource.options import Options
from pi_datasource.sparkio import PIPartition, plainly, planned, read_partition

try:
    from pyspark.sql.streaming.datasource import (
        ReadAllAvailable,
        ReadLimit,
        ReadMaxRows,
        SupportsTriggerAvailableNow,
    )
except ImportError:  # Spark 4.0 and 4.1: no admission control; a micro-batch takes all there is
    ReadAllAvailable = ReadLimit = ReadMaxRows = None  # type: ignore[assignment,misc]

    class SupportsTriggerAvailableNow:  # type: ignore[no-redef]
        """Stands in where Spark has none."""


Offset = dict[str, Any]

OFFSET_VERSION = 1
CLOCK_INTERVAL_S = 1.0  # the default trigger asks for the latest offset dozens of times a second
_ANY_NUMBER_OF_ROWS = 2**31 - 1


def offset(start: datetime, end: datetime) -> Offset:
    """The offset of a micro-batch ``[start, end)``; the same window always gives the same text."""
    return {"version": OFFSET_VERSION, "from": iso_utc(start), "to": iso_utc(end)}


def window_of(value: Offset) -> Window:
    """The window that an offset ends.

    Raises:
        OffsetError: it was written by a newer version, or is no offset of this source.
    """
    try:
        version = value["version"]
        if version == OFFSET_VERSION:
            return Window(timespec.parse_wire(value["from"]), timespec.parse_wire(value["to"]))
    except (KeyError, TypeError, ValueError) as cause:
        message = f"the checkpoint's offset {value!r} is none of format('pi'); use this stream's own checkpoint folder"
        raise OffsetError(message) from cause
    message = f"the checkpoint's offset has version {version!r}, and this pi-datasource reads {OFFSET_VERSION}; upgrade it"
    raise OffsetError(message)


class PIStreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads everything from ``start_time`` on, once, in windows that follow the PI server's clock.

    The object that plans lives as long as the query; the one that reads is a copy without its memory.
    """

    def __init__(self, options: Options, schema: pa.Schema) -> None:
        self.options, self.schema = options, schema
        tables.check_projection(options, schema)
        self._initial: Offset | None = None
        self._position: Offset | None = None  # where the stream stands, on Spark versions that do not say
        self._frozen_at: datetime | None = None
        self._clock: tuple[float, datetime] | None = None

    def initialOffset(self) -> Offset:
        """Where a first run starts: ``start_time`` on the server's clock, resolved once."""
        with plainly():
            if self._initial is None:
                now = self._server_now()
                self._check_selection()
                start = timespec.resolve(
                    self.options.start_time, now, timespec.zone_named(self.options.time_zone)
                )
                start = min(start, now)
                self._initial = offset(start, start)
            return dict(self._initial)

    def latestOffset(self, start: Offset | None = None, limit: Any = None) -> Offset:
        """The end of the next micro-batch; ``start`` itself, unchanged, when there is nothing new."""
        with plainly():
            begin = start or self._position or self.initialOffset()
            position = window_of(begin).end
            end = self._frozen_at or self._settled()
            longest = self.options.max_window_per_trigger
            if longest is not None and limit is not None and not isinstance(limit, ReadAllAvailable):
                end = min(end, position + longest)
            self._position = offset(position, end) if end > position else begin
            return dict(self._position)

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        """The tasks of ``[start, end)``: the same ones whenever Spark asks, as long as the tags are the same."""
        with plainly():
            self._position = end
            last = window_of(end)
            if start == end:
                return []
            begin = window_of(start)
            # Spark resolves the initial offset (an empty window) anew when it replays the first micro-batch; the end
            # remembers where that began.
            initial = begin.start == begin.end
            return planned(self.options, Window(last.start if initial else begin.end, last.end))

    def read(self, partition: InputPartition | None) -> Iterator[pa.RecordBatch]:
        """The events of one task."""
        task = partition.value if isinstance(partition, PIPartition) else None
        return read_partition(self.options, self.schema, task)

    def getDefaultReadLimit(self) -> ReadLimit:
        """Lets Spark tell a bounded trigger from ``once``, which takes all there is."""
        return ReadMaxRows(_ANY_NUMBER_OF_ROWS) if self.options.max_window_per_trigger else ReadAllAvailable()

    def prepareForTriggerAvailableNow(self) -> None:
        """From here on the stream ends at the server's present time."""
        with plainly():
            self._frozen_at = self._settled()

    def reportLatestOffset(self) -> Offset:
        """The newest time that could be read; the lag is the way from a batch's end to here."""
        with plainly():
            settled = self._settled()
            return offset(settled, settled)

    def commit(self, end: Offset) -> None:
        """Nothing to do: Spark's checkpoint is the only one."""

    def stop(self) -> None:
        """Nothing to do: connections end with their process."""

    def _settled(self) -> datetime:
        return self._server_now() - self.options.settle

    def _server_now(self) -> datetime:
        """The server's clock, asked for at most once a second."""
        asked = time.monotonic()
        if self._clock is None or asked - self._clock[0] >= CLOCK_INTERVAL_S:
            api = client.shared(self.options)
            self._clock = (asked, discover.server_now(discover.data_servers(api, self.options)))
        return self._clock[1]

    def _check_selection(self) -> None:
        """Tells of a tag that selects nothing when a stream is first started; later, tags come and go."""
        if self.options.tags or self.options.tag_filter:
            api = client.shared(self.options)
            discover.points(api, discover.data_servers(api, self.options), self.options)
