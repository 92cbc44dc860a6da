"""Points and their attributes as PI Web API shows them."""

from collections.abc import Callable, Sequence
from typing import Any

from mock_server.plant.point import Point
from mock_server.webapi import selected_fields
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import list_reply
from mock_server.webapi.messages import Response
from mock_server.webapi.point_attributes import attributes_of

_POINTS_AT_ONCE = 256


def attribute_json(call: Call, point: Point, name: str) -> dict[str, Any]:
    """An attribute of a point."""
    self_link = call.link(f"/points/{call.web_id(point)}")
    return {
        "Name": name,
        "Value": attributes_of(point)[name],
        "Links": {"Self": f"{self_link}/attributes/{name}", "Point": self_link},
    }


_FIELDS: dict[str, Callable[[Point], Any]] = {
    "Id": lambda point: point.point_id,
    "Name": lambda point: point.name,
    "Path": lambda point: point.path,
    "Descriptor": lambda point: point.descriptor,
    "PointClass": lambda _: "classic",
    "PointType": lambda point: point.point_type,
    "DigitalSetName": lambda point: point.digital_set_name,
    "EngineeringUnits": lambda point: point.engineering_units,
    "Span": lambda point: point.sensor.span,
    "Zero": lambda point: point.sensor.zero,
    "Step": lambda point: point.sensor.step,
    "Future": lambda _: False,
    "DisplayDigits": lambda _: -5,
}
_LATER = ("Span", "Zero", "DisplayDigits")


def point_json(call: Call, point: Point) -> dict[str, Any]:
    """A point as PI Web API shows it."""
    return points_json(call, [point], None)[0]


def points_json(call: Call, points: Sequence[Point], tree: selected_fields.Tree) -> list[dict[str, Any]]:
    """Points as PI Web API shows them, with only the members that `tree` selects: there can be a million."""
    later = call.server.generation.has("span and zero of points")
    made = [
        (name, make)
        for name, make in _FIELDS.items()
        if selected_fields.wanted(tree, name) and (later or name not in _LATER)
    ]
    linked = selected_fields.wanted(tree, "Links")
    base, kind = call.base, call.web_id_type
    owner = f"{base}/dataservers/{points[0].server.web_id(kind)}" if points else ""  # of every point
    shown = []
    for point in points:
        web_id = point.web_id(kind)
        item = {"WebId": web_id, **{name: make(point) for name, make in made}}
        if linked:
            item["Links"] = _links(base, owner, web_id)
        shown.append(item)
    return shown


def _links(base: str, owner: str, web_id: str) -> dict[str, str]:
    stream = f"{base}/streams/{web_id}"
    self_link = f"{base}/points/{web_id}"
    return {
        "Self": self_link,
        "DataServer": owner,
        "Attributes": f"{self_link}/attributes",
        "InterpolatedData": f"{stream}/interpolated",
        "RecordedData": f"{stream}/recorded",
        "PlotData": f"{stream}/plot",
        "SummaryData": f"{stream}/summary",
        "Value": f"{stream}/value",
        "EndValue": f"{stream}/end",
    }


def page_of_points(call: Call, found: Any, count: int) -> Response:
    """The page of the given indexes that `startIndex` and `count` select, with links to its neighbours."""
    start = call.integer("startIndex", 0)
    page = [int(index) for index in found[start : start + count]]
    tree = selected_fields.below(call.tree, "Items") if selected_fields.wanted(call.tree, "Items") else {}
    catalog = call.plant.catalog
    items = (
        item
        for first in range(0, len(page), _POINTS_AT_ONCE)
        for item in points_json(call, catalog.points(page[first : first + _POINTS_AT_ONCE]), tree)
    )
    return list_reply(call, call.page_links(start, count, len(found)), items)
