"""Recorded data over the API: equal to the oracle, cut, ordered and bounded as the reference says."""

import itertools
import json
from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Event, Plant, Server, State
from mock_server.plant import ticks
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request

NOW = datetime(2025, 6, 2, 12, tzinfo=timezone.utc)
PLANT = Plant(seed=5, tags=32, plants=1, history_start=NOW - timedelta(days=3))
SERVER = Server(PLANT, clock=lambda: NOW)
POINTS = PLANT.points
DENSE = next(point for point in POINTS if point.sensor_type == "FLOW")
MINUTE = 60 * ticks.PER_SECOND
END = ticks.from_datetime(NOW)

starts = st.integers(END - ticks.PER_DAY, END)
lengths = st.integers(0, 40 * MINUTE)


def recorded(point: Any, low: int | str, high: int | str, **parameters: Any) -> list[Any]:
    low, high = (each if isinstance(each, str) else ticks.to_iso(each) for each in (low, high))
    extra = "".join(f"&{key}={value}" for key, value in parameters.items())
    url = f"/piwebapi/streams/{point.web_id()}/recorded"
    response = handle(SERVER, Request("GET", url, f"startTime={low}&endTime={high}{extra}"))
    assert response.status == 200, response.body
    items: list[Any] = json.loads(response.body)["Items"]
    return items


def instant(text: str) -> int:
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc)
    return ticks.from_datetime(seconds) + int(fraction.ljust(7, "0"))


def as_event(item: Any) -> Event:
    value = item["Value"]
    if isinstance(value, dict):
        value = State(value["Name"], value["Value"], value["IsSystem"])
    return Event(
        instant(item["Timestamp"]),
        value,
        item["Good"],
        item["Questionable"],
        item["Substituted"],
        item["Annotated"],
    )


ONE_OF_EACH = {point.sensor_type: point for point in reversed(POINTS)}


@pytest.mark.parametrize("point", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_http_answer_equals_the_oracle_row_by_row(point: Any) -> None:
    items = recorded(point, "*-3d", "*", maxCount=150_000)
    truth = PLANT.oracle(point.name, NOW - timedelta(days=3), NOW + timedelta(microseconds=1), as_of=NOW)
    assert len(truth) > 5
    assert [as_event(item) for item in items] == truth
    assert [type(as_event(item).value) for item in items] == [type(event.value) for event in truth]
    assert {item["UnitsAbbreviation"] for item in items} == {point.engineering_units}


def test_streamset_and_batch_give_the_same_events_as_single_streams() -> None:
    window = "startTime=*-6h&endTime=*&maxCount=2500"
    query = "&".join(f"webId={point.web_id()}" for point in POINTS)
    answer = handle(SERVER, Request("GET", "/piwebapi/streamsets/recorded", f"{window}&{query}"))
    members = {
        point.name: {
            "Method": "GET",
            "Resource": f"http://x/piwebapi/streams/{point.web_id()}/recorded?{window}",
        }
        for point in POINTS
    }
    batch = handle(
        SERVER,
        Request("POST", "/piwebapi/batch", "", {"x-requested-with": "t"}, json.dumps(members).encode()),
    )
    singles = {point.name: recorded(point, "*-6h", "*", maxCount=2500) for point in POINTS}
    assert {item["Name"]: item["Items"] for item in json.loads(answer.body)["Items"]} == singles
    assert {name: item["Content"]["Items"] for name, item in json.loads(batch.body).items()} == singles


@settings(max_examples=40, deadline=None, database=None)
@given(st.sampled_from(POINTS), starts, lengths, st.integers(2, 50))
def test_paging_by_the_reference_reaches_every_event_once(
    point: Any, low: int, length: int, size: int
) -> None:
    whole = recorded(point, low, low + length, maxCount=150_000)
    assert paged(point, ticks.to_iso(low), ticks.to_iso(low + length), size) == whole


def paged(point: Any, start: str, end: str, size: int) -> list[Any]:
    """Every event of the window, by the method of the reference: drop the last timestamp and ask again from it."""
    result: list[Any] = []
    count = size
    while True:
        page = recorded(point, start, end, maxCount=count)
        if len(page) < count:
            return result + page
        last = page[-1]["Timestamp"]
        kept = [item for item in page if item["Timestamp"] != last]
        if not kept:
            count *= 2
            continue
        result += kept
        start, count = last, size


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(POINTS), starts, lengths, st.integers(1, 200))
def test_forward_is_the_reverse_of_backward(point: Any, low: int, length: int, limit: int) -> None:
    high = low + length
    whole = recorded(point, low, high, maxCount=150_000)
    if low < high:
        assert recorded(point, high, low, maxCount=150_000) == whole[::-1]
        assert recorded(point, high, low, maxCount=limit) == whole[::-1][:limit]
    assert recorded(point, low, high, maxCount=limit) == whole[:limit]


