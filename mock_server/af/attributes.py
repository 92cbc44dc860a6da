"""Attributes of elements and event frames, and the values of static ones."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from mock_server.af.design import FORMULA, PI_POINT, AttributeSpec
from mock_server.af.ids import Ids
from mock_server.af.library import Library, lineage
from mock_server.af.objects import AttributeTemplate, Template
from mock_server.af.units import unit_named
from mock_server.plant import webid
from mock_server.plant.point import Point

_TYPES = {
    "Float32": "Single",
    "Float64": "Double",
    "Int32": "Int32",
    "Int16": "Int16",
    "Digital": "EnumerationValue",
    "String": "String",
    "Timestamp": "DateTime",
}


class Home(Protocol):
    """The framework an attribute's owner belongs to."""

    ids: Ids
    library: Library


class Owner(Protocol):
    """An object with attributes: an element or an event frame."""

    @property
    def home(self) -> Home:
        """The framework it belongs to."""

    @property
    def path(self) -> str:
        """Its path."""

    @property
    def guid(self) -> uuid.UUID:
        """Its id."""

    @property
    def template(self) -> Template:
        """Its template."""

    def attribute_guid(self, ordinal: int) -> uuid.UUID:
        """The id of its attribute with that ordinal."""

    def attribute_point(self, spec: AttributeSpec) -> Point | None:
        """The point its attribute reads from, or None."""

    def fixed_value(self, name: str) -> Any:
        """The value of its static attribute of that name; None when it is drawn from the choices."""


@dataclass(frozen=True)
class Attribute:
    """An attribute; `ordinal` is its index in the template, `point` the point it reads from, if any."""

    owner: Owner = field(repr=False)
    ordinal: int
    defined_by: str
    spec: AttributeSpec
    parent: "Attribute | None"
    point: Point | None

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def description(self) -> str:
        """Its description."""
        return self.spec.description

    @property
    def names(self) -> str:
        """Its name after those of its parents, joined with `|`."""
        return f"{self.parent.names}|{self.name}" if self.parent else self.name

    @property
    def path(self) -> str:
        r"""`…\Element|Attribute|Child`."""
        return f"{self.owner.path}|{self.names}"

    @property
    def guid(self) -> uuid.UUID:
        """Its id, which encodes the owner and the ordinal."""
        return self.owner.attribute_guid(self.ordinal)

    @property
    def is_of_frame(self) -> bool:
        """Whether an event frame owns it."""
        return self.owner.template.spec.instance_type == "EventFrame"

    @property
    def category_names(self) -> list[str]:
        """The categories it is in."""
        return [self.spec.category]

    @property
    def type(self) -> str:
        """AF's name of its type."""
        if self.point is None or self.spec.formula:
            return self.spec.type
        return _TYPES.get(self.point.point_type, "String")

    @property
    def type_qualifier(self) -> str:
        """The enumeration set of an EnumerationValue."""
        if self.point is not None and self.type == "EnumerationValue":
            return self.point.digital_set_name
        return self.spec.enumeration

    @property
    def units(self) -> str:
        """The abbreviation of its default unit, or ""."""
        if self.spec.units:
            return self.spec.units
        if self.point is not None:
            return self.point.engineering_units
        return self.parent.units if self.parent and self.spec.share is not None else ""

    @property
    def units_name(self) -> str:
        """The name of its default unit, or ""."""
        found = unit_named(self.units) if self.units else None
        return found.name if found else ""

    @property
    def plugin(self) -> str:
        """The data reference, or "" for a static attribute."""
        if self.spec.formula:
            return FORMULA
        return PI_POINT if self.point is not None else ""

    @property
    def config(self) -> str:
        """The configuration of the data reference."""
        if self.spec.formula and self.parent:
            factor, offset = self.spec.formula
            return f"A=..|{self.parent.name};[A*{factor:g}+{offset:g}]"
        return self.point.path if self.point is not None else ""

    @property
    def linear(self) -> tuple[float, float]:
        """Factor and offset that convert the point's numbers to this attribute's."""
        return self.spec.formula or (1.0, 0.0)

    @property
    def template_names(self) -> list[str]:
        """The templates it is a member of: that of its owner and the one that defines it."""
        return [self.owner.template.name, self.defined_by]

    @property
    def template(self) -> AttributeTemplate:
        """Its attribute template."""
        members = self.owner.home.library.attribute_templates[self.defined_by]
        path = f"{self.owner.home.library.templates[self.defined_by].path}|{self.names}"
        return next(each for each in members if each.path == path)

    def web_id(self, kind: str = "Full") -> str:
        """The attribute's WebID; `kind` is a webIdType such as `IDOnly`."""
        marker = webid.FRAME_ATTRIBUTE if self.is_of_frame else webid.ELEMENT_ATTRIBUTE
        server = self.owner.home.library.server.guid
        return webid.encode(webid.KINDS[kind], marker, server, self.guid, self.path, owner=self.owner.guid)

    def static_value(self) -> Any:
        """The value of an attribute without a data reference; an enumeration as a value object."""
        spec = self.spec
        if spec.share is not None and self.parent is not None and self.parent.point is not None:
            sensor = self.parent.point.sensor
            return sensor.zero + spec.share * sensor.span
        fixed = self.owner.fixed_value(spec.name)
        if fixed is not None:
            return fixed
        if not spec.choices:
            return None
        drawn = spec.choices[self.owner.home.ids.draw(self.owner.guid.hex, self.names) % len(spec.choices)]
        if spec.enumeration:
            states = self.owner.home.library.enumeration_sets[spec.enumeration].values
            return {"Name": states[drawn].name, "Value": drawn, "IsSystem": False}
        return list(drawn) if isinstance(drawn, tuple) else drawn


@lru_cache(maxsize=64)
def _members(template: str) -> tuple[tuple[str, AttributeSpec, int | None], ...]:
    """A template's attributes, inherited first: the defining template, the specification, the index of the parent."""
    found: list[tuple[str, AttributeSpec, int | None]] = []

    def add(defined_by: str, spec: AttributeSpec, parent: int | None) -> None:
        found.append((defined_by, spec, parent))
        place = len(found) - 1
        for child in spec.children:
            add(defined_by, child, place)

    for each in reversed(lineage(template)):
        for spec in each.attributes:
            add(each.name, spec, None)
    return tuple(found)


def attributes_of(owner: Owner) -> list[Attribute]:
    """The attributes of an element or event frame, parents first, without those whose point does not exist."""
    return [each for each in _all(owner) if each is not None]


def attribute_at(owner: Owner, ordinal: int) -> Attribute | None:
    """The attribute with that index in the owner's template, or None."""
    found = list(_all(owner))
    return found[ordinal] if ordinal < len(found) else None


def _all(owner: Owner) -> Iterator[Attribute | None]:
    made: list[Attribute | None] = []
    for ordinal, (defined_by, spec, place) in enumerate(_members(owner.template.name)):
        parent = made[place] if place is not None else None
        point = _point(owner, spec, parent)
        gone = (place is not None and parent is None) or (bool(spec.sensor or spec.source) and point is None)
        made.append(None if gone else Attribute(owner, ordinal, defined_by, spec, parent, point))
    yield from made


def _point(owner: Owner, spec: AttributeSpec, parent: Attribute | None) -> Point | None:
    point: Point | None = None
    if spec.formula and parent is not None:
        point = parent.point
    elif spec.sensor or spec.source:
        point = owner.attribute_point(spec)
    return point
