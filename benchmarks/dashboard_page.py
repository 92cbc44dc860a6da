"""Load times of the dashboard's pages in a real browser over large tables, with empty caches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from pi_datasource.dashboard import LocalBackend, create_app, pages
from tests.integration.support.browser import FLAGS, chromium
from tests.unit.dashboard.http_client import serving

__all__ = ["measure_pages"]

_LOADED = """() => [...document.querySelectorAll('[data-panel] > .state')]
    .every((state) => state.hidden || state.dataset.state === 'empty')"""
_TIMES = """() => {
    const asked = performance.getEntriesByType('resource').filter((one) => one.name.includes('/ingestion/api/'));
    const spent = asked.map((one) => [one.responseEnd - one.startTime, one.name.split('/api/')[1].split('?')[0]]);
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    return { paint: paint.startTime, slowest: spent.sort((a, b) => b[0] - a[0])[0], all: performance.now() };
}"""


def measure_pages(
    lakehouse: Path, ranges: Sequence[str], tag: str, now: datetime, repeats: int
) -> list[dict[str, Any]]:
    """For both pages and each range: seconds to the first paint, of the slowest panel, and until all is drawn."""
    pages.plotly_script()  # as the command does when it starts
    measured = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        list(
            _visits(browser, lakehouse, "/ingestion?range=1h", now, 1)
        )  # the browser of a user is running already
        for page, query in (("overview", "/ingestion?"), ("tag", f"/ingestion/tag?tag={tag}&")):
            for name in ranges:
                visits = list(_visits(browser, lakehouse, f"{query}range={name}", now, repeats))
                best = min(visits, key=lambda visit: visit["panel_s"])
                paint = min(visit["paint_s"] for visit in visits)
                measured.append({"page": page, "range": name, **best, "paint_s": paint})
        browser.close()
    return measured


def _visits(
    browser: Browser, lakehouse: Path, path: str, now: datetime, repeats: int
) -> Iterator[dict[str, Any]]:
    for _ in range(repeats):
        with (
            closing(LocalBackend(lakehouse)) as backend,
            serving(create_app(backend, clock=lambda: now, refresh_s=600)) as base,
            browser.new_context(viewport={"width": 1360, "height": 900}) as context,
        ):
            page = context.new_page()
            page.goto(base + path, wait_until="commit")
            page.wait_for_function(_LOADED, timeout=300_000)
            times = page.evaluate(_TIMES)
            slowest_ms, slowest = times["slowest"]
            yield {
                "paint_s": round(times["paint"] / 1000, 3),
                "panel_s": round(slowest_ms / 1000, 3),
                "panel": slowest,
                "all_s": round(times["all"] / 1000, 3),
            }