def test_both_bounds_are_inside_and_adjacent_windows_share_the_event() -> None:
    items = recorded(DENSE, "*-10m", "*")
    bound = items[len(items) // 2]["Timestamp"]
    left, right = recorded(DENSE, "*-10m", bound), recorded(DENSE, bound, "*")
    assert left[-1]["Timestamp"] == bound == right[0]["Timestamp"]
    assert len(left) + len(right) > len(items)
    assert recorded(DENSE, bound, bound)


@cache
def whole_history(point: Any) -> tuple[list[Any], list[int]]:
    """Every event of a point, and their instants."""
    items = recorded(point, END - 3 * ticks.PER_DAY, END, maxCount=150_000)
    return items, [instant(item["Timestamp"]) for item in items]


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(POINTS), starts, lengths)
def test_outside_adds_the_nearest_event_beyond_each_bound(point: Any, low: int, length: int) -> None:
    high = low + length
    everything, times = whole_history(point)
    first_inside, first_after = bisect_left(times, low), bisect_right(times, high)
    inside = everything[first_inside:first_after]
    outside = recorded(point, low, high, maxCount=150_000, boundaryType="Outside")
    before = everything[:first_inside][-1:] if low not in times else []
    after = everything[first_after:][:1] if high not in times else []
    assert outside == before + inside + after
    if length:
        reverse = recorded(point, high, low, maxCount=150_000, boundaryType="outside")
        assert reverse == outside[::-1]


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(POINTS), starts, st.integers(1, 40 * MINUTE))
def test_interpolated_has_a_value_exactly_at_each_bound(point: Any, low: int, length: int) -> None:
    high = low + length
    items = recorded(point, low, high, maxCount=150_000, boundaryType="Interpolated")
    inside = recorded(point, low, high, maxCount=150_000)
    assert items[0]["Timestamp"] == ticks.to_iso(low)
    if high <= END:
        assert items[-1]["Timestamp"] == ticks.to_iso(high)
    made_up = [item for item in items if item not in inside]
    assert len(made_up) <= 2
    assert [item for item in items if item in inside] == inside


def test_interpolated_numbers_lie_on_the_line_and_steps_keep_the_previous_value() -> None:
    level = next(point for point in POINTS if point.sensor_type == "LEVEL")
    items = recorded(level, "*-1h", "*")
    one, two = next(
        (one, two)
        for one, two in itertools.pairwise(items)
        if one["Good"] and two["Good"] and instant(two["Timestamp"]) - instant(one["Timestamp"]) > 100
    )
    middle = (instant(one["Timestamp"]) + instant(two["Timestamp"])) // 2
    value = recorded(level, middle, middle, boundaryType="Interpolated")[0]["Value"]
    assert value == pytest.approx((one["Value"] + two["Value"]) / 2)
    valve = next(point for point in POINTS if point.sensor_type == "VALVE")
    last = recorded(valve, "*", "*-1d", maxCount=1)[0]
    held = recorded(valve, "*", "*", boundaryType="Interpolated")[0]
    assert (held["Value"], held["Good"]) == (last["Value"], last["Good"])


