"""Elements: lists by parent, and searches."""

from collections.abc import Sequence

from mock_server.af import hierarchy
from mock_server.af.framework import Element
from mock_server.af.library import lineage
from mock_server.af.search import COMMON_FILTERS, Filter
from mock_server.plant.checkpoints import paced, paced_sort
from mock_server.webapi.af import analyses, lookup, replies
from mock_server.webapi.af.lists import Test, by_name, by_value, flag, ordered, page, query_terms, query_test
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response
from mock_server.webapi.router import route

_TYPES = ("Any", "None", "Other", "Node", "Measurement", "Flow", "Transfer", "Boundary", "PlugIn")


@route("GET", "/assetdatabases/{web_id}/elements")
def elements_of_database(call: Call) -> Response:
    """The root elements, or with `searchFullHierarchy` all of them, flat."""
    lookup.database(call, call.args["web_id"])
    return _listed(call, elements_below(call, None))


@route("GET", "/elements/search")
def elements_search(call: Call) -> Response:
    """The elements of a database that satisfy an AFSearch query."""
    lookup.database(call, call.text("databaseWebId"))
    terms = query_terms(call, ELEMENT_FILTERS)
    every = call.plant.assets.below(None)
    test = query_test(call, terms, ELEMENT_FILTERS)
    found = paced_sort(filter(test, paced(every)), lambda each: each.name.lower())
    return page(call, found, replies.element_json)


@route("GET", "/elements/{web_id}/elements")
def elements_of_element(call: Call) -> Response:
    """The elements below one: its children, or with `searchFullHierarchy` all."""
    return _listed(call, elements_below(call, lookup.element(call, call.args["web_id"])))


@route("GET", "/elements/{web_id}/referencedelements")
def referenced_elements(call: Call) -> Response:
    """The elements an element references without being their parent: none here."""
    lookup.element(call, call.args["web_id"])
    return _listed(call, [])


@route("GET", "/assetdatabases/{web_id}/referencedelements")
def referenced_elements_of_database(call: Call) -> Response:
    """The elements a database references: none here."""
    lookup.database(call, call.args["web_id"])
    return _listed(call, [])


@route("GET", "/elements/{web_id}/paths")
def paths(call: Call) -> Response:
    """The paths that lead to an element: one here."""
    return call.items([lookup.element(call, call.args["web_id"]).path])


@route("GET", "/elements/{web_id}/analyses")
def analyses_of_element(call: Call) -> Response:
    """The analyses of an element."""
    found = lookup.element(call, call.args["web_id"])
    made = call.plant.assets.analyses_of(found)
    return page(call, ordered(call, made, {}), analyses.analysis_json)


def elements_below(call: Call, parent: Element | None) -> list[Element]:
    """The elements right below one (None: the database), or with `searchFullHierarchy` all of them."""
    assets = call.plant.assets
    if flag(call, "searchFullHierarchy"):
        return assets.below(parent)
    return assets.roots() if parent is None else assets.children(parent)


def element_test(call: Call, prefix: str = "") -> Test:
    """A test for the filters of a list of elements, whose parameters may have a prefix."""
    template = call.text(f"{prefix}Template" if prefix else "templateName").lower()
    kind = call.choice("elementType", "Any", _TYPES)
    tests: list[Test] = [
        by_name(call, prefix),
        by_value(call, f"{prefix}Category" if prefix else "categoryName", lambda each: each.category_names),
        lambda each: not template or replies.is_kind_of(each.template, template),
        lambda each: kind in ("Any", type_of(each)),
    ]
    return lambda element: all(test(element) for test in tests)


def type_of(element: Element) -> str:
    """AF's element type: Other for equipment, None for its parents."""
    return "Other" if len(element.key) == 4 else "None"


def created(element: Element) -> int:
    """The creation time of an element, which is that of its first point."""
    catalog = element.home.catalog
    if not len(catalog):
        return 0
    return catalog.point(hierarchy.first_index(element.key, catalog.plants)).created_ticks


def _listed(call: Call, elements: Sequence[Element]) -> Response:
    found = list(filter(element_test(call), paced(elements)))
    keys = {"Type": lambda each: each.template.name, "StartTime": created, "EndTime": lambda _: 0}
    return page(call, ordered(call, found, keys), replies.element_json)


def _above(element: Element) -> list[str]:
    """The paths of the ancestors below the database, in lower case."""
    names = [hierarchy.name_of(element.key[:depth]).lower() for depth in range(len(element.key))]
    return ["\\".join(names[: depth + 1]) for depth in range(len(names))]


ELEMENT_FILTERS = {
    **COMMON_FILTERS,
    "category": Filter(lambda each: each.category_names),
    "template": Filter(lambda each: [spec.name for spec in lineage(each.template.name)]),
    "type": Filter(type_of),
    "elementtype": Filter(type_of),
    "parent": Filter(lambda each: each.parent.name if each.parent else ""),
    "root": Filter(_above, "exact"),
    "creationdate": Filter(created, "time"),
    "modifydate": Filter(created, "time"),
    "isannotated": Filter(lambda _: False, "flag"),
    "alldescendants": Filter(lambda each: not each.key, "scope"),
}
