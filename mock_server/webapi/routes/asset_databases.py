"""Definitions of an asset database: templates, categories, tables, enumeration sets."""

from collections.abc import Callable
from typing import Any

from mock_server.af.library import Library, lineage
from mock_server.af.objects import AttributeTemplate, Template
from mock_server.webapi.af import definitions, lookup
from mock_server.webapi.af.lists import flag, ordered, page, pattern, unpaged
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response
from mock_server.webapi.router import route


@route("GET", "/assetdatabases/{web_id}/elementtemplates")
def element_templates(call: Call) -> Response:
    """The templates of elements and event frames whose `field` matches `query`; there is no `startIndex`."""
    return _matching(call, list(_library(call).templates.values()), definitions.template_json)


@route("GET", "/assetdatabases/{web_id}/analysistemplates")
def analysis_templates(call: Call) -> Response:
    """The analysis templates whose `field` matches `query`."""
    return _matching(
        call, list(_library(call).analysis_templates.values()), definitions.analysis_template_json
    )


@route("GET", "/assetdatabases/{web_id}/tables")
def tables(call: Call) -> Response:
    """The tables of a database."""
    return unpaged(call, list(_library(call).tables.values()), definitions.table_json)


@route("GET", "/tables/{web_id}/data")
def table_data(call: Call) -> Response:
    """The columns and rows of a table."""
    table = lookup.by_web_id(call, "tables", call.args["web_id"])
    return call.reply({"Columns": table.columns, "Rows": list(table.rows)})


@route("GET", "/assetdatabases/{web_id}/enumerationsets")
def enumeration_sets(call: Call) -> Response:
    """The enumeration sets of a database."""
    return unpaged(call, list(_library(call).enumeration_sets.values()), definitions.enumeration_set_json)


@route("GET", "/elementtemplates/{web_id}/attributetemplates")
def attribute_templates(call: Call) -> Response:
    """The attributes of a template; `showInherited` adds those of its bases, `showDescendants` children."""
    template: Template = lookup.by_web_id(call, "elementtemplates", call.args["web_id"])
    inherited, descendants = flag(call, "showInherited"), flag(call, "showDescendants")
    names = [each.name for each in lineage(template.name)] if inherited else [template.name]
    members = [each for name in names for each in call.plant.assets.library.attribute_templates[name]]
    found = [each for each in members if descendants or each.parent is None]
    if not flag(call, "depthFirstTraverse"):
        found.sort(key=lambda each: each.path.count("|"))
    return page(call, found, definitions.attribute_template_json)


@route("GET", "/elementtemplates/{web_id}/analysistemplates")
def analysis_templates_of_template(call: Call) -> Response:
    """The analysis templates of an element template."""
    template: Template = lookup.by_web_id(call, "elementtemplates", call.args["web_id"])
    every = call.plant.assets.library.analysis_templates.values()
    return unpaged(
        call,
        [each for each in every if each.spec.template == template.name],
        definitions.analysis_template_json,
    )


@route("GET", "/attributetemplates/{web_id}/attributetemplates")
def children_of_attribute_template(call: Call) -> Response:
    """The attribute templates right below one."""
    parent: AttributeTemplate = lookup.by_web_id(call, "attributetemplates", call.args["web_id"])
    every = call.plant.assets.library.attribute_templates[parent.template.name]
    return page(call, [each for each in every if each.parent == parent], definitions.attribute_template_json)


def _categories(kind: str) -> Callable[[Call], Response]:
    """The endpoint for the categories of a kind."""
    return lambda call: unpaged(
        call, list(_library(call).categories[kind].values()), definitions.category_json
    )


def _categories_of(collection: str, kind: str) -> Callable[[Call], Response]:
    def categories(call: Call) -> Response:
        """The categories an object is in."""
        found = lookup.by_web_id(call, collection, call.args["web_id"])
        known = call.plant.assets.library.categories[kind]
        return unpaged(call, [known[name] for name in _names(found)], definitions.category_json)

    return categories


def _names(item: Any) -> list[str]:
    """The names of the categories of any object."""
    if hasattr(item, "category_names"):
        return list(item.category_names)
    category = item.spec.category if hasattr(item, "spec") else "Reference"
    return [category] if category else []


def _library(call: Call) -> Library:
    lookup.database(call, call.args["web_id"])
    return call.plant.assets.library


def _matching(call: Call, every: list[Any], show: Callable[[Call, Any], dict[str, Any]]) -> Response:
    fields = [each.lower() for each in call.texts("field") if each] or ["name"]
    matches = pattern(call, "query")

    def texts(item: Any) -> list[str]:
        held = {"name": item.name, "description": item.description, "category": item.spec.category}
        return [text for name, text in held.items() if name in fields or "all" in fields]

    found = [each for each in every if any(matches(text) for text in texts(each))]
    count = call.max_count()
    return unpaged(call, ordered(call, found, {})[:count], show)


for _kind in ("Element", "Attribute", "Analysis", "Table"):
    route("GET", f"/assetdatabases/{{web_id}}/{_kind.lower()}categories")(_categories(_kind))
for _collection, _kind in (
    ("elements", "Element"),
    ("eventframes", "Element"),
    ("elementtemplates", "Element"),
    ("attributes", "Attribute"),
    ("attributetemplates", "Attribute"),
    ("analyses", "Analysis"),
    ("analysistemplates", "Analysis"),
    ("tables", "Table"),
):
    route("GET", f"/{_collection}/{{web_id}}/categories")(_categories_of(_collection, _kind))
