"""All definitions of the Asset Framework as objects: servers, templates, categories, sets, tables, units."""

import uuid
from collections.abc import Iterator
from functools import cached_property

from mock_server.af.declarations import ANALYSES, CATEGORIES, ENUMERATIONS, FRAME_TEMPLATES, TABLES
from mock_server.af.design import ELEMENT_TEMPLATES, AttributeSpec, TemplateSpec
from mock_server.af.objects import (
    AFObject,
    AFTable,
    AnalysisTemplate,
    AttributeTemplate,
    EnumerationSet,
    EnumerationValue,
    Template,
    Unit,
    UnitClass,
)
from mock_server.af.units import UNIT_CLASSES
from mock_server.plant import webid

SERVER_NAME = "AFSIM01"
DATABASE_NAME = "Production"

_SPECS = {spec.name: spec for spec in (*ELEMENT_TEMPLATES, *FRAME_TEMPLATES)}
_CATEGORY_MARKERS = {
    "Element": webid.ELEMENT_CATEGORY,
    "Attribute": webid.ATTRIBUTE_CATEGORY,
    "Analysis": webid.ANALYSIS_CATEGORY,
    "Table": webid.TABLE_CATEGORY,
}


def lineage(template: str) -> list[TemplateSpec]:
    """A template and its base templates, upwards."""
    found: list[TemplateSpec] = []
    while template:
        found.append(_SPECS[template])
        template = found[-1].base
    return found


class Library:
    """The defined objects of one seed, built on demand."""

    def __init__(self, seed: int) -> None:
        guid = uuid.uuid5(uuid.NAMESPACE_OID, f"mock_server asset server {seed}")
        self.server = AFObject(
            guid, webid.ASSET_SERVER, guid, SERVER_NAME, "Simulated asset server", f"\\\\{SERVER_NAME}"
        )
        path = f"{self.server.path}\\{DATABASE_NAME}"
        self.database = AFObject(*self._at(webid.ASSET_DATABASE, DATABASE_NAME, "The simulated site", path))

    @cached_property
    def templates(self) -> dict[str, Template]:
        """The templates of elements and event frames, by name."""
        return {
            spec.name: Template(
                *self._head(webid.ELEMENT_TEMPLATE, "ElementTemplates", spec.name, spec.description),
                spec=spec,
            )
            for spec in _SPECS.values()
        }

    @cached_property
    def attribute_templates(self) -> dict[str, list[AttributeTemplate]]:
        """The own attributes of each template with their children, parents first."""
        return {
            name: [own for spec in template.spec.attributes for own in self._attributes(template, spec, None)]
            for name, template in self.templates.items()
        }

    @cached_property
    def categories(self) -> dict[str, dict[str, AFObject]]:
        """By kind (Element, Attribute, Analysis, Table) the categories by name."""
        return {
            kind: {
                name: AFObject(*self._head(_CATEGORY_MARKERS[kind], f"{kind}Categories", name, description))
                for name, description in members.items()
            }
            for kind, members in CATEGORIES.items()
        }

    @cached_property
    def analysis_templates(self) -> dict[str, AnalysisTemplate]:
        """The analysis templates by name."""
        return {
            spec.name: AnalysisTemplate(
                *self._head(webid.ANALYSIS_TEMPLATE, "AnalysisTemplates", spec.name, spec.description),
                spec=spec,
            )
            for spec in ANALYSES
        }

    @cached_property
    def enumeration_sets(self) -> dict[str, EnumerationSet]:
        """The database's own enumeration sets by name."""
        return {name: self._set(name, *content) for name, content in ENUMERATIONS.items()}

    @cached_property
    def tables(self) -> dict[str, AFTable]:
        """The tables by name."""
        return {
            name: AFTable(*self._head(webid.TABLE, "Tables", name, description), columns=columns, rows=rows)
            for name, (description, columns, rows) in TABLES.items()
        }

    @cached_property
    def unit_classes(self) -> dict[str, UnitClass]:
        """The unit classes by name."""
        classes = {}
        for each in UNIT_CLASSES:
            path = f"{self.server.path}\\UOMDatabase\\UOMClasses[{each.name}]"
            units = tuple(
                Unit(*self._at(webid.UNIT, unit.name, unit.name, f"{path}\\UOMs[{unit.name}]"), spec=unit)
                for unit in each.units
            )
            classes[each.name] = UnitClass(
                *self._at(webid.UNIT_CLASS, each.name, each.description, path), units=units
            )
        return classes

    def find(self, marker: str, guid: uuid.UUID | None, path: str) -> AFObject | None:
        """The defined object with that marker and id, or else that path (upper case), or None."""
        by_guid, by_path = self._index
        return (by_guid.get((marker, guid)) if guid else None) or by_path.get((marker, path))

    @cached_property
    def _index(self) -> tuple[dict[tuple[str, uuid.UUID], AFObject], dict[tuple[str, str], AFObject]]:
        everything = list(self._everything())
        return (
            {(each.marker, each.guid): each for each in everything},
            {(each.marker, each.path.removeprefix("\\\\").upper()): each for each in everything},
        )

    def _everything(self) -> Iterator[AFObject]:
        yield from (self.server, self.database)
        yield from self.templates.values()
        yield from (each for members in self.attribute_templates.values() for each in members)
        yield from (each for members in self.categories.values() for each in members.values())
        yield from self.analysis_templates.values()
        yield from self.tables.values()
        for unit_class in self.unit_classes.values():
            yield from (unit_class, *unit_class.units)
        for each in self.enumeration_sets.values():
            yield from (each, *each.values)

    def _attributes(
        self, template: Template, spec: AttributeSpec, parent: AttributeTemplate | None
    ) -> list[AttributeTemplate]:
        path = f"{parent.path if parent else template.path}|{spec.name}"
        head = self._at(webid.ATTRIBUTE_TEMPLATE, spec.name, spec.description, path)
        made = AttributeTemplate(*head, template=template, spec=spec, parent=parent, owner=template.guid)
        return [made, *(each for child in spec.children for each in self._attributes(template, child, made))]

    def _set(self, name: str, description: str, states: dict[int, str]) -> EnumerationSet:
        path = f"{self.database.path}\\EnumerationSets[{name}]"
        head = self._at(webid.ENUMERATION_SET, name, description, path)
        values = tuple(
            EnumerationValue(
                *self._at(webid.ENUMERATION_VALUE, state, "", f"{path}\\{state}"), code=code, owner=head[2]
            )
            for code, state in states.items()
        )
        return EnumerationSet(*head, values=values, owner=self.database.guid)

    def _head(
        self, marker: str, collection: str, name: str, description: str
    ) -> tuple[uuid.UUID, str, uuid.UUID, str, str, str]:
        return self._at(marker, name, description, f"{self.database.path}\\{collection}[{name}]")

    def _at(
        self, marker: str, name: str, description: str, path: str
    ) -> tuple[uuid.UUID, str, uuid.UUID, str, str, str]:
        guid = uuid.uuid5(self.server.guid, f"{marker} {path}")
        return self.server.guid, marker, guid, name, description, path
