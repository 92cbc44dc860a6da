"""Performance equations: what they compute, what they refuse, and filters that are made of them."""

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant, Server
from mock_server.plant import ticks
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request

NOW = datetime(2025, 6, 2, 12, 0, 0, 500_000, tzinfo=timezone.utc)
PLANT = Plant(seed=3, tags=32, plants=1, history_start=NOW - timedelta(days=2))
SERVER = Server(PLANT, clock=lambda: NOW, max_items=5_000)
POINTS = {point.sensor_type: point for point in reversed(PLANT.points)}
FLOW, VALVE, GRADE, CAL = (POINTS[name] for name in ("FLOW", "VALVE", "GRADE", "CAL"))


def get(path: str, status: int = 200, **parameters: Any) -> Any:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
    response = handle(SERVER, Request("GET", f"/piwebapi{path}", query))
    assert response.status == status, response.body
    return json.loads(response.body)


def calculated(expression: str, time: str = "*") -> Any:
    """The value of an expression at a time; None where it failed."""
    item = get("/calculation/times", expression=expression, time=time)["Items"][0]
    if not item["Good"]:
        assert item["Value"] == {"Name": "Calc Failed", "Value": 249, "IsSystem": True}
        return None
    return item["Value"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("7 mod 4 + 1", 4.0),
        ("-7 mod 4", -3.0),
        ("6 / 4", 1.5),
        ("1 / 0", None),
        (".5 + 1.2e2", 120.5),
        ("1 < 2", 1),
        ("2 <= 1", 0),
        ("1 <> 2 and 3 >= 3", 1),
        ("not 1 = 1 or 0", 0),
        ("not not 5", 1),
        ("1 or 1 / 0", 1),
        ("0 and 1 / 0", 0),
        ('"Run" = "RUN"', 1),
        ('"a" < 1', None),
        ("if 1 > 2 then 10 else if 0 then 20 else 30", 30),
        ("1 + if 1 then 2 else 3 * 100", 3),
        ("3 in (1, 2, 3)", 1),
        ("4 in (1, 2, 3)", 0),
        ("2.5 in 2 .. 3", 1),
        ("5 in (1..4)", 0),
        ("Abs(-3) + Sgn(-2) + Int(2.9) + Frac(1.25)", 4.25),
        ("Round(2.5)", 3),
        ("Round(-2.5)", -3),
        ("Round(12.34, 0.1)", 12.3),
        ("Sqr(16) + Sqrt(9)", 7.0),
        ("Sqr(-1)", None),
        ("Log(0)", None),
        ("Exp(1)", math.e),
        ("Log10(1000)", 3.0),
        ("Atn2(1, 1) * 4", math.pi),
        ("Poly(2, 1, 0, 3)", 13),
        ("Avg(1, 2, 6) + Max(1, 5) - Min(4, 2)", 6.0),
        ("Median(5, 1, 3) + Total(1, 2) + Range(2, 9)", 13),
        ('Avg("text", 4)', 4.0),
        ('Max("text")', None),
        ("PStDev(2, 4) + SStDev(1, 3)", 1 + math.sqrt(2)),
        ('Concat("a", 1, "b")', "a1b"),
        ('UCase(Left("flow", 2)) ', "FL"),
        ('Right("flow", 2)', "ow"),
        ('Mid("flow", 2, 2)', "lo"),
        ('Trim("  x ")', "x"),
        ('Len("flow") + InStr("reflow", "FLOW")', 7),
        ('Float("1.5") * 2', 3.0),
        ('Float("x")', None),
        ("'*' - '*-1h'", 3600.0),
        ("Hour('t+5h') * 100 + Minute('t+7m')", 507),
        ("Year('*') + Month('*') / 100 + Day('*') / 10000", 2025.0602),
        ("Weekday('2-jun-2025') * 1000 + Yearday('2-jan-2025')", 2002),
        ("Noon('*') - Bod('*')", 43_200.0),
        ("Bonm('*') - Bom('*')", 30 * 86_400.0),
        ("DaySec('t+1h')", 3600),
        ("10 ^ 400", None),
        ("BadVal(1 / 0) + BadVal(3)", 1),
    ],
)
def test_an_expression_computes(expression: str, value: Any) -> None:
    actual = calculated(expression)
    assert actual == (pytest.approx(value) if isinstance(value, float) else value)
    assert isinstance(actual, type(value))


def test_times_are_computed_with_and_printed_as_times() -> None:
    assert calculated("'*' + 90") == "2025-06-02T12:01:30.5Z"
    assert calculated('ParseTime("t+8h")') == "2025-06-02T08:00:00Z"
    assert calculated("'*-1h'", "2025-06-01T00:00:00Z") == "2025-05-31T23:00:00Z"
    assert calculated("'*' + 1e30") is None


