"""One event frame as of an instant."""

import itertools
import uuid
from dataclasses import dataclass, field
from functools import cached_property

from mock_server.af.design import AttributeSpec
from mock_server.af.framework import AssetFramework, Element, named_attribute
from mock_server.af.ids import Kind
from mock_server.af.objects import Template
from mock_server.plant import ticks, webid
from mock_server.plant.point import Point

TEMPLATE_OF_SENSOR = {"BATCH": "Batch", "PUMP": "Pump Trip", "GRADE": "Off-Spec"}
PHASES = ("Charge", "React", "Discharge")
START_BITS = 56  # of an id encode the start, which is enough until the year 2198
_MINUTE = 60 * ticks.PER_SECOND


@dataclass(frozen=True)
class Annotation:
    """An annotation of a frame."""

    guid: uuid.UUID
    name: str
    text: str
    creator: str
    created: int


@dataclass(frozen=True)
class Frame:
    """An event frame as of `now`; while it is open, `end` is the last tick of all.

    `phase` is 0 for a frame, and 1, 2, 3 for the phases of the batch `root`.
    """

    home: AssetFramework = field(repr=False, compare=False)
    point: Point
    start: int
    end: int
    label: str
    now: int = field(compare=False)
    phase: int = 0
    root: "Frame | None" = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended as of `now`."""
        return self.end == ticks.LAST

    @cached_property
    def template(self) -> Template:
        """Its template."""
        name = "Phase" if self.phase else TEMPLATE_OF_SENSOR[self.point.sensor_type]
        return self.home.library.templates[name]

    @cached_property
    def element(self) -> Element:
        """Its primary referenced element."""
        found = self.home.owner_of(self.point)
        if found is None:
            raise LookupError(self.point.name)
        return found

    @property
    def elements(self) -> list[Element]:
        """Its referenced elements, the primary one first."""
        unit = self.element.parent
        return [self.element] if unit is None or self.phase else [self.element, unit]

    @cached_property
    def name(self) -> str:
        """A unique name of template, element and start time; a phase has a short name."""
        if self.phase:
            return PHASES[self.phase - 1]
        element = self.element
        place = f"{self.point.plant}.A{element.key[1] + 1}.{element.name}"
        return f"{self.template.name} {place} {_long_time(self.start)}"

    @property
    def description(self) -> str:
        """Its description."""
        return f"{self.template.description}: {self.label}" if self.label else self.template.description

    @cached_property
    def path(self) -> str:
        r"""`\\SERVER\DATABASE\EventFrames[NAME]`, a phase below its batch."""
        above = self.root.path if self.root else self.home.library.database.path
        return f"{above}\\EventFrames[{self.name}]"

    @cached_property
    def guid(self) -> uuid.UUID:
        """Its id, which encodes point, start and phase, and so stays the same when it ends."""
        return self.home.ids.guid(Kind.FRAME, self._number)

    @property
    def category_names(self) -> list[str]:
        """The (element) categories it is in."""
        return [self.template.spec.category]

    @property
    def severity(self) -> str:
        """Its severity; one trip in four is critical."""
        given = self.template.spec.severity
        return "Critical" if given == "Major" and self._draw("severity") % 4 == 0 else given

    @property
    def can_be_acknowledged(self) -> bool:
        """Whether it can be acknowledged."""
        return self.template.spec.can_be_acknowledged

    @cached_property
    def acknowledged(self) -> tuple[int, str] | None:
        """When and by whom it was acknowledged as of `now`; a third of them never is."""
        draw = self._draw("acknowledged")
        at = self.start + (1 + draw % 240) * _MINUTE
        if not self.can_be_acknowledged or draw // 240 % 3 == 0 or at > self.now:
            return None
        return at, f"SIM\\operator{1 + draw // 720 % 3}"

    @cached_property
    def notes(self) -> list[Annotation]:
        """Its annotations as of `now`."""
        draw = self._draw("notes")
        count = (0, 0, 0, 1, 2)[draw % 5]
        times = [self.start + (1 + (draw >> (8 * place)) % 180) * _MINUTE for place in range(1, count + 1)]
        return [
            Annotation(
                self.home.ids.guid(Kind.ANNOTATION, self._number << 2 | place),
                f"Remark {place + 1}",
                ("Checked on site", 'Called the "late" shift', "Ventil geprüft ✓")[(draw >> 32) % 3],
                f"SIM\\operator{1 + place}",
                at,
            )
            for place, at in enumerate(times)
            if at <= self.now
        ]

    @property
    def modified(self) -> int:
        """The last change of it up to `now`."""
        seen = [self.start, *(note.created for note in self.notes)]
        if not self.is_open:
            seen.append(self.end)
        if self.acknowledged:
            seen.append(self.acknowledged[0])
        return max(seen)

    @property
    def last_instant(self) -> int:
        """Its end, or `now` while it is open: the instant at which its values are read and captured."""
        return min(self.end, self.now)

    @cached_property
    def children(self) -> list["Frame"]:
        """The phases of a batch that have begun as of `now`."""
        if self.phase or self.template.name != "Batch":
            return []
        draw = self._draw("phases")
        charged = self.start + (10 + draw % 15) * _MINUTE
        bounds = [self.start, charged, charged + (60 + draw // 15 % 60) * _MINUTE, ticks.LAST]
        return [
            Frame(self.home, self.point, low, _cut(high, self.end, self.now), "", self.now, phase + 1, self)
            for phase, (low, high) in enumerate(itertools.pairwise(bounds))
            if low <= self.now and (low < self.end or phase == 0)
        ]

    def web_id(self, kind: str = "Full") -> str:
        """The frame's WebID; `kind` is a webIdType such as `IDOnly`."""
        server = self.home.library.server.guid
        return webid.encode(webid.KINDS[kind], webid.EVENT_FRAME, server, self.guid, self.path)

    def attribute_guid(self, ordinal: int) -> uuid.UUID:
        """The id of its attribute with that ordinal."""
        return self.home.ids.guid(Kind.FRAME_ATTRIBUTE, self._number << 4 | ordinal)

    def attribute_point(self, spec: AttributeSpec) -> Point | None:
        """The point behind the attribute of its primary element that `spec` refers to."""
        found = named_attribute(self.element, spec.source.upper())
        return found.point if found else None

    def fixed_value(self, name: str) -> str | None:
        """The name of a batch."""
        return self.label if name == "Batch ID" else None

    @property
    def _number(self) -> int:
        start = self.root.start if self.root else self.start
        return (self.point.index << START_BITS | start) << 3 | self.phase

    def _draw(self, what: str) -> int:
        return self.home.ids.draw(what, self.point.index, self.start, self.phase)


def _cut(high: int, end: int, now: int) -> int:
    """The end of a phase due at `high` in a batch that ends at `end`; unknown until it is reached."""
    due = min(high, end)
    return due if due <= now else ticks.LAST


def _long_time(instant: int) -> str:
    seconds, rest = divmod(instant, ticks.PER_SECOND)
    moment = ticks.to_datetime(seconds * ticks.PER_SECOND)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{rest:07d}"
