"""The landing page in a real browser: it loads, draws live trends, and its API browser works."""

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mock_server import Plant, running
from tests.browser import Browser, browsing

pytestmark = pytest.mark.integration

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
TAB, ENTER = "\ue004", "\ue007"
DRAWN = (
    "return document.querySelectorAll('.trend svg').length === 6 && !document.getElementById('frames').hidden"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as made:
        yield made


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


@pytest.fixture(scope="module")
def page(plant: Plant) -> Iterator[str]:
    with running(plant, clock=lambda: NOW) as url:
        yield url.removesuffix("/piwebapi")


def fresh(browser: Browser, page: str) -> None:
    """Load the page and forget what the browser logged before."""
    browser.open("about:blank")
    browser.console()
    browser.requests()
    browser.emulate(1200, 1500)
    browser.open(page)
    browser.wait(DRAWN)


def test_it_loads_without_an_error_or_another_host(browser: Browser, page: str) -> None:
    fresh(browser, page)
    browser.screenshot(SHOTS / "landing-light.png")
    browser.emulate(1200, 1500, dark=True)
    browser.screenshot(SHOTS / "landing-dark.png")
    assert browser.console() == []
    asked = browser.requests()
    assert len(asked) >= 4
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(page).netloc}
    assert browser.run("return document.querySelector('h1').textContent") == "PISIM01"
    facts = browser.run("return [...document.querySelectorAll('.facts dd')].map(each => each.textContent)")
    assert facts[:3] == ["128", "4", "16"]
    assert facts[3] == "2025-06-02 12:00:00 UTC"


def test_trends_show_the_values_of_the_plant(browser: Browser, page: str, plant: Plant) -> None:
    fresh(browser, page)
    shown = browser.run(
        "return [...document.querySelectorAll('.trend')].map(each => [each.querySelector('.name').textContent,"
        " each.querySelector('svg').getAttribute('aria-label')])"
    )
    for name, label in shown:
        truth = plant.oracle(name, NOW.replace(hour=11), NOW, as_of=NOW)
        assert f" {len(truth) + 2} values" in label  # and one made up at each end
    path = browser.run("return document.querySelector('.trend path').getAttribute('d')")
    assert path.count("L") > 200


def test_try_it_shows_the_reply_and_follows_its_links(browser: Browser, page: str, plant: Plant) -> None:
    fresh(browser, page)
    options = browser.run("return [...document.getElementById('example').options].map(each => each.value)")
    assert len(options) >= 12
    for address in options:
        browser.run("document.getElementById('address').value = arguments[0]", address)
        browser.click("#try-it")
        browser.wait("return document.getElementById('status').textContent.startsWith('200')")
    browser.run("document.getElementById('address').value = '/piwebapi/dataservers'")
    browser.click("#try-it")
    browser.wait("return document.getElementById('reply').textContent.includes('ServerTime')")
    reply = json.loads(browser.run("return document.getElementById('reply').textContent"))
    assert reply["Items"][0]["WebId"] == plant.catalog.server.web_id()
    browser.run(
        "[...document.querySelectorAll('#reply a')].find(each => each.href.endsWith('/points')).click()"
    )
    browser.wait("return document.getElementById('reply').textContent.includes('PointType')")
    browser.click("#back")
    browser.wait("return document.getElementById('reply').textContent.includes('ServerTime')")
    browser.run("document.getElementById('browser').scrollIntoView()")
    browser.screenshot(SHOTS / "landing-reply.png")
    assert browser.console() == []


def test_a_refusal_and_markup_are_shown_as_text(browser: Browser, page: str) -> None:
    fresh(browser, page)
    bad = "/piwebapi/points?path=%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D1%22%3E"
    browser.run("document.getElementById('address').value = arguments[0]", bad)
    browser.click("#try-it")
    browser.wait("return document.getElementById('status').textContent.startsWith('404')")
    assert "<img src=x" in browser.run("return document.getElementById('reply').textContent")
    assert browser.run("return document.querySelectorAll('#reply img').length") == 0
    browser.run("document.getElementById('address').value = 'https://example.com/'")
    browser.click("#try-it")
    browser.wait("return document.getElementById('status').textContent.startsWith('Not sent')")
    assert {urlsplit(url).netloc for url in browser.requests()} == {urlsplit(page).netloc}


def test_a_phone_needs_no_sideways_scrolling(browser: Browser, page: str) -> None:
    fresh(browser, page)
    for width in (360, 320):
        browser.emulate(width, 740, phone=True)
        browser.run("document.getElementById('address').value = '/piwebapi/dataservers'")
        browser.click("#try-it")
        browser.wait("return document.getElementById('reply').textContent.includes('ServerTime')")
        assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.emulate(360, 2200, phone=True)
    browser.run("window.scrollTo(0, 0)")
    browser.screenshot(SHOTS / "landing-phone.png")


def test_the_keyboard_reaches_everything(browser: Browser, page: str) -> None:
    fresh(browser, page)
    reached = []
    while len(reached) < 25 and "back" not in reached and "try-it" not in reached:
        browser.press(TAB)
        reached.append(
            browser.run("const e = document.activeElement; return e.id || e.className || e.tagName")
        )
    assert reached == ["skip", "button", *["SUMMARY"] * 4, "example", "address", "try-it"]
    browser.press(ENTER)
    browser.wait("return document.getElementById('status').textContent.startsWith('200')")
    browser.press(TAB)
    assert browser.run("return document.activeElement.id") == "reply"


def test_a_guarded_server_asks_for_a_sign_in(browser: Browser, plant: Plant) -> None:
    with running(plant, clock=lambda: NOW, user="pi", password="sé:cret") as url:
        browser.emulate(1200, 1500)
        browser.open(url.removesuffix("/piwebapi"))
        browser.wait("return !document.getElementById('sign-in').hidden")
        browser.run(
            "const f = document.getElementById('sign-in').elements; f.user.value = 'pi'; f.secret.value = 'sé:cret'"
        )
        browser.click("#sign-in button")
        browser.wait(DRAWN)
        assert browser.run("return document.getElementById('sign-in').hidden")
        assert "sé:cret" not in browser.run("return document.documentElement.outerHTML")
