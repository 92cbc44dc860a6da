"""The ASGI program: pages, JSON behind every panel, downloads, health and metrics. It reads and never writes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import Receive, Scope, Send

from pi_datasource.dashboard import metrics, pages
from pi_datasource.dashboard.backend import Backend
from pi_datasource.dashboard.cache import Answers, Busy, Failed, Ready, Waiting
from pi_datasource.dashboard.download import csv_of
from pi_datasource.dashboard.headers import PlainHeaders
from pi_datasource.dashboard.panels import PANELS, Panel, answer
from pi_datasource.dashboard.panels.tag import search
from pi_datasource.dashboard.queries import Ask
from pi_datasource.dashboard.selection import PARAMETERS, RANGES, Selection
from pi_datasource.errors import InvalidOption, TablesUnavailable

__all__ = ["LOOPBACK_HOSTS", "create_app"]

ROOT = "/ingestion"
REFRESH_S = 30.0
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_WIDTHS = (100, 4000)
_RETRY_AFTER_S = 5
_MOST_DOWNLOADS = 4  # at once: each holds a sorted part of a table


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def create_app(
    backend: Backend,
    *,
    refresh_s: float = REFRESH_S,
    patience_s: float = 8.0,
    clock: Callable[[], datetime] = _utc_now,
    hosts: tuple[str, ...] = LOOPBACK_HOSTS,
) -> FastAPI:
    """The dashboard over ``backend``, below ``/ingestion``, with ``/healthz`` and ``/metrics``.

    A question that takes longer than ``patience_s`` is answered with 202 and goes on in the background. ``hosts`` are
    the names under which it may be called: with the loopback names no page of another site can read it.
    """
    app = FastAPI(title="pi-datasource dashboard", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(PlainHeaders)
    answers = Answers(fresh_s=refresh_s * 0.9, patience_s=patience_s)
    app.state.answers = answers
    place = _Place(backend, answers, clock)
    _add_pages(app, place, refresh_s)
    _add_api(app, place)
    _add_operations(app, place)
    _add_refusals(app)
    app.mount(f"{ROOT}/static", StaticFiles(directory=Path(__file__).with_name("static")), "static")
    return app


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


class _Place:
    """One back end with its answers and a clock: what every route needs."""

    def __init__(self, backend: Backend, answers: Answers, clock: Callable[[], datetime]) -> None:
        self.backend = backend
        self.answers = answers
        self.clock = clock

    def ask(self, request: Request) -> Ask:
        """Who asks for what, from the query of the address."""
        now = self.clock()
        query = request.query_params
        return Ask(
            self.backend,
            Selection.parse(query.multi_items(), now),
            now,
            tag=query.get("tag", ""),
            width=_width(query.get("width", "800")),
        )

    async def panel(self, panel: Panel, ask: Ask) -> Response:
        """A panel's JSON, from what is known or from the tables."""
        if panel.per_tag and not ask.tag:
            message = "parameter 'tag': give the WebId of a tag"
            raise InvalidOption(message)
        detail = (ask.tag, ask.width) if panel.per_tag else ()
        told = await self.answers.get((panel.name, ask.selection, *detail), lambda: answer(panel, ask))
        return _json(told, ask)


def _add_pages(app: FastAPI, place: _Place, refresh_s: float) -> None:
    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse(ROOT)

    @app.get(ROOT)
    async def overview() -> Response:
        return pages.overview(place.backend.describe(), refresh_s)

    @app.get(f"{ROOT}/tag")
    async def tag() -> Response:
        return pages.tag(place.backend.describe(), refresh_s)

    @app.get(f"{ROOT}/plotly.js")
    def plotly(request: Request) -> Response:
        return pages.plotly(request.headers.get("if-none-match"))


