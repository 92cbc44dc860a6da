"""The landing page as text: what it says, where it leads, and that nothing in it becomes markup."""

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from mock_server import Plant
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request


class Parsed(HTMLParser):
    """The tags of a page with their attributes, and its text without script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent = self._silent and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._silent else data


def page_of(client: Any, origin: str = "http://localhost") -> Parsed:
    response = handle(client.server, Request("GET", "/", origin=origin))
    assert response.status == 200
    assert response.content_type == "text/html; charset=utf-8"
    return Parsed(response.body.decode())


def facts(parsed: Parsed) -> list[str]:
    return re.findall(r"(?:Points|Plants|Units)\s*([\d,]+)", parsed.text)


@pytest.mark.parametrize("tags", [0, 1, 9, 40, 64, 129, 1000])
def test_it_counts_points_plants_and_units(make_client: Any, tags: int) -> None:
    client = make_client(plant=Plant(tags=tags, plants=3))
    assets = client.plant.assets
    units = [each for each in assets.below(None) if each.template.name == "Unit"]
    assert facts(page_of(client)) == [f"{tags:,}", str(min(tags, 3)), f"{len(units):,}"]


def test_ten_million_points_cost_nothing(make_client: Any) -> None:
    client = make_client(plant=Plant(tags=10_000_000, plants=40))
    parsed = page_of(client)
    assert facts(parsed) == ["10,000,000", "40", "1,250,000"]
    assert "and 28 more" in parsed.text


def test_every_example_and_link_is_answered(api: Any) -> None:
    parsed = page_of(api)
    examples = [str(each["value"]) for tag, each in parsed.tags if tag == "option"]
    links = [
        str(each["href"]) for tag, each in parsed.tags if tag == "a" and str(each["href"]).startswith("/")
    ]
    frames = [str(each["data-url"]) for tag, each in parsed.tags if each.get("data-url")]
    assert len(examples) >= 12
    assert len(links) > 4
    assert len(frames) == 1
    for address in [*examples, *links, *frames]:
        assert api.ask("GET", address).status == 200, address
    for tag, each in parsed.tags:
        if tag == "figure":
            assert api.get(f"/points/{each['data-web-id']}")["Name"] in parsed.text


def test_nothing_comes_from_another_host(api: Any) -> None:
    response = api.ask("GET", "/")
    for tag, each in page_of(api).tags:
        for name in ("src", "href", "action", "data-url"):
            assert str(each.get(name) or "/").startswith(("/", "#", "data:")), (tag, each)
    assert "connect-src 'self'" in response.headers["Content-Security-Policy"]


def test_what_it_shows_is_text(make_client: Any) -> None:
    client = make_client()
    harm = '<img src=x onerror="alert(1)">\'&amp;'
    client.plant.catalog.server = replace(client.plant.catalog.server, name=harm)
    plain = page_of(make_client())
    parsed = page_of(client, origin=f"http://{harm}")
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in plain.tags]
    assert parsed.text.count(harm) >= 2
    assert unescape(harm) != harm


def test_it_links_to_a_dashboard_that_is_there(make_client: Any) -> None:
    for dashboard in (False, True):
        links = [
            each.get("href") for tag, each in page_of(make_client(dashboard=dashboard)).tags if tag == "a"
        ]
        assert ("/ingestion" in links) is dashboard


def test_anybody_may_see_it_and_it_names_the_sign_in_without_its_secrets(make_client: Any) -> None:
    client = make_client(user="someone", password="pass-word", token="to-ken")
    text = client.ask("GET", "/").body.decode()
    assert "Basic authentication" in text
    assert "bearer token" in text
    for secret in ("someone", "pass-word", "to-ken"):
        assert secret not in text
    assert client.ask("GET", "/piwebapi").status == 401
    assert "No sign-in is needed" in page_of(make_client()).text
