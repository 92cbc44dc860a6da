"""The landing page at `/`: the plant, live trends, and a browser of the API."""

from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from mock_server.af import hierarchy
from mock_server.af.framework import Element
from mock_server.plant import ticks
from mock_server.plant.point import Point
from mock_server.plant.sensors import AREA_SIZE, MIX, SENSORS
from mock_server.server.server import server_of
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response
from mock_server.webapi.router import route
from mock_server.webapi.service import PRODUCT_TITLE

_FILES = Path(__file__).parent / "landing"
_TRENDS = ("FLOW", "TEMP", "LEVEL", "POWER", "PUMP", "BATCH")
_MOST_PLANTS = 12
_MOST_TAGS_WITH_FRAMES = 20_000  # more would be too slow for a page that refreshes itself
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@route("GET", "", prefix="")
def landing_page(call: Call) -> Response:
    """The page; its script fetches the values from the API of this server."""
    server = server_of(call)
    catalog = server.plant.catalog
    texts = {
        "server": catalog.server.name,
        "title": PRODUCT_TITLE,
        "points": f"{len(catalog):,}",
        "plants": f"{server.plant.assets.tree.plants:,}",
        "units": f"{_units(call):,}",
        "seed": str(server.plant.seed),
        "time": ticks.to_iso(call.now),
        "sign_in": _sign_in(call),
        "base": call.base,
        "frames": _frames_address(call),
    }
    parts = {
        "css": _file("page.css"),
        "script": _file("page.js"),
        "dashboard": '<a class="button" href="/ingestion">/ingestion</a>' if server.dashboard else "",
        "trends": "\n".join(map(_trend, _shown_points(call))),
        "plant_list": "\n".join(_plants(call)),
        "examples": "\n".join(
            f'<option value="{escape(address)}">{escape(text)}</option>' for text, address in _examples(call)
        ),
    }
    page = Template(_file("page.html")).substitute(
        {name: escape(text) for name, text in texts.items()}, **parts
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(200, page.encode(), "text/html; charset=utf-8", headers)


@lru_cache(maxsize=8)
def _file(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8").strip()


def _sign_in(call: Call) -> str:
    ways = []
    if call.server.user is not None:
        ways.append("Basic authentication with the user and password this server was started with")
    if call.server.token is not None:
        ways.append("the bearer token this server was started with")
    if server_of(call).oidc is not None:
        ways.append("a bearer token from the token endpoint, with the client this server was started with")
    return f"Sign in with {' or '.join(ways)}." if ways else "No sign-in is needed."


def _units(call: Call) -> int:
    """The number of process units: one for each started set of 32 instruments of an area."""
    catalog = call.server.plant.catalog
    if not call.server.plant.assets.tree.plants:
        return 0
    full, rest = divmod(len(catalog), catalog.plants)
    return sum(
        plants * sum(max(0, -(-(serials - area * AREA_SIZE) // len(MIX))) for area in range(hierarchy.AREAS))
        for plants, serials in ((rest, full + 1), (catalog.plants - rest, full))
    )


def _shown_points(call: Call) -> list[Point]:
    """One point of each kind with an interesting trend, from the first unit; else the first points."""
    catalog = call.server.plant.catalog
    if not call.server.plant.assets.tree.plants:
        return catalog.points(range(min(len(_TRENDS), len(catalog))))
    found = []
    for name in _TRENDS:
        position = next((at for at, code in enumerate(MIX) if SENSORS[code].name == name), None)
        index = None if position is None else position * catalog.plants
        if index is not None and index < len(catalog):
            found.append(catalog.point(index))
    return found


def _trend(point: Point) -> str:
    return (
        f'<figure class="trend" data-web-id="{escape(point.web_id("IDOnly"))}">'
        f'<figcaption><span class="name" title="{escape(point.descriptor)}">{escape(point.name)}</span>'
        '<span class="last">…</span></figcaption><p class="range"></p></figure>'
    )


def _plants(call: Call) -> list[str]:
    assets = call.server.plant.assets
    shown = [_plant(call, assets.element((at,))) for at in range(min(_MOST_PLANTS, assets.tree.plants))]
    hidden = assets.tree.plants - len(shown)
    return [*shown, f'<p class="note">and {hidden:,} more</p>'] if hidden else shown


def _plant(call: Call, plant: Element) -> str:
    areas = call.server.plant.assets.children(plant)
    rows = "".join(
        f'<li><a href="{escape(_address(call, area))}">{escape(area.name)}</a>: '
        f"{len(call.server.plant.assets.tree.children(area.key)):,} units</li>"
        for area in areas
    )
    return f"<details><summary>{escape(plant.name)}</summary><ul>{rows}</ul></details>"


def _address(call: Call, element: Element) -> str:
    return call.link(f"/elements/{element.web_id('IDOnly')}/elements").removeprefix(call.request.origin)


def _frames_address(call: Call) -> str:
    if len(call.server.plant.catalog) > _MOST_TAGS_WITH_FRAMES:
        return ""
    database = call.server.plant.assets.library.database.web_id("IDOnly")
    return f"/piwebapi/assetdatabases/{database}/eventframes?searchMode=BackwardFromStartTime&startTime=*&maxCount=5"


def _examples(call: Call) -> list[tuple[str, str]]:
    plant = call.server.plant
    server, database = plant.catalog.server.web_id("IDOnly"), plant.assets.library.database.web_id("IDOnly")
    rows = [
        ("Home", "/piwebapi"),
        ("Data servers", "/piwebapi/dataservers"),
        ("The first ten points", f"/piwebapi/dataservers/{server}/points?maxCount=10"),
        ("Flow meters", f"/piwebapi/dataservers/{server}/points?nameFilter={quote('*FLOW*')}&maxCount=20"),
        ("Digital sets", f"/piwebapi/dataservers/{server}/enumerationsets"),
    ]
    for point in _shown_points(call)[:1]:
        stream = f"/piwebapi/streams/{point.web_id('IDOnly')}"
        rows += [
            (f"{point.name}: newest value", f"{stream}/value"),
            (f"{point.name}: last ten minutes", f"{stream}/recorded?startTime=*-10m"),
            (
                f"{point.name}: times and values only",
                f"{stream}/recorded?selectedFields=Items.Timestamp;Items.Value",
            ),
        ]
    return [
        *rows,
        ("Asset servers", "/piwebapi/assetservers"),
        ("Elements: the roots", f"/piwebapi/assetdatabases/{database}/elements"),
        (
            "Elements: all pumps",
            f"/piwebapi/elements/search?databaseWebId={database}&query={quote('Template:=Pump Name:=P*')}&maxCount=20",
        ),
        (
            "Event frames of the last eight hours",
            f"/piwebapi/assetdatabases/{database}/eventframes?maxCount=20",
        ),
        ("Templates", f"/piwebapi/assetdatabases/{database}/elementtemplates"),
        (
            "Event frames still open",
            f"/piwebapi/eventframes/search?databaseWebId={database}&query=InProgress:=true",
        ),
        ("System", "/piwebapi/system"),
    ]
