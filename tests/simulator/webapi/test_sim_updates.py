"""Stream updates: with what was known at a marker, what is read since makes what is known now."""

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant, Server, State
from mock_server.plant import ticks
from mock_server.plant.clock import Clock
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request, Response
from mock_server.webapi.registrations import Registry

START = datetime(2025, 6, 2, 12, tzinfo=timezone.utc)
PLANT = Plant(seed=5, tags=32, plants=1, history_start=START - timedelta(hours=6), changes=0.08)
POINTS = PLANT.points
FLOW, VALVE = POINTS[0], POINTS[5]
CSRF = {"x-requested-with": "test"}


class Site:
    """A server whose time moves only when told to."""

    def __init__(self, plant: Plant = PLANT) -> None:
        self.clock = Clock(START, speed=0.0)
        self.server = Server(plant, self.clock)

    def later(self, **span: float) -> None:
        self.clock.set(self.clock() + timedelta(**span))

    def ask(self, method: str, path: str, status: int = 200) -> tuple[Any, Response]:
        path, _, query = path.partition("?")
        response = handle(self.server, Request(method, f"/piwebapi{path}", query, CSRF))
        assert response.status == status, response.body
        return json.loads(response.body), response

    def register(self, point: Any) -> Any:
        return self.ask("POST", f"/streams/{point.web_id()}/updates")[0]

    def read(self, marker: str, status: int = 200) -> Any:
        return self.ask("GET", f"/streams/updates/{marker}", status)[0]

    def truth(self, point: Any) -> list[Any]:
        now = self.clock()
        start = START - timedelta(hours=6)
        return PLANT.oracle(point.name, start, now + timedelta(microseconds=1), as_of=now)


def follow(known: list[tuple[Any, ...]], events: list[Any]) -> None:
    """Do to the known (time, value, substituted) what the events say."""
    for event in events:
        row = as_row(event)
        if event["PreviousEventAction"] == "PreviousEventDiscarded":
            known.pop()
        if event["Action"] != "Add":
            assert event["PreviousEventAction"] == "None"
            known[:] = [each for each in known if each[0] != row[0]]
        if event["Action"] != "Delete":
            known.append(row)
            known.sort(key=lambda each: each[0])


def as_row(event: Any) -> tuple[Any, ...]:
    whole, _, fraction = event["Timestamp"].rstrip("Z").partition(".")
    seconds = ticks.from_datetime(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc))
    value = event["Value"]
    if isinstance(value, dict):
        value = State(value["Name"], value["Value"], value["IsSystem"])
    return seconds + int(fraction.ljust(7, "0")), value, event["Good"], event["Substituted"]


def rows_of(truth: list[Any]) -> list[tuple[Any, ...]]:
    return [(event.ticks, event.value, event.good, event.substituted) for event in truth]


@settings(max_examples=25, deadline=None, database=None)
@given(st.sampled_from(POINTS), st.lists(st.floats(0.0, 900.0), min_size=1, max_size=4))
def test_the_oracle_then_and_the_updates_since_are_the_oracle_now(point: Any, waits: list[float]) -> None:
    site = Site()
    known, marker = rows_of(site.truth(point)), site.register(point)["LatestMarker"]
    for seconds in waits:
        site.later(seconds=seconds)
        answer = site.read(marker)
        assert answer["RequestedMarker"] == marker
        follow(known, answer["Events"])
        marker = answer["LatestMarker"]
    assert known == rows_of(site.truth(point))


def test_every_action_and_previous_action_is_seen() -> None:
    site = Site()
    marker = site.register(FLOW)["LatestMarker"]
    events: list[Any] = []
    for _ in range(12):
        site.later(minutes=15)
        answer = site.read(marker)
        marker, events = answer["LatestMarker"], events + answer["Events"]
    assert {event["Action"] for event in events} == {"Add", "Update", "Delete"}
    assert {event["PreviousEventAction"] for event in events} == {
        "PreviousEventArchived",
        "PreviousEventDiscarded",
        "None",
    }
    fields = {"Timestamp", "Value", "UnitsAbbreviation", "Good", "Questionable", "Substituted", "Annotated"}
    assert set(events[0]) == fields | {"Action", "PreviousEventAction"}


def test_a_registration_names_its_stream_and_where_to_read_on() -> None:
    site = Site()
    answer, response = site.ask("POST", f"/streams/{FLOW.web_id()}/updates")
    assert re.fullmatch("[0-9a-f]{32}_0", answer["LatestMarker"])
    location = f"http://localhost/piwebapi/streams/updates/{answer['LatestMarker']}"
    assert answer == {
        "Source": FLOW.web_id(),
        "SourceName": FLOW.name,
        "SourcePath": FLOW.path,
        "LatestMarker": answer["LatestMarker"],
        "Status": "Succeeded",
        "Links": {"Updates": location},
    }
    assert response.headers["Location"] == location
    again = site.register(FLOW)
    assert (again["Status"], again["LatestMarker"]) == ("AlreadyRegistered", answer["LatestMarker"])


def test_the_same_marker_can_be_read_again() -> None:
    site = Site()
    marker = site.register(FLOW)["LatestMarker"]
    site.later(minutes=10)
    first = site.read(marker)
    assert first["Events"]
    assert site.read(marker) == first
    assert site.read(first["LatestMarker"])["Events"] == []


