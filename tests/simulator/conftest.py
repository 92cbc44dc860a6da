"""A small plant with a fixed present, and a client that needs no socket."""

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from mock_server import Plant, Server
from mock_server.server.middleware import answer
from mock_server.webapi.messages import Request, Response

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)


class Client:
    """Asks a server directly; `get` gives the parsed body and insists on the status."""

    def __init__(self, **settings: Any) -> None:
        plant = settings.pop("plant", None) or Plant(seed=7, tags=64, plants=2)
        self.server = Server(plant, **{"clock": lambda: NOW, **settings})
        self.plant = plant
        self.data_server = plant.catalog.server.web_id()

    def ask(self, method: str, url: str, body: bytes = b"", **headers: str) -> Response:
        path, _, query = url.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(self.server, Request(method, path, query, named, body))

    def get(self, url: str, status: int = 200) -> Any:
        response = self.ask("GET", f"/piwebapi{url}")
        assert response.status == status, response.body[:500]
        return json.loads(response.body)

    def batch(self, members: Any, status: int = 207) -> Any:
        body = members if isinstance(members, bytes) else json.dumps(members).encode()
        response = self.ask("POST", "/piwebapi/batch", body, x_requested_with="test")
        assert response.status == status, response.body[:500]
        return json.loads(response.body)

    def point(self, sensor_type: str) -> Any:
        """The first point of that kind, with its WebID as `id`."""
        found = next(point for point in self.plant.points if point.sensor_type == sensor_type)
        return SimpleNamespace(id=found.web_id(), name=found.name, point=found)


@pytest.fixture(scope="session")
def api() -> Client:
    return Client()


@pytest.fixture(scope="session")
def make_client() -> type[Client]:
    return Client


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW
