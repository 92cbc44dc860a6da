"""piwebx, an asynchronous client that aligns streams in time, reads the simulator."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from mock_server import Event, Point, State
from mock_server.plant.ticks import to_iso
from tests.clients.conftest import NOW, Site, interpolated, microseconds
from tests.clients.environments import ask

pytestmark = pytest.mark.integration

MINUTES = 60
TYPES = ("Float32", "Float64", "Int32", "Digital", "String")
LONG_AGO = [(NOW - timedelta(days=9000)).isoformat(), (NOW - timedelta(days=9000, hours=-1)).isoformat()]


def readable(site: Site) -> list[Point]:
    """Points with an event a time: of several at once this client takes one and loses those after it.

    It also puts the times of whole seconds, which have no fraction, after later ones of the same second.
    """
    chosen = []
    for point in site.points(*TYPES):
        times = [to_iso(event.ticks) for event in site.truth(point, MINUTES / 60)]
        if times and times == sorted(set(times)) and len(times) < 1000:
            chosen.append(point)
    return chosen


def shown(event: Event) -> object:
    """An event's value as this client shows it: a state is its name, what is not good None."""
    if not event.good:
        return None
    return event.value.name if isinstance(event.value, State) else event.value


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ask(
        "piwebx",
        "read_with_piwebx.py",
        tmp_path_factory.mktemp("piwebx"),
        url=site.url,
        user="PLANT\\reader",
        password="pa:ssword",
        tags=[point.name for point in readable(site)],
        start=site.start(MINUTES / 60),
        end=site.now.isoformat(),
        before=LONG_AGO,
    )


def test_points_are_found_and_described(site: Site, answer: Any) -> None:
    assert answer["found"] == [[point.name, point.web_id()] for point in readable(site)]
    assert len(answer["found"]) >= 8
    assert answer["missing"] == ["NO-SUCH"]
    assert answer["types"] == {point.web_id(): point.point_type for point in readable(site)}


def test_every_event_arrives(site: Site, answer: Any) -> None:
    """Between a row for the start of the window and one for its end, which hold the value at that time."""
    for point in readable(site):
        events = site.truth(point, MINUTES / 60)
        rows = [[microseconds(event), [shown(event)]] for event in events]
        before = site.truth(point, 24)[-len(events) - 1]
        wanted = [
            [site.start(MINUTES / 60), [shown(before)]],
            *rows,
            [NOW.isoformat(), [shown(events[-1])]],
        ]
        assert [[same_time(time), values] for time, values in answer["recorded"][point.name]] == wanted


def test_a_window_without_events_is_empty_but_for_its_ends(answer: Any) -> None:
    assert [[same_time(time), values] for time, values in answer["empty"]] == [
        [time, [None]] for time in LONG_AGO
    ]


def test_interpolated_values_lie_between_the_events(site: Site, answer: Any) -> None:
    points = readable(site)
    assert len(answer["interpolated"]) == MINUTES + 1
    for place, point in enumerate(points):
        if point.point_type == "Float32":
            column = [values[place] for _, values in answer["interpolated"]]
            assert column == interpolated(site, point, MINUTES, 1)


def test_the_newest_values_arrive(site: Site, answer: Any) -> None:
    time, values = answer["snapshot"]
    assert same_time(time) == NOW.isoformat()
    assert values == [shown(site.truth(point, 24)[-1]) for point in readable(site)]


def same_time(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()
