"""Tags that come, get another name and go, as the seed schedules it."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from mock_server import TAG_PATTERN, Plant, Server
from mock_server.plant.clock import Clock
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request

START = datetime(2025, 6, 2, tzinfo=timezone.utc)


def made(**other: Any) -> Plant:
    return Plant(**{"seed": 2, "tags": 40, "plants": 2, "history_start": START, "churn": 48.0, **other})


def names(plant: Plant, hours: float) -> dict[int, str]:
    plant.advance(START + timedelta(hours=hours))
    return {point.point_id: point.name for point in plant.points}


@pytest.fixture(scope="module")
def changed() -> dict[str, list[int]]:
    """The ids of the points that came, were renamed and went within a day."""
    plant = made()
    before, after = names(plant, 0), names(plant, 24)
    return {
        "new": sorted(after.keys() - before.keys()),
        "renamed": [number for number in before if after.get(number, before[number]) != before[number]],
        "deleted": sorted(before.keys() - after.keys()),
    }


def test_every_kind_of_change_happens(changed: dict[str, list[int]]) -> None:
    assert 15 < len(changed["new"]) < 35
    assert 3 < len(changed["renamed"]) < 20
    assert 5 < len(changed["deleted"]) < 20


def test_the_tags_follow_from_the_seed_and_the_time_alone() -> None:
    one, other = made(), made()
    at_end = names(one, 30)
    stepwise = [names(other, hours / 2) for hours in range(61)]
    assert stepwise[-1] == at_end
    assert [names(one, hours / 2) for hours in range(61)] == stepwise
    assert names(made(seed=3), 30) != at_end
    assert names(made(churn=0.0), 30) == names(made(), 0)


def test_every_name_is_unique_splits_and_finds_its_point() -> None:
    plant = made()
    found = names(plant, 48)
    assert len(set(found.values())) == len(found)
    for number, name in found.items():
        assert re.match(TAG_PATTERN, name)
        point = plant.catalog.by_name(name.lower())
        assert point is not None
        assert point.point_id == number
        assert [int(index) for index in plant.catalog.matching(name)] == [number - 1]
        assert number - 1 in plant.catalog.matching(name[:-3] + "*")


def test_a_renamed_point_keeps_its_id_its_events_and_its_old_web_ids(changed: dict[str, list[int]]) -> None:
    plant = made()
    number = changed["renamed"][0]
    before = plant.catalog.point(number - 1)
    old_id, events = before.web_id(), plant.oracle(before.name, START, START + timedelta(hours=1))
    clock = Clock(START + timedelta(hours=24), 0.0)
    server = Server(plant, clock)
    reply = handle(server, Request("GET", f"/piwebapi/points/{old_id}"))
    after = plant.catalog.point(number - 1)
    assert reply.status == 200
    assert after.web_id().encode() in reply.body
    assert (after.web_id("IDOnly"), after.point_id) == (before.web_id("IDOnly"), before.point_id)
    assert after.web_id() != old_id
    assert after.name != before.name
    assert events == plant.oracle(after.name, START, START + timedelta(hours=1))
    assert events == plant.oracle(before.name, START, START + timedelta(hours=1))
    path = f"path=%5C%5C{plant.catalog.server.name}%5C"
    assert handle(server, Request("GET", "/piwebapi/points", path + before.name)).status == 404
    assert handle(server, Request("GET", "/piwebapi/points", path + after.name)).status == 200


def test_a_deleted_point_answers_404_by_every_name(changed: dict[str, list[int]]) -> None:
    plant = made()
    point = plant.catalog.point(changed["deleted"][0] - 1)
    clock = Clock(START, 0.0)
    server = Server(plant, clock)
    urls = [f"/piwebapi/points/{point.web_id(kind)}" for kind in ("Full", "IDOnly", "PathOnly")]
    urls.append(f"/piwebapi/streams/{point.web_id()}/recorded")
    assert [handle(server, Request("GET", url)).status for url in urls] == [200] * 4
    marker = server.registry.register(point.point_id, server.now())[0].marker(server.now())
    clock.set(START + timedelta(minutes=1))
    assert handle(server, Request("GET", f"/piwebapi/streams/updates/{marker}")).status == 200
    clock.set(START + timedelta(hours=24))
    assert [handle(server, Request("GET", url)).status for url in urls] == [404] * 4
    listed = handle(server, Request("GET", f"/piwebapi/dataservers/{plant.catalog.server.web_id()}/points"))
    assert point.name.encode() not in listed.body
    assert len(plant.oracle(point.name, START, START + timedelta(hours=1))) > 0


def test_updates_of_a_deleted_point_end_with_a_reason(changed: dict[str, list[int]]) -> None:
    plant = made()
    clock = Clock(START, 0.0)
    server = Server(plant, clock)
    number = changed["deleted"][0]
    marker = server.registry.register(number, server.now())[0].marker(server.now())
    for minutes in range(0, 24 * 60, 14):
        clock.set(START + timedelta(minutes=minutes))
        reply = handle(server, Request("GET", f"/piwebapi/streams/updates/{marker}"))
        if reply.status != 200:
            break
    assert b"The signup was removed because it is no longer valid." in reply.body
    assert len(server.registry) == 0


def test_a_new_point_begins_with_pt_created_when_it_came(changed: dict[str, list[int]]) -> None:
    plant = made()
    names(plant, 24)
    point = plant.catalog.by_id(changed["new"][0])
    assert point is not None
    assert START < point.created < START + timedelta(hours=24)
    first = plant.oracle(point.name, START, START + timedelta(days=2))[0]
    assert (first.ticks, first.value) == (point.created_ticks, ("Pt Created", 253, True))


def test_churn_is_a_number_of_changes_a_day() -> None:
    with pytest.raises(ValueError, match="number of changes a day"):
        made(churn=-1.0)