def test_a_registration_that_is_not_used_expires() -> None:
    site = Site()
    marker = site.register(FLOW)["LatestMarker"]
    for _ in range(3):
        site.later(minutes=15)
        marker = site.read(marker)["LatestMarker"]
    site.later(minutes=15, seconds=1)
    assert site.read(marker, 404) == {"Errors": ["Cache not found"]}
    assert site.register(FLOW)["Status"] == "Succeeded"


@pytest.mark.parametrize(
    ("marker", "status", "message"),
    [
        ("0cbbec466f3a42288c8c47112f54b852_0", 404, "Cache not found"),
        ("0cbbec466f3a42288c8c47112f54b852", 409, "Invalid marker supplied"),
        ("nonsense_1", 409, "Invalid marker supplied"),
        ("{known}_1", 409, "Invalid marker supplied"),
        ("{known}_x", 409, "Invalid marker supplied"),
    ],
)
def test_markers_that_are_not_good_are_refused(marker: str, status: int, message: str) -> None:
    site = Site()
    known = site.register(FLOW)["LatestMarker"].partition("_")[0]
    assert site.read(marker.replace("{known}", known), status) == {"Errors": [message]}


def test_several_streams_are_registered_and_read_at_once_and_fail_alone() -> None:
    site = Site()
    missing = POINTS[-1].web_id("IDOnly").replace("IAAAAA", "_____w")
    query = "&".join(f"webId={each}" for each in (FLOW.web_id(), VALVE.web_id(), missing))
    answer, response = site.ask("POST", f"/streamsets/updates?{query}&webIdType=IDOnly")
    flow, valve, failed = answer["Items"]
    assert [item["Status"] for item in answer["Items"]] == ["Succeeded", "Succeeded", "Failed"]
    assert flow["Source"] == FLOW.web_id("IDOnly")
    assert (failed["Source"], failed["LatestMarker"]) == (missing, "")
    assert missing in failed["Exception"]["Errors"][0]
    markers = [flow["LatestMarker"], valve["LatestMarker"]]
    assert response.headers["Location"].endswith("updates?marker={}&marker={}".format(*markers))
    site.later(minutes=12)
    unknown = "0" * 32 + "_0"
    answer, _ = site.ask(
        "GET", f"/streamsets/updates?marker={markers[0]}&marker={unknown}&marker={markers[1]}"
    )
    first, second, third = answer["Items"]
    assert first["Events"] == site.read(markers[0])["Events"]
    assert third["Events"] == site.read(markers[1])["Events"]
    assert second == {
        "Source": "",
        "SourceName": "",
        "SourcePath": "",
        "RequestedMarker": unknown,
        "LatestMarker": "",
        "Status": "Failed",
        "Exception": {"Errors": ["Cache not found"]},
        "Events": [],
    }


def test_bad_registrations_are_refused_whole() -> None:
    site = Site()
    assert site.ask("POST", "/streams/nonsense/updates", 400)[0]["Errors"]
    assert site.ask("POST", f"/streamsets/updates?webId={FLOW.web_id()}&webId=nonsense", 400)[0]["Errors"]
    assert site.ask("POST", "/streamsets/updates", 400)[0] == {"Errors": ["Parameter 'webId' is required."]}
    assert site.ask("GET", "/streamsets/updates", 400)[0] == {"Errors": ["Parameter 'marker' is required."]}
    assert len(site.server.registry) == 0


def test_a_reader_that_stays_away_too_long_is_told_to_read_again() -> None:
    plant = Plant(seed=5, tags=1, plants=1, history_start=START - timedelta(days=1), period_s=0.1)
    site = Site(plant)
    marker = site.register(plant.points[0])["LatestMarker"]
    site.later(minutes=14)
    assert {event["Action"] for event in site.read(marker)["Events"]} == {"Add"}
    for _ in range(8):
        site.later(minutes=14)
        assert len(site.server.registry) == 1
        site.register(plant.points[0])
    event = site.read(marker)["Events"][0]
    assert (event["Action"], event["Timestamp"]) == ("Refresh", "2025-06-02T12:00:00Z")


def test_registrations_are_bounded_and_the_least_recently_used_goes_first() -> None:
    registry = Registry(most=3)
    first, second, third = (registry.register(point_id, 0)[0] for point_id in (1, 2, 3))
    registry.read(first.marker(0), 1)
    registry.register(4, 2)
    assert len(registry) == 3
    assert [registry.register(each.point_id, 3)[1] for each in (first, third)] == [False, False]
    assert registry.register(second.point_id, 3)[1] is True


@settings(max_examples=15, deadline=None, database=None)
@given(st.sampled_from(POINTS[:6]), st.integers(3, 40))
def test_paging_by_the_reference_reaches_every_event_while_events_change(point: Any, size: int) -> None:
    site = Site()
    start, count, items = ticks.to_iso(ticks.from_datetime(START) - 3_600 * ticks.PER_SECOND), size, []
    for _ in range(1_000):
        query = f"startTime={start}&endTime=*&maxCount={count}"
        page = site.ask("GET", f"/streams/{point.web_id()}/recorded?{query}")[0]["Items"]
        if len(page) < count:
            break
        last = page[-1]["Timestamp"]
        kept = [item for item in page if item["Timestamp"] != last]
        items += kept
        start, count = (last, size) if kept else (start, count * 2)
    truth = [
        row
        for row in rows_of(site.truth(point))
        if row[0] >= ticks.from_datetime(START) - 3_600 * ticks.PER_SECOND
    ]
    assert [as_row(item) for item in items + page] == truth
