"""The data that the static server sends, as columns and as prepared text, and the expected result of a reader.

A shape says how many tags there are and how many events each has in the one day that all data lie in. Tags share a
pool of recordings: a server with ten million events then fits in memory, and a client cannot tell.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache, lru_cache
from typing import Any, NamedTuple

START = datetime(2026, 3, 1, tzinfo=timezone.utc)
END = START + timedelta(days=1)
NOW = END + timedelta(seconds=30)  # the server's clock, which stands still

TICKS_PER_SECOND = 10_000_000  # PI counts in 100 ns
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
POOL = 16  # a multiple of the number of types of a mixed shape
_DIGITAL = ("OFF", "ON", "AUTO", "TRIPPED")
_TEXTS = ("batch 41 started", "operator change", 'grade "B"', "Lauf läuft", "sample taken")

FIELDS = ("Timestamp", "Value", "UnitsAbbreviation", "Good", "Questionable", "Substituted", "Annotated")
POINT_TYPES = {
    "numeric": ("Float64",),
    "states": ("Float64",),
    "mixed": ("Float64", "Int32", "Digital", "String"),
}


@dataclass(frozen=True)
class Shape:
    """How much data: ``numeric``, ``states`` (numeric with 1 % system states in every stream) or ``mixed`` types."""

    tags: int
    events: int
    kind: str = "numeric"

    @property
    def rows(self) -> int:
        """The events of all tags together."""
        return self.tags * self.events

    def point_type(self, tag: int) -> str:
        """The type of a tag's point."""
        types = POINT_TYPES[self.kind]
        return types[tag % len(types)]

    def recording(self, tag: int) -> Recording:
        """The events of a tag."""
        return recording(self.kind, self.events, tag % POOL)


@dataclass(frozen=True)
class Recording:
    """The events of one stream as columns, in time order."""

    ticks: list[int]
    values: list[str]  # JSON
    numbers: list[float | None]
    good: list[bool]
    units: str


class Text(NamedTuple):
    """A recording as JSON: event ``i`` is ``body[offsets[i] : offsets[i + 1] - 1]``; commas part the events."""

    body: memoryview
    offsets: list[int]

    def page(self, first: int, last: int) -> memoryview:
        """The events from ``first`` to before ``last``, without brackets."""
        return self.body[self.offsets[first] : max(self.offsets[first], self.offsets[last] - 1)]


class Truth(NamedTuple):
    """What a complete read of a window must add up to."""

    rows: int
    tags: int
    good: int
    micros: int  # the sum of all times, in microseconds since START
    value: float  # the sum of all numbers


def differences(found: Mapping[str, Any], truth: Truth, tolerance: float = 1e-9) -> str:
    """How sums of what was read differ from the truth; empty when they do not."""
    exact = ("rows", "tags", "good", "micros")
    wrong = [
        f"{name} is {found[name]}, not {getattr(truth, name)}"
        for name in exact
        if found[name] != getattr(truth, name)
    ]
    if not math.isclose(found["value"] or 0.0, truth.value, rel_tol=tolerance):
        wrong.append(f"the values add up to {found['value']}, not {truth.value}")
    return "; ".join(wrong)


@cache
def recording(kind: str, events: int, place: int) -> Recording:
    """A recording of the pool; a pure function of its arguments."""
    chance = random.Random(f"{kind} {events} {place}")
    types = POINT_TYPES[kind]
    point_type = types[place % len(types)]
    ticks = list(_ticks(events, chance))
    values, numbers = _values(point_type, events, chance)
    good = [True] * events
    if kind == "states":
        for i in range(place % 100, events, 100):
            values[i], numbers[i], good[i] = '{"Name":"No Data","Value":248,"IsSystem":true}', None, False
    units = {"Float64": "bar", "Int32": "rpm"}.get(point_type, "")
    return Recording(ticks, values, numbers, good, units)


def _ticks(events: int, chance: random.Random) -> Iterator[int]:
    """Strictly rising times inside the day: most with seven digits, some with three, few on whole seconds."""
    start = (START - _EPOCH) // timedelta(microseconds=1) * 10
    step = 24 * 3600 * TICKS_PER_SECOND // events
    for i in range(events):
        earliest = start + i * step + 1
        tick = earliest + chance.randrange(step - 1)
        grain = TICKS_PER_SECOND if i % 50 == 0 else 10_000 if i % 10 == 0 else 1
        rounded = tick - tick % grain
        yield rounded if rounded >= earliest else tick


def _values(point_type: str, events: int, chance: random.Random) -> tuple[list[str], list[float | None]]:
    if point_type == "Digital":
        codes = [chance.randrange(len(_DIGITAL)) for _ in range(events)]
        return [f'{{"Name":"{_DIGITAL[code]}","Value":{code},"IsSystem":false}}' for code in codes], [
            None
        ] * events
    if point_type == "String":
        return [json.dumps(chance.choice(_TEXTS), ensure_ascii=False) for _ in range(events)], [None] * events
    if point_type == "Int32":
        whole = [chance.randrange(3000) for _ in range(events)]
        return [str(number) for number in whole], [float(number) for number in whole]
    level = 50_000
    numbers: list[float | None] = []
    for _ in range(events):
        level = max(1, min(99_999, level + chance.randrange(-200, 201)))
        numbers.append(level / 1000)
    return [repr(number) for number in numbers], numbers


@lru_cache(maxsize=200_000)
def _second_text(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def tick_text(tick: int) -> str:
    """A time as PI writes it: up to seven digits, trailing zeros dropped."""
    second, fraction = divmod(tick, TICKS_PER_SECOND)
    digits = f".{fraction:07d}".rstrip("0") if fraction else ""
    return f"{_second_text(second)}{digits}Z"


def text_of(source: Recording, fields: Collection[str] = FIELDS) -> Text:
    """The recording as JSON with these fields, in the order of the documented shape."""
    pieces, offsets = [], [0]
    for tick, value, good in zip(source.ticks, source.values, source.good, strict=True):
        whole = {
            "Timestamp": f'"{tick_text(tick)}"',
            "Value": value,
            "UnitsAbbreviation": f'"{source.units if good else ""}"',
            "Good": "true" if good else "false",
            "Questionable": "false",
            "Substituted": "false",
            "Annotated": "false",
        }
        piece = (
            "{" + ",".join(f'"{name}":{whole[name]}' for name in FIELDS if name in fields) + "},"
        ).encode()
        pieces.append(piece)
        offsets.append(offsets[-1] + len(piece))
    return Text(memoryview(b"".join(pieces)), offsets)


def truth(shape: Shape) -> Truth:
    """What all events of a shape add up to, from the columns and not from the text."""
    start = (START - _EPOCH) // timedelta(microseconds=1)
    pool = [shape.recording(place) for place in range(min(POOL, shape.tags))]
    times = [len(range(place, shape.tags, POOL)) for place in range(len(pool))]
    micros = [sum(tick // 10 - start for tick in each.ticks) for each in pool]
    values = [sum(number for number in each.numbers if number is not None) for each in pool]
    good = [sum(each.good) for each in pool]
    return Truth(
        shape.rows,
        shape.tags,
        sum(n * g for n, g in zip(times, good, strict=True)),
        sum(n * m for n, m in zip(times, micros, strict=True)),
        sum(n * v for n, v in zip(times, values, strict=True)),
    )
