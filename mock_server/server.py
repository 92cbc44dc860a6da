"""What a running server knows besides its plant: its clock, its limits and who may come in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from mock_server import ticks
from mock_server.plant import Plant

PRODUCT_TITLE = "PI Web API simulator"
PRODUCT_VERSION = "1.19.0.0"  # of the 2023 generation, whose behaviour is simulated
DATA_SERVER_VERSION = "3.4.440.477"
MAX_CONTENT_BYTES = 4_194_304


def wall_clock() -> datetime:
    """The present instant, UTC."""
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class Server:
    """One PI Web API: a plant and the settings it is served with.

    `clock` is the only source of the present. Without `user` and `token` anybody may read; with either,
    every request under /piwebapi and /admin needs one of them.
    """

    plant: Plant
    clock: Callable[[], datetime] = wall_clock
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    max_items: int = 150_000
    admin: bool = False

    def now(self) -> int:
        """The present in ticks."""
        return ticks.from_datetime(self.clock())
