"""Replies have the shapes of the reference: its own examples, compared key by key."""

import itertools
import json
from typing import Any
from urllib.parse import quote

import pytest

SERVER = """{"WebId":"F1DS","Id":"0f8fad5b-d9cb-469f-a165-70867728950e","Name":"PISRV01","Path":"P","IsConnected":true,
 "ServerVersion":"3.4.440.477","ServerTime":"2024-05-01T06:00:00.1234567Z",
 "Links":{"Self":"","Points":"","EnumerationSets":""}}"""
POINT = """{"WebId":"F1DP","Id":42,"Name":"FIC101.PV","Path":"P","Descriptor":"Feed flow","PointClass":"classic",
 "PointType":"Float32","DigitalSetName":"","EngineeringUnits":"m3/h","Span":200.0,"Zero":50.0,"Step":false,
 "Future":false,"DisplayDigits":-5,"Links":{"Self":"","DataServer":"","Attributes":"","InterpolatedData":"",
 "RecordedData":"","PlotData":"","SummaryData":"","Value":"","EndValue":""}}"""
NUMBER = """{"Timestamp":"2024-05-01T06:00:00.1234567Z","Value":12.5,"UnitsAbbreviation":"m3/h","Good":true,
 "Questionable":false,"Substituted":false,"Annotated":false}"""
STATE = """{"Timestamp":"2024-05-01T06:00:00Z","Value":{"Name":"Pt Created","Value":253,"IsSystem":true},
 "UnitsAbbreviation":"","Good":false,"Questionable":false,"Substituted":false,"Annotated":false}"""
RECORDED = f'{{"Links":{{}},"Items":[{NUMBER}],"UnitsAbbreviation":"m3/h"}}'
STREAM = f'{{"WebId":"F1DP","Name":"N","Path":"P","Links":{{"Source":""}},"Items":[{NUMBER}],"UnitsAbbreviation":""}}'
STREAM_VALUE = f'{{"WebId":"F1DP","Name":"N","Path":"P","Links":{{"Source":""}},"Value":{NUMBER}}}'
ENUM_SET = '{"WebId":"","Id":"","Name":"","Description":"","Path":"","Links":{"Self":"","DataServer":"","Values":""}}'
ENUM_VALUE = '{"WebId":"","Id":"","Name":"STOP","Description":"","Value":0,"Path":"","Links":{"Self":"","EnumerationSet":""}}'
CREATED = "startTime=2020-01-01T00:00:00Z&endTime=2020-01-01T00:00:00Z"


def assert_shape(actual: Any, golden: str) -> None:
    """Same keys in the same order and values of the same JSON types as the example."""
    assert shape(actual) == shape(json.loads(golden))


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_home_and_system_have_the_documented_members(api: Any) -> None:
    assert set(api.get("")["Links"]) == {"Self", "AssetServers", "DataServers", "System"}
    assert api.get("/") == api.get("")
    assert {"ProductTitle", "ProductVersion", "Links"} == set(api.get("/system"))


def test_data_server_list_and_single_server(api: Any) -> None:
    listed = api.get("/dataservers")
    assert set(listed) == {"Links", "Items"}
    assert_shape(listed["Items"][0], SERVER)
    name = listed["Items"][0]["Name"]
    path = quote(f"\\\\PIServers[{name}]")
    for url in (f"?name={name.lower()}", f"?path={path}", f"?path=%5C%5C{name}", f"/{api.data_server}"):
        assert api.get(f"/dataservers{url}") == listed["Items"][0]
    assert "Errors" in api.get("/dataservers?name=OTHER", 404)


def test_point_by_list_id_and_path(api: Any) -> None:
    item = api.get(f"/dataservers/{api.data_server}/points?maxCount=1")["Items"][0]
    assert_shape(item, POINT)
    assert api.get(f"/points/{item['WebId']}") == item
    assert api.get(f"/points?path={quote(item['Path'].lower())}") == item
    assert item["Links"]["RecordedData"].endswith(f"/streams/{item['WebId']}/recorded")
    assert "Errors" in api.get("/points?path=%5C%5CPISIM01%5CNOPE", 404)
    assert "Errors" in api.get("/points", 400)


def test_every_kind_of_web_id_finds_the_point(api: Any) -> None:
    point = api.point("FLOW").point
    for kind in ("Full", "IDOnly", "PathOnly", "LocalIDOnly", "DefaultIDOnly"):
        answer = api.get(f"/points/{point.web_id(kind)}?webIdType={kind.lower()}")
        assert answer["WebId"] == point.web_id(kind)
        assert answer["Links"]["Self"].endswith(answer["WebId"])
    assert "Errors" in api.get(f"/points/{point.web_id()}?webIdType=Short", 400)


