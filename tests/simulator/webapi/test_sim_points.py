"""Point queries, the limits of lists, and attributes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.webapi.point_query import BadQuery, parse_query


def names(api: Any, query: str, **parameters: str) -> list[str]:
    more = "".join(f"&{name}={quote(value)}" for name, value in parameters.items())
    url = f"/points/search?dataServerWebId={api.data_server}&query={quote(query)}{more}"
    return [item["Name"] for item in api.get(url)["Items"]]


Wanted = Callable[[Any], bool]
QUERIES: list[tuple[str, Wanted]] = [
    ("*FLOW*", lambda point: "FLOW" in point.name),
    ("Tag:=north.*", lambda point: point.plant == "NORTH"),
    ("Name:<>north.*", lambda point: point.plant != "NORTH"),
    ("*FLOW* PointType:=Float32", lambda point: point.sensor_type == "FLOW"),
    ("PointType:=float?4 AND Tag:=NORTH*", lambda p: p.point_type == "Float64" and p.plant == "NORTH"),
    ("Descriptor:='Flow rate, North A1'", lambda p: p.descriptor == "Flow rate, North A1"),
    ('Descriptor:="*, harbor a?"', lambda point: point.plant == "HARBOR"),
    ("EngUnits:=bar", lambda point: point.engineering_units == "bar"),
    ("EngineeringUnits:=m3/h", lambda point: point.engineering_units == "m3/h"),
    ("PointSource:=s?m PointID:<4", lambda point: point.point_id < 4),
    ("PointID:<=3", lambda point: point.point_id <= 3),
    ("PointID:=7", lambda point: point.point_id == 7),
    ("PointID:<>7", lambda point: point.point_id != 7),
    ("Span:>=1000", lambda point: point.sensor.span >= 1000),
    ("Zero:<0", lambda point: point.sensor.zero < 0),
    ("Step:=True", lambda point: point.sensor.step),
    ("DigitalSet:=PUMP_STATES", lambda point: point.digital_set_name == "PUMP_STATES"),
    (
        "(Tag:=NORTH* PointID:<9) OR (Tag:=*PUMP*)",
        lambda p: (p.plant == "NORTH" and p.point_id < 9) or "PUMP" in p.name,
    ),
    ("Tag:=*VIB* OR Tag:=*CAL* OR *TEMP*", lambda p: p.sensor_type in ("VIB", "CAL", "TEMP")),
    ("CreationDate:>='2020-01-01' PointID:<5", lambda point: point.point_id < 5),
    ("CreationDate:<'2020-01-01'", lambda _: False),
    ("Tag:>=NORTH.A3", lambda point: point.name >= "NORTH.A3"),
    ("name:north.*", lambda point: point.plant == "NORTH"),
    ("name : north.*", lambda point: point.plant == "NORTH"),
    ("PointID:7", lambda point: point.point_id == 7),
    (r"name:NORTH\.A1\.FLOW\_0001\.PV", lambda point: point.name == "NORTH.A1.FLOW_0001.PV"),
    (r"name:NO\-SUCH", lambda _: False),
    (r"name:NO\:SUCH", lambda _: False),
    (r"NO\:SUCH", lambda _: False),
    (r"description:*,\ harbor\ a? AND name:*", lambda point: point.plant == "HARBOR"),
    (r'Descriptor:="*\, harbor a\1"', lambda p: p.plant == "HARBOR" and p.name[7:9] == "A1"),
    (r"name:*\*", lambda _: False),
    (r"Zero:\-20", lambda point: point.sensor.zero == -20),
    ("PointType:Float", lambda point: point.point_type.startswith("Float")),
    ("DataType:=float", lambda point: point.point_type.startswith("Float")),
    ("DataType:<>Float", lambda point: not point.point_type.startswith("Float")),
    ("DataType:Int32", lambda point: point.point_type == "Int32"),
    ("PointClass:class?c", lambda _: True),
]


@pytest.mark.parametrize(("query", "wanted"), QUERIES)
def test_a_query_finds_the_points_that_satisfy_it(api: Any, query: str, wanted: Wanted) -> None:
    assert names(api, query) == [point.name for point in api.plant.points if wanted(point)]


def test_a_query_can_ask_for_the_newest_value(api: Any) -> None:
    newest = {point.name: api.get(f"/streams/{point.web_id()}/value") for point in api.plant.points}
    limit = sorted(item["Timestamp"] for item in newest.values())[40]
    recent = names(api, f"Tag:=* TimeStamp:>='{limit}'")
    assert set(recent) == {
        name for name, item in newest.items() if item["Timestamp"].ljust(28, "0") >= limit.ljust(28, "0")
    }
    assert 0 < len(recent) < len(newest)
    bad = names(api, "IsGood:=False")
    assert set(bad) == {name for name, item in newest.items() if not item["Good"]}
    running = names(api, "Value:=RUN")
    assert set(running) == {
        name
        for name, item in newest.items()
        if isinstance(item["Value"], dict) and item["Value"]["Name"] == "RUN"
    }
    assert running


@pytest.mark.parametrize(
    ("option", "count"), [("ExactMatch", 0), ("Contains", 16), ("StartsWith", 0), ("EndsWith", 0)]
)
def test_a_search_option_completes_the_tag(api: Any, option: str, count: int) -> None:
    assert len(names(api, "Tag:=FLOW", searchOption=option)) == count
    assert len(names(api, "NORTH.A1", searchOption="StartsWith")) == 8
    assert len(names(api, "0001.PV", searchOption="EndsWith")) == len(names(api, "*0001.PV")) > 0


def test_a_search_can_look_into_descriptors_too(api: Any) -> None:
    found = names(api, "*vibration*", searchNameAndDescriptor="true")
    assert found == [point.name for point in api.plant.points if point.sensor_type == "VIB"]
    assert names(api, "*vibration*") == []


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "ends too early"),
        ("Nope:=1", "'nope' does not exist"),
        ("Tag:", "could not be read"),
        ("a:b:=c", "'a' does not exist"),
        ("a-b:c", "could not be read"),
        ("Tag:=a\\", "could not be read"),
        ("Span:>wide", "'wide' is no number"),
        ("Step:=perhaps", "neither True nor False"),
        ("CreationDate:>='whenever'", "is no time"),
        ("Tag:=a Tag:=b", "used twice"),
        ("(Tag:=a OR Tag:=b)", "'OR' was not expected"),
        ("Tag:=a OR", "ends too early"),
        ("AND Tag:=a", "'AND' was not expected"),
        ("(Tag:=a", "ends too early"),
        ("Tag:=a)", "could not be read"),
    ],
)
def test_what_is_no_query_is_refused_with_the_reason(api: Any, query: str, reason: str) -> None:
    url = f"/points/search?dataServerWebId={api.data_server}&query={quote(query)}"
    assert reason in api.get(url, 400)["Errors"][0]


def test_a_search_returns_a_thousand_at_most(api: Any) -> None:
    url = f"/points/search?dataServerWebId={api.data_server}&query=Tag:=*"
    assert "maximum allowed (1000)" in api.get(f"{url}&maxCount=1001", 400)["Errors"][0]
    assert len(api.get(f"{url}&maxCount=1000")["Items"]) == 64
    page = api.get(f"{url}&maxCount=10&startIndex=60")
    assert [item["Id"] for item in page["Items"]] == [61, 62, 63, 64]
    assert set(page["Links"]) == {"First", "Previous"}
    assert "Errors" in api.get("/points/search?query=Tag:=*", 400)


@settings(max_examples=50, deadline=None, database=None)
@given(st.text(alphabet="ab :=<>()'\"*ANDOR", max_size=25))
def test_any_query_is_parsed_or_refused(query: str) -> None:
    with suppress(BadQuery):
        groups = parse_query(query)
        assert groups
        assert all(groups)


def test_points_multiple_shows_what_include_mode_wants(api: Any) -> None:
    url = f"/points/multiple?webId={api.point('FLOW').id}&webId=bad"
    found = api.get(f"{url}&includeMode=ItemsWithoutException", 207)["Items"]
    assert [[*item][-1] for item in found] == ["Object"]
    failed = api.get(f"{url}&includeMode=itemswithexception", 207)["Items"]
    assert [[*item][-1] for item in failed] == ["Exception"]
    assert "Errors" in api.get(f"{url}&includeMode=Some", 400)


CLASSIC = """archiving changedate changer compdev compmax compmin compressing convers creationdate creator descriptor
displaydigits engunits excdev excmax excmin exdesc instrumenttag location1 location5 pointid pointsource pointtype
ptclassname scan shutdown span step tag totalcode typicalvalue userint1 userreal1 zero"""


def test_the_attributes_of_a_classic_point_are_all_there(api: Any) -> None:
    point = api.point("FLOW")
    url = f"/points/{point.id}/attributes"
    items = api.get(url)["Items"]
    attributes = {item["Name"]: item["Value"] for item in items}
    assert set(CLASSIC.split()) <= set(attributes)
    assert [*attributes] == sorted(attributes)
    assert (attributes["tag"], attributes["pointid"]) == (point.name, point.point.point_id)
    assert attributes["typicalvalue"] == 200.0
    for item in items:
        single = item["Links"]["Self"].removeprefix("http://localhost/piwebapi")
        assert api.get(single) == item
    some = api.get(f"{url}?name=zero&name=SPAN")["Items"]
    assert [item["Name"] for item in some] == ["span", "zero"]
    assert {item["Name"] for item in api.get(f"{url}?nameFilter=exc*")["Items"]} == {
        "excdev",
        "excdevpercent",
        "excmax",
        "excmin",
    }
    assert "'nope'" in api.get(f"{url}?name=span&name=nope", 400)["Errors"][0]
    assert "Errors" in api.get(f"{url}/nope", 404)


def test_a_license_counts_the_points(api: Any) -> None:
    reply = api.get(f"/dataservers/{api.data_server}/license")
    assert reply["AmountUsed"] == "64"
    assert int(reply["AmountLeft"]) + 64 == int(reply["TotalAmount"])
    assert "Errors" in api.get(f"/dataservers/{api.point('FLOW').id}/license", 404)