def newest(point: Any) -> Any:
    return get(f"/streams/{point.web_id()}/value", time="*")["Value"]


def test_names_in_quotes_are_streams_at_the_time_of_evaluation() -> None:
    name = FLOW.name
    for time in ("*", "*-17m", "2025-06-01T03:00:00.1234567Z"):
        value = get(f"/streams/{FLOW.web_id()}/value", time=time)["Value"]
        assert calculated(f"'{name}' * 1.8 + 32", time) == pytest.approx(value * 1.8 + 32)
        assert calculated(f"'\\\\PISIM01\\{name.lower()}'", time) == value
    before = get(f"/streams/{FLOW.web_id()}/value", time="*-1h")["Value"]
    assert calculated(f"'{name}' - TagVal('{name}', '*-1h')") == pytest.approx(newest(FLOW) - before)
    assert calculated(f"TagEU('{name}')") == "m3/h"


def test_states_compare_by_name_and_by_code_and_are_no_numbers() -> None:
    state = newest(VALVE)
    name = VALVE.name
    assert calculated(f"'{name}'") == state
    assert calculated(f"'{name}' = \"{state['Name'].lower()}\"") == 1
    assert calculated(f"'{name}' = {state['Value']} and StateNo('{name}') = {state['Value']}") == 1
    assert calculated(f"DigText('{name}')") == state["Name"]
    assert calculated(f"'{name}' + 1") is None
    assert calculated(f"'{GRADE.name}'") == newest(GRADE)
    assert calculated(f"'{CAL.name}'") == newest(CAL)
    assert calculated(f"'{CAL.name}' < '*'") == 1


def test_a_system_state_is_no_reading() -> None:
    created = ticks.to_iso(FLOW.created_ticks)
    item = get("/calculation/times", expression=f"'{FLOW.name}'", time=created)["Items"][0]
    assert (item["Value"]["Name"], item["Good"]) == ("Pt Created", False)
    assert calculated(f"'{FLOW.name}' > 0", created) is None
    assert calculated(f"BadVal('{FLOW.name}')", created) == 1
    assert calculated(f"if BadVal('{FLOW.name}') then -1 else '{FLOW.name}'", created) == -1


