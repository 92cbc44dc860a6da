"""A simulated PI server with a fixed present for clients that others wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone

import pytest

from mock_server import Event, Plant, Point, State, running
from mock_server.plant import ticks
from mock_server.plant.events import Kind
from mock_server.plant.number_format import printed_numbers

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

    def truth(self, point: Point, hours: float) -> list[Event]:
        """Every event of the last hours, both ends included."""
        start = NOW - timedelta(hours=hours)
        return self.plant.oracle(point.name, start, NOW + timedelta(microseconds=1), as_of=NOW)

    def start(self, hours: float) -> str:
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


def value_at(site: Site, point: Point, instant: datetime) -> float | None:
    """The number on the line between the events around an instant, as the server prints it; None for a state."""
    value = site.plant.history.value_at(point, ticks.from_datetime(instant), now=ticks.from_datetime(NOW))
    if value.kind[0] != Kind.NUMBER:
        return None
    return float(printed_numbers(point.point_type, value.number)[0])


def interpolated(
    site: Site, point: Point, minutes: int, step: int, end: datetime = NOW
) -> list[float | None]:
    """That number every so many minutes of the last ones, both ends included."""
    return [value_at(site, point, end - timedelta(minutes=each)) for each in range(minutes, -1, -step)]


def extreme(
    site: Site, point: Point, minutes: int, choose: Callable[[list[float]], float], end: datetime = NOW
) -> float:
    """The least or greatest number of the curve through the events of the last minutes."""
    start = end - timedelta(minutes=minutes)
    events = site.plant.oracle(point.name, start, end, as_of=NOW)
    inside = [float(event.value) for event in events if event.good and isinstance(event.value, float)]
    ends = [value for at in (start, end) if (value := value_at(site, point, at)) is not None]
    return choose([*inside, *ends])


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A server that asks for a user and a password, as real ones do."""
    plant = Plant(seed=5, tags=128, plants=2)
    with running(plant, clock=lambda: NOW, user="PLANT\\reader", password="pa:ssword") as url:
        yield Site(plant, url)
