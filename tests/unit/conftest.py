"""Fixtures of the unit tests."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from pi_datasource import redaction
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import client
from pi_datasource.webapi.client import PIClient

from .fakes import WebServer

# Deadlines are wall time, and a test machine may be busy; a failure must be the same one next time.
settings.register_profile(
    "unit", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A scripted HTTP server."""
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of all waits, none of which is really waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def connect(web: WebServer, naps: list[float]) -> Iterator[Callable[..., PIClient]]:
    """Makes clients of the scripted server; closes them in the end."""
    made: list[PIClient] = []

    def make(**options: str) -> PIClient:
        parsed = Options.parse({"url": web.url, "timeout": "5s", "max_retries": "2", **options})
        made.append(PIClient(parsed, naps.append))
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture(scope="session", autouse=True)
def _thawed() -> Iterator[None]:
    """Reading freezes what a worker has imported; DuckDB complains when it is not let go of in the end."""
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _fresh_shared_client() -> Iterator[None]:
    yield
    client.shared.cache_clear()
    client._server_state.cache_clear()
    redaction.forget()  # else what was secret in one test would be hidden in the texts of the next
