"""Asset Framework: shapes, hierarchy, lists, filters, searches and what is declared."""

import contextlib
import json
import uuid
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant
from mock_server.af.ids import Ids, Kind
from mock_server.af.search import BadQuery, Filter, holds, parse
from mock_server.oracle.event_frames import equipment_of
from mock_server.plant.catalog import Catalog

HEAD = "WebId Id Name Description Path"
SHAPES = {
    "assetservers": f"{HEAD} IsConnected ServerVersion ExtendedProperties Links",
    "assetdatabases": f"{HEAD} ExtendedProperties Links",
    "elements": f"{HEAD} TemplateName HasChildren CategoryNames ExtendedProperties Links",
    "attributes": f"{HEAD} Type TypeQualifier DefaultUnitsName DefaultUnitsNameAbbreviation DisplayDigits "
    "DataReferencePlugIn ConfigString IsConfigurationItem IsExcluded IsHidden IsManualDataEntry HasChildren "
    "CategoryNames Step TraitName Span Zero Links",
    "eventframes": f"{HEAD} TemplateName HasChildren CategoryNames ExtendedProperties StartTime EndTime Severity "
    "AcknowledgedBy AcknowledgedDate CanBeAcknowledged IsAcknowledged IsAnnotated IsLocked AreValuesCaptured "
    "RefElementWebIds Security Links",
    "elementtemplates": f"{HEAD} AllowElementToExtend BaseTemplate InstanceType NamingPattern CategoryNames "
    "ExtendedProperties Severity CanBeAcknowledged Links",
    "attributetemplates": f"{HEAD} Type TypeQualifier DefaultUnitsName DefaultUnitsNameAbbreviation DefaultValue "
    "DataReferencePlugIn ConfigString IsConfigurationItem IsExcluded IsHidden IsManualDataEntry HasChildren "
    "CategoryNames TraitName Links",
    "elementcategories": f"{HEAD} Links",
    "attributecategories": f"{HEAD} Links",
    "analysiscategories": f"{HEAD} Links",
    "tablecategories": f"{HEAD} Links",
    "tables": f"{HEAD} CategoryNames TimeZone ConvertToLocalTime Links",
    "unitclasses": f"{HEAD} CanonicalUnitName CanonicalUnitAbbreviation Links",
    "units": f"{HEAD} Abbreviation Factor Offset ReferenceFactor ReferenceOffset ReferenceUnitAbbreviation Links",
    "analyses": f"{HEAD} AnalysisRulePlugInName AutoCreated CategoryNames GroupId HasNotification HasTarget "
    "HasTemplate IsConfigured IsTimeRuleDefinedByTemplate MaximumQueueSize OutputTime Priority PublishResults "
    "Status TargetWebId TemplateName TimeRulePlugInName Links",
    "analysistemplates": f"{HEAD} AnalysisRulePlugInName CategoryNames CreateEnabled GroupId "
    "HasNotificationTemplate HasTarget OutputTime TargetName TimeRulePlugInName Links",
    "enumerationsets": f"{HEAD} Links",
    "enumerationvalues": f"{HEAD} Value Parent Links",
}
LISTS = {
    "elements": "elements?searchFullHierarchy=true",
    "attributes": "elementattributes?searchFullHierarchy=true",
    "eventframes": "eventframes?",
    **{name: f"{name}?" for name in SHAPES if name.endswith("categories")},
    **{name: f"{name}?" for name in ("elementtemplates", "analysistemplates", "tables", "analyses")},
    "enumerationsets": "enumerationsets?",
}


@pytest.fixture(scope="module")
def database(api: Any) -> str:
    return str(api.plant.assets.library.database.web_id())


def listed(api: Any, path: str, **parameters: Any) -> list[dict[str, Any]]:
    """The items of a list, all on one page."""
    query = urlencode({"maxCount": 100_000, **parameters}, doseq=True)
    return list(api.get(f"{path}{'&' if '?' in path else '?'}{query}")["Items"])


def all_elements(api: Any, database: str) -> list[dict[str, Any]]:
    return listed(api, f"/assetdatabases/{database}/elements", searchFullHierarchy="true")


@pytest.mark.parametrize("collection", sorted(LISTS))
def test_items_have_exactly_the_documented_members(api: Any, database: str, collection: str) -> None:
    items = listed(api, f"/assetdatabases/{database}/{LISTS[collection]}")
    assert items
    for item in items:
        assert list(item) == SHAPES[collection].split()
        uuid.UUID(item["Id"])


