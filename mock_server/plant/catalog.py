"""The list of points. Names follow from a rule, so that a million points cost nothing until they are read."""

import re
import uuid
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import webid
from mock_server.plant.checkpoints import paced
from mock_server.plant.churn import Churn, Tags
from mock_server.plant.point import DataServer, Point, Points
from mock_server.plant.sensors import AREA_SIZE, AREAS, CODE_OF, DIGITAL_SETS, MIX, SENSORS, Sensor
from mock_server.plant.wildcards import folded, has_wildcards, unescape, wildcard_pattern

TAG_PATTERN = r"^(?P<plant>[A-Z]+\d*)\.(?P<area>A\d+)\.(?P<sensor_type>[A-Z]+)_(?:\d+)\.PV$"
"""Splits any tag name of the simulator, `NORTH.A1.FLOW_0003.PV`, into plant, area and sensor type."""

MAX_POINTS = 10_000_000
_PLANT_NAMES = (
    *("NORTH", "HARBOR", "MEADOW", "QUARRY", "RIVER", "SUMMIT"),
    *("FOREST", "ISLAND", "CANYON", "PRAIRIE", "LAGOON", "ORCHARD"),
)
_NAME = re.compile(r"([A-Z]+\d*)\.A\d+\.([A-Z]+)_(\d{4,9})\.PV\Z")
_RENAMED_BY = 10_000_000  # added to the number in the name by each renaming; greater than any first number
_POSITIONS = [[at for at, code in enumerate(MIX) if code == wanted] for wanted in range(len(SENSORS))]
_RANK = [MIX[:at].count(code) for at, code in enumerate(MIX)]


class _Place(NamedTuple):
    """What the points at one position of every unit have in common."""

    area: str
    sensor: Sensor
    stem: str  # of the name, between the plant and the number
    per_unit: int  # sensors of this type
    rank: int  # among them, from 1


def _place(position: int) -> _Place:
    code = MIX[position]
    area, sensor = f"A{1 + position // AREA_SIZE}", SENSORS[code]
    stem = f".{area}.{sensor.name}_"
    return _Place(area, sensor, stem, len(_POSITIONS[code]), _RANK[position] + 1)


_PLACES = [_place(position) for position in range(len(MIX))]


