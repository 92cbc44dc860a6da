"""Lists: paging links, name filters and `selectedFields`."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.plant.wildcards import has_wildcards, unescape, wildcard_pattern
from mock_server.webapi import selected_fields


def follow(api: Any, url: str) -> list[str]:
    """The names of all points, page after page along the Next links."""
    names: list[str] = []
    while url:
        page = json.loads(api.ask("GET", url).body)
        names += [item["Name"] for item in page["Items"]]
        url = page["Links"].get("Next", "").removeprefix("http://localhost")
    return names


@pytest.mark.parametrize("size", [1, 7, 32, 64, 1000])
def test_next_links_reach_every_point_once(api: Any, size: int) -> None:
    url = f"/piwebapi/dataservers/{api.data_server}/points?maxCount={size}"
    assert follow(api, url) == [point.name for point in api.plant.points]


def test_links_are_there_when_they_apply(api: Any) -> None:
    url = f"/dataservers/{api.data_server}/points?nameFilter=*&maxCount=10"
    base = f"http://localhost/piwebapi{url}"
    assert api.get(url)["Links"] == {"Next": f"{base}&startIndex=10", "Last": f"{base}&startIndex=60"}
    assert api.get(f"{url}&startIndex=25")["Links"] == {
        "First": f"{base}&startIndex=0",
        "Previous": f"{base}&startIndex=15",
        "Next": f"{base}&startIndex=35",
        "Last": f"{base}&startIndex=60",
    }
    assert set(api.get(f"{url}&startIndex=60")["Links"]) == {"First", "Previous"}
    assert api.get(f"{url}&startIndex=999")["Items"] == []


def test_page_sizes_are_checked(api: Any) -> None:
    url = f"/dataservers/{api.data_server}/points"
    for bad in ("maxCount=0", "maxCount=x", "startIndex=-1"):
        assert api.get(f"{url}?{bad}", 400)["Errors"]
    assert "maximum allowed (150000)" in api.get(f"{url}?maxCount=150001", 400)["Errors"][0]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("", 64),
        ("*", 64),
        ("north.*", 32),
        ("*.FLOW_000?.PV", 16),
        ("*.FLOW_000[13].PV", 4),
        ("*.FLOW_000[!13].PV", 12),
        ("*.FLOW_000[1-3].PV", 6),
        ("NORTH.A1.FLOW_0001.PV", 1),
        ("north.a1.flow_0001.pv", 1),
        ("NORTH.A1.FLOW_0001", 0),
        ("NORTH\\.A1\\.FLOW_0001\\.PV", 1),
        ("*FLOW\\*", 0),
        ("[", 0),
    ],
)
def test_name_filters(api: Any, pattern: str, count: int) -> None:
    page = api.get(f"/dataservers/{api.data_server}/points?nameFilter={quote(pattern)}")
    assert len(page["Items"]) == count


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("a*b", "aXYb", True),
        ("a.b", "aXb", False),
        ("a?c", "abc", True),
        ("a\\*c", "a*c", True),
        ("a\\*c", "abc", False),
        ("[!a]x", "ax", False),
        ("[a^]x", "^x", True),
        ("[\\d]x", "1x", False),
        ("(x", "(X", True),
        ("a\\", "a\\", True),
    ],
)
def test_wildcards(pattern: str, name: str, matches: bool) -> None:
    assert bool(wildcard_pattern(pattern).match(name)) is matches


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_filter_compiles_and_an_escaped_name_matches_only_itself(pattern: str, name: str) -> None:
    wildcard_pattern(pattern).match(name)
    escaped = re.sub(r"([*?\[\]\\])", r"\\\1", name)
    assert not has_wildcards(escaped)
    assert unescape(escaped) == name
    assert wildcard_pattern(escaped).match(name)


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        ("", {"A": {"B": 1, "C": [{"D": 2, "E": 3}]}, "F": []}),
        ("a.b", {"A": {"B": 1}}),
        ("A.C.D;F", {"A": {"C": [{"D": 2}]}, "F": []}),
        ("A;A.B", {"A": {"B": 1, "C": [{"D": 2, "E": 3}]}}),
        (" A.B ; ; Unknown", {"A": {"B": 1}}),
        ("A.B.X", {}),
        ("F.X", {"F": []}),
        ("Unknown", {}),
    ],
)
def test_selected_fields_thin_out_a_reply(chosen: str, kept: Any) -> None:
    value = {"A": {"B": 1, "C": [{"D": 2, "E": 3}]}, "F": []}
    assert selected_fields.prune(value, selected_fields.parse(chosen)) == kept


FIELD_NAMES = [
    "Links",
    "UnitsAbbreviation",
    "Items",
    "Items.Timestamp",
    "items.value",
    "Items.Value.Name",
    "Items.Good",
    "Items.Annotated",
    "Items.UnitsAbbreviation",
    "Items.Unknown",
    "Unknown",
]


@settings(max_examples=80, deadline=None, database=None)
@given(st.lists(st.sampled_from(FIELD_NAMES), max_size=4), st.sampled_from(["FLOW", "VALVE", "BATCH"]))
def test_streams_keep_what_thinning_the_whole_reply_would_keep(chosen: list[str], sensor: str) -> None:
    url = f"/streams/{API.point(sensor).id}/recorded?startTime=*-1d&maxCount=40"
    check_thinned(url, chosen)
    check_thinned(url.replace("*-1d", "2019-01-01&endTime=2019-01-02"), chosen)


@settings(max_examples=80, deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from(
            [f"Items.{name}" for name in FIELD_NAMES]
            + ["Items.WebId", "Items.Links", "Items.Links.Source", "Items.Name", "Links"]
            + ["Items.Value", "Items.Value.Value", "Items.Value.Timestamp", "Items.Value.Value.Name"]
        ),
        max_size=4,
    ),
    st.sampled_from(["recorded", "value", "end"]),
)
def test_stream_sets_keep_what_thinning_the_whole_reply_would_keep(chosen: list[str], what: str) -> None:
    query = "&".join(f"webId={API.point(sensor).id}" for sensor in ("FLOW", "VALVE"))
    check_thinned(f"/streamsets/{what}?startTime=*-10m&{query}", chosen)


@settings(max_examples=50, deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from(["Timestamp", "Value", "Value.Name", "Good", "UnitsAbbreviation", "X"]), max_size=3
    )
)
def test_single_values_keep_what_thinning_the_whole_reply_would_keep(chosen: list[str]) -> None:
    check_thinned(f"/streams/{API.point('FLOW').id}/value?x=", chosen)
    check_thinned(f"/streams/{API.point('VALVE').id}/end?x=", chosen)


def check_thinned(url: str, chosen: list[str]) -> None:
    text = ";".join(chosen)
    expected = selected_fields.prune(API.get(url), selected_fields.parse(text))
    assert API.get(f"{url}&selectedFields={quote(text)}") == expected


@pytest.fixture(autouse=True, scope="module")
def _api(api: Any) -> None:
    """Hypothesis tests ask the shared client without going through fixtures."""
    global API  # noqa: PLW0603 - set once per module
    API = api


API: Any = None


def test_an_empty_list_stays_when_only_fields_of_its_items_are_selected(api: Any) -> None:
    """Clients index `Items` without asking: kukur and tagreader those of a stream's events."""
    empty = "startTime=2019-01-01&endTime=2019-01-02"
    flow = api.point("FLOW").id
    chosen = "selectedFields=Items.Timestamp;Items.Value"
    parts = "selectedFields=Items.Value.Name"
    for url in (
        f"/streams/{flow}/recorded?{empty}&{chosen}",
        f"/streams/{flow}/recorded?{empty}&{parts}",
        f"/streams/{flow}/plot?{empty}&{chosen}",
        f"/streams/{flow}/recorded?{empty}&associations=Annotations&{chosen}",
        f"/dataservers/{api.data_server}/points?nameFilter=NOTHING*&selectedFields=Items.WebId",
        f"/points/search?dataServerWebId={api.data_server}&query=NOTHING*&selectedFields=Items.WebId",
    ):
        assert api.get(url) == {"Items": []}, url
    sets = f"/streamsets/recorded?webId={flow}&{empty}"
    nested = "selectedFields=Items.WebId;Items.Items.Timestamp"
    assert api.get(f"{sets}&{nested}") == {"Items": [{"WebId": flow, "Items": []}]}
    assert api.get(f"{sets}&selectedFields=Items.Items.Value.Name") == {"Items": [{"Items": []}]}
    resource = f"http://h/piwebapi/streams/{flow}/recorded?{empty}&{chosen}"
    member = api.batch({"a": {"Method": "GET", "Resource": resource}})["a"]
    assert (member["Status"], member["Content"]) == (200, {"Items": []})


def test_what_is_unknown_of_items_that_are_there_leaves_nothing(api: Any) -> None:
    flow = api.point("FLOW").id
    url = f"/dataservers/{api.data_server}/points?selectedFields=Items"
    assert api.get(f"/streams/{flow}/recorded?selectedFields=Items.Unknown") == {}
    assert api.get(f"{url}.Unknown") == {}
    assert len(api.get(f"{url}.Unknown;Items.Name")["Items"]) == 64
