"""Points: by path, by WebID, several at once, searched, and their attributes."""

import re
from collections.abc import Callable
from typing import Any

from mock_server import ticks
from mock_server.call import Call, check_data_server, find_point, point_at
from mock_server.catalog import Point
from mock_server.messages import ApiError, Response, refusal
from mock_server.router import route
from mock_server.wildcards import wildcard_pattern

_SEARCH_CAP = 1000
_TERM = re.compile(r"""\s*(\w+)\s*:(=|<>)\s*(?:"([^"]*)"|'([^']*)'|(\S+))\s*""")
_AND = re.compile(r"AND\b", re.IGNORECASE)
_SEARCHABLE: dict[str, Callable[[Point], str]] = {
    "tag": lambda point: point.name,
    "name": lambda point: point.name,
    "pointtype": lambda point: point.point_type,
    "descriptor": lambda point: point.descriptor,
    "engunits": lambda point: point.engineering_units,
    "pointsource": lambda _: "SIM",
}


@route("GET", "/points")
def point_by_path(call: Call) -> Response:
    r"""The point at `path`, `\\SERVER\TAG`."""
    path = call.text("path")
    if not path:
        raise refusal(400, "Parameter 'path' is required.")
    return call.reply(point_json(call, _at(call, path)))


@route("GET", "/points/multiple")
def points_multiple(call: Call) -> Response:
    """Each point asked for by `webId` or `path`; 207 when one of them failed."""
    items = [_tried(call, text, "WebId") for text in call.texts("webId")]
    items += [_tried(call, text, "Path") for text in call.texts("path")]
    if not items:
        raise refusal(400, "Parameter 'webId' or 'path' is required.")
    failed = any("Exception" in item for item in items)
    return call.reply({"Links": {}, "Items": items}, 207 if failed else 200)


@route("GET", "/points/search")
def points_search(call: Call) -> Response:
    """A page of the points that satisfy `query`, such as `Tag:=FLOW* AND PointType:=Float32`."""
    from mock_server.routes.dataservers import page_of_points

    check_data_server(call.server, call.text("dataServerWebId"))
    count = call.max_count(cap=_SEARCH_CAP)
    catalog = call.server.plant.catalog
    terms = parse_query(call.text("query"))
    tag_filter = next((text for field, wanted, text in terms if wanted and field in ("tag", "name")), "")
    tests = [(_SEARCHABLE[field], wanted, wildcard_pattern(text)) for field, wanted, text in terms]
    found = [
        int(index)
        for index in catalog.matching(tag_filter)
        if all(
            bool(pattern.match(read(catalog.point(int(index))))) is wanted for read, wanted, pattern in tests
        )
    ]
    return page_of_points(call, found, count)


@route("GET", "/points/{web_id}")
def point(call: Call) -> Response:
    """One point."""
    return call.reply(point_json(call, call.point(call.args["web_id"])))


@route("GET", "/points/{web_id}/attributes")
def point_attributes(call: Call) -> Response:
    """The attributes of a point, those of the given `name`s or matching `nameFilter`."""
    found = call.point(call.args["web_id"])
    self_link = call.link(f"/points/{call.web_id(found)}")
    attributes = attributes_of(found)
    names = [name.lower() for name in call.texts("name")]
    unknown = [name for name in names if name not in attributes]
    if unknown:
        raise refusal(400, f"The attribute '{unknown[0]}' does not exist.")
    matches = wildcard_pattern(call.text("nameFilter", "*")).match
    items = [
        {
            "Name": name,
            "Value": value,
            "Links": {"Self": f"{self_link}/attributes/{name}", "Point": self_link},
        }
        for name, value in attributes.items()
        if (not names or name in names) and matches(name)
    ]
    return call.reply({"Links": {}, "Items": items})


def parse_query(query: str) -> list[tuple[str, bool, str]]:
    """The (field, must match, pattern) terms of a point query, which AND connects; 400 when it is none."""
    terms: list[tuple[str, bool, str]] = []
    at = 0
    while at < len(query) or not terms:
        match = _TERM.match(query, at)
        if match is None or match[1].lower() not in _SEARCHABLE:
            raise refusal(400, f"The point query '{query}' is not valid.")
        terms.append(
            (match[1].lower(), match[2] == "=", next(t for t in match.groups()[2:] if t is not None))
        )
        at = match.end()
        if at < len(query):
            joint = _AND.match(query, at)
            at = joint.end() if joint else at
    return terms


def point_json(call: Call, point: Point) -> dict[str, Any]:
    """A point as PI Web API shows it."""
    web_id = call.web_id(point)
    stream = call.link(f"/streams/{web_id}")
    self_link = call.link(f"/points/{web_id}")
    return {
        "WebId": web_id,
        "Id": point.point_id,
        "Name": point.name,
        "Path": point.path,
        "Descriptor": point.descriptor,
        "PointClass": "classic",
        "PointType": point.point_type,
        "DigitalSetName": point.digital_set_name,
        "EngineeringUnits": point.engineering_units,
        "Span": point.sensor.span,
        "Zero": point.sensor.zero,
        "Step": point.sensor.step,
        "Future": False,
        "DisplayDigits": -5,
        "Links": {
            "Self": self_link,
            "DataServer": call.link(f"/dataservers/{call.web_id(point.server)}"),
            "Attributes": f"{self_link}/attributes",
            "InterpolatedData": f"{stream}/interpolated",
            "RecordedData": f"{stream}/recorded",
            "PlotData": f"{stream}/plot",
            "SummaryData": f"{stream}/summary",
            "Value": f"{stream}/value",
            "EndValue": f"{stream}/end",
        },
    }


def attributes_of(point: Point) -> dict[str, Any]:
    """PI's own attributes of a point, by lower-case name."""
    return {
        "archiving": 1,
        "compressing": 1,
        "compdev": point.sensor.span * 0.002,
        "compmax": 28_800,
        "creationdate": ticks.to_iso(point.created_ticks),
        "descriptor": point.descriptor,
        "digitalset": point.digital_set_name,
        "displaydigits": -5,
        "engunits": point.engineering_units,
        "future": False,
        "pointid": point.point_id,
        "pointsource": "SIM",
        "pointtype": point.point_type,
        "ptclassname": "classic",
        "span": point.sensor.span,
        "step": point.sensor.step,
        "tag": point.name,
        "zero": point.sensor.zero,
    }


def _at(call: Call, path: str) -> Point:
    found = point_at(call.server, path)
    if found is None:
        raise refusal(404, f"The PI Point with path '{path}' was not found.")
    return found


def _tried(call: Call, text: str, identifier_type: str) -> dict[str, Any]:
    item: dict[str, Any] = {"Identifier": text, "IdentifierType": identifier_type}
    try:
        found = find_point(call.server, text) if identifier_type == "WebId" else _at(call, text)
        item["Object"] = point_json(call, found)
    except ApiError as error:
        item["Exception"] = {"Errors": error.errors}
    return item
