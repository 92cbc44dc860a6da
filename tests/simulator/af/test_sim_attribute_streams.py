"""Streams of attributes: the points' values under the attributes' names, in the unit asked for."""

from typing import Any
from urllib.parse import quote

import pytest

from mock_server.webapi.af.attribute_streams import scale_of
from mock_server.webapi.messages import ApiError

POINT = "\\\\PISIM01\\NORTH.A1.TEMP_0001.PV"
REACTOR = "\\\\AFSIM01\\Production\\Enterprise\\NORTH\\A1\\Unit 0001\\R-0001"


def attribute(api: Any, name: str, element: str = REACTOR) -> Any:
    return api.get(f"/attributes?path={quote(f'{element}|{name}')}")


@pytest.fixture(scope="module")
def point(api: Any) -> str:
    return str(api.get(f"/points?path={quote(POINT)}")["WebId"])


@pytest.mark.parametrize(
    "query",
    [
        "recorded?startTime=*-2h",
        "recorded?startTime=*&endTime=*-2h&maxCount=5&selectedFields=Items.Timestamp;Items.Value",
        "recorded?boundaryType=Interpolated&startTime=*-1h&selectedFields=Items.Good",
        "value",
        "value?time=*-3h&selectedFields=Value",
        "end",
        "recorded?startTime=2019-01-01&endTime=2019-01-02",
    ],
)
def test_a_stream_of_an_attribute_is_that_of_its_point(api: Any, point: str, query: str) -> None:
    web_id = attribute(api, "Temperature")["WebId"]
    assert api.get(f"/streams/{web_id}/{query}") == api.get(f"/streams/{point}/{query}")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("°C", lambda celsius: celsius),
        ("degree Fahrenheit", lambda celsius: celsius * 9 / 5 + 32),
        ("K", lambda celsius: celsius + 273.15),
    ],
)
def test_desired_units_convert_numbers_and_nothing_else(api: Any, unit: str, expected: Any) -> None:
    web_id = attribute(api, "Temperature")["WebId"]
    url = f"/streams/{web_id}/recorded?startTime=*-1d&maxCount=10000"
    plain, converted = api.get(url), api.get(f"{url}&desiredUnits={quote(unit)}")
    states = 0
    for one, other in zip(plain["Items"], converted["Items"], strict=True):
        assert one["Timestamp"] == other["Timestamp"]
        if isinstance(one["Value"], dict):
            assert one["Value"] == other["Value"]
            states += 1
        else:
            assert other["Value"] == pytest.approx(expected(one["Value"]), rel=1e-12)
            assert other["UnitsAbbreviation"] == {"degree Fahrenheit": "°F"}.get(unit, unit)
    assert states > 0
    assert converted["UnitsAbbreviation"] == {"degree Fahrenheit": "°F"}.get(unit, unit)


def test_units_that_do_not_fit_are_refused(api: Any, point: str) -> None:
    web_id = attribute(api, "Temperature")["WebId"]
    assert "bar" in api.get(f"/streams/{web_id}/value?desiredUnits=bar", 409)["Errors"][0]
    assert "furlong" in api.get(f"/streams/{web_id}/value?desiredUnits=furlong", 400)["Errors"][0]
    assert api.get(f"/streams/{attribute(api, 'Manufacturer')['WebId']}/value?desiredUnits=bar", 409)[
        "Errors"
    ]
    assert api.get(f"/streams/{point}/value?desiredUnits=K", 400)["Errors"]


def test_a_formula_computes_from_its_parent(api: Any) -> None:
    celsius, fahrenheit = attribute(api, "Temperature"), attribute(api, "Temperature|Fahrenheit")
    assert (fahrenheit["DataReferencePlugIn"], fahrenheit["DefaultUnitsNameAbbreviation"]) == (
        "Formula",
        "°F",
    )
    one, other = (
        api.get(f"/streams/{each['WebId']}/recorded?startTime=*-1h") for each in (celsius, fahrenheit)
    )
    assert len(one["Items"]) > 100
    for before, after in zip(one["Items"], other["Items"], strict=True):
        if not isinstance(before["Value"], dict):
            assert after["Value"] == pytest.approx(before["Value"] * 1.8 + 32.0, rel=1e-12)
            assert after["UnitsAbbreviation"] == "°F"
    back = api.get(f"/streams/{fahrenheit['WebId']}/value?desiredUnits=K")["Value"]
    assert back == pytest.approx(
        api.get(f"/streams/{celsius['WebId']}/value?desiredUnits=K")["Value"], rel=1e-9
    )


