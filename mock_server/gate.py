"""Everything a request passes on its way to the endpoints: limits, faults and stale answers."""

from mock_server.auth import check
from mock_server.call import find_point
from mock_server.limits import rate_reached
from mock_server.messages import ApiError, Delivery, Request, Response
from mock_server.point import Point
from mock_server.router import PREFIX, dispatch, handle
from mock_server.scheduler import Abandoned
from mock_server.server import Server

_UNGUARDED = ("/admin",)
_DATA = (f"{PREFIX}/streams", f"{PREFIX}/streamsets")


def answer(server: Server, request: Request) -> Response:
    """The server's whole answer to a request from outside, counted; status 0 when nobody waits for it."""
    try:
        response = _answer(server, request)
    except Abandoned:
        response = Response(0, b"", delivery=Delivery(ends=True, head=False, reset=True))
    server.counters.count(response)
    return response


def answer_member(server: Server, request: Request, now: int) -> Response:
    """The answer to a request within a batch, as of `now` (ticks); it counts for the rate like any other."""
    if not server.rate_limit.admits(request.client):
        return rate_reached()

    def serve() -> Response:
        return server.stale.answer(request, now, lambda: dispatch(server, request, now))

    faults = server.faults
    response = faults.meet(request, serve, now=server.date(), member=True, tags=_tags(server, request))
    server.counters.count_member_fault(response)
    return response


def _answer(server: Server, request: Request) -> Response:
    path = request.path.lower()
    if path in ("", "/") or path.startswith(_UNGUARDED):
        return handle(server, request)
    if (too_long := server.url_limit.refusal_of(request)) is not None:
        return too_long
    if not server.rate_limit.admits(request.client):
        return rate_reached()
    return server.faults.meet(
        request, lambda: _serve(server, request), now=server.date(), tags=_tags(server, request)
    )


def _serve(server: Server, request: Request) -> Response:
    try:
        check(server, request)
    except ApiError as refused:
        return refused.response
    return server.stale.answer(request, server.now(), lambda: handle(server, request))


def _tags(server: Server, request: Request) -> set[str]:
    """The names of the points whose data are asked for; looked up only when faults are tied to some."""
    if not server.faults.points or not request.path.lower().startswith(_DATA):
        return set()
    named = {value for name, value in request.parameters if name.lower() in ("webid", "webid[]")}
    points = [_find(server, text) for text in (*request.path.split("/")[3:4], *named)]
    return {point.name for point in points if point is not None}


def _find(server: Server, text: str) -> Point | None:
    try:
        return find_point(server, text)
    except ApiError:
        return None