def _add_api(app: FastAPI, place: _Place) -> None:
    slots = BoundedSemaphore(_MOST_DOWNLOADS)

    @app.get(f"{ROOT}/api")
    async def index() -> Response:
        panels = [
            {"panel": panel.name, "path": f"{ROOT}/api/{panel.name}", "per_tag": panel.per_tag}
            for panel in PANELS.values()
        ]
        return JSONResponse({"panels": panels, "parameters": PARAMETERS, "ranges": list(RANGES)})

    @app.get(f"{ROOT}/api/tags")
    async def tags(request: Request) -> Response:
        ask = place.ask(request)
        text = request.query_params.get("q", "").strip()
        asked = await place.answers.get(("tags", ask.selection, text), lambda: _found(ask, text))
        return _json(asked, ask)

    @app.get(f"{ROOT}/api/tag.csv")
    def download(request: Request) -> Response:
        ask = place.ask(request)
        if not ask.tag:
            message = "parameter 'tag': give the WebId of a tag"
            raise InvalidOption(message)
        if not slots.acquire(blocking=False):
            words = f"{_MOST_DOWNLOADS} downloads are under way; ask again when one has ended"
            return _busy(Busy(words))
        with ExitStack() as undo:
            undo.callback(slots.release)
            lines = csv_of(ask)
            done = weakref.finalize(lines, undo.pop_all().close)  # at the latest; once only
        headers = {"Content-Disposition": 'attachment; filename="tag.csv"', "Cache-Control": "no-store"}
        return _Download(lines, done, headers)

    @app.get(f"{ROOT}/api/{{name}}")
    async def panel(name: str, request: Request) -> Response:
        if name not in PANELS:
            words = f"there is no panel {name[:40]!r}; there are {', '.join(PANELS)}"
            return JSONResponse({"state": "error", "words": words}, 404)
        return await place.panel(PANELS[name], place.ask(request))


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(InvalidOption)
    async def refuse(_: Request, error: Exception) -> Response:
        return JSONResponse({"state": "error", "words": str(error)}, 400)

    @app.exception_handler(TablesUnavailable)
    async def unavailable(_: Request, error: Exception) -> Response:
        return JSONResponse({"state": "error", "words": str(error)}, 503)

    @app.exception_handler(RuntimeError)
    async def without_threads(_: Request, error: Exception) -> Response:
        if "start new thread" not in str(error):
            raise error
        return _busy(
            Busy(f"this machine lets the dashboard start no thread ({error}); ask again in a moment")
        )


def _add_operations(app: FastAPI, place: _Place) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        """Whether this program answers; it asks no table, so that no warehouse is woken, and needs no thread."""
        return JSONResponse({"status": "ok", "tables": place.backend.describe()})

    @app.get("/metrics")
    async def prometheus() -> Response:
        ask = Ask(place.backend, Selection.parse([], place.clock()), place.clock())
        told = await place.answers.get(("metrics",), lambda: metrics.figures(ask))
        if isinstance(told, Busy):
            return _busy(told)
        found = told.data if isinstance(told, Ready) else {}
        text = metrics.render(found, up=isinstance(told, Ready))
        return PlainTextResponse(text, media_type=metrics.CONTENT_TYPE)


def _found(ask: Ask, text: str) -> dict[str, Any]:
    if "gold" not in ask.backend.columns():
        return {"panel": "tags", "state": "empty", "words": "No table yet: run pi-datasource ingest."}
    return {"panel": "tags", "state": "ok", "data": search(ask, text)}


def _json(told: Ready | Waiting | Failed | Busy, ask: Ask) -> Response:
    """An answer as JSON: 200 with figures, 202 while they are being found, 503 with the reason why there are none."""
    chosen = ask.selection
    if isinstance(told, Busy):
        return _busy(told)
    asked = {"start": chosen.start_us, "end": chosen.end_us, "now": ask.now_us}
    if isinstance(told, Ready):
        body, status = {**told.data, "age_s": round(told.age_s, 1)}, 200
    elif isinstance(told, Waiting):
        words = f"Waiting for the tables, for {told.seconds:.0f} s so far. {ask.backend.why_slow()}"
        body, status = {"state": "waiting", "words": words.strip()}, 202
    else:
        body, status = {"state": "error", "words": told.words}, 503
    return JSONResponse({**body, "asked": asked}, status, {"Cache-Control": "no-store"})


def _busy(told: Busy) -> Response:
    headers = {"Retry-After": str(_RETRY_AFTER_S), "Cache-Control": "no-store"}
    return JSONResponse({"state": "error", "words": told.words}, 503, headers)


def _width(text: str) -> int:
    least, most = _WIDTHS
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        message = f"parameter 'width': {text[:20]!r} is not a number of pixels"
        raise InvalidOption(message)
    return min(max(int(text), least), most)
