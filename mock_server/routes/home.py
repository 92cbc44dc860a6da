"""The way in: the landing page for people, the home resource for programs."""

from html import escape
from string import Template
from urllib.parse import quote

from mock_server.call import Call
from mock_server.messages import Response
from mock_server.router import route
from mock_server.server import PRODUCT_TITLE


@route("GET", "")
def home(call: Call) -> Response:
    """Links to what this server has."""
    names = {"Self": "/", "AssetServers": "/assetservers", "DataServers": "/dataservers", "System": "/system"}
    if call.server.generation.has("search/query"):
        names["Search"] = "/search"
    return call.reply({"Links": {name: call.link(path) for name, path in names.items()}})


@route("GET", "", prefix="")
def landing_page(call: Call) -> Response:
    """A page that says what runs here and where to look."""
    catalog = call.server.plant.catalog
    values = {
        "server": catalog.server.name,
        "title": PRODUCT_TITLE,
        "points": f"{len(catalog):,}",
        "plants": f"{catalog.plants:,}",
        "seed": str(call.server.plant.seed),
        "sign_in": _sign_in(call),
        "base": call.base,
    }
    texts = {name: escape(value) for name, value in values.items()}
    page = _PAGE.substitute(texts, links=_links(call))
    return Response(200, page.encode(), "text/html; charset=utf-8")


def _sign_in(call: Call) -> str:
    ways = []
    if call.server.user is not None:
        ways.append("Basic authentication with the user and password this server was started with")
    if call.server.token is not None:
        ways.append("the bearer token this server was started with")
    return f"Sign in with {' or '.join(ways)}." if ways else "No sign-in is needed."


def _links(call: Call) -> str:
    catalog = call.server.plant.catalog
    server = catalog.server.web_id()
    rows = [
        ("Home", "/"),
        ("System", "/system"),
        ("Data servers", "/dataservers"),
        ("The first 100 points", f"/dataservers/{server}/points?maxCount=100"),
        ("Flow meters", f"/dataservers/{server}/points?nameFilter={quote('*FLOW*')}"),
        ("Digital sets", f"/dataservers/{server}/enumerationsets"),
    ]
    if len(catalog):
        point = catalog.point(0)
        rows += [
            (f"{point.name}, newest value", f"/streams/{point.web_id()}/value"),
            (f"{point.name}, last hour", f"/streams/{point.web_id()}/recorded?startTime=*-1h"),
        ]
    return "\n".join(
        f'<li><a href="{escape(call.link(path), quote=True)}">{escape(text)}</a></li>' for text, path in rows
    )


_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title: $server</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; }
dt { opacity: .7; }
dd { margin: 0; }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>$server</h1>
<p>A simulated process data server. Nothing here is measured: every value is made from a seed, the same at each
call.</p>
<dl>
<dt>Points</dt><dd>$points</dd>
<dt>Plants</dt><dd>$plants</dd>
<dt>Seed</dt><dd>$seed</dd>
<dt>Base URL</dt><dd><code>$base</code></dd>
</dl>
<p>$sign_in</p>
<h2>Look around</h2>
<ul>
$links
</ul>
</body>
</html>
""")