def test_other_objects_have_exactly_the_documented_members(api: Any, database: str) -> None:
    (server,) = listed(api, "/assetservers")
    assert list(server) == SHAPES["assetservers"].split()
    assert api.get(f"/assetservers?name={server['Name']}") == server
    assert api.get(f"/assetservers?path={quote(server['Path'])}") == server
    (found,) = listed(api, f"/assetservers/{server['WebId']}/assetdatabases")
    assert list(found) == SHAPES["assetdatabases"].split()
    assert found["WebId"] == database
    classes = listed(api, f"/assetservers/{server['WebId']}/unitclasses")
    for each in classes:
        assert list(each) == SHAPES["unitclasses"].split()
        units = listed(api, f"/unitclasses/{each['WebId']}/units")
        assert units[0]["Abbreviation"] == each["CanonicalUnitAbbreviation"]
        assert all(list(unit) == SHAPES["units"].split() for unit in units)
    sets = listed(api, f"/assetdatabases/{database}/enumerationsets")
    values = listed(api, f"/enumerationsets/{sets[0]['WebId']}/enumerationvalues")
    assert [(each["Name"], each["Value"]) for each in values] == [("Low", 0), ("Medium", 1), ("High", 2)]
    assert all(list(each) == SHAPES["enumerationvalues"].split() for each in values)


def test_every_listed_object_is_found_by_its_path_and_id(api: Any, database: str) -> None:
    for collection, path in LISTS.items():
        for item in listed(api, f"/assetdatabases/{database}/{path}")[::7]:
            assert api.get(f"/{collection}/{item['WebId']}") == item
            assert api.get(f"/{collection}?path={quote(item['Path'].lower())}") == item
        assert api.get(f"/{collection}?path={quote(chr(92) * 2 + 'AFSIM01' + chr(92) + 'X')}", 404)["Errors"]


def test_the_tree_follows_the_names_of_the_tags(api: Any, database: str) -> None:
    root = "\\\\AFSIM01\\Production\\Enterprise"
    paths = {item["Path"] for item in all_elements(api, database)}
    for point in api.plant.points:
        place = equipment_of(point.name)
        if place is None:
            continue
        parts = place.split("\\")
        for depth in range(len(parts) + 1):
            assert "\\".join([root, *parts[:depth]]) in paths
    for path in paths:
        assert path == root or path.rpartition("\\")[0] in paths


def test_every_tag_is_behind_one_attribute_of_its_own(api: Any, database: str) -> None:
    items = listed(
        api,
        f"/assetdatabases/{database}/elementattributes",
        searchFullHierarchy="true",
        associations="DataReference",
    )
    points = [item["DataReference"]["PIPoint"] for item in items if item["DataReferencePlugIn"] == "PI Point"]
    assert sorted(point["Name"] for point in points) == sorted(point.name for point in api.plant.points)
    for point in points:
        assert api.get(f"/points/{point['WebId']}")["Name"] == point["Name"]
    assert {item["ConfigString"] for item in items if item["DataReferencePlugIn"] == "PI Point"} == {
        point.path for point in api.plant.points
    }


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("order", ["", "&sortField=ID", "&sortField=Type&sortOrder=Descending"])
def test_pages_reach_every_element_once(api: Any, database: str, size: int, order: str) -> None:
    url = f"/piwebapi/assetdatabases/{database}/elements?searchFullHierarchy=true&maxCount={size}{order}"
    found: list[str] = []
    while url:
        page = json.loads(api.ask("GET", url).body)
        found += [item["WebId"] for item in page["Items"]]
        url = page["Links"].get("Next", "").removeprefix("http://localhost")
    assert len(found) == len(set(found))
    assert set(found) == {item["WebId"] for item in all_elements(api, database)}
    if order == "&sortField=ID":
        ids = [api.get(f"/elements/{web_id}?selectedFields=Id")["Id"] for web_id in found]
        assert ids == sorted(ids)


def test_children_by_level_are_the_whole_hierarchy(api: Any, database: str) -> None:
    found, level = [], listed(api, f"/assetdatabases/{database}/elements")
    while level:
        found += level
        level = [child for item in level for child in listed(api, f"/elements/{item['WebId']}/elements")]
        assert all(
            item["HasChildren"] is bool(listed(api, f"/elements/{item['WebId']}/elements"))
            for item in found[:4]
        )
    assert sorted(item["Path"] for item in found) == sorted(
        item["Path"] for item in all_elements(api, database)
    )


