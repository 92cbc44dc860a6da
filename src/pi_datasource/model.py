"""The nouns that every part shares: frozen, small, and free of behaviour that reaches outside."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

MICROSECOND = timedelta(microseconds=1)


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with a ``Z`` and exactly the digits that are needed: 0, 3 or 6."""
    utc = moment.astimezone(timezone.utc)
    if not utc.microsecond:
        spec = "seconds"
    elif utc.microsecond % 1000:
        spec = "microseconds"
    else:
        spec = "milliseconds"
    return utc.isoformat(timespec=spec).replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time ``[start, end)``; both ends are aware, UTC, in whole microseconds."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end < self.start:
            message = f"a window cannot end ({iso_utc(self.end)}) before it starts ({iso_utc(self.start)})"
            raise ValueError(message)

    def __str__(self) -> str:
        return f"[{iso_utc(self.start)}, {iso_utc(self.end)})"

    def split(self, parts: int) -> list[Window]:
        """At most ``parts`` windows that tile this one in order; fewer when it has fewer microseconds."""
        total = (self.end - self.start) // MICROSECOND
        parts = max(1, min(parts, total))
        edges = [self.start + MICROSECOND * (total * i // parts) for i in range(parts + 1)]
        return [Window(a, b) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True, slots=True)
class DataServer:
    """One PI Data Archive; ``time`` is its clock when it was asked, None before PI Web API 2018."""

    web_id: str
    name: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """One PI point (tag), as far as reading its events needs it."""

    web_id: str
    name: str
    point_type: str
    units: str | None
    server: str
    path: str


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A whole read request: these points, this window. It is the plan, the partition and the log line.

    ``ingestion_time`` stamps every row, so that the same task run again gives the same rows.
    """

    table: str
    window: Window
    points: tuple[Point, ...]
    ingestion_time: datetime
    page_size: int
    batch_size: int
    on_error: Literal["fail", "report"] = "fail"

    def __str__(self) -> str:
        names = ", ".join(point.name for point in self.points[:3])
        more = ", …" if len(self.points) > 3 else ""
        return f"{self.table}: {len(self.points)} point(s) ({names}{more}) in {self.window}"
