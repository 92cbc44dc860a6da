"""The simulated site: its points, their history and the truth about both."""

from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from mock_server import ticks
from mock_server.af.framework import AssetFramework
from mock_server.catalog import Catalog
from mock_server.datafile import read
from mock_server.events import Event
from mock_server.frames import Frames
from mock_server.history import History
from mock_server.imported import Imported, ImportedCatalog, ImportedHistory
from mock_server.instruments import Recipe
from mock_server.oracle import events, table
from mock_server.point import Point

HISTORY_START = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Plant:
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

    def __init__(
        self,
        seed: int = 1,
        tags: int = 128,
        plants: int = 4,
        history_start: datetime = HISTORY_START,
        *,
        rate: float = 1.0,
        period_s: float | None = None,
        changes: float = 0.0,
        churn: float = 0.0,
        data: Path | None = None,
    ) -> None:
        self.seed = seed
        if data is not None:
            imported = Imported(read(data))
            self.catalog: Catalog = ImportedCatalog(seed, imported)
            self.history: History = ImportedHistory(imported)
            return
        self.catalog = Catalog(seed, tags, plants, ticks.from_datetime(history_start), churn)
        self.history = History(Recipe(seed, rate, period_s, changes))

    @cached_property
    def assets(self) -> AssetFramework:
        """The Asset Framework over the points."""
        return AssetFramework(self.seed, self.catalog)

    @cached_property
    def frames(self) -> Frames:
        """The event frames of the batches and alarms in the history."""
        return Frames(self.assets, self.history)

    @property
    def points(self) -> list[Point]:
        """Every point there is, in server order (built anew at each call)."""
        return self.catalog.points(self.catalog.matching("*"))

    def advance(self, now: datetime) -> None:
        """Let `points` and names be those of that instant; a served plant follows the server's clock."""
        self.catalog.advance(ticks.from_datetime(now))

    def add_points(self, count: int, at: datetime) -> list[Point]:
        """The `count` points that now exist in addition, created at `at`; the seed decides what they are."""
        return self.catalog.points(self.catalog.add(count, ticks.from_datetime(at)))

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