@pytest.mark.parametrize(
    ("parameters", "test"),
    [
        ({"nameFilter": "P-*"}, lambda item: item["Name"].startswith("P-")),
        ({"descriptionFilter": "*pump*"}, lambda item: "pump" in item["Description"].lower()),
        ({"categoryName": "rotating"}, lambda item: item["CategoryNames"] == ["Rotating"]),
        ({"templateName": "Reactor"}, lambda item: item["TemplateName"] == "Reactor"),
        ({"templateName": "Equipment"}, lambda item: item["Path"].count("\\") == 8),
        ({"elementType": "Other"}, lambda item: item["Path"].count("\\") == 8),
    ],
)
def test_element_filters_keep_what_they_name(api: Any, database: str, parameters: Any, test: Any) -> None:
    whole = all_elements(api, database)
    expected = [item["Path"] for item in whole if test(item)]
    assert 0 < len(expected) < len(whole)
    found = listed(api, f"/assetdatabases/{database}/elements", searchFullHierarchy="true", **parameters)
    assert [item["Path"] for item in found] == expected


def attributes(api: Any, template: str, **parameters: Any) -> list[dict[str, Any]]:
    """The attributes of the first element of a template."""
    database = api.plant.assets.library.database.web_id()
    path = f"/assetdatabases/{database}/elements"
    element = listed(api, path, searchFullHierarchy="true", templateName=template)[0]
    return listed(api, f"/elements/{element['WebId']}/attributes", **parameters)


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"categoryName": "Process"}, ["Flow", "Power", "Pressure", "Vibration"]),
        ({"nameFilter": "F*"}, ["Flow"]),
        ({"nameFilter": "F*", "showExcluded": "true"}, ["Flow", "Former Tag"]),
        ({"valueType": "Int64", "showHidden": "true"}, ["Asset Number"]),
        ({"valueType": "Int64"}, []),
        ({"templateName": "Pump", "categoryName": "State"}, ["In Service", "State"]),
        ({"templateName": "Equipment", "categoryName": "State"}, ["In Service"]),
        ({"trait": "LimitHi"}, []),
        ({"trait": "LimitHi", "searchFullHierarchy": "true"}, ["High Limit"] * 3),
        ({"nameFilter": "Curve", "sortOrder": "Descending"}, ["Curve"]),
    ],
)
def test_attribute_filters_keep_what_they_name(api: Any, parameters: Any, names: list[str]) -> None:
    assert [item["Name"] for item in attributes(api, "Pump", **parameters)] == names


def test_children_of_attributes_are_listed_below_them(api: Any) -> None:
    flow = next(item for item in attributes(api, "Pump") if item["Name"] == "Flow")
    assert flow["HasChildren"]
    children = listed(api, f"/attributes/{flow['WebId']}/attributes")
    assert [item["Name"] for item in children] == ["High Limit", "Low Limit"]
    for item in children:
        assert item["Path"] == f"{flow['Path']}|{item['Name']}"
        assert item["Links"]["Parent"].endswith(flow["WebId"])


@pytest.mark.parametrize(
    ("query", "test"),
    [
        ("Template:=Pump Name:=P*", lambda item: item["TemplateName"] == "Pump"),
        ("P-*", lambda item: item["Name"].startswith("P-")),
        ("Name:'P-0*' AND Description:='*pump*'", lambda item: item["TemplateName"] == "Pump"),
        ("Name:<>'*-0001' Template:Equipment", lambda _: False),
        ('Name:IN("NORTH"; "HARBOR")', lambda item: item["Name"] in ("NORTH", "HARBOR")),
        ("Root:'Enterprise\\NORTH\\A1'", lambda item: "\\NORTH\\A1\\" in item["Path"]),
        ("AllDescendants:=false", lambda item: item["Name"] == "Enterprise"),
        ("Category:Rotating Type:=Other", lambda item: item["CategoryNames"] == ["Rotating"]),
        ("CreationDate:>='2019-12-31' ModifyDate:<'2020-01-02'", lambda _: True),
        ("ModifyDate:>='*-1d'", lambda _: False),
        ("", lambda _: True),
    ],
)
def test_element_searches(api: Any, database: str, query: str, test: Any) -> None:
    expected = [item["Path"] for item in all_elements(api, database) if test(item)]
    found = listed(api, "/elements/search", databaseWebId=database, query=query)
    assert sorted(item["Path"] for item in found) == sorted(expected)