def test_static_attributes_have_a_value_and_no_history(api: Any) -> None:
    found = attribute(api, "Criticality")
    value = api.get(f"/attributes/{found['WebId']}/value")
    assert value == api.get(f"/streams/{found['WebId']}/value")
    assert list(value["Value"]) == ["Name", "Value", "IsSystem"]
    assert value["Timestamp"] == "1970-01-01T00:00:00Z"
    for method in ("recorded", "end", "plot", "summary", "interpolated?interval=1h"):
        assert found["Name"] in api.get(f"/streams/{found['WebId']}/{method}", 409)["Errors"][0]
    number = api.get(f"/attributes/{attribute(api, 'Asset Number')['WebId']}/value")["Value"]
    assert number in (9_007_199_254_740_993, 42, 70_001)
    assert isinstance(api.get(f"/attributes/{attribute(api, 'Curve')['WebId']}/value")["Value"], list)
    limit = api.get(f"/attributes/{attribute(api, 'Temperature|High Limit')['WebId']}/value")
    assert (limit["Value"], limit["UnitsAbbreviation"]) == (178.0, "°C")
    assert api.get(f"/attributes/{attribute(api, 'Temperature')['WebId']}/value", 409)["Errors"]


def test_a_type_that_cannot_be_shown_is_a_501(api: Any) -> None:
    found = attribute(api, "Drawing")
    assert found["Type"] == "Unsupported"
    for url in (f"/attributes/{found['WebId']}/value", f"/streams/{found['WebId']}/value"):
        assert found["Name"] in api.get(url, 501)["Errors"][0]


def test_the_stream_set_of_an_element_is_that_of_its_attributes(api: Any) -> None:
    element = api.get(f"/elements?path={quote(REACTOR)}")["WebId"]
    listed = api.get(f"/elements/{element}/attributes")["Items"]
    values = {item["WebId"]: item for item in api.get(f"/streamsets/{element}/value")["Items"]}
    assert values.keys() == {item["WebId"] for item in listed}
    for item in listed:
        found = values[item["WebId"]]
        assert (found["Name"], found["Path"]) == (item["Name"], item["Path"])
        assert found["Links"]["Source"] == item["Links"]["Self"]
        assert found["Value"] == api.get(f"/streams/{item['WebId']}/value")
    recorded = api.get(f"/streamsets/{element}/recorded?startTime=*-1h&searchFullHierarchy=true")["Items"]
    names = [item["Name"] for item in recorded]
    assert names == ["Level", "Temperature", "Fahrenheit", "Pressure", "Batch"]
    for item in recorded:
        alone = api.get(f"/streams/{item['WebId']}/recorded?startTime=*-1h")
        assert (item["Items"], item["UnitsAbbreviation"]) == (alone["Items"], alone["UnitsAbbreviation"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("nameFilter=T*", ["Temperature"]),
        ("nameFilter=T*&searchFullHierarchy=true&categoryName=Limits", []),
        ("categoryName=Limits&searchFullHierarchy=true", ["High Limit", "Low Limit"] * 2),
        ("nameFilter=F*&showExcluded=true", ["Former Tag"]),
        ("nameFilter=[AD]*&showHidden=true", ["Design Capacity", "Asset Number", "Drawing"]),
        ("sortField=Name&sortOrder=Descending&categoryName=Process", ["Temperature", "Pressure", "Level"]),
        ("templateName=Equipment&nameFilter=C*", ["Commissioned", "Criticality", "Curve"]),
    ],
)
def test_stream_sets_by_parent_can_be_narrowed(api: Any, query: str, names: list[str]) -> None:
    element = api.get(f"/elements?path={quote(REACTOR)}")["WebId"]
    items = api.get(f"/streamsets/{element}/value?{query}")["Items"]
    assert [item["Name"] for item in items] == names
    if "Drawing" in names:
        assert items[-1]["Value"]["Errors"][0]["FieldName"] == "Value"
        assert items[-1]["Value"]["Good"] is False


