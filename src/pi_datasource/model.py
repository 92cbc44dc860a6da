"""The data classes that all packages share: frozen, small, without I/O."""

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
    """``value`` for JSON, which has no NaN and no infinities: these become "NaN", "Infinity" and "-Infinity".

    Spark's ``to_json`` writes the same.
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def iso_utc(moment: datetime) -> str:
    """ISO 8601 in UTC with a ``Z`` and as many fraction digits as needed: 0, 3 or 6."""
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
    """A PI Data Archive; ``time`` is its clock at the time of the request, or None.

    ``connected`` says whether PI Web API is connected to it.
    """

    web_id: str
    name: str
    time: datetime | None = None
    connected: bool = True


class Point(msgspec.Struct, frozen=True, gc=False):
    """The attributes of a PI point (tag) that reading its events needs; a million of them must fit into a driver.

    ``path`` is empty and ``step`` false if not requested; with ``step`` a value holds until the next event.
    """

    web_id: str
    name: str
    point_type: str
    units: str | None
    server: str
    path: str
    step: bool = False


NO_POINT = Point("", "", "", None, "", "")
"""The point of a status row of a task without points."""


@dataclass(frozen=True)
class ReadTask:
    """The points and the window that one task reads.

    ``ingestion_time`` stamps every row, so that the same task gives the same rows when it runs again. Points are pickled
    packed, in about 30 bytes each.
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
    starts: tuple[datetime, ...] = ()  # of each point, if not all start with the window
    report_metrics: bool = False
    skip_deleted: bool = False  # a point deleted since it was listed is not a failure
    offset: str | None = None  # of a stream: the end of its micro-batch as JSON, reported with the metrics

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "points": _packed(self.points)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, points=_unpacked(state["points"]))

    def __str__(self) -> str:
        names = ", ".join(point.name for point in self.points[:3])
        more = ", …" if len(self.points) > 3 else ""
        return f"{self.table}: {len(self.points)} point(s) ({names}{more}) in {self.window}"


_COLUMNS = msgspec.msgpack.Decoder(list[list[str | bool | None]])


def _packed(points: tuple[Point, ...]) -> bytes:
    """Columns compress better than rows: WebIds share a prefix, types and units are few."""
    columns = [[getattr(point, name) for point in points] for name in Point.__struct_fields__]
    return zlib.compress(msgspec.msgpack.encode(columns), 1)


def _unpacked(packed: bytes) -> tuple[Point, ...]:
    columns = _COLUMNS.decode(zlib.decompress(packed))
    return tuple(itertools.starmap(Point, zip(*columns, strict=True)))
