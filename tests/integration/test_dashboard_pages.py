"""The dashboard in a real browser: what a person sees and does. Screenshots are left in ``build/screenshots``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pi_datasource.dashboard import LocalBackend, create_app
from tests.integration.support.browser import FLAGS, chromium
from tests.unit.dashboard import lake
from tests.unit.dashboard.http_client import get, serving
from tests.unit.dashboard.lake import NASTY, NOW

pytestmark = pytest.mark.integration

SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
PATIENCE_MS = 120_000  # a browser on a busy machine takes its time; nothing here is measured
expect.set_options(timeout=PATIENCE_MS)
DESKTOP: dict[str, Any] = {"viewport": {"width": 1360, "height": 900}}
# Drawn, not only answered: a panel says so when its charts and tables stand.
LOADED = """() => [...document.querySelectorAll('[data-panel]:has(> .state)')].every((panel) => {
    const state = panel.querySelector(':scope > .state');
    return state.hidden ? panel.dataset.shown : state.dataset.state === 'empty';
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        made.new_context(**DESKTOP)
        yield made
        made.close()


class Visit:
    """A page with a record of all that must not happen: errors, and requests to other hosts."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base = page, base
        self.trouble: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def open(self, path: str = "/ingestion") -> Page:
        """Goes to a page and waits until every panel has its figures."""
        self.page.goto(self.base + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        self.page.wait_for_function(LOADED)

    def shot(self, name: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    def figure(self, name: str) -> Any:
        """The place of a key figure."""
        return self.page.locator(
            ".kpis .body > div", has=self.page.locator("dt", has_text=re.compile(f"^{name}$"))
        ).locator(".figure")

    def assert_no_trouble(self) -> None:
        assert self.trouble == []
        assert [url for url in self.requests if not url.startswith((self.base, "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lake")
    lake.write(made)
    return made


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[str]:
    with serving(create_app(LocalBackend(folder), clock=lambda: NOW, refresh_s=600)) as url:
        yield url


@contextmanager
def visiting(browser: Browser, base: str, **context: Any) -> Iterator[Visit]:
    """A fresh page, in a context of its own if one is described; fails in the end if anything was wrong on the way."""
    # The first one's cache holds the charts' script already.
    made = browser.new_context(**{**DESKTOP, **context}) if context else browser.contexts[0]
    visit = Visit(made.new_page(), base)
    try:
        yield visit
        visit.assert_no_trouble()
    finally:
        (made if context else visit.page).close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_load_shows_every_panel(browser: Browser, base: str, scheme: str) -> None:
    with visiting(browser, base, color_scheme=scheme) as visit:
        page = visit.open()
        told = get(base, "/ingestion/api/kpis").json()["data"]
        expect(visit.figure("Events")).to_have_text(f"{told['events']:,}")
        expect(visit.figure("Tags")).to_have_text("4")
        expect(visit.figure("Lag")).to_have_text("60 s")
        expect(page.locator("#headline")).to_contain_text("Up to date: behind by 60 s")
        for chart in ("timeline", "runs", "changes"):
            expect(page.locator(f'[data-chart="{chart}"] svg').first).to_be_visible()
        expect(page.locator('[data-panel="completeness"]')).to_contain_text("No audit has run")
        expect(page.locator('[data-panel="health"] .missing')).to_contain_text(
            "rows deleted, rows late, retries"
        )
        visit.shot(f"overview-{scheme}")


def test_the_tables_hold_the_figures_of_the_api(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open("/ingestion?range=7d")

        def cells(name: str) -> list[list[str]]:
            rows = page.locator(f'[data-table="{name}"] tbody tr').all()
            return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in rows]

        def data(name: str) -> Any:
            return get(base, f"/ingestion/api/{name}?range=7d").json()["data"]

        types, tags, runs = data("distribution")["rows"], data("quality")["rows"], data("health")["runs"]
        assert [row[2:4] for row in cells("types")] == [[f"{t['events']:,}", f"{t['tags']:,}"] for t in types]
        assert [row[1:4] for row in cells("quality")] == [
            [
                f"{math.floor(t['good_share'] * 10_000) / 100:.2f} %",
                f"{t['events'] - t['good']:,}",
                f"{t['events']:,}",
            ]
            for t in tags
        ]
        assert [row[4:8] for row in cells("runs")] == [
            [str(run[name]) for name in ("tags", "rows_read", "rows_inserted", "rows_updated")]
            for run in runs
        ]
        assert [row[4] for row in cells("gaps")] == [str(row["gaps"]) for row in data("gaps")["rows"]]


def test_a_plants_own_texts_are_shown_as_text(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open()
        expect(page.locator('[data-panel="quality"] td', has_text="DROP TABLE").first).to_contain_text(NASTY)
        expect(page.locator('[data-panel="errors"]')).to_contain_text(f"HTTP 502: {NASTY}")
        expect(page.locator('[data-chart="timeline"] .legendtext', has_text="onerror")).to_contain_text(
            "<img src=x"
        )
        assert page.locator("img").count() == 0
        page.goto(f"{base}/ingestion?by=sensor_type")
        visit.settle()
        expect(page.locator(".legendtext", has_text="TYPE")).to_have_text("<b>TYPE</b>")
        assert "hacked" not in page.title()


def test_a_refresh_shows_new_rows_and_keeps_the_readers_place(browser: Browser, tmp_path: Path) -> None:
    lake.write(tmp_path)
    app = create_app(LocalBackend(tmp_path), clock=lambda: NOW, refresh_s=2)
    with serving(app) as base, visiting(browser, base) as visit:
        page = visit.open()
        before = get(base, "/ingestion/api/kpis").json()["data"]["events"]
        expect(visit.figure("Events")).to_have_text(f"{before:,}")
        table = page.locator('[data-table="runs"]')
        table.evaluate(
            "box => { box.style.maxHeight = '90px'; box.scrollTop = 40; window.kept = box.querySelector('tbody tr'); }"
        )
        page.evaluate("() => { window.scrollTo(0, 500); window.loads = 0; }")
        page.evaluate(
            """() => new MutationObserver((all) => { for (const one of all) if (!one.target.hidden) window.loads += 1; })
            .observe(document.querySelector('[data-panel="timeline"] .state'), { attributes: true })"""
        )
        new = [
            lake.event("W1", "A.FLOW.1", NOW - timedelta(seconds=20 - n), 1.0, ("A", "FLOW"))
            for n in range(7)
        ]
        lake.put(tmp_path, "bronze/pi_timeseries", new, lake.EVENTS)
        expect(visit.figure("Events")).to_have_text(f"{before + 7:,}")
        assert page.evaluate("() => window.scrollY") == 500
        assert page.evaluate("() => window.loads") == 0  # nothing flickered
        assert table.evaluate("box => box.scrollTop") == 40
        assert table.evaluate("box => box.querySelector('tbody tr') === window.kept")


def test_filters_live_in_the_address(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open()
        page.get_by_text("Plants", exact=False).first.click()
        page.get_by_label("A", exact=True).check()
        page.wait_for_url(re.compile(r"\?plant=A$"))
        alone = get(base, "/ingestion/api/kpis", {"plant": "A"}).json()["data"]["events"]
        expect(visit.figure("Events")).to_have_text(f"{alone:,}")
        expect(page.locator('[data-count="plant"]')).to_have_text("· 1")
        page.keyboard.press("Escape")
        page.get_by_text("1h", exact=True).click()
        page.wait_for_url(re.compile(r"range=1h"))
        hour = get(base, "/ingestion/api/kpis", {"plant": "A", "range": "1h"}).json()["data"]["events"]
        expect(visit.figure("Events")).to_have_text(f"{hour:,}")
        page.reload()
        expect(visit.figure("Events")).to_have_text(f"{hour:,}")
        page.go_back()
        expect(visit.figure("Events")).to_have_text(f"{alone:,}")
        assert hour < alone


def test_a_tag_is_found_drawn_and_downloaded(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.page
        page.goto(f"{base}/ingestion/tag?range=24h")
        page.get_by_label("Find a tag").fill("flow")
        expect(page.locator("#found a")).to_have_count(1)
        page.locator("#found a").click()
        page.wait_for_url(re.compile("tag=W1"))
        visit.settle()
        expect(page.locator("#name")).to_have_text("A.FLOW.1")
        told = get(base, "/ingestion/api/tag-summary", {"tag": "W1"}).json()["data"]
        expect(page.locator('[data-totals="figures"]')).to_contain_text(f"{told['events']:,}")
        expect(page.locator('[data-chart="trend"] .scatterlayer .trace').first).to_be_attached()
        expect(page.locator('[data-chart="trend"] .legendtext', has_text="not good")).to_be_visible()
        expect(
            page.locator('[data-chart="states"] .legendtext, [data-chart="states"] .bars').first
        ).to_be_attached()
        expect(page.locator('[data-table="rows"] tbody tr')).to_have_count(100)
        visit.shot("tag")
        with page.expect_download() as download:
            page.locator("#csv").click()
        assert len(Path(download.value.path()).read_text().splitlines()) == told["events"] + 1


def test_a_tag_with_states_and_one_with_a_nasty_name(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open("/ingestion/tag?tag=W2&range=6h")
        for state in ("on", "off"):
            expect(
                page.locator('[data-chart="states"] .legendtext', has_text=re.compile(f"^{state}$"))
            ).to_be_visible()
        expect(page.locator('[data-panel="tag-trend"]')).to_contain_text(
            "This tag has no numbers in this range"
        )
        visit.shot("tag-states")
        visit.open("/ingestion/tag?tag=W3")
        expect(page.locator("#name")).to_have_text(NASTY)
        assert page.title() == f"{NASTY} · PI ingestion".replace("\u202e", "\u202e")
        visit.open("/ingestion/tag?tag=unknown")
        expect(page.locator('[data-panel="tag-summary"]')).to_contain_text("This tag is in no table")


def test_figures_of_another_choice_are_dimmed_until_their_own_come(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open()
        events = visit.figure("Events").inner_text()
        held: list[Any] = []

        def hold(route: Any) -> None:
            held.append(route)

        page.route("**/api/kpis?range=1h", hold)
        page.get_by_text("1h", exact=True).click()
        kpis = page.locator('[data-panel="kpis"]')
        expect(page.locator('[data-panel="health"]')).not_to_have_attribute("aria-busy", "true")
        expect(kpis).to_have_attribute("aria-busy", "true")
        expect(visit.figure("Events")).to_have_text(events)
        held[0].continue_()
        expect(kpis).not_to_have_attribute("aria-busy", "true")
        expect(visit.figure("Events")).not_to_have_text(events)


def test_many_series_are_drawn_as_the_biggest_and_the_rest(browser: Browser, tmp_path: Path) -> None:
    rows = [
        lake.event(f"T{plant}", f"T{plant}", NOW - timedelta(minutes=5 + n), 1.0, (f"P{plant:02}", "F"))
        for plant in range(20)
        for n in range(20 - plant)
    ]
    lake.write(tmp_path, rows)
    app = create_app(LocalBackend(tmp_path), clock=lambda: NOW, refresh_s=600)
    with serving(app) as base, visiting(browser, base) as visit:
        page = visit.open()
        names = [*(f"P{plant:02}" for plant in range(11)), "9 others"]
        expect(page.locator('[data-chart="timeline"] .legendtext')).to_have_text(names)
        label = page.locator('[data-chart="timeline"]').get_attribute("aria-label") or ""
        assert "9 others: 45." in label


@pytest.mark.parametrize("path", ["/ingestion", "/ingestion/tag?tag=W1"])
def test_a_phone_shows_all_of_it(browser: Browser, base: str, path: str) -> None:
    phone = {"width": 390, "height": 844}
    with visiting(browser, base, viewport=phone, is_mobile=True, has_touch=True) as visit:
        page = visit.open(path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
        visit.shot("phone" if path == "/ingestion" else "phone-tag")


def test_the_keyboard_reaches_everything(browser: Browser, base: str) -> None:
    with visiting(browser, base) as visit:
        page = visit.open()
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "() => { const e = document.activeElement; return e.id || e.name || e.dataset.table || e.tagName }"
                )
            )
        assert {"refresh", "range", "SUMMARY", "find", "by", "runs", "types", "quality"} <= set(reached)


def test_an_empty_folder_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with (
        serving(create_app(LocalBackend(tmp_path / "none"), clock=lambda: NOW, refresh_s=2)) as base,
        visiting(browser, base) as visit,
    ):
        page = visit.open()
        expect(page.locator("#headline")).to_have_text("No table yet: run pi-datasource ingest.")
        for name in ("kpis", "timeline", "quality"):
            expect(page.locator(f'[data-panel="{name}"] > .state')).to_have_text(
                "No table yet: run pi-datasource ingest."
            )
        expect(page.locator(".advice")).to_contain_text("pi-datasource ingest --url")
        expect(page.locator('[data-panel="timeline"]')).to_be_hidden()
        expect(page.locator("#updated")).to_contain_text("updated")
        visit.shot("empty")
        lake.write(tmp_path / "none")
        expect(page.locator(".advice")).to_be_hidden()
        expect(visit.figure("Tags")).to_have_text("4")


def test_slow_tables_are_waited_for_and_lost_ones_told(browser: Browser, folder: Path) -> None:
    go, lost = Event(), Event()

    class Slow(LocalBackend):
        def columns(self) -> Any:
            go.wait(300)
            return super().columns()

    app = create_app(Slow(folder), clock=lambda: NOW, refresh_s=600, wait_s=0.1)
    with serving(app) as base, visiting(browser, base) as visit:
        page = visit.page
        page.goto(f"{base}/ingestion")
        waiting = page.locator('[data-panel="timeline"] > .state[data-state="waiting"]')
        expect(waiting).to_contain_text("Waiting for the tables")
        go.set()
        visit.settle()
        expect(visit.figure("Tags")).to_have_text("4")
        page.route("**/ingestion/api/**", lambda route: route.abort() if lost.is_set() else route.continue_())
        lost.set()
        page.get_by_role("button", name="Refresh").click()
        expect(page.locator('[data-panel="timeline"] > .state')).to_contain_text(
            "is pi-datasource dashboard running?"
        )
        expect(visit.figure("Tags")).to_have_text("4")  # the last figures stay
        lost.clear()
        page.get_by_role("button", name="Refresh").click()
        visit.settle()
        visit.trouble = [text for text in visit.trouble if "net::ERR_FAILED" not in text]


def test_times_are_utc_in_a_browser_of_any_zone(browser: Browser, base: str) -> None:
    texts = []
    minutes = {
        "UTC": 0,
        "America/New_York": 300,
        "Australia/Lord_Howe": -600,
        "Asia/Kathmandu": -330,
    }  # in 1970
    for zone, behind_utc in minutes.items():
        with visiting(browser, base, timezone_id=zone) as visit:
            page = visit.open()
            assert page.evaluate("new Date(0).getTimezoneOffset()") == behind_utc
            texts.append(page.locator("[data-panel]").all_inner_texts())
    assert texts[0] != []
    assert texts[1:] == texts[:1] * 3
