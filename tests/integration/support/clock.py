"""A clock that stands still until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)


@dataclass
class Clock:
    """The simulator's clock: ``Clock(now)`` is callable, and ``clock.now = later`` moves it."""

    now: datetime

    def __call__(self) -> datetime:
        """The present time of the simulated server."""
        return self.now