def test_events_later_than_now_do_not_exist() -> None:
    present = [ticks.from_datetime(NOW - timedelta(hours=1))]
    server = Server(PLANT, clock=lambda: ticks.to_datetime(present[0]))
    url = f"/piwebapi/streams/{DENSE.web_id()}/recorded"

    def all_items() -> list[Any]:
        request = Request("GET", url, "startTime=2025-06-02&endTime=2100-01-01&maxCount=100000")
        items: list[Any] = json.loads(handle(server, request).body)["Items"]
        return items

    early = all_items()
    assert max(instant(item["Timestamp"]) for item in early) <= present[0]
    present[0] = END
    assert all_items()[: len(early)] == early
    assert len(all_items()) > len(early)


def test_max_count_defaults_to_a_thousand_and_has_a_ceiling(api: Any, make_client: Any) -> None:
    flow, valve = api.point("FLOW").id, api.point("VALVE").id
    assert len(api.get(f"/streams/{flow}/recorded")["Items"]) == 1000
    refusal = {"Errors": ["Parameter 'maxCount' is greater than the maximum allowed (150000)."]}
    assert api.get(f"/streams/{flow}/recorded?maxCount=150001", 400) == refusal
    assert api.get(f"/streamsets/recorded?webId={flow}&webId={valve}&maxCount=75001", 400) == refusal
    assert api.get(f"/streamsets/recorded?webId={flow}&webId={valve}&maxCount=75000")["Items"]
    small = make_client(max_items=10)
    assert "(10)" in small.get(f"/streams/{flow}/recorded?maxCount=11", 400)["Errors"][0]


@pytest.mark.parametrize(
    "query",
    [
        "maxCount=0",
        "maxCount=-1",
        "maxCount=abc",
        "maxCount=1.5",
        "maxCount=99999999999",
        "maxCount=1e3",
        "startTime=yesterday-ish",
        "endTime=2024-99-01",
        "startTime=2024-05-01T00:00:00+02:00",
        "boundaryType=Outer",
        "timeZone=Nowhere/City",
        "desiredUnits=bar",
        "filterExpression=1%2B",
        "filterExpression=%27nothing%27%3E1",
    ],
)
def test_bad_parameters_are_refused(api: Any, query: str) -> None:
    assert [*api.get(f"/streams/{api.point('FLOW').id}/recorded?{query}", 400)] == ["Errors"]


def test_naive_times_are_utc_unless_a_zone_is_given(api: Any) -> None:
    url = (
        f"/streams/{api.point('FLOW').id}/recorded?startTime=2025-06-02T04:00:00&endTime=2025-06-02T04:10:00"
    )
    assert api.get(url)["Items"][0]["Timestamp"].startswith("2025-06-02T04:0")
    assert api.get(f"{url}&timeZone=Europe/Berlin")["Items"][0]["Timestamp"].startswith("2025-06-02T02:0")
    assert api.get(url.replace(":00&", ":00%2B01:00&"))["Items"][0]["Timestamp"].startswith("2025-06-02T03:0")


def test_what_is_held_after_a_system_state_is_bad_and_carries_no_other_flag() -> None:
    items, times = whole_history(DENSE)
    held = []
    for place in range(1, len(items) - 1):
        one, after = times[place], times[place + 1]
        if after > one + 1 and (not items[place]["Good"] or items[place]["Questionable"]):
            made_up = recorded(DENSE, one + 1, one + 1, boundaryType="Interpolated")[0]
            held.append((items[place]["Good"], made_up["Good"], made_up["Questionable"]))
            if not items[place]["Good"]:
                assert made_up["Value"] == items[place]["Value"]
    assert set(held) == {(False, False, False), (True, True, False)}


def test_single_precision_prints_as_the_shortest_decimal_of_its_own_precision() -> None:
    flows = [item["Value"] for item in recorded(DENSE, "*-1h", "*") if item["Good"]]
    assert all(repr(value) == str(np.float32(value)) for value in flows)
    level = next(point for point in POINTS if point.sensor_type == "LEVEL")
    levels = [item["Value"] for item in recorded(level, "*-1h", "*") if item["Good"]]
    assert any(repr(value) != str(np.float32(value)) for value in levels)
