"""What each release of PI Web API has and lacks, its system resources, and Indexed Search."""

import base64
import json
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from mock_server import Plant, running
from mock_server.__main__ import main
from mock_server.webapi.generations import FEATURES, GENERATIONS

INVENTED = [
    "/streams/{flow}/calculated",
    "/uoms",
    "/tables/{flow}/rows",
    "/eventframetemplates",
    "/assetdatabases/{flow}/categories",
    "/eventframes/{flow}/acknowledgements",
    "/streamsetsadhoc/recorded",
]


@pytest.fixture(scope="module")
def servers(make_client: Any) -> dict[str, Any]:
    return {name: make_client(version=name) for name in GENERATIONS}


def no_resource(client: Any, url: str) -> bool:
    response = client.ask("GET", f"/piwebapi{url}")
    body = json.loads(response.body)
    return response.status == 404 and body.get("Message", "").startswith("No HTTP resource was found")


@pytest.mark.parametrize("name", GENERATIONS)
def test_a_release_has_and_lacks_what_the_table_says(servers: dict[str, Any], name: str) -> None:
    client, has = servers[name], {feature: name in names for feature, names in FEATURES.items()}
    flow = client.point("FLOW").id
    search = f"/points/search?dataServerWebId={client.data_server}&query=Tag:=*&maxCount=3"
    assert no_resource(client, search) is not has["points/search"]
    assert no_resource(client, "/search/query?q=name:*") is not has["search/query"]
    assert ("Search" in client.get("")["Links"]) is has["search/query"]
    assert no_resource(client, f"/streamsets/joined?baseWebId={flow}") is not has["streamsets/joined"]
    assert ("Annotated" in client.get(f"/streams/{flow}/value")) is has["Annotated"]
    for what in ("recorded?startTime=*-2m", "interpolated", "recordedattimes?time=*", "plot"):
        items = client.get(f"/streams/{flow}/{what}")["Items"]
        assert {("Annotated" in item) for item in items} == {has["Annotated"]}, what
    summary = client.get(f"/streams/{flow}/summary")["Items"][0]["Value"]
    assert ("Annotated" in summary) is has["Annotated"]
    chosen = client.get(f"/streams/{flow}/recorded?startTime=*-2m&selectedFields=Items.Annotated")
    assert ("Items" in chosen) is has["Annotated"]
    calculated = client.get("/calculation/times?expression=1&time=*")["Items"][0]
    assert ("Annotated" in calculated) is has["Annotated"]
    assert ("ServerTime" in client.get("/dataservers")["Items"][0]) is has["server time"]
    point = client.get(f"/points/{flow}")
    assert {key in point for key in ("Span", "Zero", "DisplayDigits")} == {has["span and zero of points"]}
    annotated = client.get(f"/streams/{flow}/recorded?startTime=*-2m&associations=Annotations")["Items"][0]
    assert ("Annotations" in annotated) is has["annotations of values"]
    assert len(point["WebId"]) > 40
    short = client.get(f"/points/{flow}?webIdType=IDOnly")["WebId"]
    assert short.startswith("I1" if has["webIdType"] else "F1")


def test_sync_time_and_source_filter_are_unknown_to_releases_before_them(servers: dict[str, Any]) -> None:
    for name, client in servers.items():
        flow = client.point("FLOW").id
        items = client.get(f"/streams/{flow}/interpolated?startTime=*-2h&interval=1h&syncTime=t")["Items"]
        minutes = {item["Timestamp"][14:16] for item in items}
        assert minutes == {"00"}
        synced = {item["Timestamp"][16:] for item in items} == {":00Z"}
        assert synced is (name != "2017")
        url = f"/dataservers/{client.data_server}/points?sourceFilter=OTHER&maxCount=5"
        assert bool(client.get(url)["Items"]) is (name != "2023")
        assert client.get(url.replace("OTHER", "s*"))["Items"]


def test_the_product_version_tells_the_release(servers: dict[str, Any]) -> None:
    versions = {name: client.get("/system")["ProductVersion"] for name, client in servers.items()}
    assert versions == {"2017": "1.9.0.266", "2018": "1.11.1.5383", "2021": "1.15.0.0", "2023": "1.19.0.0"}


def test_a_served_plant_is_of_the_release_asked_for() -> None:
    with running(Plant(tags=4, plants=1), version="2018") as url, urlopen(f"{url}/system") as reply:
        assert json.load(reply)["ProductVersion"] == "1.11.1.5383"


