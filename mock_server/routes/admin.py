"""What no real server has: changing the plant while it runs. Off unless asked for."""

from typing import Any

import orjson

from mock_server import ticks
from mock_server.call import Call
from mock_server.messages import Response, json_response, refusal
from mock_server.router import no_resource, route

_MOST_AT_ONCE = 1_000_000


@route("POST", "/admin/points", prefix="")
def add_points(call: Call) -> Response:
    """Create `count` points now and tell which."""
    if not call.server.admin:
        raise no_resource(call.request)
    try:
        points = call.server.plant.add_points(_count(call.request.body), ticks.to_datetime(call.now))
    except ValueError as error:
        raise refusal(400, str(error)) from error
    created = [
        {
            "name": point.name,
            "point_id": point.point_id,
            "point_type": point.point_type,
            "created": f"{point.created:%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        for point in points
    ]
    return json_response({"created": created})


def _count(body: bytes) -> int:
    message = f'The body must be {{"count": n}} with n from 1 to {_MOST_AT_ONCE}.'
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise refusal(400, message) from error
    count = value.get("count") if isinstance(value, dict) else None
    if type(count) is not int or not 1 <= count <= _MOST_AT_ONCE:
        raise refusal(400, message)
    return count