class Catalog:
    """The points of one data server, in the order of their ids.

    With `churn`, that many points a day are created, renamed or deleted; `advance` moves to an instant. Ids are never
    reused. Thread-safe: a reader sees the list before or after a change, never in between.
    """

    def __init__(self, seed: int, tags: int, plants: int, created_ticks: int, churn: float = 0.0) -> None:
        if not 0 <= tags <= MAX_POINTS or plants < 1:
            msg = f"a plant site has 0 to {MAX_POINTS:,} tags on at least one plant"
            raise ValueError(msg)
        self.server = DataServer("PISIM01", uuid.uuid5(uuid.NAMESPACE_OID, f"mock_server {seed}"))
        self.plants = plants
        self.digital_sets = {each.name: each for each in DIGITAL_SETS}
        self._plant_names = [plant_name(number) for number in range(plants)]
        self._plant_index = {name: number for number, name in enumerate(self._plant_names)}
        self._growth: tuple[tuple[int, int], ...] = ((tags, created_ticks),)  # (size afterwards, when)
        self._lock = Lock()
        self._matches = lru_cache(maxsize=16)(self._scan)
        self._points = lru_cache(maxsize=16_384)(self._make)
        self._identified = lru_cache(maxsize=16_384)(self._identify)
        self._identified_sets = lru_cache(maxsize=64)(self._identify_set)
        self._tags = self._scheduled = self._by_hand = Tags()
        self._churn: Churn | None = None
        if churn:
            self._churn = Churn(seed, tags, created_ticks, churn, lambda at: self.add(1, at)[0])

    def __len__(self) -> int:
        """The number of points ever created, deleted ones included."""
        return self._growth[-1][0]

    def advance(self, now: int) -> None:
        """Apply the scheduled changes up to `now`."""
        if self._churn is None:
            return
        scheduled = self._churn.at(now)
        with self._lock:
            if scheduled is not self._scheduled:
                self._show(scheduled, self._by_hand)

    def delete(self, point: Point) -> None:
        """Delete a point; the oracle still knows its events."""
        with self._lock:
            self._show(self._scheduled, self._by_hand.deleted(point.index))

    def restore(self, point: Point) -> None:
        """Undo a deletion made by hand, as if an account could not see the point for a while."""
        with self._lock:
            self._show(self._scheduled, self._by_hand.restored(point.index))

    def rename(self, point: Point) -> Point:
        """Rename a point; the new name follows from its first name by a rule.

        Raises:
            ValueError: when no further rename is possible.
        """
        with self._lock:
            self._show(self._scheduled, self._by_hand.renamed(point.index))
        return self.point(point.index)

    def _show(self, scheduled: Tags, by_hand: Tags) -> None:
        self._scheduled, self._by_hand = scheduled, by_hand
        self._tags = by_hand.on_top_of(scheduled)

    def add(self, count: int, created_ticks: int) -> range:
        """Create `count` points at `created_ticks` and return their indexes."""
        with self._lock:
            size = len(self)
            if not 0 <= count <= MAX_POINTS - size:
                msg = f"count must be between 0 and {MAX_POINTS - size}"
                raise ValueError(msg)
            self._growth = (*self._growth, (size + count, created_ticks))
        return range(size, size + count)

    def point(self, index: int) -> Point:
        """The point at `index` of server order."""
        return self._points(index, self._tags.version)

    def _make(self, index: int, _version: int) -> Point:
        plant, area, sensor, name = self._named(index)
        serial, number = divmod(index, self.plants)
        unit, position = divmod(serial, len(MIX))
        machine = (unit * self.plants + number) * AREAS + position // AREA_SIZE
        return Point(self.server, index, name, plant, area, sensor, self._created(index), machine)

    def points(self, indexes: Iterable[int]) -> list[Point]:
        """The points at `indexes`, in that order."""
        return [self.point(int(index)) for index in indexes]

    def by_name(self, name: str) -> Point | None:
        """The point with that current name, in any case, or None."""
        index = self._index_of(name)
        if index is None or index in self._tags.hidden or folded(self._named(index)[3]) != folded(name):
            return None
        return self.point(index)

    def ever_named(self, name: str) -> Point | None:
        """The point that has or had that name, deleted or not; None if there is none."""
        index = self._index_of(name)
        return None if index is None else self.point(index)

    def by_id(self, point_id: int) -> Point | None:
        """The point with that PI id, or None."""
        index = point_id - 1
        return self.point(index) if 0 <= index < len(self) and index not in self._tags.hidden else None

    def at_path(self, path: str) -> Point | None:
        r"""The point at `\\SERVER\TAG` or `SERVER\TAG`, whatever its case, or None."""
        name, _, tag = path.removeprefix("\\\\").partition("\\")
        return self.by_name(tag) if name.upper() == self.server.name else None

    def by_web_id(self, text: str) -> Point:
        """The point that a WebID names, by id first and else by path.

        Raises:
            MalformedWebId: when the text is no WebID.
            KeyError: when there is no such point.
        """
        return self._identified(text, self._tags.version)

    def by_web_ids(self, texts: Iterable[str]) -> Points:
        """The points of several WebIDs, cached: clients send the same hundreds again and again."""
        return self._identified_sets(tuple(texts), self._tags.version)

    def _identify_set(self, texts: tuple[str, ...], version: int) -> Points:
        return Points(self._identified(text, version) for text in texts)

    def _identify(self, text: str, _version: int) -> Point:
        read = webid.decode(text)
        found: Point | None = None
        if read.marker == webid.POINT and read.server in (None, self.server.guid):
            if isinstance(read.object_id, int):
                found = self.by_id(read.object_id)
            found = found or self.at_path(read.name or "")
        if found is None:  # not cached: it may be created later
            raise KeyError(text)
        return found

    def matching(self, name_filter: str) -> "range | NDArray[np.int64]":
        """The indexes of the points whose names match a PI wildcard filter; an empty filter matches all."""
        tags = self._tags
        if name_filter in ("", "*") and not tags.hidden:
            return range(len(self))
        if name_filter and not has_wildcards(name_filter):
            found = self.by_name(unescape(name_filter))
            return range(found.index, found.index + 1) if found else range(0)
        return self._matches(name_filter or "*", len(self), tags.version)

    def _scan(self, name_filter: str, size: int, _version: int) -> NDArray[np.int64]:
        matches, hidden = wildcard_pattern(name_filter).match, self._tags.hidden
        found = [each for each in paced(range(size)) if each not in hidden and matches(self._named(each)[3])]
        return np.array(found, dtype=np.int64)

    def _describe(self, index: int) -> tuple[str, str, Sensor, str]:
        serial, number = divmod(index, self.plants)
        unit, position = divmod(serial, len(_PLACES))
        area, sensor, stem, per_unit, rank = _PLACES[position]
        plant = self._plant_names[number]
        return plant, area, sensor, f"{plant}{stem}{unit * per_unit + rank:04d}.PV"

    def _named(self, index: int) -> tuple[str, str, Sensor, str]:
        """Plant, area, sensor and current name."""
        plant, area, sensor, name = self._describe(index)
        renames = self._tags.renames.get(index)
        if renames is not None:
            stem, _, number = name.removesuffix(".PV").rpartition("_")
            name = f"{stem}_{renames * _RENAMED_BY + int(number)}.PV"
        return plant, area, sensor, name

    def _index_of(self, name: str) -> int | None:
        """The index of the point that has, had or could get that name, or None."""
        match = _NAME.match(name.upper())
        if match is None or match[1] not in self._plant_index or match[2] not in CODE_OF:
            return None
        number = int(match[3])
        renames, number = divmod(number, _RENAMED_BY) if number > _RENAMED_BY else (0, number)
        positions = _POSITIONS[CODE_OF[match[2]]]
        unit, rank = divmod(number - 1, len(positions))
        index = (unit * len(MIX) + positions[rank]) * self.plants + self._plant_index[match[1]]
        return index if 0 <= index < len(self) and renames <= self._tags.renames.get(index, 0) else None

    def _created(self, index: int) -> int:
        growth = self._growth
        if len(growth) == 1:
            return growth[0][1]
        return growth[bisect_right(growth, index, key=lambda step: step[0])][1]


@lru_cache(maxsize=4096)
def plant_name(number: int) -> str:
    """The name of the plant with that number, counted from 0."""
    if number < len(_PLANT_NAMES):
        return _PLANT_NAMES[number]
    return f"PLANT{number + 1}"
