"""The complete simulation: a site with its assets, its event frames and the truth about its events."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property

import pyarrow as pa

from mock_server.af.event_frames import Frames
from mock_server.af.framework import AssetFramework
from mock_server.oracle.events import events, table
from mock_server.plant import ticks
from mock_server.plant.events import Event
from mock_server.plant.point import Point
from mock_server.plant.site import Site


class Plant(Site):
    """A data server with `tags` points spread over `plants` plants, all created at `history_start`.

    Everything is a pure function of these arguments and time; two equal plants hold the same events.

    `rate` multiplies how often each kind of instrument reports (10 Hz to once a day), `period_s` is one period for
    all of them instead. `changes` is the share of events that arrive late, and of those that are edited, deleted, or
    shown as snapshot and then dropped by compression. `churn` is how many times a day a tag comes, gets another name
    or goes, from `history_start` on. `data` is a CSV or Parquet file whose tags and events are served in place of
    generated ones; of the other arguments only `seed` matters then.

    Raises:
        ValueError: when an argument is out of its range.
    """

    @cached_property
    def assets(self) -> AssetFramework:
        """The Asset Framework over the points."""
        return AssetFramework(self.seed, self.catalog)

    @cached_property
    def frames(self) -> Frames:
        """The event frames of the batches and alarms in the history."""
        return Frames(self.assets, self.history)

    def oracle(
        self, tag_name: str, start: datetime, end: datetime, as_of: datetime | None = None
    ) -> list[Event]:
        """The exact events with start <= t < end of one tag, in server order.

        With `as_of` what the server shows at that instant; without, what it shows once every late event has
        arrived and every change is made.

        A tag is found under each name it has or had, and even when it is deleted.

        Raises:
            KeyError: when there is no such tag.
        """
        return events(self.history, self._point(tag_name), *_bounds(start, end, as_of))

    def oracle_table(
        self,
        tag_names: Iterable[str] | None,
        start: datetime,
        end: datetime,
        as_of: datetime | None = None,
    ) -> pa.Table:
        """The same for many tags (None: all) as one table, ordered as `points` and in server order per tag.

        Columns: tag_name, ticks, number, text, state_code, is_system, kind, good, questionable, substituted,
        annotated, units. `number` is the double a client parses from the server's JSON.

        Raises:
            KeyError: when one of the tags does not exist.
        """
        points = self.points if tag_names is None else [self._point(name) for name in tag_names]
        return table(self.history, sorted(points, key=lambda point: point.index), *_bounds(start, end, as_of))

    def _point(self, name: str) -> Point:
        point = self.catalog.by_name(name) or self.catalog.ever_named(name)
        if point is None:
            raise KeyError(name)
        return point


def _bounds(start: datetime, end: datetime, as_of: datetime | None) -> tuple[int, int, int]:
    """First and last tick of the half-open window, and the last visible one."""
    visible = ticks.LAST if as_of is None else ticks.from_datetime(as_of)
    return ticks.from_datetime(start), ticks.from_datetime(end) - 1, visible
