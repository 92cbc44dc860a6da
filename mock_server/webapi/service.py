"""The server as its endpoints see it: a plant, a clock, and the settings that shape replies."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from mock_server.plant import ticks
from mock_server.simulation import Plant
from mock_server.webapi.generations import GENERATIONS, LATEST, Generation
from mock_server.webapi.messages import Request, Response
from mock_server.webapi.registrations import Registry

PRODUCT_TITLE = "PI Web API simulator"
DATA_SERVER_VERSION = "3.4.440.477"
MAX_CONTENT_BYTES = 4_194_304


def wall_clock() -> datetime:
    """The current time in UTC."""
    return datetime.now(timezone.utc)


@dataclass(eq=False)
class Service(ABC):
    """A plant and the settings its endpoints read, which may change while the server runs.

    `clock` is the only source of the plant's present; `skew` is the error of the server's clocks. `max_collect`
    limits the events one read collects. `version` is a key of `GENERATIONS`.
    """

    plant: Plant
    clock: Callable[[], datetime] = wall_clock
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_items: int = 150_000
    admin: bool = False
    skew: timedelta = timedelta(0)
    version: str = LATEST
    max_collect: int = 1_500_000
    registry: Registry = field(default_factory=Registry, repr=False, compare=False)

    @property
    def generation(self) -> Generation:
        """The simulated release."""
        return GENERATIONS[self.version]

    def now(self) -> int:
        """The current time in ticks, with the server's skew; also advances the plant's points to it."""
        now = ticks.from_datetime(self.clock() + self.skew)
        self.plant.catalog.advance(now)
        return now

    @abstractmethod
    def answer_member(self, request: Request, now: int) -> Response:
        """The answer to a request within a batch, as of `now` (ticks)."""
