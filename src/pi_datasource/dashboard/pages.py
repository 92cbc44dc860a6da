"""The pages' HTML. They hold no data: everything that comes from a table arrives as JSON and is set as text."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader
from plotly.offline import get_plotlyjs

from pi_datasource.dashboard.selection import RANGES
from pi_datasource.version import __version__

__all__ = ["overview", "plotly", "tag"]


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
        .render(
            place=place, refresh_s=refresh_s, ranges=list(RANGES), version=__version__, plotly=_plotly()[1]
        )
    )
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})


@cache
def _plotly() -> tuple[bytes, str]:
    """The charts' JavaScript, packed once for all, and its mark, which changes with its version."""
    script = get_plotlyjs().encode()
    return gzip.compress(script, 6), hashlib.sha256(script).hexdigest()[:16]


def plotly(known: str | None) -> Response:
    """The charts' JavaScript, out of its Python package; a browser keeps it until its version changes."""
    script, mark = _plotly()
    headers = {"ETag": f'"{mark}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if known is not None and mark in known:
        return Response(status_code=304, headers=headers)
    return Response(
        script, media_type="text/javascript; charset=utf-8", headers={**headers, "Content-Encoding": "gzip"}
    )
