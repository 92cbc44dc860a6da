"""From the home resource on, every link of every reply leads somewhere, and every WebID is understood."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from mock_server import Plant
from mock_server.plant import webid
from mock_server.webapi.af.lookup import RESOURCES

COLLECTIONS = {marker: name for name, each in RESOURCES.items() for marker in each.markers} | {
    webid.DATA_SERVER: "dataservers",
    webid.POINT: "points",
    webid.DIGITAL_SET: "enumerationsets",
}
OTHERWISE = {
    **{
        f"/system/{name}": (403,)
        for name in ("status", "versions", "configuration", "cacheinstances", "metrics")
    },
    "/system/userinfo": (204,),  # nobody is signed in
    "/summary": (400, 409),  # the default, a total, of what is no number, or in a unit with another zero
}
"""Resources that answer in another way, for reasons of their own."""


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a reply, at any depth."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    for inner in value if isinstance(value, list) else ():
        yield from objects(inner)


def links(value: Any) -> Iterator[str]:
    for each in objects(value):
        yield from (url for url in each.get("Links", {}).values() if isinstance(url, str))


@pytest.mark.parametrize("kind", ["Full", "IDOnly", "PathOnly"])
def test_every_link_and_web_id_resolves(make_client: Any, kind: str) -> None:
    api = make_client(plant=Plant(seed=3, tags=17 if kind == "Full" else 8, plants=1))
    todo, seen, ids = ["http://localhost/piwebapi"], set(), set()
    while todo:
        url = todo.pop()
        parts = urlsplit(url)
        address = parts.path + (f"?{parts.query}" if parts.query else "")
        if parts.path in seen or (kind != "Full" and "/stream" in parts.path):
            continue
        seen.add(parts.path)
        query = f"webIdType={kind}&maxCount={25 if kind == 'Full' else 8}"
        response = api.ask("GET", f"{address}{'&' if parts.query else '?'}{query}")
        if expected := next((codes for end, codes in OTHERWISE.items() if parts.path.endswith(end)), None):
            assert response.status in (200, *expected), (url, response.body)
            if response.status != 200:
                continue
        assert response.status in (200, 501), (url, response.body)
        reply = json.loads(response.body)
        todo += links(reply)
        ids |= {each["WebId"] for each in objects(reply) if each.get("WebId")}
        ids |= {text for each in objects(reply) for text in each.get("RefElementWebIds", ())}
    assert {urlsplit(path).path.split("/")[2] for path in seen if path.count("/") > 2} >= {
        *RESOURCES,
        "points",
        "attributetraits",
        *(("streams", "streamsets") if kind == "Full" else ()),
    }
    for text in ids:
        marker = webid.decode(text).marker
        if marker == webid.DIGITAL_STATE:
            continue
        found = api.get(f"/{COLLECTIONS[marker]}/{text}?webIdType={kind}")
        assert found["WebId"] == text
