"""OSIsoft's own client, generated from the interface of PI Web API, reads the simulator."""

from __future__ import annotations

from typing import Any

import pytest

from mock_server import Point
from mock_server.plant.ticks import to_iso
from tests.clients.conftest import Site, wire_value
from tests.clients.environments import ask

pytestmark = pytest.mark.integration

HOURS = 3
TYPES = ("Float32", "Float64", "Int32", "Digital", "String", "Timestamp")
SET_COUNT = 5000


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ask(
        "osisoft",
        "read_with_osisoft.py",
        tmp_path_factory.mktemp("osisoft"),
        url=site.url,
        user="PLANT\\reader",
        password="pa:ssword",
        server=site.data_server.name,
        tags=[point.name for point in site.points(*TYPES)],
        start=site.start(HOURS),
        end=site.now.isoformat(),
        max_count=50_000,
        set_count=SET_COUNT,
    )


def rows(site: Site, point: Point) -> list[list[Any]]:
    return [
        [
            to_iso(event.ticks),
            wire_value(event),
            event.good,
            event.questionable,
            event.substituted,
            point.engineering_units,
        ]
        for event in site.truth(point, HOURS)
    ]


def test_the_way_in_is_understood(site: Site, answer: Any) -> None:
    assert answer["home"] == f"{site.url}/dataservers"
    assert answer["product"].startswith("PI Web API simulator")
    assert answer["server"][:2] == [site.data_server.name, True]


def test_every_point_is_listed(site: Site, answer: Any) -> None:
    wanted = [
        [p.name, p.point_id, p.point_type, p.engineering_units, p.descriptor, p.web_id()]
        for p in site.plant.points
    ]
    assert answer["listed"] == wanted


def test_streams_hold_every_event(site: Site, answer: Any) -> None:
    for point in site.points(*TYPES):
        assert answer["streams"][point.name] == rows(site, point)
    assert sum(map(len, answer["streams"].values())) > 2000


def test_a_stream_set_holds_every_event(site: Site, answer: Any) -> None:
    chosen = site.points(*TYPES)[:4]
    assert answer["set"] == {point.name: rows(site, point) for point in chosen}


def test_a_data_frame_holds_every_event(site: Site, answer: Any) -> None:
    first = site.points(*TYPES)[0]
    places = [
        answer["columns"].index(name)
        for name in ("Timestamp", "Value", "Good", "Questionable", "Substituted")
    ]
    got = [[row[place] for place in places] for row in answer["frame"]]
    assert got == [row[:5] for row in rows(site, first)]


def test_a_batch_with_a_template_holds_every_event(site: Site, answer: Any) -> None:
    flows = [point for point in site.plant.points if "FLOW" in point.name][:3]
    status, content = answer["batch"]["events"]
    assert (status, content["Total"]) == (207, 3)
    for point, item in zip(flows, content["Items"], strict=True):
        assert item["Status"] == 200
        got = [[i["Timestamp"], i["Value"], i["Good"]] for i in item["Content"]["Items"]]
        assert got == [row[:3] for row in rows(site, point)]


def test_a_refusal_reaches_the_caller(answer: Any) -> None:
    status, errors = answer["refusal"]
    assert status == 400
    assert "is greater than the maximum allowed" in errors[0]
