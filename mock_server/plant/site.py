"""A site: the points of one data server and their recorded events."""

from datetime import datetime, timezone
from pathlib import Path

from mock_server.plant import ticks
from mock_server.plant.catalog import Catalog
from mock_server.plant.datafile import read
from mock_server.plant.history import History
from mock_server.plant.imported import Imported, ImportedCatalog, ImportedHistory
from mock_server.plant.instruments import Recipe
from mock_server.plant.point import Point

HISTORY_START = datetime(2020, 1, 1, tzinfo=timezone.utc)


class Site:
    """The points and events of a site, a pure function of time and of the arguments, which `Plant` describes."""

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

    @property
    def points(self) -> list[Point]:
        """All points in server order; a new list at each call."""
        return self.catalog.points(self.catalog.matching("*"))

    def advance(self, now: datetime) -> None:
        """Apply the scheduled changes of points up to `now`; a served plant follows the server's clock."""
        self.catalog.advance(ticks.from_datetime(now))

    def add_points(self, count: int, at: datetime) -> list[Point]:
        """Create `count` points at `at`, and return them; the seed decides what they are."""
        return self.catalog.points(self.catalog.add(count, ticks.from_datetime(at)))
