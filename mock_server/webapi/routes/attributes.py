"""Attributes: lists by owner and across elements, searches, traits, and static values."""

from collections.abc import Sequence
from typing import Any

from mock_server.af.attributes import Attribute, attributes_of
from mock_server.af.declarations import TRAITS
from mock_server.af.framework import Element
from mock_server.af.search import COMMON_FILTERS, Filter
from mock_server.plant import ticks
from mock_server.plant.checkpoints import paced, paced_sort
from mock_server.webapi.af import lookup, replies
from mock_server.webapi.af.lists import Test, by_name, by_value, flag, ordered, page, query_terms, query_test
from mock_server.webapi.call import Call
from mock_server.webapi.messages import ApiError, Response, json_response, refusal
from mock_server.webapi.router import route
from mock_server.webapi.routes.elements import ELEMENT_FILTERS, created, element_test, elements_below

_MOST_ELEMENTS = 20_000
_STATIC_TIME = 0  # a static value has no time of its own


@route("GET", "/elements/{web_id}/attributes")
def attributes_of_element(call: Call) -> Response:
    """The attributes of an element; with `searchFullHierarchy` their children too."""
    return _listed(call, attributes_of(lookup.element(call, call.args["web_id"])), None)


@route("GET", "/eventframes/{web_id}/attributes")
def attributes_of_frame(call: Call) -> Response:
    """The attributes of an event frame."""
    return _listed(call, attributes_of(lookup.frame(call, call.args["web_id"])), None)


@route("GET", "/attributes/{web_id}/attributes")
def attributes_of_attribute(call: Call) -> Response:
    """The attributes below one."""
    parent = lookup.attribute(call, call.args["web_id"])
    return _listed(call, [each for each in attributes_of(parent.owner) if each.parent is not None], parent)


@route("GET", "/assetdatabases/{web_id}/elementattributes")
def attributes_of_elements(call: Call) -> Response:
    """Attributes across the elements of a database: of its roots, or with `searchFullHierarchy` of all."""
    lookup.database(call, call.args["web_id"])
    return _across(call, elements_below(call, None))


@route("GET", "/elements/{web_id}/elementattributes")
def attributes_below_element(call: Call) -> Response:
    """Attributes across the elements below one."""
    return _across(call, elements_below(call, lookup.element(call, call.args["web_id"])))


@route("GET", "/attributes/search")
def attributes_search(call: Call) -> Response:
    """The attributes of a database that satisfy an AFSearch query; hidden and excluded ones are left out."""
    lookup.database(call, call.text("databaseWebId"))
    terms = query_terms(call, ATTRIBUTE_FILTERS)
    nested = [each for term in terms if term.operator == "{" for each in term.nested]
    elements = list(filter(query_test(call, nested, ELEMENT_FILTERS), call.plant.assets.below(None)))
    found = filter(query_test(call, terms, ATTRIBUTE_FILTERS), _members(elements, nested=True))
    return page(call, paced_sort(found, lambda each: each.name.lower()), replies.attribute_json)


@route("GET", "/attributes/{web_id}/value")
def value(call: Call) -> Response:
    """The value of an attribute without a data reference."""
    attribute = lookup.attribute(call, call.args["web_id"])
    if attribute.plugin:
        raise refusal(409, f"The attribute '{attribute.name}' has a data reference; read it as a stream.")
    return call.reply(static_value(attribute))


@route("GET", "/attributetraits")
def traits(call: Call) -> Response:
    """The attribute traits; here every `category` has all of them."""
    return call.items(_trait(call, name) for name in TRAITS)


@route("GET", "/attributetraits/{name}")
def trait(call: Call) -> Response:
    """One trait by its name or abbreviation."""
    wanted = call.args["name"].lower()
    for name, long in TRAITS.items():
        if wanted in (name.lower(), long.lower()):
            return call.reply(_trait(call, name))
    raise refusal(404, f"The attribute trait '{call.args['name']}' was not found.")


def static_value(attribute: Attribute) -> dict[str, Any]:
    """The value of a static attribute as a timed value; 501 when its type is not supported."""
    if attribute.type == "Unsupported":
        raise unsupported(attribute)
    return {
        "Timestamp": ticks.to_iso(_STATIC_TIME),
        "Value": attribute.static_value(),
        "UnitsAbbreviation": attribute.units,
        "Good": True,
        "Questionable": False,
        "Substituted": False,
        "Annotated": False,
    }


