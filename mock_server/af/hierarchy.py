"""The tree of elements: enterprise, plant, area, unit, equipment. Computed from the catalogue, never stored.

The key of the enterprise is (); below it are (plant,), (plant, area), (plant, area, unit) and (plant, area, unit,
equipment). The instruments of a unit follow from the mix in which the catalogue assigns its points.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mock_server.af.design import AREA_EQUIPMENT, ELEMENT_TEMPLATES
from mock_server.plant.catalog import Catalog, plant_name
from mock_server.plant.checkpoints import paced
from mock_server.plant.sensors import AREA_SIZE, MIX, SENSORS

Key = tuple[int, ...]

AREAS = len(MIX) // AREA_SIZE
LEVELS = ("Site", "Plant", "Area", "Unit")
_SPECS = {spec.name: spec for spec in ELEMENT_TEMPLATES}
_WIDTHS = (24, 3, 22, 4)  # bits of each part of a key, packed
_PLANT = re.compile(r"PLANT([1-9]\d{0,8})\Z")


@dataclass(frozen=True)
class Equipment:
    """A piece of equipment of an area: its template and the positions of its instruments in the mix."""

    template: str
    positions: dict[tuple[str, int], int]
    """Sensor name and rank among the equipment's sensors of that name: place in the mix."""


def _layout(area: int) -> tuple[Equipment, ...]:
    """Assign the area's instruments to its equipment; each takes the first ones of the kinds it needs."""
    free = list(range(area * AREA_SIZE, (area + 1) * AREA_SIZE))
    made = []
    for template in AREA_EQUIPMENT[area % len(AREA_EQUIPMENT)]:
        positions: dict[tuple[str, int], int] = {}
        specs = _SPECS[template].attributes
        for wanted in [(spec.sensor, spec.rank) for spec in specs if spec.sensor]:
            found = next((at for at in free if SENSORS[MIX[at]].name == wanted[0]), None)
            if found is not None:
                free.remove(found)
                positions[wanted] = found
        made.append(Equipment(template, positions))
    return tuple(made)


LAYOUT = tuple(_layout(area) for area in range(AREAS))
_OWNER = {
    position: (area, item)
    for area, members in enumerate(LAYOUT)
    for item, member in enumerate(members)
    for position in member.positions.values()
}


class Tree:
    """The elements that exist for the current catalogue, which may grow."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._is_generated = type(catalog) is Catalog  # imported points belong to no equipment
        self._sorted = lru_cache(maxsize=4)(self._descendants)

    @property
    def plants(self) -> int:
        """The number of plants with points."""
        return min(self._catalog.plants, len(self._catalog)) if self._is_generated else 0

    def exists(self, key: Key) -> bool:
        """Whether there is such an element."""
        return len(key) <= 4 and all(
            0 <= part < self._count(key[:depth]) if depth < 3 else self._has_instrument(key)
            for depth, part in enumerate(key)
        )

    def children(self, key: Key) -> list[Key]:
        """The keys of the children, in order."""
        if len(key) == 3:
            return [each for item in range(self._count(key)) if self._has_instrument(each := (*key, item))]
        return [(*key, number) for number in range(self._count(key))]

    def descendants(self, key: Key) -> list[Key]:
        """Every element below, parents first."""
        return self._sorted(key, len(self._catalog))

    def point_index(self, key: Key, position: int) -> int | None:
        """The index of the unit's instrument at that position of the mix, or None when it does not exist."""
        index = (key[2] * len(MIX) + position) * self._catalog.plants + key[0]
        return index if index < len(self._catalog) else None

    def owner_of(self, index: int) -> Key | None:
        """The equipment that the point at that index belongs to, or None."""
        if not self._is_generated:
            return None
        serial, plant = divmod(index, self._catalog.plants)
        unit, position = divmod(serial, len(MIX))
        owner = _OWNER.get(position)
        return None if owner is None else (plant, owner[0], unit, owner[1])

    def find(self, names: list[str]) -> Key | None:
        """The element reached by these names (upper case) from the database down, or None."""
        if not names or names[0] != name_of(()).upper():
            return None
        key: Key = ()
        for name in names[1:]:
            found = self._child(key, name)
            if found is None:
                return None
            key = found
        return key

    def _child(self, key: Key, name: str) -> Key | None:
        if len(key) >= 4:
            return None
        numbers = _numbers(key, name)
        return next(
            (
                each
                for number in numbers
                if self.exists(each := (*key, number)) and name_of(each).upper() == name
            ),
            None,
        )

    def _descendants(self, key: Key, size: int) -> list[Key]:
        del size  # part of the cache key
        return list(paced(self._walk(key)))

    def _walk(self, key: Key) -> Iterator[Key]:
        for child in self.children(key) if len(key) < 4 else ():
            yield child
            yield from self._walk(child)

    def _count(self, key: Key) -> int:
        """The number of children that an existing element can have."""
        if not key:
            return self.plants
        serials = self._serials(key[0])
        if len(key) == 1:
            return min(AREAS, -(-serials // AREA_SIZE))
        if len(key) == 2:
            return max(0, -(-(serials - key[1] * AREA_SIZE) // len(MIX)))
        return len(LAYOUT[key[1]]) if len(key) == 3 else 0

    def _has_instrument(self, key: Key) -> bool:
        """Whether equipment has an instrument."""
        members = LAYOUT[key[1]]
        if not 0 <= key[3] < len(members):
            return False
        first = min(members[key[3]].positions.values(), default=None)
        return first is not None and key[2] * len(MIX) + first < self._serials(key[0])

    def _serials(self, plant: int) -> int:
        """The number of points of the plant."""
        return max(0, -(-(len(self._catalog) - plant) // self._catalog.plants))


def name_of(key: Key) -> str:
    """The name of an element among its siblings."""
    if not key:
        return "Enterprise"
    if len(key) == 1:
        return plant_name(key[0])
    if len(key) == 2:
        return f"A{key[1] + 1}"
    if len(key) == 3:
        return f"Unit {key[2] + 1:04d}"
    return f"{_SPECS[template_of(key)].prefix}-{key[2] + 1:04d}"


def template_of(key: Key) -> str:
    """The template of an element."""
    return LEVELS[len(key)] if len(key) < 4 else LAYOUT[key[1]][key[3]].template


def first_index(key: Key, plants: int) -> int:
    """The index of the first point at or below an element."""
    unit, area = (key[2] if len(key) > 2 else 0), (key[1] if len(key) > 1 else 0)
    position = area * AREA_SIZE if len(key) < 4 else min(LAYOUT[area][key[3]].positions.values())
    return (unit * len(MIX) + position) * plants + (key[0] if key else 0)


def pack(key: Key) -> int:
    """The key as a number of 56 bits."""
    packed = len(key)
    for place, width in enumerate(_WIDTHS):
        packed = packed << width | (key[place] if place < len(key) else 0)
    return packed


def unpack(packed: int) -> Key | None:
    """The key that a number encodes, or None."""
    parts: list[int] = []
    for width in reversed(_WIDTHS):
        parts.append(packed & (1 << width) - 1)
        packed >>= width
    parts.reverse()
    return tuple(parts[:packed]) if packed <= len(_WIDTHS) and not any(parts[packed:]) else None


def _numbers(key: Key, name: str) -> "range | list[int]":
    """The numbers that a child of that name can have."""
    if not key:
        match = _PLANT.match(name)
        return [*range(12), int(match[1]) - 1] if match else range(12)
    if len(key) == 2:
        digits = name.removeprefix("UNIT ")
        return [int(digits) - 1] if digits.isascii() and digits.isdigit() and len(digits) < 9 else []
    return range(16)
