"""The current time of a simulated server: the wall clock, or one that starts elsewhere, runs faster or stands still."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from threading import Lock


class Clock:
    """A callable that returns the current time in UTC. Thread-safe.

    It starts at `now` (None: the wall clock's time) and runs at `speed` simulated seconds per real second; 0 stands
    still. `timer` counts real seconds.

    Raises:
        ValueError: for a naive time, or a speed that is negative or not finite.
    """

    def __init__(
        self,
        now: datetime | None = None,
        speed: float = 1.0,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = Lock()
        self._timer = timer
        self._speed = _checked_speed(speed)
        self._base = datetime.now(timezone.utc) if now is None else _checked_time(now)
        self._started = timer()

    def __call__(self) -> datetime:
        """The current time."""
        with self._lock:
            return self._present()

    @property
    def speed(self) -> float:
        """Simulated seconds per real second."""
        return self._speed

    def set(self, now: datetime | None = None, speed: float | None = None) -> datetime:
        """Move to `now`, change the speed, or both; returns the current time after that.

        Raises:
            ValueError: as for the constructor; the clock is then unchanged.
        """
        moment = None if now is None else _checked_time(now)
        pace = None if speed is None else _checked_speed(speed)
        with self._lock:
            self._base = self._present() if moment is None else moment
            self._started = self._timer()
            self._speed = self._speed if pace is None else pace
            return self._base

    def _present(self) -> datetime:
        passed = (self._timer() - self._started) * self._speed
        try:
            return self._base + timedelta(seconds=passed)
        except OverflowError:
            return datetime.max.replace(tzinfo=timezone.utc)


def _checked_time(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = "the clock needs a time with a zone, such as 2025-06-02T12:00:00Z"
        raise ValueError(msg)
    return moment.astimezone(timezone.utc)


def _checked_speed(speed: float) -> float:
    if not 0.0 <= speed < float("inf"):
        msg = f"the clock's speed is 0 (stands still) or a positive factor, not {speed}"
        raise ValueError(msg)
    return float(speed)


def parse_time(text: str) -> datetime:
    """An ISO time; UTC unless it has an offset."""
    moment = datetime.fromisoformat(text.strip().upper().replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
