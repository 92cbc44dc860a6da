"""Streams and stream sets of attributes; requests for points alone pass on to their own endpoints."""

import re
from typing import Any

from mock_server.af.attributes import Attribute, attributes_of
from mock_server.plant.point import Point
from mock_server.webapi.af import lookup
from mock_server.webapi.af.attribute_streams import (
    METHODS,
    failed_value,
    frame_times,
    read_point,
    read_points,
    scale_of,
    stream_item,
)
from mock_server.webapi.call import Call
from mock_server.webapi.messages import ApiError, Response, refusal
from mock_server.webapi.router import intercept
from mock_server.webapi.routes.attributes import owner_attributes, static_value, unsupported

_STREAM = re.compile(r"/piwebapi/streams/([FILPD]1Ab[EF][^/]*)/(\w+)/?\Z", re.IGNORECASE)
_OF_PARENT = re.compile(r"/piwebapi/streamsets/([FILPD]1(?:Em|Fm|Ab)[^/]*)/(\w+)/?\Z", re.IGNORECASE)
_AD_HOC = re.compile(r"/piwebapi/streamsets/(\w+)/?\Z", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"[FILPD]1Ab[EF]")


@intercept
def attribute_streams(call: Call) -> Response | None:
    """Answer a GET of a stream of an attribute, or of a stream set with attributes."""
    path = call.request.path
    if call.request.method != "GET" or not path.lower().startswith("/piwebapi/stream"):
        return None
    if (match := _STREAM.match(path)) and match[2].lower() in METHODS:
        return _stream(call, lookup.attribute(call, match[1]), match[2].lower())
    if (match := _OF_PARENT.match(path)) and match[2].lower() in METHODS:
        return _of_parent(call, match[1], match[2].lower())
    if (match := _AD_HOC.match(path)) and match[1].lower() in METHODS:
        web_ids = call.texts("webId")
        return _ad_hoc(call, web_ids, match[1].lower()) if any(map(_ATTRIBUTE.match, web_ids)) else None
    return None


def _stream(call: Call, attribute: Attribute, method: str) -> Response:
    scale = scale_of(attribute, call.text("desiredUnits"))
    if attribute.point is None:
        return call.reply(scale.apply(_static(attribute, method)))
    times = frame_times(call, attribute.owner, method)
    return call.reply(scale.apply(read_point(call, attribute.point, method, times)))


def _of_parent(call: Call, text: str, method: str) -> Response:
    """The streams of the attributes of an element, event frame or attribute.

    Only `value` includes static attributes: they are not streams.
    """
    marker = text[2:4].lower()
    parent: Attribute | None = None
    if marker == "ab":
        parent = lookup.attribute(call, text)
        owner: Any = parent.owner
    else:
        owner = lookup.element(call, text) if marker == "em" else lookup.frame(call, text)
    found = owner_attributes(call, attributes_of(owner), parent)
    chosen = [each for each in found if each.point is not None or method == "value"]
    return _set(call, list(chosen), method, frame_times(call, owner, method))


def _ad_hoc(call: Call, web_ids: list[str], method: str) -> Response:
    """The streams of given points and attributes."""
    found = [lookup.attribute(call, text) if _ATTRIBUTE.match(text) else call.point(text) for text in web_ids]
    return _set(call, found, method, [])


def _set(call: Call, targets: list[Attribute | Point], method: str, times: list[tuple[str, str]]) -> Response:
    points = [point for each in targets if (point := each.point if isinstance(each, Attribute) else each)]
    points = [point for point in points if call.plant.catalog.by_id(point.point_id)]  # without deleted points
    by_point = read_points(call, points, method, times)
    items = [_item(call, each, method, by_point) for each in targets]
    if call.choice("sortField", "", ("", "Name")):
        items.sort(key=lambda item: str(item["Name"]).lower(), reverse=call.descending)
    return call.items(items)


def _item(
    call: Call, target: "Attribute | Point", method: str, by_point: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    if not isinstance(target, Attribute):
        return by_point[target.index]
    scale = scale_of(target, "")
    if target.point is not None and target.point.index in by_point:
        return stream_item(call, target, scale.apply(by_point[target.point.index]))
    try:
        value = scale.apply(_static(target, method))
    except ApiError as error:
        value = failed_value(error)
    single = method in ("value", "recordedattime")
    rest = {"Value": value} if single else {"Items": [value], "UnitsAbbreviation": target.units}
    return stream_item(call, target, rest)


def _static(attribute: Attribute, method: str) -> dict[str, Any]:
    """The only value of an attribute whose point does not exist (any more)."""
    if attribute.point is not None:
        raise refusal(404, f"The PI Point '{attribute.point.name}' of '{attribute.name}' was not found.")
    if attribute.type == "Unsupported":
        raise unsupported(attribute)
    if method != "value":
        raise refusal(
            409, f"The attribute '{attribute.name}' has no data reference that supports '{method}'."
        )
    return static_value(attribute)
