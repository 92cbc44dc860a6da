"""/admin: everything that a flag sets can be changed while the server runs."""

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from mock_server import Oidc, Plant
from mock_server.server.fault_kinds import KINDS
from mock_server.server.faults import PROFILES

START, NOW = datetime(2025, 6, 1, tzinfo=timezone.utc), datetime(2025, 6, 2, tzinfo=timezone.utc)


class Clock:
    """A clock that can be set."""

    def __init__(self, now: datetime) -> None:
        self.now, self.speed = now, 1.0

    def __call__(self) -> datetime:
        return self.now

    def set(self, now: datetime | None = None, speed: float = 1.0) -> None:
        if speed < 0:
            message = "a clock does not run backwards"
            raise ValueError(message)
        self.now, self.speed = now or self.now, speed


@pytest.fixture
def admin(make_client: Any) -> Any:
    def call(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        sent = b"" if body is None else json.dumps(body).encode()
        response = call.api.ask(method, f"/admin{path}", sent)
        assert response.status == status, response.body
        return json.loads(response.body)

    call.api = make_client(admin=True)
    return call


def test_it_explains_itself(admin: Any) -> None:
    shown = admin("GET", "")
    assert shown["faults"] == {name: kind.about for name, kind in KINDS.items()}
    assert shown["profiles"] == {name: dict(rates) for name, rates in PROFILES.items()}
    for call in shown["calls"]:
        method, _, path = call["call"].partition(" ")
        assert call["about"]
        assert admin.api.ask(method, path, b"nonsense").status in (200, 400, 409)


def test_every_example_it_gives_is_accepted(make_client: Any, admin: Any) -> None:
    admin.api = make_client(admin=True, clock=Clock(datetime(2025, 6, 2, tzinfo=timezone.utc)))
    tags = [point.name for point in admin.api.plant.points]  # one for each: some of them rename or delete it
    examples = [call for call in admin("GET", "")["calls"] if "body" in call]
    assert len(examples) >= 4
    for tag, call in zip(tags, examples, strict=False):
        method, _, path = call["call"].partition(" ")
        for body in call["body"].replace("TAG", tag).split(" or "):
            admin(method, path.removeprefix("/admin"), json.loads(body))


def test_none_of_it_exists_without_the_switch(make_client: Any) -> None:
    api, shown = make_client(), make_client(admin=True)
    for call in json.loads(shown.ask("GET", "/admin").body)["calls"]:
        method, _, path = call["call"].partition(" ")
        assert api.ask(method, path, b"{}").status == 404


def test_faults_come_and_go(admin: Any) -> None:
    assert admin("GET", "/faults") == {"seed": 0, "rates": {}, "tries": 2, "points": {}}
    tag = admin.api.plant.points[0].name
    wanted = {"seed": 4, "rates": {"500": 1}, "tries": 0, "points": {tag: "404"}}
    assert admin("PUT", "/faults", wanted) == wanted
    admin.api.get("/system", 500)
    admin.api.get(f"/streams/{admin.api.plant.points[0].web_id()}/value", 404)
    assert admin("GET", "/counters")["faults"] == {"404": 1, "500": 1}
    admin("DELETE", "/faults")
    admin.api.get("/system")
    assert admin("PUT", "/faults", {"seed": 2, "profile": "flaky"})["rates"] == dict(PROFILES["flaky"])


def test_limits_change(admin: Any) -> None:
    assert admin("GET", "/limits") == {
        "rate_limit": 0,
        "max_items": 150_000,
        "max_url": "httpsys:16384",
        "stale_s": 0.0,
    }
    admin("PUT", "/limits", {"max_items": 10})
    point = admin.api.plant.points[0].web_id()
    admin.api.get(f"/streams/{point}/recorded?maxCount=11", 400)
    admin("PUT", "/limits", {"max_url": "iis:100", "stale_s": 300})
    assert admin.api.ask("GET", "/piwebapi/system", x_y="1").status == 200
    assert admin.api.ask("GET", "/piwebapi/system?x=" + "a" * 100).status == 404
    admin("PUT", "/limits", {"rate_limit": 1})
    admin.api.get("/system")
    admin.api.get("/system", 429)
    assert admin("GET", "/limits") == {
        "rate_limit": 1,
        "max_items": 10,
        "max_url": "iis:100",
        "stale_s": 300.0,
    }


def test_the_clock_is_set_and_put_out(make_client: Any, admin: Any, now: datetime) -> None:
    admin.api = make_client(admin=True, clock=Clock(now))
    assert admin("PUT", "/clock", {"now": "2025-07-01T00:00:00Z"})["now"] == "2025-07-01T00:00:00Z"
    shown = {"now": "2025-06-30T23:58:30Z", "skew_s": -90.0, "speed": 1.0}
    assert admin("PUT", "/clock", {"skew_s": -90}) == shown
    assert admin("PUT", "/clock", {"speed": 60}) == {**shown, "speed": 60}
    assert "backwards" in admin("PUT", "/clock", {"speed": -1, "skew_s": 5}, status=400)["Errors"][0]
    assert admin("GET", "/clock") == {**shown, "speed": 60}
    assert admin.api.get("/dataservers")["Items"][0]["ServerTime"] == "2025-06-30T23:58:30Z"


def test_a_clock_that_cannot_be_set_says_so_and_changes_nothing(admin: Any) -> None:
    admin("PUT", "/clock", {"now": "2025-07-01T00:00:00Z", "skew_s": 5}, status=409)
    assert admin("GET", "/clock")["skew_s"] == 0.0


def test_tokens_are_revoked(make_client: Any, admin: Any) -> None:
    oidc = Oidc("a", "b")
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    token = oidc.grant(form, None, "http://h")["access_token"]
    api = make_client(admin=True, oidc=oidc)
    assert api.ask("GET", "/piwebapi/system", authorization=f"Bearer {token}").status == 200
    assert api.ask("DELETE", "/admin/tokens", authorization=f"Bearer {token}").status == 200
    assert api.ask("GET", "/piwebapi/system", authorization=f"Bearer {token}").status == 401
    admin("DELETE", "/tokens", status=409)


def test_counters_add_up_and_begin_anew(admin: Any) -> None:
    admin.api.get("/system")
    admin.api.get("/nope", 404)
    member = {"Method": "GET", "Resource": "http://h/piwebapi/system"}
    admin.api.batch({"1": member, "2": member, "3": member})
    counted = admin("GET", "/counters")
    assert (counted["requests"], counted["sub_requests"]) == (3, 3)
    assert counted["statuses"] == {"200": 1, "207": 1, "404": 1}
    assert counted["bytes"] > 0
    assert admin("DELETE", "/counters")["requests"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"seed": "7"}),
        ("/faults", {"seed": True}),
        ("/faults", {"profile": "nope"}),
        ("/faults", {"rates": {"cut": "a"}}),
        ("/faults", {"rates": {"quake": 0.1}}),
        ("/faults", {"points": {"NOPE": "500"}}),
        ("/faults", {"points": {"NOPE": []}}),
        ("/faults", {"tries": -1}),
        ("/faults", {"speed": 1}),
        ("/faults", []),
        ("/faults", None),
        ("/limits", {"rate_limit": -1}),
        ("/limits", {"max_items": 0}),
        ("/limits", {"max_url": "apache"}),
        ("/limits", {"stale_s": -1}),
        ("/limits", {"stale_s": 10**18}),
        ("/clock", {"now": "tomorrow"}),
        ("/clock", {"now": 5}),
        ("/clock", {"skew_s": 10**18}),
    ],
)
def test_bad_bodies_are_refused_and_change_nothing(admin: Any, path: str, body: Any) -> None:
    before = admin("GET", path)
    assert admin("PUT", path, body, status=400)["Errors"]
    assert admin("GET", path) == before