def test_attribute_and_analysis_searches(api: Any, database: str) -> None:
    query = "Element:{Template:='Pump' Root:'Enterprise\\NORTH'} PlugIn:='PI Point' Name:<>'Power'"
    found = listed(api, "/attributes/search", databaseWebId=database, query=query)
    assert sorted(item["Name"] for item in found) == ["Flow", "Pressure", "State", "Vibration"]
    assert {item["Path"].split("\\")[6] for item in found} == {"A2"}
    analyses = listed(api, "/analyses/search", databaseWebId=database, query="Target:{Template:Pump}")
    assert {item["Name"] for item in analyses} == {"Trip Detection", "Specific Power"}
    whole = listed(api, f"/assetdatabases/{database}/analyses")
    assert len(whole) == 4 * 2
    templates = listed(api, "/analysistemplates/search", databaseWebId=database, query="Name:B*")
    assert [item["Name"] for item in templates] == ["Batch Tracking"]


@pytest.mark.parametrize(
    "query",
    [
        "Colour:=red",
        "Name:>'a'",
        "ModifyDate:>='when'",
        "AllDescendants:=maybe",
        "Name:IN(",
        "Name:IN()",
        "Name:={",
        "Element:{Name:=x}",
        "Name:='x",
        ")",
        " ".join(["Name:=a"] * 60),
    ],
)
def test_queries_that_are_none_are_refused(api: Any, database: str, query: str) -> None:
    reply = api.get(f"/elements/search?databaseWebId={database}&query={quote(query)}", 400)
    assert len(reply["Errors"]) == 1


@settings(max_examples=150, deadline=None, database=None)
@given(st.text("Name:=<>(){}';\" xAND*\\", max_size=25))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    known = {"name": Filter(lambda item: item)}
    with contextlib.suppress(BadQuery):
        holds(parse(text, known), known, 0)("Name")


@pytest.mark.parametrize("collection", ["elements", "attributes", "eventframes"])
def test_several_at_once_tell_what_failed(api: Any, database: str, collection: str) -> None:
    items = listed(api, f"/assetdatabases/{database}/{LISTS[collection]}")[:2]
    good = [("webId", items[0]["WebId"]), ("path", items[1]["Path"])]
    url = f"/{collection}/multiple?{urlencode(good)}"
    found = api.get(url)["Items"]
    assert found == [
        {"Identifier": items[0]["WebId"], "IdentifierType": "WebId", "Object": items[0]},
        {"Identifier": items[1]["Path"], "IdentifierType": "Path", "Object": items[1]},
    ]
    bad = urlencode([("webId", "nonsense"), ("webId", database), ("path", "\\\\X\\Y")])
    reply = api.get(f"{url}&{bad}", 207)["Items"]
    assert [list(item)[-1] for item in reply] == ["Object", "Exception", "Exception", "Object", "Exception"]
    failed = api.get(f"{url}&{bad}&includeMode=ItemsWithException", 207)["Items"]
    assert [item["Identifier"] for item in failed] == ["nonsense", database, "\\\\X\\Y"]
    assert api.get(f"/{collection}/multiple", 400)["Errors"]


def test_tables_give_types_and_rows(api: Any, database: str) -> None:
    tables = {item["Name"]: item for item in listed(api, f"/assetdatabases/{database}/tables")}
    data = api.get(f"/tables/{tables['Maintenance Plan']['WebId']}/data")
    assert list(data) == ["Columns", "Rows"]
    assert data["Columns"]["4WD"] == "Boolean"
    assert [set(row) - set(data["Columns"]) for row in data["Rows"]] == [set()] * 3
    assert "4WD" not in data["Rows"][2]
    assert data["Rows"][1]["Limit"] is None
    assert api.get(f"/tables/{tables['Grades']['WebId']}/data")["Rows"][0]["Code"] == 9_007_199_254_740_993
    assert api.get(f"/tables/{tables['Empty']['WebId']}/data")["Rows"] == []


