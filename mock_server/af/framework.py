"""The Asset Framework of a plant: finds objects by id or path, and relates them to each other."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from mock_server.af import hierarchy
from mock_server.af.attributes import Attribute, attribute_at, attributes_of
from mock_server.af.declarations import ANALYSES
from mock_server.af.design import AnalysisSpec, AttributeSpec
from mock_server.af.hierarchy import Key, Tree
from mock_server.af.ids import Ids, Kind
from mock_server.af.library import Library, lineage
from mock_server.af.objects import Template
from mock_server.plant import webid
from mock_server.plant.catalog import Catalog
from mock_server.plant.point import Point


@dataclass(frozen=True)
class Element:
    """An element, computed from its key."""

    home: "AssetFramework" = field(repr=False, compare=False)
    key: Key

    @cached_property
    def name(self) -> str:
        """The name among its siblings."""
        return hierarchy.name_of(self.key)

    @cached_property
    def path(self) -> str:
        r"""`\\SERVER\DATABASE\Enterprise\…`."""
        names = [hierarchy.name_of(self.key[:depth]) for depth in range(len(self.key) + 1)]
        return "\\".join([self.home.library.database.path, *names])

    @cached_property
    def guid(self) -> uuid.UUID:
        """Its id, which encodes the key."""
        return self.home.ids.guid(Kind.ELEMENT, hierarchy.pack(self.key))

    @cached_property
    def template(self) -> Template:
        """Its template."""
        return self.home.library.templates[hierarchy.template_of(self.key)]

    @property
    def description(self) -> str:
        """Its description."""
        return f"{self.template.description}: {self.name}"

    @property
    def category_names(self) -> list[str]:
        """The categories it is in."""
        return [self.template.spec.category] if self.template.spec.category else []

    @property
    def parent(self) -> "Element | None":
        """The element above, None for a root."""
        return Element(self.home, self.key[:-1]) if self.key else None

    @property
    def has_children(self) -> bool:
        """Whether there are elements below."""
        return len(self.key) < 4 and bool(self.home.tree.children(self.key))

    def web_id(self, kind: str = "Full") -> str:
        """The element's WebID; `kind` is a webIdType such as `IDOnly`."""
        server = self.home.library.server.guid
        return webid.encode(webid.KINDS[kind], webid.ELEMENT, server, self.guid, self.path)

    def attribute_guid(self, ordinal: int) -> uuid.UUID:
        """The id of its attribute with that ordinal, which encodes the key too."""
        return self.home.ids.guid(Kind.ATTRIBUTE, hierarchy.pack(self.key) << 8 | ordinal)

    def attribute_point(self, spec: AttributeSpec) -> Point | None:
        """The point its attribute reads from, or None when it has none."""
        if len(self.key) < 4:
            return None
        position = hierarchy.LAYOUT[self.key[1]][self.key[3]].positions.get((spec.sensor, spec.rank))
        index = None if position is None else self.home.tree.point_index(self.key, position)
        return None if index is None else self.home.catalog.point(index)

    def fixed_value(self, name: str) -> None:
        """None: the values of its static attributes are drawn from the choices."""


@dataclass(frozen=True)
class Analysis:
    """An analysis of an element, or with another `kind` its rule or time rule."""

    element: Element
    spec: AnalysisSpec
    kind: Kind = Kind.ANALYSIS

    @property
    def name(self) -> str:
        """Its name; rules are named by their plug-in."""
        if self.kind == Kind.ANALYSIS:
            return self.spec.name
        return self.spec.plugin if self.kind == Kind.ANALYSIS_RULE else self.spec.time_rule

    @property
    def description(self) -> str:
        """What it does."""
        return self.spec.description if self.kind == Kind.ANALYSIS else ""

    @property
    def path(self) -> str:
        r"""`…\Element\Analyses[NAME]`, followed by the rule."""
        path = f"{self.element.path}\\Analyses[{self.spec.name}]"
        if self.kind == Kind.ANALYSIS:
            return path
        return f"{path}\\{'AnalysisRule' if self.kind == Kind.ANALYSIS_RULE else 'TimeRule'}[{self.name}]"

    @property
    def guid(self) -> uuid.UUID:
        """Its id, which encodes the element and the index of the analysis."""
        number = hierarchy.pack(self.element.key) << 8 | ANALYSES.index(self.spec)
        return self.element.home.ids.guid(self.kind, number)

    @property
    def category_names(self) -> list[str]:
        """The categories it is in."""
        return [self.spec.category]

    def web_id(self, kind: str = "Full") -> str:
        """Its WebID; a rule is owned by its analysis."""
        owner = None if self.kind == Kind.ANALYSIS else self.part(Kind.ANALYSIS).guid
        server = self.element.home.library.server.guid
        marker = _RULE_MARKERS[self.kind]
        return webid.encode(webid.KINDS[kind], marker, server, self.guid, self.path, owner=owner)

    def part(self, kind: Kind) -> "Analysis":
        """The analysis itself, its rule or its time rule."""
        return Analysis(self.element, self.spec, kind)