def test_points_are_renamed_and_deleted_by_hand(admin: Any) -> None:
    """Ids, events and the oracle stay; lists, searches, WebIDs by path and stream updates follow."""
    api = admin.api
    first, second, third, *_ = api.plant.points
    before = api.plant.oracle(first.name, START, NOW)

    def end_of(*points: Any, status: int = 200) -> Any:
        chosen = "&".join(f"webId={point.web_id('IDOnly')}" for point in points)
        return api.get(f"/streamsets/end?{chosen}", status=status)

    assert [each["Name"] for each in end_of(first, third)["Items"]] == [first.name, third.name]
    end_of(third, second)
    markers = [
        json.loads(api.ask("POST", f"/piwebapi/streams/{each.web_id()}/updates", x_requested_with="t").body)
        for each in (first, second)
    ]
    (renamed,) = admin("POST", "/points/rename", {"names": [first.name]})["renamed"]
    assert (renamed["was"], renamed["point_id"]) == (first.name, first.point_id)
    assert admin("DELETE", "/points", {"names": [second.name.lower()]}) == {"deleted": [second.name]}
    assert api.get(f"/points/{first.web_id()}")["Name"] == renamed["name"] != first.name
    api.get(f"/points/{second.web_id('IDOnly')}", status=404)
    assert [each["Name"] for each in end_of(first, third)["Items"]] == [renamed["name"], third.name]
    end_of(third, second, status=404)
    listed = [each["Name"] for each in api.get(f"/dataservers/{api.data_server}/points")["Items"]]
    assert renamed["name"] in listed
    assert not {first.name, second.name} & set(listed)
    updates = [api.ask("GET", f"/piwebapi/streams/updates/{each['LatestMarker']}") for each in markers]
    assert [each.status for each in updates] == [200, 404]
    assert json.loads(updates[0].body)["SourceName"] == renamed["name"]
    assert b"no longer valid" in updates[1].body
    assert api.plant.oracle(first.name, START, NOW) == api.plant.oracle(renamed["name"], START, NOW) == before
    assert api.plant.oracle(second.name, START, NOW)


def test_changes_by_hand_and_those_of_the_schedule_add_up() -> None:
    plant = Plant(seed=2, tags=40, plants=2, history_start=START, churn=48.0)
    plant.advance(START)
    by_hand = plant.points[:2]
    for point in by_hand:
        plant.catalog.rename(point)
    plant.catalog.delete(plant.catalog.point(by_hand[1].index))
    plant.advance(NOW)
    scheduled = Plant(seed=2, tags=40, plants=2, history_start=START, churn=48.0)
    scheduled.advance(NOW)
    rest = {point.point_id: point.name for point in scheduled.points if point.index not in (0, 1)}
    shown = {point.point_id: point.name for point in plant.points}
    assert {number: shown[number] for number in rest} == rest
    assert by_hand[1].point_id not in shown
    plant.catalog.restore(by_hand[1])
    assert [point.point_id for point in plant.points if point.index == 1] == [by_hand[1].point_id]
    assert all(plant.catalog.by_name(name) is not None for name in shown.values())


@pytest.mark.parametrize("method", ["POST /points/rename", "DELETE /points"])
def test_a_point_that_is_not_there_leaves_everything_as_it_is(admin: Any, method: str) -> None:
    verb, path = method.split()
    known = admin.api.plant.points[0].name
    answer = admin(verb, path, {"names": [known, "NOBODY"]}, status=404)
    assert answer == {"Errors": ["There is no point named NOBODY."]}
    assert admin.api.plant.points[0].name == known
    admin(verb, path, {"names": []}, status=400)
