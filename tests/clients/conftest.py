"""A simulated PI server with a fixed present for clients that others wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from mock_server import Event, Plant, Point, State, running

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Site:
    """A plant, the address of its server, and the truth about the hours before `now`."""

    now = NOW

    def __init__(self, plant: Plant, url: str) -> None:
        self.plant = plant
        self.url = url
        self.data_server = plant.catalog.server

    def points(self, *types: str) -> list[Point]:
        """The points of these types, at most four of each."""
        return [
            point for kind in types for point in [p for p in self.plant.points if p.point_type == kind][:4]
        ]

    def truth(self, point: Point, hours: int) -> list[Event]:
        """Every event of the last hours, both ends included."""
        start = NOW - timedelta(hours=hours)
        return self.plant.oracle(point.name, start, NOW + timedelta(microseconds=1), as_of=NOW)

    def start(self, hours: int) -> str:
        """The ISO time so many hours ago."""
        return (NOW - timedelta(hours=hours)).isoformat()


def microseconds(event: Event) -> str:
    """An event's time as a client without a seventh digit has it."""
    return (EPOCH + timedelta(microseconds=event.ticks // 10)).isoformat()


def wire_value(event: Event) -> object:
    """An event's value as it stands in the server's JSON."""
    value = event.value
    return (
        {"Name": value.name, "Value": value.code, "IsSystem": value.is_system}
        if isinstance(value, State)
        else value
    )


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A server that asks for a user and a password, as real ones do."""
    plant = Plant(seed=5, tags=128, plants=2)
    with running(plant, clock=lambda: NOW, user="PLANT\\reader", password="pa:ssword") as url:
        yield Site(plant, url)
