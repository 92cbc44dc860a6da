"""The ASGI app: pages, JSON for each panel, downloads, health and metrics. It never writes to the tables."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from threading import BoundedSemaphore

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pi_datasource.dashboard import metrics, pages
from pi_datasource.dashboard.backend import Backend
from pi_datasource.dashboard.cache import Busy, Failed, Ready, Result, ResultCache, Waiting
from pi_datasource.dashboard.download import csv_lines
from pi_datasource.dashboard.panels import PANELS, Panel, evaluate
from pi_datasource.dashboard.panels.tag import search
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import PARAMETERS, RANGES, Selection
from pi_datasource.errors import InvalidOption, TablesUnavailable

ROOT = "/ingestion"
REFRESH_S = 30.0
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_MIN_WIDTH, _MAX_WIDTH = 100, 4000
_RETRY_AFTER_S = 5
_MAX_DOWNLOADS = 4  # at once: each holds a sorted part of a table
_SECURITY_HEADERS = {
    # Charts set their styles from JavaScript, hence 'unsafe-inline' for styles; scripts come only from our own files.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(
    backend: Backend,
    *,
    refresh_s: float = REFRESH_S,
    wait_s: float = 8.0,
    clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    hosts: tuple[str, ...] = LOOPBACK_HOSTS,
) -> FastAPI:
    """The dashboard over ``backend``, below ``/ingestion``, with ``/healthz`` and ``/metrics``.

    A query that takes longer than ``wait_s`` is answered with 202 and continues in the background. ``hosts`` are the
    accepted values of the Host header: with the loopback names no page of another site can read the dashboard.
    """
    app = FastAPI(title="pi-datasource dashboard", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(_SecurityHeaders)
    app.state.cache = ResultCache(ttl_s=refresh_s * 0.9, wait_s=wait_s)
    service = _Service(backend, app.state.cache, clock)
    _add_pages(app, service, refresh_s)
    _add_api(app, service)
    _add_operations(app, service)
    _add_error_handlers(app)
    app.mount(f"{ROOT}/static", StaticFiles(directory=Path(__file__).with_name("static")), "static")
    return app


class _SecurityHeaders:
    """ASGI middleware that adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-cache")  # a new version is shown at the next load
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Download(StreamingResponse):
    """Lines of CSV; ``done`` is called when they have been sent, or when the client has disconnected."""

    def __init__(self, lines: Iterator[str], done: Callable[[], object], headers: dict[str, str]) -> None:
        super().__init__(lines, media_type="text/csv; charset=utf-8", headers=headers)
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._done()


class _Service:
    """What every route needs: one back end, its result cache, a clock."""

    def __init__(self, backend: Backend, cache: ResultCache, clock: Callable[[], datetime]) -> None:
        self.backend = backend
        self.cache = cache
        self.clock = clock

    def context(self, request: Request, *, needs_tag: bool = False) -> QueryContext:
        """The query context that the parameters of a request ask for."""
        now, query = self.clock(), request.query_params
        selection, tag = Selection.parse(query.multi_items(), now), query.get("tag", "")
        context = QueryContext(self.backend, selection, now, tag, _width(query.get("width", "800")))
        if needs_tag and not tag:
            message = "parameter 'tag': give the WebId of a tag"
            raise InvalidOption(message)
        return context

    async def panel(self, panel: Panel, request: Request) -> Response:
        """The JSON of a panel, from the cache or from the tables."""
        context = self.context(request, needs_tag=panel.per_tag)
        detail = (context.tag, context.width) if panel.per_tag else ()
        key = (panel.name, context.selection, *detail)
        return _json(await self.cache.get(key, lambda: evaluate(panel, context)), context)


def _add_pages(app: FastAPI, service: _Service, refresh_s: float) -> None:
    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse(ROOT)

    @app.get(ROOT)
    async def overview() -> Response:
        return pages.page("overview", service.backend.describe(), refresh_s)

    @app.get(f"{ROOT}/tag")
    async def tag() -> Response:
        return pages.page("tag", service.backend.describe(), refresh_s)

    @app.get(f"{ROOT}/plotly.js")
    def plotly(request: Request) -> Response:
        return pages.plotly(request.headers.get("if-none-match"))


def _add_api(app: FastAPI, service: _Service) -> None:
    slots = BoundedSemaphore(_MAX_DOWNLOADS)

    @app.get(f"{ROOT}/api")
    async def index() -> Response:
        panels = [
            {"panel": panel.name, "path": f"{ROOT}/api/{panel.name}", "per_tag": panel.per_tag}
            for panel in PANELS.values()
        ]
        return JSONResponse({"panels": panels, "parameters": PARAMETERS, "ranges": list(RANGES)})

    @app.get(f"{ROOT}/api/tags")
    async def tags(request: Request) -> Response:
        context = service.context(request)
        text = request.query_params.get("q", "").strip()
        key = ("tags", context.selection, text)
        return _json(await service.cache.get(key, lambda: _matching_tags(context, text)), context)

    @app.get(f"{ROOT}/api/tag.csv")
    def download(request: Request) -> Response:
        context = service.context(request, needs_tag=True)
        if not slots.acquire(blocking=False):
            message = f"{_MAX_DOWNLOADS} downloads are under way; try again when one has ended"
            return _error(503, message, retry_after=True)
        with ExitStack() as undo:
            undo.callback(slots.release)
            lines = csv_lines(context)
            done = weakref.finalize(lines, undo.pop_all().close)  # at the latest; runs only once
        headers = {"Content-Disposition": 'attachment; filename="tag.csv"', "Cache-Control": "no-store"}
        return _Download(lines, done, headers)

    @app.get(f"{ROOT}/api/{{name}}")
    async def panel(name: str, request: Request) -> Response:
        if name not in PANELS:
            return _error(404, f"there is no panel {name[:40]!r}; there are {', '.join(PANELS)}")
        return await service.panel(PANELS[name], request)


def _add_error_handlers(app: FastAPI) -> None:
    @app.exception_handler(InvalidOption)
    async def bad_request(_: Request, error: Exception) -> Response:
        return _error(400, str(error))

    @app.exception_handler(TablesUnavailable)
    async def unavailable(_: Request, error: Exception) -> Response:
        return _error(503, str(error))

    @app.exception_handler(RuntimeError)
    async def no_thread(_: Request, error: Exception) -> Response:
        if "start new thread" not in str(error):
            raise error
        message = f"this machine allows the dashboard no more threads ({error}); try again in a moment"
        return _error(503, message, retry_after=True)


def _add_operations(app: FastAPI, service: _Service) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether this process is alive; it queries no table, so it wakes no warehouse, and needs no thread."""
        return JSONResponse({"status": "ok", "tables": service.backend.describe()})

    @app.get("/metrics")
    async def prometheus() -> Response:
        now = service.clock()
        context = QueryContext(service.backend, Selection.parse([], now), now)
        result = await service.cache.get(("metrics",), lambda: metrics.collect(context))
        if isinstance(result, Busy):
            return _error(503, result.message, retry_after=True)
        up = isinstance(result, Ready)
        text = metrics.render(result.data if isinstance(result, Ready) else {}, up=up)
        return PlainTextResponse(text, media_type=metrics.CONTENT_TYPE)


def _matching_tags(context: QueryContext, text: str) -> Result:
    if "gold" not in context.backend.columns():
        return {"panel": "tags", "state": "empty", "words": "No table yet: run pi-datasource ingest."}
    return {"panel": "tags", "state": "ok", "data": search(context, text)}


def _json(result: Ready | Waiting | Failed | Busy, context: QueryContext) -> Response:
    """A result as JSON: 200 with data, 202 while the query is running, 503 with the reason if it failed."""
    if isinstance(result, Busy):
        return _error(503, result.message, retry_after=True)
    if isinstance(result, Ready):
        body, status = {**result.data, "age_s": round(result.age_s, 1)}, 200
    elif isinstance(result, Waiting):
        message = (
            f"Waiting for the tables, for {result.seconds:.0f} s so far. {context.backend.why_slow()}".strip()
        )
        body, status = {"state": "waiting", "words": message}, 202
    else:
        body, status = {"state": "error", "words": result.message}, 503
    chosen = context.selection
    asked = {"start": chosen.start_us, "end": chosen.end_us, "now": context.now_us}
    return JSONResponse({**body, "asked": asked}, status, {"Cache-Control": "no-store"})


def _error(status: int, message: str, *, retry_after: bool = False) -> Response:
    headers = {"Retry-After": str(_RETRY_AFTER_S), "Cache-Control": "no-store"} if retry_after else None
    return JSONResponse({"state": "error", "words": message}, status, headers)


def _width(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        message = f"parameter 'width': {text[:20]!r} is not a number of pixels"
        raise InvalidOption(message)
    return min(max(int(text), _MIN_WIDTH), _MAX_WIDTH)
