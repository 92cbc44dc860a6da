"""What all time-series calls have in common: chosen fields, kinds of WebID, order, zones, limits, other streams."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from mock_server.plant import webid
from mock_server.webapi import call, selected_fields
from mock_server.webapi.time_zones import _WINDOWS, zone_named

STREAM = {
    "interpolated": "startTime=*-3h",
    "interpolatedattimes": "time=*-1h&time=*-2h",
    "plot": "startTime=*-3h&intervals=2",
    "recorded": "startTime=*-10m&associations=Annotations",
    "recordedattime": "time=*-1h",
    "recordedattimes": "time=*-1h&time=2019-01-01&retrievalMode=AtOrBefore",
    "summary": "startTime=*-3h&summaryType=Average&summaryType=Maximum&summaryDuration=1h",
}
CHOICES = [
    "Items.Timestamp;Items.Value",
    "items.good;Items.Value.Value;Links",
    "Items.Value.Timestamp;Items.Type",
    "Items.Errors;Items.UnitsAbbreviation",
    "Timestamp;Good",
    "UnitsAbbreviation;Nothing",
]


@pytest.mark.parametrize("chosen", CHOICES)
@pytest.mark.parametrize("what", STREAM)
def test_chosen_fields_are_what_thinning_the_whole_reply_leaves(api: Any, what: str, chosen: str) -> None:
    url = f"/streams/{api.point('FLOW').id}/{what}?{STREAM[what]}"
    expected = selected_fields.prune(api.get(url), selected_fields.parse(chosen))
    assert api.get(f"{url}&selectedFields={quote(chosen)}") == expected
    set_url = f"/streamsets/{what}?webId={api.point('FLOW').id}&webId={api.point('LEVEL').id}&{STREAM[what]}"
    nested = ";".join(["Items.Name", *(f"Items.{path}" for path in chosen.split(";"))])
    expected = selected_fields.prune(api.get(set_url), selected_fields.parse(nested))
    assert api.get(f"{set_url}&selectedFields={quote(nested)}") == expected


@pytest.mark.parametrize("what", [*STREAM, "value", "end"])
def test_stream_sets_show_the_kind_of_web_id_and_the_order_asked_for(api: Any, what: str) -> None:
    points = [api.point(name) for name in ("FLOW", "PRES", "LEVEL")]
    query = "&".join(f"webId={point.id}" for point in points) + f"&{STREAM.get(what, '')}"
    items = api.get(f"/streamsets/{what}?{query}&webIdType=IDOnly")["Items"]
    assert [item["WebId"] for item in items] == [each.point.web_id("IDOnly") for each in points]
    assert all(item["Links"]["Source"].endswith(f"/points/{item['WebId']}") for item in items)
    names = [item["Name"] for item in api.get(f"/streamsets/{what}?{query}&sortField=name")["Items"]]
    assert names == sorted(point.name for point in points)
    if not what.endswith("attimes"):  # there `sortOrder` is that of the times
        backwards = api.get(f"/streamsets/{what}?{query}&sortField=Name&sortOrder=descending")["Items"]
        assert [item["Name"] for item in backwards] == names[::-1]
    assert "Errors" in api.get(f"/streamsets/{what}?{query}&sortField=Path", 400)
    assert "Errors" in api.get(f"/streamsets/{what}?{query}&webIdType=Short", 400)


LIMITS = {
    "interpolated": ("startTime=*-11m&interval=1m", "interval"),
    "interpolatedattimes": ("&".join(["time=*"] * 11), "time"),
    "recordedattimes": ("&".join(["time=*"] * 11), "time"),
    "plot": ("intervals=11", "intervals"),
    "recorded": ("maxCount=11", "maxCount"),
    "summary": ("startTime=*-11m&summaryDuration=1m", "summaryDuration"),
}


@pytest.mark.parametrize("what", LIMITS)
def test_no_call_returns_more_than_the_maximum(make_client: Any, what: str) -> None:
    client, (query, name) = make_client(max_items=10), LIMITS[what]
    flow = client.point("FLOW").id
    text = f"Parameter '{name}' is greater than the maximum allowed (10)."
    assert client.get(f"/streams/{flow}/{what}?{query}", 400) == {"Errors": [text]}
    assert client.get(f"/streamsets/{what}?webId={flow}&{query}", 400) == {"Errors": [text]}
    fewer = query.replace("11", "9").replace("&time=*" * 2, "", 1)
    assert client.get(f"/streams/{flow}/{what}?{fewer}")["Items"]
    two = f"/streamsets/{what}?webId={flow}&webId={client.point('LEVEL').id}&{fewer}"
    assert client.get(two, 400)["Errors"][0].startswith(f"Parameter '{name}' is greater")


def test_days_of_a_grid_are_those_of_the_time_zone(api: Any) -> None:
    url = f"/streams/{api.point('FLOW').id}/interpolated?startTime=2025-03-29&endTime=2025-04-01&interval=1d"
    times = [item["Timestamp"] for item in api.get(f"{url}&timeZone=Europe/Berlin")["Items"]]
    assert times == [
        "2025-03-28T23:00:00Z",
        "2025-03-29T23:00:00Z",
        "2025-03-30T22:00:00Z",
        "2025-03-31T22:00:00Z",
    ]
    assert [item["Timestamp"][11:] for item in api.get(url)["Items"]] == ["00:00:00Z"] * 4
    summary = url.replace("/interpolated", "/summary").replace("interval", "summaryDuration")
    starts = api.get(f"{summary}&timeZone=Europe/Berlin&summaryType=Count")["Items"]
    assert [item["Value"]["Timestamp"] for item in starts] == times[:3]
    assert [round(item["Value"]["Value"] / 3_600) for item in starts] == [24, 23, 24]


def test_a_zone_can_go_by_the_name_windows_gives_it(api: Any) -> None:
    url = f"/streams/{api.point('FLOW').id}/interpolatedattimes?time=2025-01-15&time=2025-06-01&timeZone="
    names = {
        "W. Europe Standard Time": ["2025-01-14T23:00:00Z", "2025-05-31T22:00:00Z"],
        "eastern standard time": ["2025-01-15T05:00:00Z", "2025-06-01T04:00:00Z"],
    }
    for name, times in names.items():
        assert [item["Timestamp"] for item in api.get(url + quote(name))["Items"]] == times
    for name in _WINDOWS:
        assert zone_named(name)
    assert "Errors" in api.get(f"{url}Moon%20Standard%20Time", 400)


def test_units_other_than_its_own_are_refused_for_a_point(api: Any) -> None:
    flow = api.point("FLOW").id
    for what, query in {**STREAM, "value": "", "end": ""}.items():
        assert "desiredUnits" in api.get(f"/streams/{flow}/{what}?desiredUnits=l/s&{query}", 400)["Errors"][0]
    assert api.get(f"/streamsets/value?webId={flow}&desiredUnits=l/s")["Items"]


@pytest.mark.parametrize(
    "query",
    [
        "interpolated?interval=often",
        "interpolated?interval=0s",
        "interpolated?syncTime=*&syncTimeBoundaryType=Interpolated",
        "interpolated?includeFilteredValues=maybe",
        "interpolatedattimes",
        "interpolatedattimes?time=whenever",
        "interpolatedattimes?time=*&sortOrder=Up",
        "recordedattime",
        "recordedattime?time=*&retrievalMode=Nearest",
        "plot?intervals=0",
        "summary?summaryType=Mode",
        "summary?calculationBasis=Weighted",
        "summary?timeType=Late",
        "summary?sampleType=Interval",
        "summary?summaryDuration=-1h",
    ],
)
def test_bad_parameters_are_refused(api: Any, query: str) -> None:
    for flow in (api.point("FLOW").id,):
        assert [*api.get(f"/streams/{flow}/{query}", 400)] == ["Errors"]
        joint = "&" if "?" in query else "?"
        assert [*api.get(f"/streamsets/{query}{joint}webId={flow}", 400)] == ["Errors"]


def test_streams_below_a_parent_are_answered_like_those_given_one_by_one(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = api.plant.points[2:5]
    parents = {webid.DATA_SERVER: lambda _call, _text: points}
    parent, query = api.data_server, "&".join(f"webId={point.web_id()}" for point in points)
    assert "Errors" in api.get(f"/streamsets/{parent}/recorded", 404)
    assert "Errors" in api.get("/streamsets/nonsense/recorded", 400)
    monkeypatch.setattr("mock_server.webapi.routes.stream_sets.PARENT_FINDERS", parents)
    for what in ("value", "end", "recorded", "interpolated", "plot", "recordedattime"):
        more = STREAM.get(what, "")
        given = api.get(f"/streamsets/{what}?{query}&{more}")
        assert api.get(f"/streamsets/{parent}/{what}?{more}") == given
        assert len(given["Items"]) == 3
    assert "Message" in api.get(f"/streamsets/{parent}/calculated", 404)


def test_other_streams_than_points_can_be_found(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = api.plant.points[0]
    monkeypatch.setitem(call.STREAM_FINDERS, webid.DATA_SERVER, lambda _call, _text: flow)
    assert api.get(f"/streams/{api.data_server}/value") == api.get(f"/streams/{flow.web_id()}/value")


def test_a_batch_can_follow_every_link_of_a_point(api: Any) -> None:
    links = api.get(f"/points/{api.point('FLOW').id}")["Links"]
    members = {name: {"Method": "GET", "Resource": url} for name, url in links.items()}
    reply = api.batch(members)
    assert {name: reply[name]["Status"] for name in links} == dict.fromkeys(links, 200)
    for name, url in links.items():
        alone = api.ask("GET", url.removeprefix("http://localhost"))
        assert reply[name]["Content"] == json.loads(alone.body)
