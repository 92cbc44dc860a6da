"""tagreader, Equinor's client for trend data, reads the simulator as it reads real servers."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from mock_server import Event, Point, State
from tests.clients.conftest import NOW, Site, extreme, interpolated, value_at
from tests.clients.environments import ask

pytestmark = pytest.mark.integration

END = NOW.replace(microsecond=0)  # its times have no fractions of a second
MINUTES, STEP, PAGE = 60, 5, 150
TYPES = ("Float32", "Float64", "Int32", "Digital", "String")


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ask(
        "tagreader",
        "read_with_tagreader.py",
        tmp_path_factory.mktemp("tagreader"),
        url=site.url,
        user="PLANT\\reader",
        password="pa:ssword",
        server=site.data_server.name,
        tags=[point.name for point in site.points(*TYPES)],
        numeric=[point.name for point in site.points("Float32")],
        start=(END - timedelta(minutes=MINUTES)).isoformat(),
        end=END.isoformat(),
        before=[(END - timedelta(days=9000)).isoformat(), (END - timedelta(days=8999)).isoformat()],
        page=PAGE,
        searches=["*FLOW*", site.points("Float32")[0].name, "NO-SUCH"],
        description="Flow rate, North A?",
    )


def described(points: list[Point]) -> list[list[str]]:
    return [[point.name, point.descriptor] for point in points]


def test_the_data_server_is_listed(site: Site, answer: Any) -> None:
    assert answer["sources"] == [site.data_server.name]


def test_points_are_found_by_name_and_description(site: Site, answer: Any) -> None:
    first = site.points("Float32")[0]
    assert answer["searches"] == {
        "*FLOW*": described([point for point in site.plant.points if "FLOW" in point.name]),
        first.name: described([first]),
        "NO-SUCH": [],
    }
    north = [point for point in site.plant.points if point.descriptor.startswith("Flow rate, North")]
    assert answer["described"] == described(north)


def test_points_are_described(site: Site, answer: Any) -> None:
    points = site.points(*TYPES)
    assert answer["units"] == {point.name: point.engineering_units for point in points}
    assert answer["descriptions"] == {point.name: point.descriptor for point in points}


def events_of(site: Site, point: Point) -> list[Event]:
    """The events of the window; of several at one time it keeps the first."""
    low, high = (int(each.timestamp()) * 10**7 for each in (END - timedelta(minutes=MINUTES), END))
    kept: dict[int, Event] = {}
    for event in site.truth(point, 2):
        if low <= event.ticks <= high:
            kept.setdefault(event.ticks, event)
    return list(kept.values())


def test_every_event_arrives(site: Site, answer: Any) -> None:
    """A digital state is its code; other system states have no value where the tag has other values, too."""
    pages = 0
    for point in site.points(*TYPES):
        events = events_of(site, point)
        only_states = all(isinstance(event.value, State) for event in events)
        wanted = [
            [
                nanoseconds(event),
                (event.value.code if only_states else None)
                if isinstance(event.value, State)
                else event.value,
                event.questionable + 2 * (not event.good) + 4 * event.substituted,
            ]
            for event in events
        ]
        assert [without_nan(row) for row in answer["raw"][point.name]] == wanted
        pages += len(wanted) > PAGE
    assert pages >= 3  # reading needed several calls


def test_a_window_without_events_is_empty(answer: Any) -> None:
    assert answer["empty"] == 0


def test_interpolated_values_lie_between_the_events(site: Site, answer: Any) -> None:
    for point in site.points("Float32"):
        rows = answer["interpolated"][point.name]
        assert [value for _, value in map(without_nan, rows)] == interpolated(site, point, MINUTES, STEP, END)


def test_figures_are_those_of_the_curve(site: Site, answer: Any) -> None:
    point = site.points("Float32")[0]
    figures = {
        name: [value for _, value in rows][: MINUTES // STEP] for name, rows in answer["summaries"].items()
    }
    ends = [END - timedelta(minutes=MINUTES - STEP * (number + 1)) for number in range(MINUTES // STEP)]
    least = [extreme(site, point, STEP, min, end) for end in ends]
    most = [extreme(site, point, STEP, max, end) for end in ends]
    assert figures["MIN"] == least
    assert figures["MAX"] == most
    assert figures["RNG"] == pytest.approx([high - low for low, high in zip(least, most, strict=True)])
    assert figures["VAR"] == pytest.approx([value**2 for value in figures["STD"]])
    for value, low, high in zip(figures["AVG"], least, most, strict=True):
        assert low < value < high


def test_snapshots_are_values_at_the_end(site: Site, answer: Any) -> None:
    for point in site.points("Float32"):
        [[time, value]] = answer["snapshots"][point.name]
        assert time == END.isoformat()
        assert value == value_at(site, point, END)


def nanoseconds(event: Event) -> str:
    """An event's time as pandas prints it."""
    seconds, rest = divmod(event.ticks, 10**7)
    whole = (NOW.replace(microsecond=0) + timedelta(seconds=seconds - int(END.timestamp()))).isoformat()
    fraction = f".{rest * 100:09d}" if rest % 10 else f".{rest // 10:06d}"
    return whole if not rest else whole.replace("+00:00", f"{fraction}+00:00")


def without_nan(row: list[Any]) -> list[Any]:
    return [None if isinstance(value, float) and math.isnan(value) else value for value in row]
