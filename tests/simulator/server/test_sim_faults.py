"""The schedule of faults: what it is a function of, what passes and what does not, and what it refuses."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.server.fault_kinds import KINDS, SLOW_S
from mock_server.server.faults import PROFILES, Faults
from mock_server.server.middleware import answer
from mock_server.webapi.messages import Request, Response

RIGHT = Response(200, b'{"right": true}')


def meet(faults: Faults, query: str, now: Any, **request: Any) -> str:
    """The name of the fault that a request meets, or the empty string."""
    asked = Request("GET", "/piwebapi/system", query, **request)
    return faults.meet(asked, lambda: RIGHT, now=now).fault


def test_without_rates_nothing_goes_wrong(now: Any) -> None:
    assert {meet(Faults(seed), str(seed), now) for seed in range(50)} == {""}


def test_the_schedule_is_a_function_of_seed_request_and_attempt(now: Any) -> None:
    rates = {"500": 0.3, "cut": 0.2}
    forwards, backwards = Faults(1, rates), Faults(1, rates)
    queries = [str(number) for number in range(200)]
    first = [meet(forwards, query, now, origin="http://localhost:1") for query in queries]
    again = [meet(backwards, query, now, origin="http://pi:2") for query in reversed(queries)][::-1]
    assert first == again
    assert [meet(Faults(2, rates), query, now) for query in queries] != first


def test_a_batch_whose_requests_have_other_ids_is_the_same_batch(now: Any) -> None:
    def sent(seed: int, *prefixes: str) -> list[str]:
        faults = Faults(seed, {"500": 0.5}, tries=2)
        batches = ({f"{prefix}_{i}": {"Resource": f"r{i}"} for i in range(3)} for prefix in prefixes)
        return [meet(faults, "", now, body=json.dumps(batch).encode()) for batch in batches]

    met = [sent(seed, "ab", "cd", "ef") for seed in range(20)]
    assert met == [sent(seed, "ab", "ab", "ab") for seed in range(20)]
    assert len({tuple(names) for names in met}) > 2


def test_the_shares_are_those_asked_for(now: Any) -> None:
    faults = Faults(3, {"500": 0.3, "cut": 0.1, "member.503": 0.9})
    met = Counter(meet(faults, str(number), now) for number in range(4000))
    assert met["500"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert met["cut"] / 4000 == pytest.approx(0.1, abs=0.02)
    assert set(met) == {"", "500", "cut"}


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.binary(max_size=8))
def test_a_fault_passes_within_its_tries(seed: int, tries: int, identity: bytes) -> None:
    faults = Faults(seed, {"500": 1.0}, tries=tries)
    failed = [faults.scheduled(identity, attempt, member=False)[0] != "" for attempt in range(30)]
    assert failed[0]
    runs = "".join("x" if each else " " for each in failed).split()
    assert max(len(run) for run in runs) <= tries
    assert not all(failed)


def test_slow_answers_are_late_and_right(now: Any) -> None:
    response = Faults(1, {"slow": 1.0}).meet(Request("GET", "/"), lambda: RIGHT, now=now)
    assert (response.delivery.delay_s, response.body) == (SLOW_S, RIGHT.body)


def test_permanent_faults_never_pass(now: Any) -> None:
    faults = Faults(5, {"500": 0.5}, tries=0)
    firsts = [meet(faults, str(number), now) for number in range(60)]
    assert set(firsts) == {"", "500"}
    for _ in range(5):
        assert [meet(faults, str(number), now) for number in range(60)] == firsts


def test_the_same_batch_on_another_port_meets_the_same_faults(make_client: Any) -> None:
    def ask(origin: str) -> Any:
        api = make_client(faults=Faults(9, {"member.500": 0.2, "member.404-message": 0.2}))
        points = api.plant.points
        members = {
            str(number): {"Method": "GET", "Resource": f"{origin}/piwebapi/streams/{point.web_id()}/value"}
            for number, point in enumerate(points)
        }
        body = json.dumps(members).encode()
        headers = {"x-requested-with": "t"}
        response = answer(api.server, Request("POST", "/piwebapi/batch", "", headers, body, origin=origin))
        return {name: each["Status"] for name, each in json.loads(response.body).items()}

    statuses = ask("http://127.0.0.1:8010")
    assert set(statuses.values()) == {200, 404, 500}
    assert statuses == ask("https://pi.example.org")


def test_the_port_of_this_server_in_a_body_is_no_part_of_a_request(now: Any) -> None:
    def met(origin: str) -> list[str]:
        body = f'{{"1": {{"Resource": "{origin}/piwebapi/system"}}}}'.encode()
        return [meet(Faults(seed, {"500": 0.5}), "", now, body=body, origin=origin) for seed in range(40)]

    assert set(met("http://127.0.0.1:8010")) == {"", "500"}
    assert met("http://127.0.0.1:8010") == met("https://pi.example.org")


SHAPES: dict[str, tuple[int, Any]] = {
    "403": (403, {"Errors": ["Access is denied."]}),
    "404": (404, {"Errors": ["The requested object was not found."]}),
    "404-message": (404, {"Message": "No HTTP resource was found that matches the request URI."}),
    "409-text": (409, "The following ParentIds did not complete successfully: 1."),
    "429": (429, {"Errors": ["Rate limit was reached"]}),
    "500": (500, {"Errors": ["An unexpected error occurred."]}),
    "500-text": (500, "An error has occurred."),
    "503": (503, {"Errors": ["The PI Data Archive is not available."]}),
}


def recorded(api: Any, name: str) -> dict[str, Any]:
    point = api.plant.catalog.by_name(name)
    resource = f"http://h/piwebapi/streams/{point.web_id()}/recorded?startTime=*-1h"
    return {"Method": "GET", "Resource": resource}


@pytest.mark.parametrize("fault", SHAPES)
def test_one_member_of_a_batch_fails_in_each_documented_shape(make_client: Any, api: Any, fault: str) -> None:
    names = [point.name for point in api.plant.points[:3]]
    members = {name: recorded(api, name) for name in names}
    right = api.batch(members)
    client = make_client(plant=api.plant, faults=Faults(points={names[1]: fault}))
    for _ in range(4):  # a fault that is tied to a point never passes
        answer = client.batch(members)
        assert (answer[names[1]]["Status"], answer[names[1]]["Content"]) == SHAPES[fault]
        assert [answer[name] for name in (names[0], names[2])] == [
            right[name] for name in (names[0], names[2])
        ]


def test_every_fault_of_members_is_tested() -> None:
    assert {name for name, kind in KINDS.items() if kind.member} == {*SHAPES, "web-exception", "value-errors"}


def test_a_web_exception_comes_with_half_of_the_items(make_client: Any, api: Any) -> None:
    name = api.plant.points[0].name
    right = api.batch({"1": recorded(api, name)})["1"]["Content"]["Items"]
    client = make_client(plant=api.plant, faults=Faults(points={name: "web-exception"}))
    answer = client.batch({"1": recorded(api, name)})["1"]
    assert answer["Status"] == 200
    assert answer["Content"]["Items"] == right[: len(right) // 2]
    assert answer["Content"]["WebException"] == {
        "StatusCode": 500,
        "Errors": ["Error occurred during writing of the output stream."],
    }


def test_value_errors_spoil_exactly_one_value(make_client: Any, api: Any) -> None:
    name = api.plant.points[0].name
    right = api.batch({"1": recorded(api, name)})["1"]["Content"]["Items"]
    client = make_client(plant=api.plant, faults=Faults(points={name: "value-errors"}))
    wrong = client.batch({"1": recorded(api, name)})["1"]["Content"]["Items"]
    spoilt = [place for place, (a, b) in enumerate(zip(right, wrong, strict=True)) if a != b]
    assert len(spoilt) == 1
    value = wrong[spoilt[0]]
    assert value["Timestamp"] == right[spoilt[0]]["Timestamp"]
    assert (value["Value"], value["Good"]) == (None, False)
    assert value["Errors"] == [{"FieldName": "Value", "Message": ["[-11059] No Good Data For Calculation"]}]


@pytest.mark.parametrize("form", ["Full", "IDOnly", "PathOnly"])
def test_a_point_that_fails_does_so_under_every_name(make_client: Any, api: Any, form: str) -> None:
    point, other = api.plant.points[4:6]
    client = make_client(plant=api.plant, faults=Faults(points={point.name: "500"}))
    assert client.get(f"/streams/{point.web_id(form)}/value", 500)["Errors"]
    assert client.get(f"/streamsets/value?webId={other.web_id()}&webId={point.web_id(form)}", 500)["Errors"]
    client.get(f"/streams/{other.web_id(form)}/value")
    client.get(f"/points/{point.web_id(form)}")  # only its data fail


def test_of_several_points_that_fail_the_first_one_decides_how(make_client: Any, api: Any) -> None:
    points = api.plant.points[:6]
    statuses = ("403", "404", "500", "503", "403", "500")
    faults = Faults(points={point.name: status for point, status in zip(points, statuses, strict=True)})
    client = make_client(plant=api.plant, faults=faults)
    for first, status in enumerate(statuses):
        asked = "&".join(f"webId={point.web_id()}" for point in (*points[first:], *points[:first]))
        client.get(f"/streamsets/value?{asked}", int(status))


def test_the_landing_page_and_admin_are_spared(make_client: Any) -> None:
    client = make_client(admin=True, faults=Faults(1, {"500": 1.0}, tries=0))
    assert client.ask("GET", "/").status == 200
    assert client.ask("GET", "/admin/faults").status == 200
    assert client.ask("GET", "/piwebapi/system").status == 500


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_schedules(profile: str) -> None:
    faults = Faults.parse(f"12:{profile}", tries=3)
    assert (faults.seed, faults.rates, faults.tries) == (12, dict(PROFILES[profile]), 3)


def test_schedules_of_your_own() -> None:
    assert Faults.parse("7:cut=0.1, member.503=0.05").rates == {"cut": 0.1, "member.503": 0.05}
    assert Faults.parse("7").rates == PROFILES["flaky"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "SEED"),
        ("x:flaky", "SEED"),
        ("7:nope", "flaky"),
        ("7:cut=", "cut=0.1"),
        ("7:cut=x", "cut=0.1"),
        ("7:quake=0.1", "there are: slow, hang"),
        ("7:member.cut=0.1", "within a batch"),
        ("7:cut=0.6,503=0.6", "between 0 and 1"),
        ("7:cut=-0.1", "between 0 and 1"),
        ("7:cut=nan", "between 0 and 1"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Faults.parse(text)


def test_points_need_a_fault_of_theirs_and_to_exist(make_client: Any) -> None:
    with pytest.raises(ValueError, match="single point"):
        Faults(points={"X": "cut"})
    with pytest.raises(ValueError, match="'X', which does not exist"):
        make_client().server.check_points(Faults(points={"X": "500"}))
    with pytest.raises(ValueError, match="tries"):
        Faults(tries=-1)


def test_a_fault_tied_to_a_point_while_the_server_runs_is_met(now: Any) -> None:
    faults = Faults()
    faults.points["Tank1.Level"] = "500"
    asked = Request("GET", "/piwebapi/streams/x/recorded")
    assert faults.meet(asked, lambda: RIGHT, now=now, tags=["TANK1.LEVEL"]).fault == "500"
    faults.points.clear()
    assert faults.meet(asked, lambda: RIGHT, now=now, tags=["TANK1.LEVEL"]).fault == ""
