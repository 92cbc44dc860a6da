"""The registrations for stream updates, held in memory as by a real server.

A marker is `<registration>_<n>`, where `n` counts ticks since the registration began. So a registration stores only
its start, and all of its markers stay valid while it is in use.
"""

import re
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from mock_server.plant import ticks

EXPIRES_AFTER = 15 * 60 * ticks.PER_SECOND
_MARKER = re.compile(r"([0-9a-f]{32})_(\d{1,19})\Z", re.IGNORECASE)


class UnknownMarker(Exception):
    """The registration of the marker never existed, expired, or was removed."""


class InvalidMarker(Exception):
    """The text is not a marker, or one its registration never issued."""


@dataclass(frozen=True)
class Registration:
    """The registration of one stream, which began at `began` (ticks)."""

    key: str
    point_id: int
    began: int

    def marker(self, instant: int) -> str:
        """The marker of `instant`."""
        return f"{self.key}_{instant - self.began}"


class Registry:
    """The registrations of one server, at most `most`; the least recently used is evicted."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._lock = Lock()
        self._by_key: OrderedDict[str, tuple[Registration, int]] = OrderedDict()  # with the time of last use
        self._key_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def register(self, point_id: int, now: int) -> tuple[Registration, bool]:
        """The registration of a point, and whether it is new."""
        with self._lock:
            found = self._alive(self._key_of.get(point_id, ""), now)
            if found is not None:
                return found, False
            new = Registration(uuid.uuid4().hex, point_id, now)
            self._by_key[new.key] = new, now
            self._key_of[point_id] = new.key
            if len(self._by_key) > self._most:
                self._drop(next(iter(self._by_key)))
            return new, True

    def read(self, marker: str, now: int) -> tuple[Registration, int]:
        """The registration of a marker and the marker's instant.

        Raises:
            InvalidMarker: when it is not a marker, or is later than now.
            UnknownMarker: when the registration does not exist (any more).
        """
        match = _MARKER.match(marker)
        if match is None:
            raise InvalidMarker(marker)
        with self._lock:
            found = self._alive(match[1].lower(), now)
        if found is None:
            raise UnknownMarker(marker)
        instant = found.began + int(match[2])
        if instant > now:
            raise InvalidMarker(marker)
        return found, instant

    def remove(self, registration: Registration) -> None:
        """Remove a registration, if it still exists."""
        with self._lock:
            self._drop(registration.key)

    def _alive(self, key: str, now: int) -> Registration | None:
        """The registration of that key, marked as used now; an expired one is dropped."""
        found, used = self._by_key.get(key, (None, 0))
        if found is None:
            return None
        if now < found.began or now - used > EXPIRES_AFTER:
            self._drop(key)
            return None
        self._by_key[key] = found, max(now, used)
        self._by_key.move_to_end(key)
        return found

    def _drop(self, key: str) -> None:
        found, _ = self._by_key.pop(key, (None, 0))
        if found is not None and self._key_of.get(found.point_id) == key:
            del self._key_of[found.point_id]
