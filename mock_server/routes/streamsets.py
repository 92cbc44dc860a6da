"""The values of several streams in one answer."""

from mock_server.call import Call
from mock_server.catalog import Point
from mock_server.messages import Response, refusal
from mock_server.readings import read_recorded, recording, streamset_body, values_at
from mock_server.router import route


@route("GET", "/streamsets/value")
def value(call: Call) -> Response:
    """The value of each stream at `time`, or its snapshot without one."""
    points = _points(call)
    return Response(200, streamset_body(call, values_at(call, points), "Value"))


@route("GET", "/streamsets/end")
def end(call: Call) -> Response:
    """The newest value of each stream, in a list of one."""
    block = call.server.plant.history.snapshot(_points(call), now=call.now)
    return Response(200, streamset_body(call, block, "Items"))


@route("GET", "/streamsets/recorded")
def recorded(call: Call) -> Response:
    """The recorded events of a window, of each stream up to `maxCount`."""
    call.unsupported("filterExpression")
    points = _points(call)
    block = read_recorded(call, points, recording(call, streams=len(points)))
    return Response(200, streamset_body(call, block, "Items"))


def _points(call: Call) -> list[Point]:
    web_ids = call.texts("webId")
    if not web_ids:
        raise refusal(400, "Parameter 'webId' is required.")
    return [call.point(text) for text in web_ids]
