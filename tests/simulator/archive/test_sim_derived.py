"""Interpolation, summaries and plots: equal to figures worked out event by event from what the oracle knows."""

import itertools
import json
import math
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mock_server import Event, Plant, Server, State
from mock_server.archive import interpolation, paging
from mock_server.archive.interpolation import reader, values_at
from mock_server.oracle.derived import Curve, Weighted, event_weighted, plotted, time_weighted
from mock_server.plant import pitime, ticks
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request

NOW = datetime(2025, 6, 2, 12, 0, 0, 123_456, tzinfo=timezone.utc)
BEGIN = NOW - timedelta(days=2)
PLANT = Plant(seed=11, tags=32, plants=1, history_start=BEGIN)
SERVER = Server(PLANT, clock=lambda: NOW)
POINTS = {point.sensor_type: point for point in reversed(PLANT.points)}
NUMERIC = [point for point in POINTS.values() if point.point_type in ("Float32", "Float64", "Int32")]
FLOW = POINTS["FLOW"]
START, END = ticks.from_datetime(BEGIN), ticks.from_datetime(NOW)
MINUTE = 60 * ticks.PER_SECOND
HOUR = 60 * MINUTE

numeric = st.sampled_from(NUMERIC)


def spread(low: int, high: int) -> "st.SearchStrategy[int]":
    """Integers from all over a range; `integers` prefers those near its lower end when the range is huge."""
    return st.integers(0, 9_999).map(lambda part: low + (high - low) * part // 9_999 - part * 7 % 1_000)


lows = st.one_of(  # also windows that reach beyond the first event and beyond the present
    spread(START - HOUR, END + HOUR // 4), spread(START - HOUR, START), spread(END - 2 * HOUR, END)
)
lengths = spread(1_000, 3 * HOUR)
light = settings(max_examples=14, deadline=None, database=None)


def get(path: str, status: int = 200, **parameters: Any) -> Any:
    query = "&".join(
        f"{name}={each}"
        for name, value in parameters.items()
        for each in (value if isinstance(value, list) else [value])
    )
    response = handle(SERVER, Request("GET", f"/piwebapi{path}", query))
    assert response.status == status, response.body
    return json.loads(response.body)


def stream(point: Any, what: str, low: int, high: int, **parameters: Any) -> Any:
    times = {"startTime": ticks.to_iso(low), "endTime": ticks.to_iso(high)}
    return get(f"/streams/{point.web_id()}/{what}", **times, **parameters)["Items"]


def instant(text: str) -> int:
    return pitime.parse(text, 0, timezone.utc)


@cache
def curve(point: Any) -> Curve:
    events = PLANT.oracle(point.name, BEGIN, NOW + timedelta(seconds=1), as_of=NOW)
    return Curve(events, END, point.sensor.step)


def close(actual: float, expected: float, point: Any, scale: float = 1.0) -> bool:
    """Equal but for rounding, which of a Float32 stream is that of its interpolated ends."""
    tolerance = (2e-7 if point.point_type == "Float32" else 1e-10) * max(abs(point.sensor.span), 1.0)
    return math.isclose(actual, expected, rel_tol=1e-9, abs_tol=tolerance * max(scale, 1.0))


def same_value(item: Any, expected: Event | None, point: Any) -> bool:
    if expected is None:
        return bool(item["Value"] == {"Name": "No Data", "Value": 248, "IsSystem": True} and not item["Good"])
    value = item["Value"]
    if isinstance(expected.value, State):
        return bool(value["Name"] == expected.value.name and item["Good"] is expected.good)
    if isinstance(expected.value, str):
        return bool(value == expected.value)
    return item["Good"] is expected.good and close(value, expected.value, point)


@light
@given(st.sampled_from(list(POINTS.values())), lows, lengths, st.integers(20, 4_000))
def test_interpolated_values_are_those_between_the_recorded_neighbours(
    point: Any, low: int, length: int, seconds: int
) -> None:
    high = low + length
    items = stream(point, "interpolated", low, high, interval=f"{seconds}s")
    grid = list(range(low, high + 1, seconds * ticks.PER_SECOND))
    assert [instant(item["Timestamp"]) for item in items] == grid
    wrong = [
        (item, curve(point).value_at(when))
        for item, when in zip(items, grid, strict=True)
        if not same_value(item, curve(point).value_at(when), point)
    ]
    assert not wrong
    backwards = stream(point, "interpolated", grid[-1], low, interval=f"{seconds}s")
    assert len(grid) == 1 or backwards == items[::-1]


@light
@given(st.sampled_from(list(POINTS.values())), st.lists(lows, min_size=1, max_size=8))
def test_values_at_times_are_those_of_the_history_itself(point: Any, times: list[int]) -> None:
    query = [ticks.to_iso(each) for each in times]
    items = get(f"/streams/{point.web_id()}/interpolatedattimes", time=query)["Items"]
    assert items == [get(f"/streams/{point.web_id()}/value", time=ticks.to_iso(t)) for t in sorted(times)]
    block = values_at(reader(PLANT.history, point, END), np.array(times, dtype=np.int64))
    for place, when in enumerate(times):
        truth = PLANT.history.value_at(point, when, now=END)
        assert (block.kind[place], block.number[place], block.flags[place]) == (
            truth.kind[0],
            truth.number[0],
            truth.flags[0],
        )
        assert block.code[place] == truth.code[0]


TYPES = [
    "Total",
    "Average",
    "Minimum",
    "Maximum",
    "Range",
    "StdDev",
    "PopulationStdDev",
    "Count",
    "PercentGood",
]


def check_figures(items: list[Any], weighted: list[Weighted], point: Any, *, by_event: bool) -> None:
    """Items of all types, type by type, equal the figures of each interval."""
    assert [item["Type"] for item in items] == [kind for kind in TYPES for _ in weighted]
    for item, (kind, part) in zip(items, ((k, w) for k in TYPES for w in weighted), strict=True):
        expected = part.figure(kind, by_event=by_event)
        value = item["Value"]["Value"]
        if expected is None:
            assert value == {"Name": "No Data", "Value": 248, "IsSystem": True}, (kind, value)
            assert item["Value"]["Good"] is False
        else:
            assert close(value, expected, point, float(part.good) if kind == "Total" else 1.0), (
                kind,
                value,
                expected,
            )


@light
@given(numeric, lows, lengths, st.integers(1, 4), st.booleans())
def test_time_weighted_summaries_equal_the_area_below_the_curve(
    point: Any, low: int, length: int, parts: int, backwards: bool
) -> None:
    width = max(length // parts, MINUTE)
    width -= width % ticks.PER_SECOND
    edges = [low + width * number for number in range(parts + 1)]
    start, end = (edges[-1], low) if backwards else (low, edges[-1])
    items = stream(
        point,
        "summary",
        start,
        end,
        summaryType=TYPES,
        summaryDuration=f"{width // ticks.PER_SECOND}s",
        timeType="EarliestTime",
    )
    truth = [time_weighted(curve(point), a, b) for a, b in itertools.pairwise(edges)]
    check_figures(items, truth[::-1] if backwards else truth, point, by_event=False)
    starts = edges[-2::-1] if backwards else edges[:-1]
    assert [instant(item["Value"]["Timestamp"]) for item in items] == starts * len(TYPES)


ENDS = {
    "EventWeighted": (True, False),
    "EventWeightedExcludeMostRecentEvent": (True, False),
    "EventWeightedExcludeEarliestEvent": (False, True),
    "EventWeightedIncludeBothEnds": (True, True),
}


@settings(light, max_examples=30)
@given(
    numeric,
    spread(START + HOUR, END - HOUR),
    st.sampled_from(["EventWeighted", "EventWeighted", *ENDS]),
    st.tuples(st.integers(1, 4), st.integers(0, 4), st.booleans()),
)
def test_event_weighted_summaries_count_each_event_at_the_ends_as_the_basis_says(
    point: Any, near: int, basis: str, layout: tuple[int, int, bool]
) -> None:
    parts, place, backwards = layout
    events = curve(point).inside(near, near + HOUR)
    on_an_edge = events[0].ticks if events else near  # an event exactly on an end is what the bases differ in
    edges = [on_an_edge + 10 * MINUTE * (number - place % (parts + 1)) for number in range(parts + 1)]
    items = stream(
        point,
        "summary",
        edges[-1] if backwards else edges[0],
        edges[0] if backwards else edges[-1],
        summaryType=TYPES,
        summaryDuration="10m",
        calculationBasis=basis,
    )
    with_low, with_high = (False, True) if basis == "EventWeighted" and backwards else ENDS[basis]
    if basis == "EventWeighted" and parts == 1:
        with_low = with_high = True
    truth = [
        event_weighted(curve(point), a, b, with_low=with_low, with_high=with_high)
        for a, b in itertools.pairwise(edges)
    ]
    check_figures(items, truth[::-1] if backwards else truth, point, by_event=True)


@light
@given(numeric, lows, lengths)
def test_a_summary_equals_the_figures_of_the_recorded_reply(point: Any, low: int, length: int) -> None:
    events = stream(point, "recorded", low, low + length, maxCount=150_000)
    good = [item["Value"] for item in events if item["Good"]]
    items = stream(
        point,
        "summary",
        low,
        low + length,
        summaryType=["Count", "Average", "Minimum", "Maximum", "PercentGood"],
        calculationBasis="EventWeighted",
    )
    count, average, least, most, share = (item["Value"]["Value"] for item in items)
    assert count == len(good)
    if good:
        assert (least, most) == (min(good), max(good))
        assert average == pytest.approx(math.fsum(good) / len(good), rel=1e-12)
        assert share == pytest.approx(100 * len(good) / len(events))
        found = {item["Value"] for item in events if item["Timestamp"] == items[3]["Value"]["Timestamp"]}
        assert most in found, "the time of a maximum is that of the event"


@light
@example(POINTS["TEMP"], 17_487_359_410_775_062, 28_460_846_376, 1)  # two that only doubles tell apart
@given(st.sampled_from(list(POINTS.values())), lows, lengths, st.integers(1, 30))
def test_a_plot_keeps_first_last_extremes_and_one_exception_of_each_interval(
    point: Any, low: int, length: int, intervals: int
) -> None:
    items = stream(point, "plot", low, low + length, intervals=intervals)
    truth = plotted(curve(point), low, low + length, intervals)
    assert [instant(item["Timestamp"]) for item in items] == [event.ticks for event in truth]
    assert all(same_value(item, event, point) for item, event in zip(items, truth, strict=True))
    assert len(items) <= 5 * intervals
    assert stream(point, "plot", low + length, low, intervals=intervals) == items[::-1]


@pytest.mark.parametrize(("page", "lookup"), [(5, 10**12), (64, 0)])
def test_reading_in_pages_or_by_single_look_ups_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, page: int, lookup: int
) -> None:
    low, high = END - HOUR, END + MINUTE

    def everything() -> list[Any]:
        return [
            stream(FLOW, "interpolated", low, high, interval="97s"),
            stream(FLOW, "plot", low, high, intervals=7),
            stream(FLOW, "summary", low, high, summaryType=["Minimum", "Count", "Maximum"]),
            stream(FLOW, "summary", low, high, calculationBasis="EventWeighted", summaryDuration="11m"),
        ]

    def averages() -> list[float]:
        items = stream(FLOW, "summary", low, high, summaryType=["Average", "StdDev"], summaryDuration="7m")
        return [item["Value"]["Value"] for item in items]

    whole, average = everything(), averages()
    monkeypatch.setattr(paging, "PAGE", page)
    monkeypatch.setattr(interpolation, "_EVENTS_PER_LOOKUP", lookup)
    again = everything()
    counts = [each.pop() for each in (whole[2], again[2])], [each.pop(1) for each in (whole[2], again[2])]
    assert again[:3] == whole[:3]
    for one, two in counts:
        assert one["Value"]["Value"] == pytest.approx(two["Value"]["Value"])
    # A machine that stands still has a flow of nothing but rounding: what is left of it depends on the order of sums.
    assert [each["Value"]["Value"] for each in again[3]] == pytest.approx(
        [each["Value"]["Value"] for each in whole[3]], abs=1e-9
    )
    assert averages() == pytest.approx(average, rel=1e-9)


def test_a_small_deviation_survives_far_from_the_first_value_of_the_window() -> None:
    """Flow fades to all but nothing when its machine stops; what is left of it has a deviation of its own."""
    low, width = END - 12 * HOUR, 7 * MINUTE
    items = stream(
        FLOW,
        "summary",
        low,
        END,
        summaryType="PopulationStdDev",
        summaryDuration="7m",
        calculationBasis="EventWeighted",
    )
    truth = [
        event_weighted(curve(FLOW), a, min(a + width, END), with_low=True, with_high=False)
        for a in range(low, END, width)
    ]
    wanted = [part.figure("PopulationStdDev", by_event=True) for part in truth]
    shown = [item["Value"]["Value"] for item in items]
    pairs = [(a, b) for a, b in zip(shown, wanted, strict=True) if b is not None]
    assert len(pairs) > 90
    assert min(b for _, b in pairs) < 1e-6 < max(b for _, b in pairs)
    assert [a for a, _ in pairs] == pytest.approx([b for _, b in pairs], rel=1e-9, abs=0.0)


def test_extremes_carry_their_own_time_unless_another_is_asked_for() -> None:
    low, high = END - HOUR, END
    kinds = ["Minimum", "Maximum", "Average"]
    auto = stream(FLOW, "summary", low, high, summaryType=kinds)
    truth = {event.value: event.ticks for event in reversed(curve(FLOW).inside(low, high))}
    for item in auto[:2]:
        assert instant(item["Value"]["Timestamp"]) == truth[item["Value"]["Value"]]
    assert instant(auto[2]["Value"]["Timestamp"]) == low
    for kind, when in (("EarliestTime", low), ("MostRecentTime", high)):
        items = stream(FLOW, "summary", low, high, summaryType=kinds, timeType=kind)
        assert {instant(item["Value"]["Timestamp"]) for item in items} == {when}


def test_continuous_and_discrete_bases_overrule_the_step_of_the_point() -> None:
    low, high = END - HOUR, END
    for point in (FLOW, POINTS["COUNT"]):
        for basis, step in (("TimeWeightedContinuous", False), ("TimeWeightedDiscrete", True)):
            value = stream(point, "summary", low, high, summaryType="Average", calculationBasis=basis)[0]
            expected = time_weighted(Curve(curve(point).events, END, step), low, high)
            assert close(value["Value"]["Value"], expected.figure("Average", by_event=False) or 0, point)


def test_a_total_has_a_unit_where_the_rate_has_one() -> None:
    low, high = END - HOUR, END
    for sensor, units, per_day in (("FLOW", "m3", 24), ("POWER", "kWh", 24), ("COUNT", "", 1)):
        plain, with_unit = stream(POINTS[sensor], "summary", low, high, summaryType=["Total", "TotalWithUOM"])
        assert with_unit["Value"]["UnitsAbbreviation"] == units
        assert with_unit["Value"]["Value"] == pytest.approx(plain["Value"]["Value"] * per_day)
    assert (
        stream(POINTS["TEMP"], "summary", low, high, summaryType="TotalWithUOM")[0]["Value"]["Good"] is False
    )


def test_streams_that_hold_no_numbers_can_only_be_counted() -> None:
    for sensor in ("VALVE", "GRADE", "CAL"):
        point = POINTS[sensor]
        low, high = END - 2 * ticks.PER_DAY + HOUR, END
        items = stream(point, "summary", low, high, summaryType="Count", calculationBasis="EventWeighted")
        events = stream(point, "recorded", low, high)
        assert items[0]["Value"]["Value"] == sum(item["Good"] for item in events) > 0
        refused = get(f"/streams/{point.web_id()}/summary", 400, summaryType="Average")
        assert "Count" in refused["Errors"][0]
        assert "Errors" in get("/streamsets/summary", 400, webId=[FLOW.web_id(), point.web_id()])


def test_stream_sets_hold_what_the_single_streams_hold() -> None:
    points = [FLOW, POINTS["VALVE"], POINTS["GRADE"]]
    calls: dict[str, dict[str, Any]] = {
        "interpolated": {"interval": "7m", "startTime": "*-1h"},
        "interpolatedattimes": {"time": ["*-1h", "*-3m"]},
        "plot": {"intervals": 3, "startTime": "*-4h"},
        "recorded": {"startTime": "*-1h", "boundaryType": "Outside"},
        "recordedattimes": {"time": ["*-1h", "*-3m"], "retrievalMode": "Exact"},
        "summary": {"summaryType": "Count", "startTime": "*-4h", "summaryDuration": "1h"},
    }
    for what, parameters in calls.items():
        items = get(f"/streamsets/{what}", webId=[point.web_id() for point in points], **parameters)["Items"]
        assert [item["Name"] for item in items] == [point.name for point in points]
        for item, point in zip(items, points, strict=True):
            assert item["Items"] == get(f"/streams/{point.web_id()}/{what}", **parameters)["Items"], what
    at = get("/streamsets/recordedattime", webId=[point.web_id() for point in points], time="*-1h")["Items"]
    assert [item["Value"] for item in at] == [
        get(f"/streams/{point.web_id()}/recordedattime", time="*-1h") for point in points
    ]


def test_joined_streams_share_the_times_of_the_first() -> None:
    others = [POINTS["VALVE"], POINTS["TEMP"]]
    items = get(
        "/streamsets/joined",
        baseWebId=FLOW.web_id(),
        subordinateWebId=[each.web_id() for each in others],
        startTime="*-10m",
    )["Items"]
    base = get(f"/streams/{FLOW.web_id()}/recorded", startTime="*-10m")["Items"]
    assert items[0]["Items"] == base
    for item, point in zip(items[1:], others, strict=True):
        assert [each["Timestamp"] for each in item["Items"]] == [each["Timestamp"] for each in base]
        for each in item["Items"]:
            assert same_value(each, curve(point).value_at(instant(each["Timestamp"])), point)


@light
@given(st.sampled_from([FLOW, POINTS["GRADE"], POINTS["COUNT"]]), lows)
def test_each_retrieval_mode_finds_its_event(point: Any, near: int) -> None:
    events = curve(point).events
    exact = min(events, key=lambda event: abs(event.ticks - near)).ticks
    for when in (near, exact):
        before = [event for event in events if event.ticks < when][-1:]
        at = [event for event in events if event.ticks == when][-1:]
        after = [event for event in events if event.ticks > when][:1]
        expected = {
            "Auto": at or before or after,
            "AtOrBefore": at or before,
            "Before": before,
            "AtOrAfter": at or after,
            "After": after,
            "Exact": at,
        }
        for mode, found in expected.items():
            path = f"/streams/{point.web_id()}/recordedattime"
            reply = get(path, 200 if found else 404, time=ticks.to_iso(when), retrievalMode=mode)
            if found:
                assert instant(reply["Timestamp"]) == found[0].ticks
                assert same_value(reply, found[0], point)