_RULE_MARKERS = {
    Kind.ANALYSIS: webid.ANALYSIS,
    Kind.ANALYSIS_RULE: webid.ANALYSIS_RULE,
    Kind.TIME_RULE: webid.TIME_RULE,
}


class AssetFramework:
    """The assets of one catalogue, computed on demand."""

    def __init__(self, seed: int, catalog: Catalog) -> None:
        self.catalog = catalog
        self.ids = Ids(seed)
        self.library = Library(seed)
        self.tree = Tree(catalog)

    def element(self, key: Key) -> Element:
        """The element with an existing key."""
        return Element(self, key)

    def elements(self, keys: Iterable[Key]) -> list[Element]:
        """The elements with these keys."""
        return [Element(self, key) for key in keys]

    def roots(self) -> list[Element]:
        """The root elements of the database."""
        return [Element(self, ())]

    def children(self, element: Element) -> list[Element]:
        """The children of an element."""
        return self.elements(self.tree.children(element.key)) if len(element.key) < 4 else []

    def below(self, element: Element | None) -> list[Element]:
        """Every descendant of an element; None: every element of the database."""
        if element is None:
            return [*self.roots(), *self.elements(self.tree.descendants(()))]
        return self.elements(self.tree.descendants(element.key))

    def analyses_of(self, element: Element) -> list[Analysis]:
        """The analyses of one element."""
        names = {spec.name for spec in lineage(element.template.name)}
        return [Analysis(element, spec) for spec in ANALYSES if spec.template in names]

    def owner_of(self, point: Point) -> Element | None:
        """The equipment a point belongs to."""
        key = self.tree.owner_of(point.index)
        return None if key is None else Element(self, key)

    def find_element(self, guid: uuid.UUID | None, path: str) -> Element | None:
        """The element with that id, or else at that path (upper case, without leading backslashes)."""
        read = self.ids.read(guid) if guid else None
        if read and read[0] == Kind.ELEMENT:
            key = hierarchy.unpack(read[1])
            if key is not None and self.tree.exists(key):
                return Element(self, key)
        key = self.tree.find(self._names(path))
        return None if key is None else Element(self, key)

    def find_attribute(self, guid: uuid.UUID | None, path: str) -> Attribute | None:
        r"""The attribute of an element with that id, or else at that path (`…\\ELEMENT|ATTRIBUTE|CHILD`)."""
        read = self.ids.read(guid) if guid else None
        if read and read[0] == Kind.ATTRIBUTE:
            key = hierarchy.unpack(read[1] >> 8)
            if key is not None and self.tree.exists(key):
                return attribute_at(Element(self, key), read[1] & 255)
        owner, _, names = path.partition("|")
        element = self.find_element(None, owner) if names else None
        return None if element is None else named_attribute(element, names)

    def find_analysis(self, guid: uuid.UUID | None, path: str) -> Analysis | None:
        r"""The analysis or rule with that id, or else the analysis at `…\ELEMENT\ANALYSES[NAME]`."""
        read = self.ids.read(guid) if guid else None
        if read and read[0] in _RULE_MARKERS:
            key = hierarchy.unpack(read[1] >> 8)
            place = read[1] & 255
            if key is not None and self.tree.exists(key) and place < len(ANALYSES):
                return Analysis(Element(self, key), ANALYSES[place], read[0])
        owner, _, rest = path.partition("\\ANALYSES[")
        element = self.find_element(None, owner) if rest else None
        found = self.analyses_of(element) if element else []
        parts = [each.part(kind) for each in found for kind in _RULE_MARKERS]
        return next((each for each in parts if _plain(each.path) == path), None)

    def _names(self, path: str) -> list[str]:
        prefix = _plain(self.library.database.path) + "\\"
        return path[len(prefix) :].split("\\") if path.startswith(prefix) else []


def named_attribute(owner: "Element", names: str) -> Attribute | None:
    """The attribute of an element by its names (upper case) joined with `|`, or None."""
    return next((each for each in attributes_of(owner) if each.names.upper() == names), None)


def _plain(path: str) -> str:
    return path.removeprefix("\\\\").upper()
