"""piwebapiconnect, an asynchronous client built on httpx, reads the simulator."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import Point
from mock_server.plant.ticks import to_iso
from tests.clients.conftest import Site, extreme, interpolated, wire_value
from tests.clients.environments import ask

pytestmark = pytest.mark.integration

MINUTES = 40  # it reads one page of 1,000 events, and no further one
TYPES = ("Float32", "Float64", "Int32", "Digital", "String", "Timestamp")


def readable(site: Site) -> list[Point]:
    return [point for point in site.points(*TYPES) if len(site.truth(point, MINUTES / 60)) < 1000]


def numeric(site: Site) -> list[Point]:
    return [point for point in readable(site) if point.point_type == "Float32"]


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ask(
        "piwebapiconnect",
        "read_with_piwebapiconnect.py",
        tmp_path_factory.mktemp("piwebapiconnect"),
        url=site.url,
        user="PLANT\\reader",
        password="pa:ssword",
        server=site.data_server.name,
        tags=[point.name for point in readable(site)],
        numeric=[point.name for point in numeric(site)],
        start=site.start(MINUTES / 60),
        end=site.now.isoformat(),
    )


def test_points_are_found_by_name(site: Site, answer: Any) -> None:
    assert answer["found"] == [point.name for point in site.plant.points]
    assert answer["flows"] == [point.name for point in site.plant.points if "FLOW" in point.name]


def test_points_are_described(site: Site, answer: Any) -> None:
    for point in readable(site):
        assert answer["attributes"][point.name] == {
            "name": point.name,
            "descriptor": point.descriptor,
            "pointClass": "classic",
            "pointType": point.point_type,
            "engineeringUnits": point.engineering_units,
            "step": point.sensor.step,
        }


def test_every_event_arrives(site: Site, answer: Any) -> None:
    for point in readable(site):
        wanted = [
            {"timestamp": to_iso(event.ticks), "value": wire_value(event)}
            for event in site.truth(point, MINUTES / 60)
        ]
        assert answer["recorded"][point.name] == wanted
    assert sum(map(len, answer["recorded"].values())) > 500


def test_the_newest_values_arrive_alone_and_together(site: Site, answer: Any) -> None:
    for point in readable(site):
        newest = site.truth(point, 24)[-1]
        wanted = {"value": wire_value(newest), "timestamp": to_iso(newest.ticks)}
        assert answer["together"][point.name] == wanted
        assert answer["snapshots"][point.name] == {"tag": point.name, "provider": "WebAPI", **wanted}


def test_interpolated_values_lie_between_the_events(site: Site, answer: Any) -> None:
    for point in numeric(site):
        rows = answer["interpolated"][point.name]
        assert len(rows) == MINUTES // 5 + 1
        assert [row["value"] for row in rows] == interpolated(site, point, MINUTES, 5)


def test_the_greatest_value_is_that_of_the_curve(site: Site, answer: Any) -> None:
    for point in numeric(site):
        found = answer["summaries"][point.name]
        assert found["type"] == "Maximum"
        assert found["value"] == extreme(site, point, MINUTES, max)


def test_the_asset_framework_is_found(answer: Any) -> None:
    assert (answer["asset_servers"], answer["databases"]) == (["AFSIM01"], ["Production"])
