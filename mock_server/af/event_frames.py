"""Event frames, derived from the recorded events of the points that trigger them.

A frame lasts while a point keeps one state: a reactor's batch, a tripped pump, a product off its specification. So
frames are a pure function of the history as of an instant, and none is stored.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import timezone

import numpy as np

from mock_server.af.attributes import Attribute, attribute_at, attributes_of
from mock_server.af.event_frame import START_BITS, TEMPLATE_OF_SENSOR, Frame
from mock_server.af.framework import AssetFramework, Element
from mock_server.af.ids import Kind
from mock_server.plant import pitime, ticks
from mock_server.plant.checkpoints import checkpoint
from mock_server.plant.events import I64, Block
from mock_server.plant.events import Kind as ValueKind
from mock_server.plant.history import History
from mock_server.plant.point import Point
from mock_server.plant.process import text_of
from mock_server.plant.sensors import MIX, PUMP_STATES, SENSORS

OFF_SPEC = "Off-spec; rework"

_TRIP = next(code for code, name in PUMP_STATES.states.items() if name == "TRIP")
_POSITIONS = [at for at, code in enumerate(MIX) if SENSORS[code].name in TEMPLATE_OF_SENSOR]
_EVENT_S = 600  # typical period of the points that trigger frames
_MOST_EVENTS = 30_000_000
_EVENTS_AT_ONCE = 250_000
_NAME = re.compile(
    r"(BATCH|PUMP TRIP|OFF-SPEC) ([A-Z]+\d*)\.(A\d)\.([A-Z]+-(\d{4,8})) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{7})\Z"
)


class RangeTooLarge(ValueError):
    """Deriving the frames of that many points over that long a range would take minutes."""


class Frames:
    """The event frames of a plant."""

    def __init__(self, assets: AssetFramework, history: History) -> None:
        self.assets = assets
        self._history = history

    def sources(self, templates: Sequence[str] = tuple(TEMPLATE_OF_SENSOR.values())) -> list[Point]:
        """Every point that triggers frames of these templates."""
        catalog = self.assets.catalog
        size, plants = len(catalog), catalog.plants
        if not self.assets.tree.plants:
            return []
        wanted = [at for at in _POSITIONS if TEMPLATE_OF_SENSOR[SENSORS[MIX[at]].name] in templates]
        units = -(-size // (plants * len(MIX)))
        indexes = (
            (unit * len(MIX) + at) * plants + plant
            for unit in range(units)
            for at in wanted
            for plant in range(self.assets.tree.plants)
        )
        return catalog.points(index for index in indexes if index < size)

    def sources_of(self, element: Element) -> list[Point]:
        """The points that trigger frames which refer to an element."""
        members = [element, *self.assets.children(element)] if len(element.key) == 3 else [element]
        points = (each.point for member in members for each in attributes_of(member))
        found = {point.index: point for point in points if point and point.sensor_type in TEMPLATE_OF_SENSOR}
        return list(found.values())

    def overlapping(self, points: Sequence[Point], low: int, high: int, now: int) -> list[Frame]:
        """The frames of these points, without phases, with start <= high and end >= low, as of `now`.

        Raises:
            RangeTooLarge: when that is too much to read.
        """
        first = min((point.created_ticks for point in points), default=ticks.LAST)
        low, high = max(low, first), min(high, now)
        span = max(1, (high - low) // (_EVENT_S * ticks.PER_SECOND) + 16)
        if span * len(points) > _MOST_EVENTS:
            raise RangeTooLarge(len(points))
        if low > high:
            return []
        at_once = max(1, _EVENTS_AT_ONCE // span)
        chunks = (points[first : first + at_once] for first in range(0, len(points), at_once))
        return [frame for chunk in chunks for frame in self._runs(chunk, low, high, now)]

    def find(self, guid: uuid.UUID | None, path: str, now: int) -> Frame | None:
        """The frame with that id, or else at that path (upper case), as of `now`."""
        read = self.assets.ids.read(guid) if guid else None
        if read and read[0] == Kind.FRAME:
            return self._numbered(read[1], now)
        return self._named(path, now)

    def find_attribute(self, guid: uuid.UUID | None, path: str, now: int) -> Attribute | None:
        """The attribute of a frame with that id, or else at that path."""
        read = self.assets.ids.read(guid) if guid else None
        if read and read[0] == Kind.FRAME_ATTRIBUTE:
            frame = self._numbered(read[1] >> 4, now)
            return attribute_at(frame, read[1] & 15) if frame else None
        owner, _, names = path.partition("|")
        found = self._named(owner, now) if names else None
        members = attributes_of(found) if found else []
        return next((each for each in members if each.names.upper() == names), None)

    def _numbered(self, number: int, now: int) -> Frame | None:
        phase, start = number & 7, number >> 3 & (1 << START_BITS) - 1
        index = number >> 3 + START_BITS
        if index >= len(self.assets.catalog):
            return None
        root = self._at(self.assets.catalog.point(index), start, now)
        members = [root, *root.children] if root else []
        return next((each for each in members if each.phase == phase), None)

    def _named(self, path: str, now: int) -> Frame | None:
        prefix = f"{self.assets.library.database.path}\\EventFrames[".removeprefix("\\\\").upper()
        name = path.removeprefix(prefix).partition("]")[0]
        match = _NAME.match(name) if path.startswith(prefix) else None
        if match is None:
            return None
        plant, area, equipment, number = match[2], match[3], match[4], match[5]
        key = self.assets.tree.find(["ENTERPRISE", plant, area, f"UNIT {number}", equipment])
        start = _read_time(match[6])
        if key is None or start is None:
            return None
        points = self.sources_of(self.assets.element(key))
        roots = [root for point in points if (root := self._at(point, start, now))]
        members = [each for root in roots for each in (root, *root.children)]
        return next((each for each in members if each.path.removeprefix("\\\\").upper() == path), None)

    def _at(self, point: Point, start: int, now: int) -> Frame | None:
        """The frame that starts at exactly that instant at a point."""
        if point.sensor_type not in TEMPLATE_OF_SENSOR or start > now or not self.assets.owner_of(point):
            return None
        found = self.overlapping([point], start, start, now)
        return next((frame for frame in found if frame.start == start), None)

    def _runs(self, points: Sequence[Point], low: int, high: int, now: int) -> Iterator[Frame]:
        checkpoint()
        inside = self._history.window(points, low, high, now=now)
        before = self._until_change(points, ticks.FIRST, low - 1, now, newest_first=True)
        after = self._until_change(points, high + 1, ticks.LAST, now, newest_first=False)
        for place, point in enumerate(points):
            checkpoint()
            here = _settled(inside, place)
            (earlier, from_start), (later, _) = before[place], after[place]
            times = np.concatenate([earlier[0], here[0], later[0]])
            codes = np.concatenate([earlier[1], here[1], later[1]])
            changed = np.flatnonzero(np.append(True, codes[1:] != codes[:-1])) if len(codes) else codes
            starts = times[changed].tolist()
            ends = [*starts[1:], ticks.LAST]
            for run, (start, end, code) in enumerate(zip(starts, ends, codes[changed].tolist(), strict=True)):
                known = run > 0 or from_start  # the first run's start is known only at the record's start
                if (
                    known
                    and start <= high
                    and end >= low
                    and _announces(point, code)
                    and start >> START_BITS == 0
                ):
                    yield Frame(self.assets, point, start, end, _label(point, code), now)

    def _until_change(
        self, points: Sequence[Point], low: int, high: int, now: int, *, newest_first: bool
    ) -> list[tuple[tuple[I64, I64], bool]]:
        """For each point its states from one bound until they change, and whether those are all."""
        found: dict[int, tuple[tuple[I64, I64], bool]] = {}
        pending, limit = list(range(len(points))), 8
        while pending:
            asked = [points[place] for place in pending]
            block = self._history.window(asked, low, high, now=now, limit=limit, newest_first=newest_first)
            block = block.reversed() if newest_first else block
            counts = block.counts.tolist()
            for at, place in enumerate(pending):
                states = _settled(block, at)
                if counts[at] < limit or len(np.unique(states[1])) > 1:
                    found[place] = states, counts[at] < limit
            pending, limit = [place for place in pending if place not in found], limit * 8
        return [found[place] for place in range(len(points))]


def _settled(block: Block, stream: int) -> tuple[I64, I64]:
    """Times and codes of one stream's states, without system states; of several with one timestamp the last."""
    rows = slice(int(block.bounds[stream]), int(block.bounds[stream + 1]))
    good = block.kind[rows] != ValueKind.SYSTEM
    times, codes = block.ticks[rows][good], block.code[rows][good]
    last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[last], codes[last]


def _announces(point: Point, code: int) -> bool:
    if point.sensor_type == "PUMP":
        return code == _TRIP
    return point.sensor_type == "BATCH" or text_of(point, code) == OFF_SPEC


def _label(point: Point, code: int) -> str:
    return text_of(point, code) if point.sensor_type == "BATCH" else ""


def _read_time(text: str) -> int | None:
    try:
        return pitime.parse(text, 0, timezone.utc)
    except pitime.BadTime:
        return None
