"""The base of all AF objects, and the objects that are defined rather than computed."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from mock_server.af.design import AnalysisSpec, AttributeSpec, TemplateSpec
from mock_server.af.units import UnitSpec
from mock_server.plant import webid


@dataclass(frozen=True)
class AFObject:
    """An object with a name, a path and ids; `server` is the id of the asset server, which owns all objects."""

    server: uuid.UUID
    marker: str
    guid: uuid.UUID
    name: str
    description: str
    path: str
    owner: uuid.UUID | None = field(default=None, kw_only=True)

    def web_id(self, kind: str = "Full") -> str:
        """The object's WebID; `kind` is a webIdType such as `IDOnly`."""
        own = None if self.marker == webid.ASSET_SERVER else self.guid
        return webid.encode(webid.KINDS[kind], self.marker, self.server, own, self.path, owner=self.owner)


@dataclass(frozen=True)
class Template(AFObject):
    """A template of elements or event frames."""

    spec: TemplateSpec


@dataclass(frozen=True)
class AttributeTemplate(AFObject):
    """An attribute of a template, `parent` above it."""

    template: Template
    spec: AttributeSpec
    parent: "AttributeTemplate | None"


@dataclass(frozen=True)
class AnalysisTemplate(AFObject):
    """An analysis of all elements of a template."""

    spec: AnalysisSpec


@dataclass(frozen=True)
class UnitClass(AFObject):
    """A quantity; the first unit is its canonical one."""

    units: "tuple[Unit, ...]"


@dataclass(frozen=True)
class Unit(AFObject):
    """A unit of measure."""

    spec: UnitSpec


@dataclass(frozen=True)
class EnumerationSet(AFObject):
    """A set of named states of the database."""

    values: "tuple[EnumerationValue, ...]"


@dataclass(frozen=True)
class EnumerationValue(AFObject):
    """One state of a set, which owns it."""

    code: int


@dataclass(frozen=True)
class AFTable(AFObject):
    """A table: the types of its columns by name, and rows with possibly missing cells."""

    columns: dict[str, str]
    rows: tuple[dict[str, Any], ...]
