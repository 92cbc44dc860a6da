"""The values of several streams: given by WebIDs, or all below an element."""

from collections.abc import Callable, Sequence
from typing import Any

from mock_server.archive.interpolation import reader, values_at
from mock_server.plant.events import Block
from mock_server.plant.point import Point
from mock_server.webapi.call import PARENT_FINDERS, Call, read_web_id
from mock_server.webapi.json.streams import sorted_streams, stream_head, streamset_body, value_objects
from mock_server.webapi.messages import Response, refusal
from mock_server.webapi.recorded_at_time import nearest_or_error, retrieval_mode
from mock_server.webapi.router import Endpoint, no_resource, route
from mock_server.webapi.stream_reads import READS, read_recorded, recorded_request
from mock_server.webapi.summary_calls import summaries_of

Answer = Callable[[Call, Sequence[Point]], Response]


def _read(read: Callable[[Call, Sequence[Point]], Block], member: str) -> Answer:
    return lambda call, points: Response(200, streamset_body(call, read(call, points), member))


def recorded(call: Call, points: Sequence[Point]) -> Response:
    """The recorded events of a window, of each stream up to `maxCount`."""
    block = read_recorded(call, points, recorded_request(call, streams=len(points)))
    return Response(200, streamset_body(call, block, "Items"))


def recorded_at_time(call: Call, points: Sequence[Point]) -> Response:
    """The recorded event of each stream nearest to `time`, or a value with `Errors`."""
    mode, instant = retrieval_mode(call), call.times("time")[0]
    values = [{"Value": nearest_or_error(call, point, instant, mode)} for point in points]
    return _reply(call, points, values)


def recorded_at_times(call: Call, points: Sequence[Point]) -> Response:
    """The same for each `time`."""
    mode, instants = retrieval_mode(call), sorted(call.times("time"), reverse=call.descending)
    call.check_size("time", len(instants) * len(points))
    lists = [[nearest_or_error(call, point, each, mode) for each in instants] for point in points]
    return _reply(call, points, [_items(point, items) for point, items in zip(points, lists, strict=True)])


def summary(call: Call, points: Sequence[Point]) -> Response:
    """Summaries of each stream for each `summaryDuration` of a window."""
    return _reply(call, points, [{"Items": items} for items in summaries_of(call, points)])


ANSWERS: dict[str, Answer] = {
    **{name: _read(read, "Value" if name == "value" else "Items") for name, read in READS.items()},
    "recorded": recorded,
    "recordedattime": recorded_at_time,
    "recordedattimes": recorded_at_times,
    "summary": summary,
}
"""What can be asked of a set of streams, however it was put together."""


@route("GET", "/streamsets/joined")
def joined(call: Call) -> Response:
    """The events of `baseWebId`, and each `subordinateWebId` interpolated at their times."""
    if not call.server.generation.has("streamsets/joined"):
        raise no_resource(call.request)
    first, others = (
        call.stream(call.required("baseWebId")),
        [call.stream(text) for text in call.texts("subordinateWebId")],
    )
    block = read_recorded(call, [first], recorded_request(call, streams=1 + len(others)))
    lists = [value_objects(call, block)[0]]
    lists += [
        value_objects(call, values_at(reader(call.archive, each, call.now), block.ticks))[0]
        for each in others
    ]
    points = [first, *others]
    return _reply(call, points, [_items(point, items) for point, items in zip(points, lists, strict=True)])


def of_streams(answer: Answer) -> Endpoint:
    """The endpoint for the streams given by `webId`."""
    return lambda call: answer(call, sorted_streams(call, call.streams(call.required_texts("webId"))))


def of_parent(answer: Answer) -> Endpoint:
    """The endpoint for the streams below an element, event frame or attribute."""

    def endpoint(call: Call) -> Response:
        text = call.args["web_id"]
        find = PARENT_FINDERS.get(read_web_id(text).marker)
        if find is None:
            raise refusal(404, f"The element with WebID '{text}' was not found.")
        return answer(call, sorted_streams(call, find(call, text)))

    return endpoint


for _name, _each in ANSWERS.items():
    route("GET", f"/streamsets/{_name}")(of_streams(_each))
    route("GET", f"/streamsets/{{web_id}}/{_name}")(of_parent(_each))


def _items(point: Point, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Items": items, "UnitsAbbreviation": point.engineering_units if items else ""}


def _reply(call: Call, points: Sequence[Point], contents: list[dict[str, Any]]) -> Response:
    items = [{**stream_head(call, point), **content} for point, content in zip(points, contents, strict=True)]
    return call.items(items)
