"""The static server's events: pages cut from prepared text, for one stream or a set of streams."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import parse_qsl

import orjson

from benchmarks.read import recordings
from benchmarks.read.recordings import FIELDS, NOW, Recording, Shape, Text
from benchmarks.read.static_points import Directory, Refused

MAX_ITEMS = 150_000  # MaxReturnedItemsPerCall as PI Web API is installed

Pieces: TypeAlias = "list[bytes | memoryview]"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(?:Z|\+00:00)", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Wanted:
    """Which members of an answer with events the caller selects; everything without ``selectedFields``."""

    events: frozenset[str] = frozenset(FIELDS)
    links: bool = True
    units: bool = True
    labels: tuple[str, ...] = ("WebId", "Name", "Path")  # of a stream in a set


@dataclass(frozen=True)
class Asked:
    """One call for recorded events, its streams aside."""

    start: int
    end: int
    count: int
    wanted: Wanted


class Streams:
    """The events of a shape; each recording is written out once for each selection of fields."""

    def __init__(self, shape: Shape, directory: Directory) -> None:
        self.shape, self.directory = shape, directory
        self._text = lru_cache(maxsize=None)(self._new_text)
        self._recordings = [shape.recording(tag) for tag in range(min(shape.tags, recordings.POOL))]

    def recorded(self, web_id: str, query: str) -> Pieces:
        """One stream's page."""
        tag = self.directory.tag(web_id)
        asked = _asked(query)
        source, page = self._page(tag, asked)
        wanted = asked.wanted
        pieces: Pieces = [b'{"Links":{},"Items":[' if wanted.links else b'{"Items":[', page, b"]"]
        if wanted.units:
            pieces.append(b',"UnitsAbbreviation":"%b"' % source.units.encode())
        pieces.append(b"}")
        return pieces

    def recorded_set(self, query: str) -> Pieces:
        """The pages of several streams; ``maxCount`` holds for each, the server's limit for all together."""
        pairs = parse_qsl(query)
        web_ids = [value for name, value in pairs if name.lower() == "webid"]
        rest = "&".join(f"{name}={value}" for name, value in pairs if name.lower() != "webid")
        asked = _asked(rest)
        if not web_ids:
            raise Refused(400, "Parameter 'webId' is required.")
        if asked.count * len(web_ids) > MAX_ITEMS:
            raise Refused(400, f"Parameter maxCount is greater than the maximum allowed ({MAX_ITEMS}).")
        pieces: Pieces = [b'{"Links":{},"Items":[' if asked.wanted.links else b'{"Items":[']
        for web_id in web_ids:
            pieces += self._member(web_id, asked)
        pieces[-1] = b"}]}"
        return pieces

    def count(self, web_id: str) -> bytes:
        """The summary ``Count`` of a stream over the last day."""
        self.directory.tag(web_id)
        value = {"Timestamp": recordings.tick_text(_ticks(NOW)), "Value": self.shape.events, "Good": True}
        return orjson.dumps({"Items": [{"Type": "Count", "Value": value}]})

    def _member(self, web_id: str, asked: Asked) -> Pieces:
        tag = self.directory.tag(web_id)
        source, page = self._page(tag, asked)
        texts = {"WebId": web_id, "Name": self.directory.name(tag), "Path": self.directory.path(tag)}
        labels = b"".join(
            b'"%b":%b,' % (key.encode(), orjson.dumps(texts[key])) for key in asked.wanted.labels
        )
        pieces: Pieces = [b"{" + labels + b'"Items":[', page, b"]"]
        if asked.wanted.units:
            pieces.append(b',"UnitsAbbreviation":"%b"' % source.units.encode())
        pieces.append(b"},")
        return pieces

    def _page(self, tag: int, asked: Asked) -> tuple[Recording, memoryview]:
        place = tag % recordings.POOL
        source = self._recordings[place]
        first = bisect_left(source.ticks, asked.start)
        last = min(bisect_right(source.ticks, asked.end), first + asked.count)
        return source, self._text(place, asked.wanted.events).page(first, max(first, last))

    def _new_text(self, place: int, fields: frozenset[str]) -> Text:
        return recordings.text_of(self._recordings[place], fields)


@lru_cache(maxsize=65_536)
def _asked(query: str) -> Asked:
    """What a query string asks for; most sub-requests of a batch have the same one."""
    options = {name.lower(): value for name, value in parse_qsl(query)}
    if options.get("boundarytype", "Inside").lower() != "inside":
        raise Refused(400, "the static server knows boundaryType=Inside only")
    count = int(options.get("maxcount", 1000))
    if count > MAX_ITEMS:
        raise Refused(400, f"Parameter maxCount is greater than the maximum allowed ({MAX_ITEMS}).")
    start, end = _time(options.get("starttime", "*-1d")), _time(options.get("endtime", "*"))
    if end < start:
        raise Refused(400, "the static server reads forwards only")
    return Asked(start, end, count, _wanted(options.get("selectedfields", "")))


def _wanted(text: str) -> Wanted:
    if not text:
        return Wanted()
    names = {name.lower() for name in text.split(";") if name}
    in_set = any(name.startswith("items.items") for name in names)
    below = "items.items" if in_set else "items"
    units = "items.unitsabbreviation" if in_set else "unitsabbreviation"
    return Wanted(
        events=frozenset(FIELDS) if below in names else _chosen(FIELDS, names, below),
        links="links" in names,
        units=units in names or ("items" in names and in_set),
        labels=tuple(sorted(_chosen(Wanted.labels, names, "items"), key=Wanted.labels.index)),
    )


def _chosen(fields: Iterable[str], names: set[str], below: str) -> frozenset[str]:
    return frozenset(field for field in fields if f"{below}.{field.lower()}" in names)


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10


def _time(text: str) -> int:
    """A time of a query in ticks: ISO 8601 in UTC with up to seven digits, ``*`` or ``*-1d``."""
    if text == "*":
        return _ticks(NOW)
    if text == "*-1d":
        return _ticks(NOW - timedelta(days=1))
    found = _TIME.fullmatch(text)
    if not found:
        raise Refused(400, f"the static server cannot read the time '{text}'")
    second = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
    return _ticks(second) + int((found[3] or "0").ljust(7, "0"))