def test_web_ids_are_case_sensitive_and_tell_malformed_from_unknown(api: Any) -> None:
    web_id = api.point("FLOW").point.web_id("IDOnly")
    assert "Errors" in api.get(f"/points/{web_id.swapcase()}", 400)
    assert "Errors" in api.get("/points/nonsense", 400)
    assert "Errors" in api.get("/points/D1DP____fw", 404)
    assert "Errors" in api.get(f"/points/{api.data_server}", 404)
    assert "Errors" in api.get(f"/dataservers/{web_id}", 404)


def test_a_full_web_id_of_another_server_is_unknown(api: Any, make_client: Any) -> None:
    from mock_server import Plant

    stranger = make_client(plant=Plant(seed=99, tags=4, plants=1))
    assert "Errors" in api.get(f"/points/{stranger.plant.points[0].web_id('IDOnly')}", 404)


def test_recorded_values_look_like_the_examples(api: Any) -> None:
    flow = api.point("FLOW").id
    answer = api.get(f"/streams/{flow}/recorded?startTime=*-2m")
    assert_shape(answer, RECORDED)
    created = api.get(f"/streams/{flow}/recorded?{CREATED}")["Items"]
    assert_shape(created[0], STATE)
    assert created[0]["Value"] == {"Name": "Pt Created", "Value": 253, "IsSystem": True}
    assert created[0]["Timestamp"] == "2020-01-01T00:00:00Z"
    empty = api.get(f"/streams/{flow}/recorded?startTime=2019-01-01&endTime=2019-02-01")
    assert empty == {"Links": {}, "Items": [], "UnitsAbbreviation": ""}


def test_each_point_type_prints_its_own_kind_of_value(api: Any) -> None:
    kinds = {"FLOW": float, "LEVEL": float, "COUNT": int, "GRADE": str, "CAL": str, "VALVE": dict}
    for sensor, kind in kinds.items():
        items = api.get(f"/streams/{api.point(sensor).id}/recorded?startTime=*-2d")["Items"]
        values = [item["Value"] for item in items if item["Good"]]
        assert values
        assert {type(value) for value in values} == {kind}
    state = api.get(f"/streams/{api.point('VALVE').id}/value")["Value"]
    assert [*state] == ["Name", "Value", "IsSystem"]
    assert state["IsSystem"] is False


def test_streamsets_nest_one_list_or_value_per_stream(api: Any) -> None:
    query = f"webId={api.point('FLOW').id}&webId={api.point('VALVE').id}"
    answer = api.get(f"/streamsets/recorded?startTime=*-2m&{query}")
    assert [*answer] == ["Links", "Items"]
    assert_shape(answer["Items"][0], STREAM)
    assert [item["Name"] for item in answer["Items"]] == [api.point("FLOW").name, api.point("VALVE").name]
    assert answer["Items"][0]["Links"]["Source"].endswith(f"/points/{answer['Items'][0]['WebId']}")
    assert_shape(api.get(f"/streamsets/value?{query}")["Items"][0], STREAM_VALUE)
    assert len(api.get(f"/streamsets/end?{query}")["Items"][0]["Items"]) == 1
    assert "Errors" in api.get("/streamsets/recorded", 400)
    assert "Errors" in api.get(f"/streamsets/recorded?{query}&webId=bad", 400)
    assert "Errors" in api.get(f"/streamsets/recorded?{query}&webId=D1DP____fw", 404)


def test_value_and_end_are_the_newest_event_and_value_can_go_back(api: Any) -> None:
    flow = api.point("FLOW").id
    newest = api.get(f"/streams/{flow}/recorded?startTime=*&endTime=*-1h&maxCount=1")["Items"][0]
    assert_shape(newest, NUMBER)
    assert api.get(f"/streams/{flow}/value") == api.get(f"/streams/{flow}/end") == newest
    items = api.get(f"/streams/{flow}/recorded?startTime=*-5m")["Items"]
    pair = next(
        (a, b)
        for a, b in itertools.pairwise(items)
        if a["Timestamp"] < b["Timestamp"] and a["Good"] and b["Good"]
    )
    exact = api.get(f"/streams/{flow}/value?time={pair[0]['Timestamp']}")
    assert exact["Timestamp"] == pair[0]["Timestamp"]
    assert exact["Value"] == pair[0]["Value"]
    between = pair[0]["Timestamp"].rstrip("Z")[:19] + ".9999999Z"
    assert api.get(f"/streams/{flow}/value?time={between}")["Timestamp"] == between


def test_outside_the_record_a_value_is_no_data(api: Any) -> None:
    flow = api.point("FLOW").id
    for time in ("2019-01-01", "*%2B1d"):
        answer = api.get(f"/streams/{flow}/value?time={time}")
        assert answer["Value"] == {"Name": "No Data", "Value": 248, "IsSystem": True}
        assert answer["Good"] is False


