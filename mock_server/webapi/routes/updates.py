"""Stream updates: register for a stream, then read its changes since a marker."""

from typing import Any
from urllib.parse import urlencode

import orjson

from mock_server.plant.change_feed import Action, Feed
from mock_server.plant.checkpoints import paced
from mock_server.plant.point import Point
from mock_server.webapi.call import Call, read_web_id
from mock_server.webapi.json.events import timed_values
from mock_server.webapi.messages import ApiError, Response, refusal
from mock_server.webapi.registrations import InvalidMarker, Registration, UnknownMarker
from mock_server.webapi.router import route

Item = dict[str, Any]


@route("POST", "/streams/{web_id}/updates")
def register(call: Call) -> Response:
    """Register for the updates of one stream."""
    item = _registered(call, call.point(call.args["web_id"]))
    return _one(call, item)


@route("GET", "/streams/updates/{marker}")
def retrieve(call: Call) -> Response:
    """The changes of the marker's stream since the marker."""
    return _one(call, _retrieved(call, call.args["marker"]))


@route("POST", "/streamsets/updates")
def register_several(call: Call) -> Response:
    """Register for several streams; an unknown stream fails alone, a malformed WebID fails the call."""
    for text in call.texts("webId"):
        read_web_id(text)
    return _several(call, "webId", _try_to_register)


@route("GET", "/streamsets/updates")
def retrieve_several(call: Call) -> Response:
    """The changes of each marker's stream since the marker; an invalid marker fails alone."""
    return _several(call, "marker", _try_to_retrieve)


def _one(call: Call, item: Item) -> Response:
    location = call.link(f"/streams/updates/{item['LatestMarker']}")
    item["Links"] = {"Updates": location}
    return _with_location(call.reply(item), location)


def _several(call: Call, parameter: str, answer: Any) -> Response:
    items = [answer(call, text) for text in paced(call.required_texts(parameter))]
    markers = [("marker", item["LatestMarker"]) for item in items if item["LatestMarker"]]
    location = call.link(f"/streamsets/updates?{urlencode(markers)}")
    return _with_location(call.reply({"Links": {"Updates": location}, "Items": items}), location)


def _with_location(response: Response, location: str) -> Response:
    return Response(response.status, response.body, response.content_type, {"Location": location})


def _try_to_register(call: Call, text: str) -> Item:
    try:
        return _registered(call, call.point(text))
    except ApiError as error:
        return {**_source(call, None), "Source": text, **_failure(error)}


def _try_to_retrieve(call: Call, marker: str) -> Item:
    try:
        return _retrieved(call, marker)
    except ApiError as error:
        return {**_source(call, None), "RequestedMarker": marker, **_failure(error), "Events": []}


def _failure(error: ApiError) -> Item:
    return {"LatestMarker": "", "Status": "Failed", "Exception": {"Errors": error.errors}}


def _registered(call: Call, point: Point) -> Item:
    registration, is_new = call.server.registry.register(point.point_id, call.now)
    status = "Succeeded" if is_new else "AlreadyRegistered"
    return {**_source(call, point), "LatestMarker": registration.marker(call.now), "Status": status}


def _retrieved(call: Call, marker: str) -> Item:
    registration, after = _read(call, marker)
    point = call.plant.catalog.by_id(registration.point_id)
    if point is None:
        call.server.registry.remove(registration)
        raise refusal(404, "The signup was removed because it is no longer valid.")
    return {
        **_source(call, point),
        "RequestedMarker": marker,
        "LatestMarker": registration.marker(call.now),
        "Status": "Succeeded",
        "Events": _events(call.plant.history.changes(point, after, call.now)),
    }


def _read(call: Call, marker: str) -> tuple[Registration, int]:
    try:
        return call.server.registry.read(marker, call.now)
    except UnknownMarker as error:
        raise refusal(404, "Cache not found") from error
    except InvalidMarker as error:
        raise refusal(409, "Invalid marker supplied") from error


def _source(call: Call, point: Point | None) -> Item:
    if point is None:
        return {"Source": "", "SourceName": "", "SourcePath": ""}
    return {"Source": call.web_id(point), "SourceName": point.name, "SourcePath": point.path}


def _events(feed: Feed) -> list[Item]:
    values = orjson.loads(timed_values(feed.block)[0])
    return [
        {**value, "Action": Action(action).name.title(), "PreviousEventAction": _previous(action, dropped)}
        for value, action, dropped in zip(values, feed.action.tolist(), feed.dropped.tolist(), strict=True)
    ]


def _previous(action: int, dropped: bool) -> str:
    if action != Action.ADD:
        return "None"
    return "PreviousEventDiscarded" if dropped else "PreviousEventArchived"
