"""Routing: from a path to the endpoint that answers it."""

import re
from collections import defaultdict
from collections.abc import Callable

from mock_server.plant.data_archive import ArchiveError
from mock_server.webapi.call import Call
from mock_server.webapi.messages import ApiError, Request, Response, framework_refusal, refusal
from mock_server.webapi.service import Service

Endpoint = Callable[[Call], Response]
Interceptor = Callable[[Call], Response | None]

PREFIX = "/piwebapi"
# By the first two segments of their paths, which contain no `{name}`: trying all routes would be slow.
_routes: defaultdict[str, list[tuple["re.Pattern[str]", dict[str, Endpoint]]]] = defaultdict(list)
_interceptors: list[Interceptor] = []


def route(method: str, path: str, prefix: str = PREFIX) -> Callable[[Endpoint], Endpoint]:
    """Register an endpoint for a path; `{name}` in it matches one segment, available as `call.args["name"]`.

    Paths match in any case. Of several matching paths the one with the fewest names wins.
    """
    escaped = re.escape(prefix + path).replace(r"\{", "{").replace(r"\}", "}")
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", escaped) + r"/?\Z", re.IGNORECASE)

    kin = _routes[_collection(prefix + path)]

    def register(endpoint: Endpoint) -> Endpoint:
        for known, methods in kin:
            if known.pattern == pattern.pattern:
                methods[method] = endpoint
                return endpoint
        kin.append((pattern, {method: endpoint}))
        kin.sort(key=lambda known: known[0].groups)
        return endpoint

    return register


def intercept(answer: Interceptor) -> Interceptor:
    """Register a function that sees each request before the routes and may answer it.

    So one address can serve objects of several kinds: a stream is a point or an attribute.
    """
    _interceptors.append(answer)
    return answer


def dispatch(server: Service, request: Request, now: int) -> Response:
    """The reply of the endpoint, as of `now` (ticks); members of a batch enter here."""
    try:
        for answer in _interceptors:
            if (response := answer(Call(server, request, now))) is not None:
                return response
        endpoint, args = _find(request)
        return endpoint(Call(server, request, now, args))
    except ApiError as error:
        return error.response
    except ArchiveError as error:
        return refusal(500, str(error)).response


def no_resource(request: Request) -> ApiError:
    """ASP.NET's 404 for an unknown address."""
    uri = f"{request.origin}{request.path}" + (f"?{request.query}" if request.query else "")
    return framework_refusal(404, f"No HTTP resource was found that matches the request URI '{uri}'.")


def _find(request: Request) -> tuple[Endpoint, dict[str, str]]:
    for pattern, methods in _routes.get(_collection(request.path), ()):
        match = pattern.match(request.path)
        if match is None:
            continue
        if request.method not in methods:
            message = f"The requested resource does not support http method '{request.method}'."
            raise framework_refusal(405, message, {"Allow": ", ".join(sorted(methods))})
        return methods[request.method], match.groupdict()
    raise no_resource(request)


def _collection(path: str) -> str:
    """The first two segments of a path in lower case."""
    return "/".join(path.lower().split("/", 3)[:3]).rstrip("/")
