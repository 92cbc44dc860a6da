"""Renders the HTML pages. They contain no data: table contents arrive as JSON and are inserted as text."""

from __future__ import annotations

import gzip
from functools import cache

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader
from plotly import __version__ as plotly_version
from plotly.offline import get_plotlyjs

from pi_datasource.dashboard.selection import RANGES
from pi_datasource.version import __version__

_PLOTLY_VERSION = str(plotly_version)  # a browser caches the script until this changes


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("pi_datasource.dashboard"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )


def page(name: str, location: str, refresh_s: float) -> Response:
    """The page ``name``: ``overview`` with all panels, or ``tag`` for one tag."""
    template = _templates().get_template(f"{name}.html")
    html = template.render(
        place=location,
        refresh_s=refresh_s,
        ranges=list(RANGES),
        version=__version__,
        plotly=_PLOTLY_VERSION,
    )
    return HTMLResponse(html, headers={"Cache-Control": "no-cache"})


@cache
def plotly_script() -> bytes:
    """The JavaScript of plotly, compressed once; the first call takes most of a second."""
    return gzip.compress(get_plotlyjs().encode(), 6)


def plotly(etag: str | None) -> Response:
    """The JavaScript of plotly; a browser caches it until its version changes."""
    headers = {"ETag": f'"{_PLOTLY_VERSION}"', "Cache-Control": "public, max-age=31536000, immutable"}
    if etag is not None and _PLOTLY_VERSION in etag:
        return Response(status_code=304, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(plotly_script(), media_type="text/javascript; charset=utf-8", headers=headers)
