"""What a running server knows besides its plant: its clock, its limits and who may come in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from mock_server import ticks
from mock_server.counters import Counters
from mock_server.faults import Faults
from mock_server.generations import GENERATIONS, LATEST, Generation
from mock_server.limits import RateLimit, UrlLimit
from mock_server.oidc import Oidc
from mock_server.plant import Plant
from mock_server.stale import StaleCache
from mock_server.updates import Registry

PRODUCT_TITLE = "PI Web API simulator"
DATA_SERVER_VERSION = "3.4.440.477"
MAX_CONTENT_BYTES = 4_194_304


def wall_clock() -> datetime:
    """The present instant, UTC."""
    return datetime.now(timezone.utc)


@dataclass(eq=False)
class Server:
    """One PI Web API: a plant and the settings it is served with, which may change while it runs.

    `clock` is the only source of the plant's present, and `skew` is how far the server's clocks are off. Without
    `user`, `token`, `oidc` and `challenge` anybody may read; with any, every request under /piwebapi and /admin
    must satisfy one. A `challenge` (`Negotiate`, `NTLM`) is only made: nothing here can check a ticket, so that
    nobody gets in by it. A read collects at most `max_collect` events for one answer and computes for at most
    `max_query_s` seconds; beyond that the archive refuses it. `version` is a key of `GENERATIONS`. `dashboard` says that a page at /ingestion is served
    beside it, to which the landing page then links.
    """

    plant: Plant
    clock: Callable[[], datetime] = wall_clock
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_items: int = 150_000
    admin: bool = False
    challenge: str | None = None
    oidc: Oidc | None = None
    skew: timedelta = timedelta(0)
    faults: Faults = field(default_factory=Faults)
    rate_limit: RateLimit = field(default_factory=RateLimit)
    url_limit: UrlLimit = field(default_factory=UrlLimit)
    stale: StaleCache = field(default_factory=StaleCache)
    counters: Counters = field(default_factory=Counters)
    registry: Registry = field(default_factory=Registry, repr=False, compare=False)
    version: str = LATEST
    dashboard: bool = False
    max_collect: int = 1_500_000
    max_query_s: float = 60.0

    @property
    def generation(self) -> Generation:
        """The release that is simulated."""
        return GENERATIONS[self.version]

    def now(self) -> int:
        """The present in ticks, as this server sees it; the plant's list of points is brought up to it."""
        now = ticks.from_datetime(self.clock() + self.skew)
        self.plant.catalog.advance(now)
        return now

    def date(self) -> datetime:
        """What the machine's own clock shows: the `Date` of its answers."""
        return wall_clock() + self.skew

    def check_points(self, faults: Faults) -> None:
        """Return when the points that `faults` names exist.

        Raises:
            ValueError: when one does not.
        """
        for tag in faults.points:
            if self.plant.catalog.by_name(tag) is None:
                msg = f"a fault is tied to the point '{tag}', which does not exist"
                raise ValueError(msg)