def unsupported(attribute: Attribute) -> ApiError:
    """The error for a value whose type PI Web API does not support."""
    message = f"The value type of the attribute '{attribute.name}' is not supported."
    return ApiError(json_response({"Errors": [message]}, 501))


def owner_attributes(call: Call, every: Sequence[Attribute], parent: Attribute | None) -> list[Attribute]:
    """The attributes of an owner that pass the filters of a list, or of a stream set by parent."""
    full, hidden = flag(call, "searchFullHierarchy"), flag(call, "showHidden")
    excluded = flag(call, "showExcluded")
    template = call.text("templateName").lower()
    tests: list[Test] = [
        by_name(call),
        by_value(call, "categoryName", lambda each: each.category_names),
        by_value(call, "valueType", lambda each: [each.type]),
        lambda each: not template or template in [name.lower() for name in each.template_names],
        lambda each: hidden or not each.spec.hidden,
        lambda each: excluded or not each.spec.excluded,
        lambda each: each.parent == parent or (full and _is_below(each, parent)),
        _has_trait(call),
    ]
    return [each for each in every if all(test(each) for test in tests)]


def _has_trait(call: Call) -> Test:
    wanted = [text.lower() for text in call.texts("trait") if text]
    categories = [text.lower() for text in call.texts("traitCategory") if text]
    unknown = [text for text in wanted if text not in [each.lower() for each in TRAITS]]
    if unknown:
        raise refusal(400, f"The attribute trait '{unknown[0]}' is unknown.")
    return lambda each: (
        (not wanted or each.spec.trait.lower() in wanted) and (not categories or bool(each.spec.trait))
    )


def _is_below(attribute: Attribute, parent: Attribute | None) -> bool:
    while attribute.parent is not None:
        if attribute.parent == parent:
            return True
        attribute = attribute.parent
    return parent is None


def _listed(call: Call, every: Sequence[Attribute], parent: Attribute | None) -> Response:
    found = owner_attributes(call, every, parent)
    return page(call, ordered(call, found, {"Type": lambda each: each.type}), replies.attribute_json)


def _across(call: Call, elements: Sequence[Element]) -> Response:
    chosen = list(filter(element_test(call, "element"), paced(elements)))
    return attributes_page(call, _members(chosen, nested=flag(call, "searchFullHierarchy")))


def attributes_page(call: Call, members: Sequence[Attribute]) -> Response:
    """A page of those attributes of several owners that pass the filters of the call."""
    tests: list[Test] = [
        by_name(call, "attribute"),
        by_value(call, "attributeCategory", lambda each: each.category_names),
        by_value(call, "attributeType", lambda each: [each.type]),
    ]
    found = [each for each in paced(members) if all(test(each) for test in tests)]
    return page(call, ordered(call, found, {"Type": lambda each: each.type}), replies.attribute_json)


def _members(elements: Sequence[Element], *, nested: bool) -> list[Attribute]:
    if len(elements) > _MOST_ELEMENTS:
        raise refusal(
            400,
            f"The attributes of {len(elements)} elements are too many for one search; narrow it by element.",
        )
    return [
        each
        for element in paced(elements)
        for each in attributes_of(element)
        if (nested or each.parent is None) and not each.spec.hidden and not each.spec.excluded
    ]


def _trait(call: Call, name: str) -> dict[str, Any]:
    is_limit = name.startswith("Limit")
    return {
        "Name": TRAITS[name],
        "Abbreviation": name,
        "AllowChildAttributes": False,
        "AllowDuplicates": False,
        "IsAllowedOnRootAttribute": not is_limit,
        "IsTypeInherited": is_limit,
        "IsUOMInherited": is_limit,
        "RequireNumeric": is_limit,
        "RequireString": False,
        "Links": {"Self": call.link(f"/attributetraits/{name}")},
    }


def _created(attribute: Attribute) -> int:
    owner = attribute.owner
    return created(owner) if isinstance(owner, Element) else 0


ATTRIBUTE_FILTERS = {
    **COMMON_FILTERS,
    "category": Filter(lambda each: each.category_names),
    "template": Filter(lambda each: each.template_names),
    "type": Filter(lambda each: each.type),
    "plugin": Filter(lambda each: each.plugin),
    "element": Filter(lambda each: [each.owner], "nested", inner=ELEMENT_FILTERS),
    "elementname": Filter(lambda each: each.owner.name),
    "creationdate": Filter(_created, "time"),
    "modifydate": Filter(_created, "time"),
}