def test_functions_of_ranges_are_summaries_and_neighbours_are_events() -> None:
    name, web_id = FLOW.name, FLOW.web_id()
    window = {"startTime": "*-1h", "endTime": "*"}
    figures = {"TagAvg": "Average", "TagMax": "Maximum", "TagMin": "Minimum", "TagTot": "Total"}
    for function, kind in figures.items():
        item = get(f"/streams/{web_id}/summary", summaryType=kind, **window)["Items"][0]["Value"]
        assert calculated(f"{function}('{name}', '*-1h', '*')") == pytest.approx(item["Value"])
        assert calculated(f"{function}('{name}', '-1h', '*')") == pytest.approx(item["Value"])
        assert calculated(f"{function}('{name}', '*-1h', '+1h')") == pytest.approx(item["Value"])
    earlier = get(f"/streams/{web_id}/summary", summaryType="Average", startTime="*-3h", endTime="*-2h")
    average = calculated(f"TagAvg('{name}', '*-3h', '+1h')")
    assert average == pytest.approx(earlier["Items"][0]["Value"]["Value"])
    assert calculated(f"TagAvg('{name}', '*-1h', '*', 101)") is None
    events = get(f"/streams/{web_id}/recorded", **window)["Items"]
    assert calculated(f"EventCount('{name}', '*-1h', '*')") == sum(item["Good"] for item in events)
    last = get(f"/streams/{web_id}/recordedattime", time="*-1h", retrievalMode="Before")
    assert calculated(f"PrevVal('{name}', '*-1h')") == last["Value"]
    assert calculated(f"PrevEvent('{name}', '*-1h')") == last["Timestamp"]
    assert calculated(f"NextEvent('{name}', '*-1h')") == events[0]["Timestamp"]
    assert calculated(f"NextVal('{name}', '*')") is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Frobnicate(1)", "the function 'frobnicate' is unknown"),
        ("Sqr()", "'sqr' does not take 0 arguments"),
        ("Sqr(1, 2)", "'sqr' does not take 2 arguments"),
        ("TagAvg(1, '*-1h', '*')", "must name a stream"),
        ("'NO.SUCH.TAG' + 1", "'NO.SUCH.TAG' is neither a stream nor a time"),
        ("1 +", "'the end' was not expected"),
        ("(1", "')' was expected"),
        ("1 2", "'2' was not expected"),
        ("if 1 then 2", "'else' was expected"),
        ("tag > 1", "'tag' is neither in quotes nor a function"),
        ("1 $ 2", "could not be read"),
        ("'open", "could not be read"),
        ("(" * 60 + "1" + ")" * 60, "nested too deeply"),
        ("+".join(["1"] * 400), "too many operators"),
        ("2" + "^2" * 400, "nested too deeply"),
        ("1" * 11_000, "longer than"),
        ("1e999", "too large"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(expression: str, reason: str) -> None:
    assert reason in get("/calculation/times", 400, expression=expression, time="*")["Errors"][0]
    filtered = get(f"/streams/{FLOW.web_id()}/recorded", 400, filterExpression=expression)
    assert reason in filtered["Errors"][0]


def test_intervals_recorded_and_summary_agree_with_the_streams() -> None:
    expression, window = f"'{FLOW.name}' * 2", {"startTime": "*-30m", "endTime": "*"}
    items = get("/calculation/intervals", expression=expression, sampleInterval="10m", **window)["Items"]
    values = get(f"/streams/{FLOW.web_id()}/interpolated", interval="10m", **window)["Items"]
    assert [item["Timestamp"] for item in items] == [item["Timestamp"] for item in values]
    assert [item["Value"] for item in items] == [item["Value"] * 2 for item in values]
    both = f"'{FLOW.name}' + StateNo('{VALVE.name}')"
    found = get("/calculation/recorded", expression=both, **window)["Items"]
    events = [get(f"/streams/{each.web_id()}/recorded", **window)["Items"] for each in (FLOW, VALVE)]
    times = {item["Timestamp"] for part in events for item in part}
    assert {item["Timestamp"] for item in found} == times
    assert len(found) == len(times)
    backwards = get("/calculation/recorded", expression=both, startTime="*", endTime="*-30m")["Items"]
    assert backwards == found[::-1]
    doubled, single = (
        get(path, summaryType="Average", **window, **extra)["Items"][0]["Value"]["Value"]
        for path, extra in (
            ("/calculation/summary", {"expression": expression}),
            (f"/streams/{FLOW.web_id()}/summary", {}),
        )
    )
    assert doubled == pytest.approx(2 * single, rel=1e-3), "twin events on one time may differ a little"
    sampled = get(
        "/calculation/summary",
        expression="Minute('*')",
        startTime="2025-06-02T10:00:00Z",
        endTime="2025-06-02T11:00:00Z",
        sampleType="Interval",
        sampleInterval="1m",
        summaryType="Maximum",
    )
    assert sampled["Items"][0]["Value"]["Value"] == 59.0


def test_calculations_check_their_parameters() -> None:
    server = PLANT.catalog.server.web_id()
    assert get("/calculation/times", expression="1", time="*", webId=server)["Items"][0]["Value"] == 1
    assert "Errors" in get("/calculation/times", 404, expression="1", time="*", webId=FLOW.web_id())
    assert "'expression'" in get("/calculation/intervals", 400)["Errors"][0]
    assert "'time'" in get("/calculation/times", 400, expression="1")["Errors"][0]
    refused = get("/calculation/intervals", 400, expression="1", startTime="*-1d", sampleInterval="1s")
    assert "'sampleInterval' is greater than the maximum allowed (5000)" in refused["Errors"][0]


@settings(max_examples=10, deadline=None, database=None)
@given(st.integers(100, 250), st.sampled_from([">", "<", ">="]), st.integers(1, 60), st.booleans())
def test_a_filter_keeps_what_satisfies_it(limit: int, symbol: str, count: int, backwards: bool) -> None:
    url = f"/streams/{FLOW.web_id()}/recorded"
    window = {"startTime": "*-1h", "endTime": "*"}
    if backwards:
        window = {"startTime": "*", "endTime": "*-1h"}
    everything = get(url, maxCount=5_000, **window)["Items"]
    compare = {">": lambda x: x > limit, "<": lambda x: x < limit, ">=": lambda x: x >= limit}[symbol]
    wanted = [item for item in everything if isinstance(item["Value"], float) and compare(item["Value"])]
    text = f"'.' {symbol} {limit}"
    assert get(url, filterExpression=text, maxCount=5_000, **window)["Items"] == wanted
    assert get(url, filterExpression=text, maxCount=count, **window)["Items"] == wanted[:count]
    shown = get(url, filterExpression=text, maxCount=5_000, includeFilteredValues="true", **window)["Items"]
    assert [item["Timestamp"] for item in shown] == [item["Timestamp"] for item in everything]
    hidden = [item for item, before in zip(shown, everything, strict=True) if before not in wanted]
    assert all(item["Value"] == {"Name": "Filtered", "Value": 244, "IsSystem": True} for item in hidden)
    assert not any(item["Good"] for item in hidden)


def test_a_filter_tells_events_on_one_timestamp_apart_and_can_ask_for_flags() -> None:
    url = f"/streams/{FLOW.web_id()}/recorded"
    everything = get(url, maxCount=5_000, startTime="*-12h")["Items"]
    for letter, flag in (("a", "Annotated"), ("q", "Questionable"), ("s", "Substituted")):
        found = get(url, maxCount=5_000, startTime="*-12h", filterExpression=f"IsSet('.', \"{letter}\")")
        wanted = [item for item in everything if item[flag]]
        assert found["Items"] == wanted != []
        first = get(url, maxCount=9, startTime="*-12h", filterExpression=f"IsSet('.', \"{letter}\")")
        assert first["Items"] == wanted[:9], "rare events are searched for beyond the first read"
    bad = get(url, maxCount=5_000, startTime="*-12h", filterExpression="BadVal('.')")["Items"]
    assert bad == [item for item in everything if not item["Good"]] != []


def test_filters_apply_to_interpolated_values_and_to_summaries() -> None:
    web_id = FLOW.web_id()
    middle = sorted(
        item["Value"]
        for item in get(f"/streams/{web_id}/interpolated", startTime="*-2h", interval="1m")["Items"]
        if item["Good"]
    )[60]
    text = f"'.' > {middle}"
    url = f"/streams/{web_id}/interpolated"
    everything = get(url, startTime="*-2h", interval="1m")["Items"]
    kept = get(url, startTime="*-2h", interval="1m", filterExpression=text)["Items"]
    assert kept == [item for item in everything if item["Good"] and item["Value"] > middle]
    assert 0 < len(kept) < len(everything)
    events = get(f"/streams/{web_id}/recorded", startTime="*-2h", filterExpression=text)["Items"]
    summary = f"/streams/{web_id}/summary"
    least, count = (
        get(
            summary,
            startTime="*-2h",
            filterExpression=text,
            summaryType=kind,
            calculationBasis="EventWeighted",
        )
        for kind in ("Minimum", "Count")
    )
    assert least["Items"][0]["Value"]["Value"] == min(item["Value"] for item in events)
    assert count["Items"][0]["Value"]["Value"] == len(events)
    seconds = get(summary, startTime="*-2h", filterExpression=text, summaryType="Count")["Items"][0]["Value"]
    whole = get(f"/streams/{web_id}/recorded", startTime="*-2h", boundaryType="Interpolated", maxCount=5_000)
    expected = sum(
        (_instant(after) - _instant(here)) / ticks.PER_SECOND
        for here, after in zip(whole["Items"], whole["Items"][1:], strict=False)
        if here["Good"] and here["Value"] > middle
    )
    assert seconds["Value"] == pytest.approx(expected)


def test_a_filter_sampled_at_intervals_holds_until_the_next_sample() -> None:
    parameters = {
        "startTime": "2025-06-02T10:00:00Z",
        "endTime": "2025-06-02T11:00:00Z",
        "filterExpression": "Minute('*') < 30",
        "summaryType": "Count",
        "sampleType": "Interval",
    }
    url = f"/streams/{FLOW.web_id()}/summary"
    whole = get(url, startTime="2025-06-02T10:00:00Z", endTime="2025-06-02T10:30:00Z", summaryType="Count")
    half = get(url, sampleInterval="10m", **parameters)["Items"][0]["Value"]["Value"]
    assert half == pytest.approx(whole["Items"][0]["Value"]["Value"])
    first = get(url, startTime="2025-06-02T10:00:00Z", endTime="2025-06-02T10:40:00Z", summaryType="Count")
    longer = get(url, sampleInterval="20m", **parameters)["Items"][0]["Value"]["Value"]
    assert longer == pytest.approx(first["Items"][0]["Value"]["Value"]), "samples at 0 and 20 hold until 40"
    assert "sampleInterval" in get(url, 400, **parameters)["Errors"][0]


def _instant(item: Any) -> int:
    from mock_server.plant import pitime

    return pitime.parse(item["Timestamp"], 0, timezone.utc)


def test_events_at_one_time_count_for_the_limit() -> None:
    """An answer at the times of events is whole or refused, however many of them are at one time."""
    window = {"startTime": "*-6h", "endTime": "*"}
    events = get(f"/streams/{FLOW.web_id()}/recorded", maxCount=5_000, **window)["Items"]
    times = {item["Timestamp"] for item in events}
    assert len(times) < len(events) < 5_000
    SERVER.max_items = len(times)
    try:
        refused = get("/calculation/recorded", 400, expression=f"'{FLOW.name}'", **window)
    finally:
        SERVER.max_items = 5_000
    assert refused["Errors"] == [f"Parameter 'endTime' is greater than the maximum allowed ({len(times)})."]
    found = get("/calculation/recorded", expression=f"'{FLOW.name}'", **window)["Items"]
    assert {item["Timestamp"] for item in found} == times