def test_templates_carry_their_attributes(api: Any, database: str) -> None:
    templates = {item["Name"]: item for item in listed(api, f"/assetdatabases/{database}/elementtemplates")}
    assert {item["InstanceType"] for item in templates.values()} == {"Element", "EventFrame"}
    assert templates["Pump"]["BaseTemplate"] == "Equipment"
    path = f"/elementtemplates/{templates['Pump']['WebId']}/attributetemplates"
    own = [item["Name"] for item in listed(api, path)]
    assert own == ["State", "Flow", "Pressure", "Vibration", "Power"]
    inherited = [item["Name"] for item in listed(api, path, showInherited="true")]
    assert set(inherited) > {"Manufacturer", *own}
    deep = listed(api, path, showDescendants="true")
    assert [item["Name"] for item in deep].count("High Limit") == 3
    first = listed(api, path, showDescendants="true", depthFirstTraverse="true")
    assert [item["Name"] for item in first[:4]] == ["State", "Flow", "High Limit", "Low Limit"]
    names = [item["Name"] for item in listed(api, f"/assetdatabases/{database}/elementtemplates", query="P*")]
    assert names == ["Packer", "Phase", "Plant", "Pump", "Pump Trip"]


def test_new_tags_bring_new_elements_and_keep_the_ids_of_old_ones(make_client: Any) -> None:
    api = make_client(plant=Plant(seed=7, tags=40, plants=2))
    database = api.plant.assets.library.database.web_id()
    before = {item["Path"]: item["WebId"] for item in all_elements(api, database)}
    api.plant.add_points(40, datetime(2025, 6, 2, 11, tzinfo=timezone.utc))
    after = {item["Path"]: item["WebId"] for item in all_elements(api, database)}
    assert before.items() < after.items()
    query = quote("CreationDate:>'*-2h'")
    found = api.get(f"/elements/search?databaseWebId={database}&query={query}&maxCount=1000")["Items"]
    assert {item["Path"] for item in found} == after.keys() - before.keys()


def test_ten_million_tags_cost_nothing_until_asked_for(make_client: Any) -> None:
    api = make_client(plant=Plant(tags=10_000_000, plants=4))
    path = "\\\\AFSIM01\\Production\\Enterprise\\QUARRY\\A2\\Unit 78125\\P-78125|Flow"
    attribute = api.get(f"/attributes?path={quote(path)}")
    assert attribute["ConfigString"].startswith("\\\\PISIM01\\QUARRY.A2.FLOW_")
    assert api.get(f"/attributes/{attribute['WebId']}") == attribute
    parent = api.get(attribute["Links"]["Element"].removeprefix("http://localhost/piwebapi"))
    assert parent["Path"] == path.removesuffix("|Flow")
    assert api.get(f"/attributes?path={quote(path.replace('78125', '78126'))}", 404)["Errors"]


@settings(max_examples=200, deadline=None, database=None)
@given(st.sampled_from(list(Kind)), st.integers(0, 2**88 - 1), st.uuids())
def test_ids_read_back_and_others_do_not(kind: Kind, number: int, other: uuid.UUID) -> None:
    ids = Ids(7)
    guid = ids.guid(kind, number)
    assert ids.read(guid) == (kind, number)
    assert (guid.version, guid.variant) == (8, uuid.RFC_4122)
    assert ids.read(other) is None
    assert Ids(8).read(guid) is None


class OwnPoints(Catalog):
    """A catalogue whose points are not dealt from the mix, as those of a file are."""


def test_points_from_elsewhere_belong_to_no_equipment(make_client: Any) -> None:
    plant = Plant(tags=32, plants=1)
    plant.catalog = OwnPoints(7, 32, 1, plant.points[0].created_ticks)
    api = make_client(plant=plant)
    database = api.plant.assets.library.database.web_id()
    assert [item["Name"] for item in all_elements(api, database)] == ["Enterprise"]
    for path in (
        "eventframes?startTime=2020-01-01",
        "elementattributes?searchFullHierarchy=true",
        "analyses?",
    ):
        assert all(
            item["Path"].count("\\") == 4 for item in listed(api, f"/assetdatabases/{database}/{path}")
        )
    assert api.ask("GET", "/").status == 200


def test_an_attribute_whose_tag_is_gone_says_so_and_the_others_are_read(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "\\\\AFSIM01\\Production\\Enterprise\\NORTH\\A2\\Unit 0001\\P-0001"
    element = api.get(f"/elements?path={quote(path)}")["WebId"]
    found = type(api.plant.catalog).by_id
    monkeypatch.setattr(
        type(api.plant.catalog),
        "by_id",
        lambda catalog, number: (
            None if catalog.point(number - 1).sensor_type == "VIB" else found(catalog, number)
        ),
    )
    items = {item["Name"]: item for item in api.get(f"/streamsets/{element}/recorded")["Items"]}
    assert "VIB" in items["Vibration"]["Items"][0]["Errors"][0]["Message"][0]
    assert len(items["Flow"]["Items"]) == 1000
