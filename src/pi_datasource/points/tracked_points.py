"""The points of a stream: listed when it starts, kept between micro-batches, and listed again after ``discovery_interval``.

The interval is measured by the PI server's clock. A new point is read from the next window on, one that is deleted or no
longer selected is not read any more, and a renamed one stays the same point: its WebId follows from its point id.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from pi_datasource.errors import NoTagMatches
from pi_datasource.model import Point
from pi_datasource.options.declaration import Options
from pi_datasource.points import start_times
from pi_datasource.points.start_times import Starts

log = logging.getLogger(__name__)

_SHOWN = 10

List = Callable[[bool], Sequence[Point]]  # the argument: whether every tag must select something


class TrackedPoints:
    """The points of one running stream, ordered by WebId."""

    def __init__(self, options: Options, listing: List) -> None:
        self._options, self._listing = options, listing
        self._listed_at: datetime | None = None
        self._file: Starts | None = None
        self._fingerprints: dict[datetime | None, str] = {}
        self._starts: tuple[datetime, dict[str, datetime]] | None = None
        self.points: Sequence[Point] = ()

    def refresh(self, now: datetime, *, planned: str | None = None, strict: bool = False) -> None:
        """Lists the points the first time, after ``discovery_interval``, and after the server's clock was set back.

        ``planned`` is the fingerprint of the last micro-batch, if there was one.

        Raises:
            NoTagMatches: ``strict``, and a tag or pattern selects nothing; or there were points before, and now there are
                none: more likely the account has lost its rights, and the events that it cannot see would be missed.
            ServerError: the server does not list its points.
        """
        known = self._listed_at
        if known is not None and timedelta(0) <= now - known < self._options.discovery_interval:
            return
        listed = sorted(self._listing(strict), key=attrgetter("web_id"))
        before = len(self.points) or int((planned or "0").partition("-")[0])
        if before and not listed:
            message = (
                f"the server lists no tag of this stream any more, and there were {before}: nothing was read; check that "
                "this account may still see them, and restart the stream: it resumes where it stopped"
            )
            raise NoTagMatches(message)
        if known is not None:
            _log_changes(self.points, listed)
        self.points, self._listed_at = listed, now
        self._fingerprints.clear()
        self._starts = None

    def ready(self, now: Callable[[], datetime], planned: str | None, started: datetime | None) -> None:
        """Lists the points the first time; logs a warning if they are not those of ``planned``, an earlier fingerprint."""
        if self._listed_at is not None:
            return
        self.refresh(now(), planned=planned)
        found = self.fingerprint(started)
        if planned is not None and planned != found:
            log.warning(
                "a micro-batch is read again with other tags than the first time (%s, now %s): tags were added or removed, or "
                "start_times has changed",
                planned,
                found,
            )

    def starts(self, started: datetime) -> Mapping[str, datetime] | None:
        """Where each point starts, by WebId; None without the option ``start_times``.

        Raises:
            InvalidOption: the file of ``start_times`` cannot be used.
        """
        if self._options.start_times is None:
            return None
        if self._file is None:
            self._file = start_times.read(self._options.start_times)
        if self._starts is None or self._starts[0] != started:
            self._starts = started, start_times.resolved(self._file, self.points, self._options, started)
        return self._starts[1]

    def fingerprint(self, started: datetime | None) -> str:
        """A short text that identifies the points and, unless ``started`` is None, their starts."""
        if started not in self._fingerprints:
            moments = self.starts(started) if started is not None else None
            self._fingerprints[started] = fingerprint(self.points, moments)
        return self._fingerprints[started]


def fingerprint(points: Sequence[Point], starts: Mapping[str, datetime] | None = None) -> str:
    """The number of points and a digest of their WebIds and ``starts``, independent of their order."""
    moments, digest = starts or {}, hashlib.blake2b(digest_size=8)
    for point in sorted(points, key=attrgetter("web_id")):
        start = moments.get(point.web_id)
        digest.update(f"{point.web_id}{start.isoformat() if start else ''}\n".encode())
    return f"{len(points)}-{digest.hexdigest()}"


def _log_changes(before: Sequence[Point], after: Sequence[Point]) -> None:
    names = {point.web_id: point.name for point in before}
    now = {point.web_id: point.name for point in after}
    for what, changed in (
        ("new, read from the next window on", [now[key] for key in now if key not in names]),
        ("no longer there or no longer selected", [names[key] for key in names if key not in now]),
        ("renamed", [f"{names[key]} → {now[key]}" for key in now if names.get(key, now[key]) != now[key]]),
    ):
        if changed:
            shown = ", ".join(changed[:_SHOWN]) + " …" * (len(changed) > _SHOWN)
            log.warning("%d tag(s) %s: %s", len(changed), what, shown)
