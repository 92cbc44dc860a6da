"""Replies have the shapes of the golden ones, which were written by hand from the reference of PI Web API."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[2] / "golden" / "pi_web_api"
FLOW = "/streams/{flow}"
SETS = "webId={flow}&startTime=*-2m"
CREATED = "time=2020-01-01T00:00:00Z"
URLS = {
    "calculation_summary": "/calculation/summary?expression=1&summaryType=Average",
    "calculation_times": "/calculation/times?expression=1.5&time=*",
    "dataserver": "/dataservers/{server}",
    "home": "",
    "license": "/dataservers/{server}/license",
    "point": "/points/{flow}",
    "point_attribute": "/points/{flow}/attributes/compdev",
    "streams_interpolated": f"{FLOW}/interpolated?startTime=*-2h",
    "streams_plot": f"{FLOW}/plot",
    "streams_recorded": f"{FLOW}/recorded?startTime=*-2m",
    "streams_recorded_digital": "/streams/{valve}/recorded?startTime=*-1h",
    "streams_recordedattimes_error": f"{FLOW}/recordedattimes?retrievalMode=Exact&time=2019-01-01",
    "streams_summary": f"{FLOW}/summary?summaryType=Average",
    "streams_value": f"{FLOW}/value",
    "streams_value_system_state": f"{FLOW}/value?{CREATED}",
    "streamsets_joined": "/streamsets/joined?baseWebId={flow}&startTime=*-2m",
    "streamsets_recorded": f"/streamsets/recorded?{SETS}",
    "streamsets_summary": f"/streamsets/summary?summaryType=Average&{SETS}",
    "streamsets_value": f"/streamsets/value?{SETS}",
    "system": "/system",
    "system_status": "/system/status",
    "system_userinfo": "/system/userinfo",
    "system_versions": "/system/versions",
}
REFUSED = {
    "error": ("/streams/{flow}/recorded?maxCount=150001", 400),
    "error_no_resource": ("/nothing", 404),
}


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def shape(value: Any) -> Any:
    """Keys in order and types of values; of a list, the shape of its first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture(scope="module")
def ask(make_client: Any) -> Any:
    client = make_client(user="u", password="p", admin=True)
    sign_in = "Basic " + base64.b64encode(b"u:p").decode()
    names = {
        "flow": client.point("FLOW").id,
        "valve": client.point("VALVE").id,
        "server": client.data_server,
    }

    def get(url: str, status: int = 200) -> Any:
        response = client.ask("GET", f"/piwebapi{url.format(**names)}", authorization=sign_in)
        assert response.status == status, response.body
        return json.loads(response.body)

    return get


@pytest.mark.parametrize("name", URLS)
def test_a_reply_has_the_shape_of_the_golden_one(ask: Any, name: str) -> None:
    assert shape(ask(URLS[name])) == shape(golden(name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_has_the_shape_of_the_golden_one(ask: Any, name: str) -> None:
    url, status = REFUSED[name]
    assert shape(ask(url, status)) == shape(golden(name))


def test_enumerations_have_the_shapes_of_the_golden_ones(ask: Any) -> None:
    found = ask("/dataservers/{server}/enumerationsets")["Items"]
    assert shape(found[0]) == shape(golden("enumerationset"))
    values = ask(f"/enumerationsets/{found[0]['WebId']}/enumerationvalues")["Items"]
    assert shape(values[0]) == shape(golden("enumerationvalue"))


def test_failed_items_of_points_multiple_have_the_shape_of_the_golden_one(ask: Any) -> None:
    assert shape(ask("/points/multiple?webId=bad", 207)) == shape(golden("points_multiple"))


def test_annotated_values_have_the_shape_of_the_golden_one(ask: Any) -> None:
    reply = ask(
        f"{FLOW}/recorded?startTime=*-8h&maxCount=3000&associations=Annotations"
        "&filterExpression=IsSet('.',%22a%22)"
    )
    assert shape(reply) == shape(golden("streams_recorded_annotations"))
    plain = ask(f"{FLOW}/recorded?startTime=*-8h&maxCount=3000&associations=annotations")["Items"]
    assert [item for item in plain if item["Annotations"]] == reply["Items"]
    assert all(bool(item["Annotations"]) is item["Annotated"] for item in plain)
    assert "Errors" in ask(f"{FLOW}/recorded?associations=Paths", 400)


def test_indexed_search_has_the_shape_of_the_golden_one(make_client: Any) -> None:
    old = make_client(version="2021")
    assert shape(old.get("/search/query?q=name:NORTH.A1.FLOW_0001.PV")) == shape(golden("search_query"))


def test_every_golden_reply_is_compared() -> None:
    compared = {
        *URLS,
        *REFUSED,
        "enumerationset",
        "enumerationvalue",
        "points_multiple",
        "search_query",
        "streams_recorded_annotations",
    }
    assert compared == {path.stem for path in GOLDEN.glob("*.json")}
