"""The values of one stream."""

from mock_server.call import Call
from mock_server.events import Block
from mock_server.messages import Response
from mock_server.readings import read_recorded, recording, stream_lists, timed_value, values_at
from mock_server.router import route


@route("GET", "/streams/{web_id}/value")
def value(call: Call) -> Response:
    """The value at `time`, or the snapshot without one."""
    call.unsupported("desiredUnits")
    return _one(call, values_at(call, [call.point(call.args["web_id"])]))


@route("GET", "/streams/{web_id}/end")
def end(call: Call) -> Response:
    """The newest value."""
    call.unsupported("desiredUnits")
    point = call.point(call.args["web_id"])
    return _one(call, call.server.plant.history.snapshot([point], now=call.now))


@route("GET", "/streams/{web_id}/recorded")
def recorded(call: Call) -> Response:
    """The recorded events of a window, up to `maxCount`."""
    call.unsupported("desiredUnits", "filterExpression")
    point = call.point(call.args["web_id"])
    block = read_recorded(call, [point], recording(call))
    return Response(200, stream_lists(block, call.tree)[0])


def _one(call: Call, block: Block) -> Response:
    return Response(200, timed_value(block, call.tree)[0])