def test_a_stream_set_of_an_attribute_is_that_of_its_children(api: Any) -> None:
    items = api.get(f"/streamsets/{attribute(api, 'Temperature')['WebId']}/value")["Items"]
    assert [item["Name"] for item in items] == ["High Limit", "Low Limit", "Fahrenheit"]


@pytest.mark.parametrize("kind", ["Full", "IDOnly", "PathOnly", "LocalIDOnly", "DefaultIDOnly"])
def test_points_and_attributes_mix_in_one_stream_set(api: Any, point: str, kind: str) -> None:
    temperature, static = attribute(api, "Temperature"), attribute(api, "Curve")
    ids = [static["WebId"], point, temperature["WebId"], attribute(api, "Temperature|Fahrenheit")["WebId"]]
    query = "&".join(f"webId={each}" for each in ids)
    items = api.get(f"/streamsets/recorded?startTime=*-1h&webIdType={kind}&{query}")["Items"]
    assert [item["Name"] for item in items] == ["Curve", "NORTH.A1.TEMP_0001.PV", "Temperature", "Fahrenheit"]
    assert items[1]["Items"] == items[2]["Items"] != items[3]["Items"]
    assert len(items[3]["Items"]) == len(items[2]["Items"]) > 100
    assert items[0]["Items"][0]["Errors"][0]["Message"]
    for item in items[::2]:
        assert api.get(f"/attributes/{item['WebId']}?webIdType={kind}")["WebId"] == item["WebId"]
    thin = api.get(f"/streamsets/value?selectedFields=Items.Name&{query}")
    assert thin == {"Items": [{"Name": item["Name"]} for item in items]}
    assert api.get(f"/streamsets/value?{query}&webId=F1AbEnonsense", 400)["Errors"]


def test_figures_of_a_summary_convert_by_what_they_are(api: Any) -> None:
    found = api.plant.assets.find_attribute(None, f"{REACTOR}|Temperature".removeprefix("\\\\").upper())
    to_fahrenheit, to_celsius = scale_of(found, "°F"), scale_of(found, "°C")

    def figure(kind: str, value: Any) -> dict[str, Any]:
        timed = {"Timestamp": "2025-06-02T11:00:00Z", "Value": value, "UnitsAbbreviation": "°C", "Good": True}
        return {"Type": kind, "Value": timed}

    for kind, converted in (
        ("Average", 50.0),
        ("Range", 18.0),
        ("StdDev", 18.0),
        ("Count", 10),
        ("PercentGood", 10),
    ):
        (item,) = to_fahrenheit.apply({"Items": [figure(kind, 10)]})["Items"]
        assert item["Value"]["Value"] == pytest.approx(converted)
        assert item["Type"] == kind
    state = figure("Average", {"Name": "No Data", "Value": 248, "IsSystem": True})
    assert to_fahrenheit.apply(state)["Value"]["Value"] == state["Value"]["Value"]
    assert to_celsius.apply(figure("Total", 10))["Value"]["Value"] == 10
    with pytest.raises(ApiError) as refused:
        to_fahrenheit.apply(figure("Total", 10))
    assert refused.value.response.status == 409


def test_batch_reaches_attributes_through_their_links(api: Any) -> None:
    members = {
        "el": {"Method": "GET", "Resource": f"http://localhost/piwebapi/elements?path={quote(REACTOR)}"},
        "at": {
            "Method": "GET",
            "Resource": "{0}?categoryName=Process",
            "Parameters": ["$.el.Content.Links.Attributes"],
            "ParentIds": ["el"],
        },
        "v": {
            "Method": "GET",
            "RequestTemplate": {"Resource": "{0}"},
            "Parameters": ["$.at.Content.Items[*].Links.Value"],
            "ParentIds": ["at"],
        },
    }
    reply = api.batch(members)["v"]
    assert [item["Status"] for item in reply["Content"]["Items"]] == [200] * 3
