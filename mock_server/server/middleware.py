"""The middleware between HTTP and the endpoints: limits, faults, sign-in, CSRF defence and stale answers."""

from mock_server.server import auth
from mock_server.server.limits import rate_limit_reached
from mock_server.server.scheduler import Abandoned
from mock_server.server.server import Server
from mock_server.webapi.messages import ApiError, Delivery, Request, Response, refusal
from mock_server.webapi.router import PREFIX, dispatch
from mock_server.webapi.service import MAX_CONTENT_BYTES

_LANDING_PAGE = ("", "/")
_SAFE = ("GET", "HEAD", "OPTIONS")


def answer(server: Server, request: Request) -> Response:
    """The response to a request from outside, counted; status 0 when the client has disconnected."""
    try:
        response = _answer(server, request)
    except Abandoned:
        response = Response(0, b"", delivery=Delivery(ends=True, head=False, reset=True))
    server.counters.count(response)
    return response


def handle(server: Server, request: Request) -> Response:
    """The response without limits and faults; errors are responses too."""
    try:
        if request.path not in _LANDING_PAGE:
            auth.check(server, request)
            _check_post(request)
    except ApiError as refused:
        return refused.response
    return server.stale.answer(request, server.now(), lambda: dispatch(server, request, server.now()))


def _answer(server: Server, request: Request) -> Response:
    path = request.path.lower()
    if path in _LANDING_PAGE or path.startswith("/admin"):
        return handle(server, request)
    if (too_long := server.url_limit.refusal_of(request)) is not None:
        return too_long
    if not server.rate_limit.admits(request.client):
        return rate_limit_reached()
    return server.with_faults(request, lambda: handle(server, request))


def _check_post(request: Request) -> None:
    """Enforce the CSRF header and the limit on bodies, which apply to the API's own writes."""
    if request.method in _SAFE or not request.path.lower().startswith(PREFIX):
        return
    if not request.headers.get("x-requested-with"):
        raise refusal(400, "Cross-site request forgery defense: the X-Requested-With header is missing.")
    if len(request.body) > MAX_CONTENT_BYTES:
        raise refusal(
            413, f"The request content is larger than the maximum allowed ({MAX_CONTENT_BYTES} bytes)."
        )
