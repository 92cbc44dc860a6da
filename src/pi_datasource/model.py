"""The nouns that every part shares: frozen, small, and free of behaviour that reaches outside."""

from __future__ import annotations

import itertools
import math
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import msgspec

MICROSECOND = timedelta(microseconds=1)


def json_number(value: float) -> float | str:
    """``value`` for JSON, which has no NaN and no infinities: those are the texts "NaN", "Infinity" and "-Infinity".

    Spark's ``to_json`` writes the same.
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


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
    """One PI Data Archive; ``time`` is its clock when it was asked, None where it tells none.

    ``connected`` is what PI Web API says of itself and this server.
    """

    web_id: str
    name: str
    time: datetime | None = None
    connected: bool = True


class Point(msgspec.Struct, frozen=True, gc=False):
    """One PI point (tag), as far as reading its events needs it; a million of them must fit into a driver.

    ``path`` is empty and ``step`` false where nobody needs them; with ``step`` a value holds until the next event.
    """

    web_id: str
    name: str
    point_type: str
    units: str | None
    server: str
    path: str
    step: bool = False


NO_POINT = Point("", "", "", None, "", "")
"""Stands in a row that tells of the read where no point was read."""


@dataclass(frozen=True)
class ReadTask:
    """A whole read request: these points, this window. It is the plan, the partition and the log line.

    ``ingestion_time`` stamps every row, so that the same task run again gives the same rows. Pickled, points are packed:
    some 30 bytes each.
    """

    table: str
    window: Window
    points: tuple[Point, ...]
    ingestion_time: datetime
    page_size: int
    batch_size: int
    on_error: Literal["fail", "report"] = "fail"
    read_mode: Literal["auto", "streamsets", "streams"] = "auto"
    requests_per_second: float | None = None  # this task's share
    starts: tuple[datetime, ...] = ()  # of each point, where they are not all that of the window
    report_metrics: bool = False
    skip_deleted: bool = (
        False  # a point that was deleted since it was listed has no events, and is no failure
    )
    offset: str | None = None  # of a stream: where its micro-batch ends, as JSON; told with the effort

    def __getstate__(self) -> dict[str, Any]:
        """All fields, the points packed."""
        return {**self.__dict__, "points": _packed(self.points)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The same task again."""
        self.__dict__.update(state, points=_unpacked(state["points"]))

    def __str__(self) -> str:
        names = ", ".join(point.name for point in self.points[:3])
        more = ", …" if len(self.points) > 3 else ""
        return f"{self.table}: {len(self.points)} point(s) ({names}{more}) in {self.window}"


_COLUMNS = msgspec.msgpack.Decoder(list[list[str | bool | None]])


def _packed(points: tuple[Point, ...]) -> bytes:
    """Columns pack better than rows: ids share their beginning, types and units are few."""
    columns = [[getattr(point, name) for point in points] for name in Point.__struct_fields__]
    return zlib.compress(msgspec.msgpack.encode(columns), 1)


def _unpacked(packed: bytes) -> tuple[Point, ...]:
    columns = _COLUMNS.decode(zlib.decompress(packed))
    return tuple(itertools.starmap(Point, zip(*columns, strict=True)))
