"""Points: by path, by WebID, several at once, searches, and their attributes."""

from typing import Any

import orjson

from mock_server.plant import pitime
from mock_server.plant.checkpoints import paced
from mock_server.plant.events import ANNOTATED, BAD, QUESTIONABLE, SUBSTITUTED
from mock_server.plant.point import Point
from mock_server.plant.wildcards import wildcard_pattern
from mock_server.webapi import point_query
from mock_server.webapi.call import Call, check_data_server, find_point
from mock_server.webapi.json.events import timed_values
from mock_server.webapi.json.streams import several
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.point_attributes import attributes_of
from mock_server.webapi.point_query import Moment
from mock_server.webapi.point_replies import attribute_json, page_of_points, point_json
from mock_server.webapi.router import no_resource, route

_SEARCH_CAP = 1000
_TIMES = ("creationdate", "changedate")
_OTHER_NAMES = {
    "name": "tag",
    "id": "pointid",
    "engineeringunits": "engunits",
    "description": "descriptor",
    "pointclass": "ptclassname",
    "digitalsetname": "digitalset",
    "datatype": "pointtype",
}
_WRAPPED = {"Contains": "*{}*", "ExactMatch": "{}", "StartsWith": "{}*", "EndsWith": "*{}"}


@route("GET", "/points")
def point_by_path(call: Call) -> Response:
    r"""The point at `path`, `\\SERVER\TAG`."""
    return call.reply(point_json(call, _at(call, call.required("path"))))


@route("GET", "/points/multiple")
def points_multiple(call: Call) -> Response:
    """Each point asked for by `webId` or `path`; 207 when one of them failed."""
    call.flag("asParallel")

    def find(kind: str, text: str) -> dict[str, Any]:
        found = find_point(call.server, text) if kind == "WebId" else _at(call, text)
        return point_json(call, found)

    return several(call, ("All", "ItemsWithoutException", "ItemsWithException"), find)


@route("GET", "/points/search")
def points_search(call: Call) -> Response:
    """A page of the points that satisfy `query`, such as `Tag:=FLOW* AND PointType:=Float32`."""
    if not call.server.generation.has("points/search"):
        raise no_resource(call.request)
    check_data_server(call.server, call.text("dataServerWebId"))
    count = call.max_count(cap=_SEARCH_CAP)
    try:
        found = _found(call, [_renamed(call, group) for group in point_query.parse_query(call.text("query"))])
    except point_query.BadQuery as error:
        raise refusal(400, f"The point query '{call.text('query')}' is not valid: {error}.") from error
    return page_of_points(call, found, count)


def _found(call: Call, groups: list[list[point_query.Filter]]) -> list[int]:
    catalog = call.plant.catalog
    also_descriptor = call.flag("searchNameAndDescriptor")
    _check_groups(call, groups)
    found: set[int] = set()
    for group in groups:
        tag = next((each.text for each in group if each.name == "tag" and each.symbol == "="), "")
        matching = catalog.matching("" if also_descriptor else tag)
        if [(each.name, each.symbol) for each in group] == [("tag", "=")] and not also_descriptor:
            found.update(int(index) for index in matching)
            continue
        for index in paced(matching):
            if _satisfies(call, catalog.point(int(index)), group, also_descriptor):
                found.add(int(index))
    return sorted(found)


def _check_groups(call: Call, groups: list[list[point_query.Filter]]) -> None:
    """Reject unknown attributes and values of the wrong type, whatever points there are."""
    catalog = call.plant.catalog
    for group in groups:
        names = [each.name for each in group]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            msg = f"the attribute '{twice}' is used twice in one AND group"
            raise point_query.BadQuery(msg)
        if len(catalog):
            values = _values(call, catalog.point(0), group)
            for each in group:
                point_query.satisfies([each], values, lambda text: _time(call, text))


def _renamed(call: Call, group: list[point_query.Filter]) -> list[point_query.Filter]:
    """The group with PI's own attribute names, and with tags completed according to `searchOption`."""
    wrapped = _WRAPPED[call.choice("searchOption", "ExactMatch", tuple(_WRAPPED))]
    renamed = [each._replace(name=_OTHER_NAMES.get(each.name, each.name)) for each in group]
    return [_completed(each, wrapped) for each in renamed]


def _completed(condition: point_query.Filter, wrapped: str) -> point_query.Filter:
    if condition.name == "tag":
        return condition._replace(text=wrapped.format(condition.text))
    if condition.name == "pointtype" and condition.text.lower() == "float":
        return condition._replace(text="Float*")  # as in AF SDK: every float type
    return condition


def _satisfies(call: Call, point: Point, group: list[point_query.Filter], also_descriptor: bool) -> bool:
    values = _values(call, point, group)

    def holds(filters: list[point_query.Filter]) -> bool:
        return point_query.satisfies(filters, values, lambda text: _time(call, text))

    if not also_descriptor:
        return holds(group)
    by_descriptor = [each._replace(name="descriptor") if each.name == "tag" else each for each in group]
    return holds(group) or holds(by_descriptor)


def _values(call: Call, point: Point, group: list[point_query.Filter]) -> dict[str, Any]:
    """The attributes a query can name, times as instants, and the properties of the newest value if it needs them."""
    values = attributes_of(point)
    values |= {each.name: Moment(_time(call, values[each.name])) for each in group if each.name in _TIMES}
    if any(each.name in point_query.OF_VALUE for each in group):
        newest = call.archive.snapshot([point], now=call.now)
        flags = int(newest.flags[0])
        shown = orjson.loads(timed_values(newest, frozenset({"Value"}))[0])[0]["Value"]
        values |= {
            "value": shown["Name"] if isinstance(shown, dict) else shown,
            "timestamp": Moment(int(newest.ticks[0])),
            "isgood": not flags & BAD,
            "questionable": bool(flags & QUESTIONABLE),
            "substituted": bool(flags & SUBSTITUTED),
            "annotated": bool(flags & ANNOTATED),
        }
    return values


def _time(call: Call, text: str) -> int:
    try:
        return pitime.parse(text, call.now, call.zone)
    except pitime.BadTime as error:
        msg = f"'{text}' is no time"
        raise point_query.BadQuery(msg) from error


@route("GET", "/points/{web_id}")
def point(call: Call) -> Response:
    """One point."""
    return call.reply(point_json(call, call.point(call.args["web_id"])))


@route("GET", "/points/{web_id}/attributes")
def point_attributes(call: Call) -> Response:
    """The attributes of a point, those of the given `name`s or matching `nameFilter`."""
    found = call.point(call.args["web_id"])
    attributes = attributes_of(found)
    names = [name.lower() for name in call.texts("name") if name]
    unknown = [name for name in names if name not in attributes]
    if unknown:
        raise refusal(400, f"The attribute '{unknown[0]}' does not exist.")
    matches = wildcard_pattern(call.text("nameFilter", "*")).match
    items = [
        attribute_json(call, found, name)
        for name in attributes
        if (not names or name in names) and matches(name)
    ]
    return call.items(items)


@route("GET", "/points/{web_id}/attributes/{name}")
def point_attribute(call: Call) -> Response:
    """One attribute of a point; 404 when there is none of that name."""
    found, name = call.point(call.args["web_id"]), call.args["name"].lower()
    if name not in attributes_of(found):
        raise refusal(404, f"The attribute '{name}' was not found.")
    return call.reply(attribute_json(call, found, name))


def _at(call: Call, path: str) -> Point:
    found = call.plant.catalog.at_path(path)
    if found is None:
        raise refusal(404, f"The PI Point with path '{path}' was not found.")
    return found
