"""The pages' HTML. They hold no data: everything that comes from a table arrives as JSON and is set as text."""

from __future__ import annotations

import gzip
from functools import cache

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader
from plotly import __version__ as plotly_version
from plotly.offline import get_plotlyjs

from pi_datasource.dashboard.selection import RANGES
from pi_datasource.version import __version__

__all__ = ["overview", "plotly", "prepare", "tag"]

_MARK = str(plotly_version)  # a browser keeps the charts' script until this changes


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pi_datasource.dashboard"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def overview(place: str, refresh_s: float) -> Response:
    """The page with all panels."""
    return _page("overview.html", place, refresh_s)


def tag(place: str, refresh_s: float) -> Response:
    """The page of one tag."""
    return _page("tag.html", place, refresh_s)


def _page(name: str, place: str, refresh_s: float) -> Response:
    text = (
        _templates()
        .get_template(name)
        .render(place=place, refresh_s=refresh_s, ranges=list(RANGES), version=__version__, plotly=_MARK)
    )
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})


def prepare() -> None:
    """The charts' script is packed, which takes most of a second, so that the first reader does not wait for it."""
    _plotly()


@cache
def _plotly() -> bytes:
    """The charts' JavaScript, packed once for all."""
    return gzip.compress(get_plotlyjs().encode(), 6)


def plotly(known: str | None) -> Response:
    """The charts' JavaScript, out of its Python package; a browser keeps it until its version changes."""
    headers = {"ETag": f'"{_MARK}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if known is not None and _MARK in known:
        return Response(status_code=304, headers=headers)
    return Response(
        _plotly(),
        media_type="text/javascript; charset=utf-8",
        headers={**headers, "Content-Encoding": "gzip"},
    )