def test_an_unknown_release_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--version", "1999"])
    assert refused.value.code == 2
    assert "invalid choice: '1999'" in capsys.readouterr().err


@pytest.mark.parametrize("url", INVENTED)
def test_paths_that_only_mocks_have_are_no_resources(api: Any, url: str) -> None:
    assert no_resource(api, url.format(flow=api.point("FLOW").id))


def test_indexed_search_pages_and_finds_by_name_and_description(servers: dict[str, Any]) -> None:
    client = servers["2018"]
    names, start = [], 0
    while True:  # the way a client of that time pages: until Next is beyond Last
        page = client.get(f"/search/query?q=name:*FLOW*&scope=pi:pisim01&start={start}")
        assert page["Errors"] == []
        assert page["TotalHits"] == 16
        names += [item["Name"] for item in page["Items"]]
        start = int(page["Links"]["Next"].split("=")[-1])
        if int(page["Links"]["Last"].split("=")[-1]) < start:
            break
    assert names == [point.name for point in client.plant.points if point.sensor_type == "FLOW"]
    exact = client.get("/search/query?q=name:NORTH.A1.FLOW_0001.PV")["Items"]
    assert [item["Name"] for item in exact] == ["NORTH.A1.FLOW_0001.PV"]
    assert client.get(f"/points/{exact[0]['WebId']}")["Name"] == exact[0]["Name"]
    both = client.get("/search/query?count=50&q=" + quote("name:north* AND description:pressure"))["Items"]
    assert {item["Name"].split("_")[0] for item in both} == {f"NORTH.A{n}.PRES" for n in (1, 2, 3, 4)}
    assert client.get("/search/query?q=name:a\\*b")["Items"] == []
    assert client.get("/search/query?q=name:*&scope=pi:OTHER")["Errors"]
    assert client.get("/search/query?q=")["Errors"]


def basic(client: Any, url: str, **headers: str) -> Any:
    sign_in = "Basic " + base64.b64encode(b"DOM\\reader:secret").decode()
    return client.ask("GET", f"/piwebapi{url}", authorization=headers.get("authorization", sign_in))


def test_the_caller_is_told_who_it_is(api: Any, make_client: Any) -> None:
    nobody = api.ask("GET", "/piwebapi/system/userinfo")
    assert (nobody.status, nobody.body) == (204, b"")
    client = make_client(user="DOM\\reader", password="secret", token="t0ken")
    info = json.loads(basic(client, "/system/userinfo").body)
    assert (info["Name"], info["IdentityType"], info["IsAuthenticated"]) == (
        "DOM\\reader",
        "WindowsIdentity",
        True,
    )
    assert info["SID"].startswith("S-1-5-21-")
    bearer = json.loads(basic(client, "/system/userinfo", authorization="Bearer t0ken").body)
    assert bearer["IdentityType"] == "ClaimsIdentity"
    assert b"secret" not in basic(client, "/system/userinfo").body


PROTECTED = ["status", "versions", "configuration", "cacheinstances", "metrics/environment"]


@pytest.mark.parametrize("what", PROTECTED)
def test_protected_resources_are_for_administrators_and_never_for_tokens(make_client: Any, what: str) -> None:
    settings = {"user": "DOM\\reader", "password": "secret", "token": "t0ken"}
    plain, admin = make_client(**settings), make_client(**settings, admin=True)
    assert basic(plain, f"/system/{what}").status == 403
    assert basic(admin, f"/system/{what}").status == 200
    assert basic(admin, f"/system/{what}", authorization="Bearer t0ken").status == 403
    assert b"secret" not in basic(admin, f"/system/{what}").body
    assert b"t0ken" not in basic(admin, f"/system/{what}").body


def test_settings_are_what_the_server_runs_with(make_client: Any) -> None:
    client = make_client(admin=True, max_items=77)
    settings = client.get("/system/configuration")
    assert settings["MaxReturnedItemsPerCall"] == 77
    assert client.get("/system/configuration/maxreturneditemspercall") == 77
    assert "Errors" in client.get("/system/configuration/nothing", 404)
    assert "(77)" in client.get(f"/streams/{client.point('FLOW').id}/recorded?maxCount=78", 400)["Errors"][0]
    assert client.get("/system/status")["ServerTime"] == client.get("/dataservers")["Items"][0]["ServerTime"]
