"""The ASGI application: HTTP in, `middleware.answer` in a worker thread, HTTP out."""

from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache, partial
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from fastapi import Request as HttpRequest
from fastapi import Response as HttpResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware

from mock_server.server import admin, channels, landing_page, token_endpoints
from mock_server.server.fault_delivery import DeliveredResponse
from mock_server.server.middleware import answer
from mock_server.server.scheduler import Scheduler
from mock_server.server.server import Server
from mock_server.webapi import routes
from mock_server.webapi.messages import Request, Response
from mock_server.webapi.service import MAX_CONTENT_BYTES, wall_clock

__all__ = ["admin", "create_app", "landing_page", "routes", "token_endpoints"]  # for their endpoints

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_ADDRESS = "/?&=%:;,*+-._~$()[]!'@"  # characters that are not escaped


def create_app(server: Server, *, gzip: bool = False, access_log: Path | None = None) -> FastAPI:
    """The ASGI application that serves `server`.

    With `gzip`, bodies are compressed for clients that accept it. `access_log` gets a line for each request, with
    columns separated by blanks: method, address, status (0: not answered), bytes, time of receipt (ISO, UTC,
    microseconds), number of requests in a batch, and the fault (`-`: none).
    """
    app = FastAPI(title="PI Web API simulator", openapi_url=None, docs_url=None, redoc_url=None)

    scheduler = Scheduler()
    app.state.scheduler = scheduler

    async def respond(http: HttpRequest) -> HttpResponse:
        request = channels.request_of(http, http.method, await _body(http))
        received = wall_clock()
        compute = partial(answer, server, request)
        response = await scheduler.run(compute, http.is_disconnected, server.max_query_s)
        if access_log is not None:
            await run_in_threadpool(_log, access_log, request, response, received)
        return _http_response(response, server)

    app.add_route("/{path:path}", respond, methods=_METHODS)  # nothing for FastAPI to validate
    channels.register(app, server)
    if gzip:
        app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=4)
    return app


async def _body(http: HttpRequest) -> bytes:
    """The body, truncated beyond the size limit, so that no client can exhaust the memory."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in http.stream():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_CONTENT_BYTES:
            break
    return b"".join(chunks)


def _log(access_log: Path, request: Request, response: Response, received: datetime) -> None:
    address = quote(request.path + (f"?{request.query}" if request.query else ""), safe=_ADDRESS)
    columns = (
        request.method,
        address,
        response.status,
        len(response.body),
        received.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        response.sub_requests,
        response.fault or "-",
    )
    with access_log.open("a") as lines:
        lines.write(" ".join(str(column) for column in columns) + "\n")


def _http_response(response: Response, server: Server) -> HttpResponse:
    headers = {
        "Content-Type": response.content_type,
        "Date": _date(server.date().replace(microsecond=0)),
        **response.headers,
    }
    return DeliveredResponse(response.body, response.status, headers, response.delivery)


@lru_cache(maxsize=2)
def _date(now: datetime) -> str:
    return format_datetime(now, usegmt=True)
