"""The values of one stream."""

from collections.abc import Callable, Sequence
from typing import Any

from mock_server.plant.events import Block
from mock_server.plant.point import Point
from mock_server.webapi.annotations import annotations_wanted, with_annotations
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import collection_of, single_values, stream_lists, value_objects
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.recorded_at_time import nearest_or_error, nearest_value, nothing_found, retrieval_mode
from mock_server.webapi.router import Endpoint, route
from mock_server.webapi.stream_reads import READS, read_recorded, recorded_request
from mock_server.webapi.summary_calls import summaries_of

Read = Callable[[Call, Sequence[Point]], Block]


def _read(read: Read, show: Callable[[Call, Block], list[bytes]]) -> Endpoint:
    return lambda call: Response(200, show(call, read(call, [_stream(call)]))[0])


for _name, _each in READS.items():
    route("GET", f"/streams/{{web_id}}/{_name}")(
        _read(_each, single_values if _name in ("value", "end") else stream_lists)
    )


@route("GET", "/streams/{web_id}/recorded")
def recorded(call: Call) -> Response:
    """The recorded events of a window, up to `maxCount`."""
    point = _stream(call)
    block = read_recorded(call, [point], recorded_request(call))
    if not annotations_wanted(call):
        return Response(200, stream_lists(call, block)[0])
    return _list_of(call, point, value_objects(call, block)[0])


@route("GET", "/streams/{web_id}/recordedattime")
def recorded_at_time(call: Call) -> Response:
    """The recorded event that `retrievalMode` finds at `time`; 404 when there is none."""
    point, mode, instant = _stream(call), retrieval_mode(call), call.times("time")[0]
    found = nearest_value(call, point, instant, mode)
    if found is None:
        raise refusal(404, nothing_found(instant, mode))
    return call.reply(with_annotations(point, [found])[0] if annotations_wanted(call) else found)


@route("GET", "/streams/{web_id}/recordedattimes")
def recorded_at_times(call: Call) -> Response:
    """The same for each `time`; a value with `Errors` where there is none."""
    point, mode = _stream(call), retrieval_mode(call)
    instants = sorted(call.times("time"), reverse=call.descending)
    call.check_size("time", len(instants))
    values = [nearest_or_error(call, point, instant, mode) for instant in instants]
    return _list_of(call, point, values)


@route("GET", "/streams/{web_id}/summary")
def summary(call: Call) -> Response:
    """Summaries for each `summaryDuration` of a window."""
    return call.items(summaries_of(call, [_stream(call)])[0])


def _stream(call: Call) -> Point:
    """The stream of the path; the units of a point cannot be converted."""
    found = call.stream(call.args["web_id"])
    if collection_of(found) == "points":
        call.unsupported("desiredUnits")
    return found


def _list_of(call: Call, point: Point, values: list[dict[str, Any]]) -> Response:
    """A list of values, with their annotations when requested."""
    items = with_annotations(point, values) if annotations_wanted(call) else values
    return call.items(items, UnitsAbbreviation=point.engineering_units if values else "")
