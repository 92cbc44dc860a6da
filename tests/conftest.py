"""Which Spark the integration tests run on."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--engine``; one process has one engine, because PySpark has one for all of it."""
    parser.addoption(
        "--engine",
        choices=("classic", "connect"),
        default="classic",
        help="Spark in this process's JVM, or a Spark Connect server that refuses what serverless compute refuses",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On Spark Connect, only tests with the mark ``connect`` run; and on each engine, no test of the other one alone."""
    needed, other = (
        ("connect", "classic_only") if config.getoption("--engine") == "connect" else (None, "connect_only")
    )

    def fits(item: pytest.Item) -> bool:
        wanted = needed is None or item.get_closest_marker(needed) is not None
        return wanted and item.get_closest_marker(other) is None

    config.hook.pytest_deselected(items=[item for item in items if not fits(item)])
    items[:] = [item for item in items if fits(item)]