def test_enumeration_sets_and_values(api: Any) -> None:
    sets = api.get(f"/dataservers/{api.data_server}/enumerationsets")["Items"]
    assert {each["Name"] for each in sets} == {"SYSTEM", "VALVE_STATES", "PUMP_STATES"}
    for each in sets:
        assert_shape(each, ENUM_SET)
        assert api.get(f"/enumerationsets/{each['WebId']}") == each
        values = api.get(f"/enumerationsets/{each['WebId']}/enumerationvalues")["Items"]
        assert_shape(values[0], ENUM_VALUE)
    assert [(value["Name"], value["Value"]) for value in values][:2] == [("STOP", 0), ("RUN", 1)]
    for value in values:
        assert api.get(value["Links"]["Self"].removeprefix("http://localhost/piwebapi")) == value
        assert api.get(f"/enumerationvalues?path={quote(value['Path'].lower())}") == value
    found = api.get(f"/enumerationsets?path={quote(sets[1]['Path'])}")
    assert found == sets[1]
    for url in ("/enumerationsets", "/enumerationvalues"):
        assert "Errors" in api.get(url, 400)
        assert "Errors" in api.get(f"{url}?path=nothing", 404)
    assert "Errors" in api.get(f"/enumerationvalues/{sets[0]['WebId']}", 404)
    by_path = api.get(f"/dataservers/{api.data_server}/enumerationsets?webIdType=PathOnly")["Items"][1]
    assert api.get(f"/enumerationsets/{by_path['WebId']}")["Id"] == sets[1]["Id"]
    assert "Errors" in api.get(f"/enumerationsets/{api.point('FLOW').id}", 404)


def test_points_multiple_is_207_when_one_of_them_fails(api: Any) -> None:
    flow = api.point("FLOW")
    path = f"\\\\PISIM01\\{flow.name}"
    good = api.get(f"/points/multiple?webId={flow.id}&path={quote(path)}")
    assert [item["IdentifierType"] for item in good["Items"]] == ["WebId", "Path"]
    assert_shape(good["Items"][1], f'{{"Identifier":"","IdentifierType":"","Object":{POINT}}}')
    mixed = api.get(f"/points/multiple?webId={flow.id}&webId=bad", 207)
    assert [*mixed["Items"][1]] == ["Identifier", "IdentifierType", "Exception"]
    assert mixed["Items"][1]["Exception"]["Errors"]


def test_point_attributes_by_name_and_filter(api: Any) -> None:
    url = f"/points/{api.point('FLOW').id}/attributes"
    everything = {item["Name"]: item["Value"] for item in api.get(url)["Items"]}
    assert everything["engunits"] == "m3/h"
    assert everything["creationdate"] == "2020-01-01T00:00:00Z"
    assert_shape(
        api.get(f"{url}?name=COMPDEV")["Items"][0], '{"Name":"","Value":0.5,"Links":{"Self":"","Point":""}}'
    )
    assert {item["Name"] for item in api.get(f"{url}?nameFilter=comp*")["Items"]} == {
        "compressing",
        "compdev",
        "compdevpercent",
        "compmax",
        "compmin",
    }
    assert "Errors" in api.get(f"{url}?name=nope", 400)


def test_search_combines_its_terms(api: Any) -> None:
    url = f"/points/search?dataServerWebId={api.data_server}&query="
    found = api.get(url + quote("Tag:=north*flow* AND PointType:=Float32"))["Items"]
    assert found
    assert all(item["Name"].startswith("NORTH.") and "FLOW" in item["Name"] for item in found)
    digital = api.get(url + quote('PointType:="Digital" Tag:<>*PUMP*'))["Items"]
    assert {item["PointType"] for item in digital} == {"Digital"}
    assert not any("PUMP" in item["Name"] for item in digital)
    for bad in ("", "Tag:", "Nope:=x", "Tag:=a OR", "(Tag:=a", "Span:=wide"):
        assert "Errors" in api.get(url + quote(bad), 400)
    assert "greater than the maximum allowed" in api.get(url + "Tag:=*&maxCount=1001", 400)["Errors"][0]


@pytest.mark.parametrize(
    ("method", "url", "status", "key"),
    [
        ("GET", "/piwebapi/nothing", 404, "Message"),
        ("GET", "/piwebapi/streams/x/calculated", 404, "Message"),
        ("GET", "/other", 404, "Message"),
        ("POST", "/piwebapi/system", 405, "Message"),
        ("DELETE", "/piwebapi/points", 405, "Message"),
        ("GET", "/piwebapi/batch", 405, "Message"),
        ("POST", "/admin/points", 404, "Message"),
    ],
)
def test_wrong_addresses_and_methods(api: Any, method: str, url: str, status: int, key: str) -> None:
    response = api.ask(method, url, x_requested_with="test")
    assert response.status == status
    assert [*json.loads(response.body)] == [key]
    if status == 404:
        assert json.loads(response.body)["Message"] == (
            f"No HTTP resource was found that matches the request URI 'http://localhost{url}'."
        )


def test_paths_match_in_any_case_and_web_ids_do_not(api: Any) -> None:
    assert api.ask("GET", "/PIWebAPI/System/").status == 200
    assert api.ask("GET", f"/PIWEBAPI/STREAMS/{api.point('FLOW').id}/VALUE").status == 200
