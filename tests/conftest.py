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
    """On Spark Connect, only tests with the mark ``connect`` run."""
    if config.getoption("--engine") == "classic":
        return
    unfit = [item for item in items if not _runs_on_connect(item)]
    config.hook.pytest_deselected(items=unfit)
    items[:] = [item for item in items if _runs_on_connect(item)]


def _runs_on_connect(item: pytest.Item) -> bool:
    return item.get_closest_marker("connect") is not None and item.get_closest_marker("classic_only") is None
