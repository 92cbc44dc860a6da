"""Whatever is asked, the answer is a refusal or a reply, never a failure of the server."""

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant, Server
from mock_server.server.middleware import handle
from mock_server.webapi.messages import Request

PLANT = Plant(seed=2, tags=20, plants=2, history_start=datetime(2024, 4, 25, tzinfo=timezone.utc))
NOW = datetime(2024, 5, 2, 13, tzinfo=timezone.utc)
SERVER = Server(PLANT, clock=lambda: NOW, max_items=500, admin=True)
OLD_SERVER = Server(PLANT, clock=lambda: NOW, max_items=500, version="2018")
WEB_IDS = [
    PLANT.points[0].web_id(),
    PLANT.points[5].web_id("IDOnly"),
    PLANT.catalog.server.web_id(),
    "D1DPKgAAAA",
]

words = st.one_of(
    st.sampled_from(
        [
            "*",
            "*-1d",
            "t",
            "2024-05-01T00:00:00.1234567Z",
            "Inside",
            "Outside",
            "Interpolated",
            "-1",
            "0",
            "5",
            "1e9",
            "10m",
            "1d",
            "1mo",
            "0.001s",
            "true",
            "Interval",
            "Exact",
            "Before",
            "All",
            "Count",
            "EventWeighted",
            "TimeWeightedDiscrete",
            "Descending",
            "Name",
            "Annotations",
            "'.' > 100",
            "BadVal('.')",
            "'NORTH.A1.FLOW_0001.PV' + 1",
            "TagAvg('NORTH.A1.FLOW_0001.PV','*-1h','*')",
            "9999-12-31",
            "0001-01-01",
        ]
    ),
    st.text(alphabet="'.*+-/^=<>()\"1 aifthenls,modrT", max_size=20),
    st.sampled_from(
        ["Full", "IDOnly", "Items.Value.Name;Links", "Items.Items.Timestamp", "UTC", "Europe/Berlin"]
    ),
    st.sampled_from(["Tag:=* AND PointType:=Float32", "\\\\PISIM01\\NORTH.A1.FLOW_0001.PV", "[a-", "\\"]),
    st.sampled_from(WEB_IDS),
    st.text(max_size=12),
)
names = st.sampled_from(
    [
        "startTime",
        "endTime",
        "time",
        "maxCount",
        "startIndex",
        "boundaryType",
        "webId",
        "webIdType",
        "path",
        "name",
        "nameFilter",
        "query",
        "selectedFields",
        "timeZone",
        "dataServerWebId",
        "STARTTIME",
        "interval",
        "intervals",
        "syncTime",
        "syncTimeBoundaryType",
        "filterExpression",
        "includeFilteredValues",
        "retrievalMode",
        "summaryType",
        "summaryDuration",
        "calculationBasis",
        "timeType",
        "sampleType",
        "sampleInterval",
        "expression",
        "associations",
        "sortField",
        "sortOrder",
        "searchOption",
        "searchNameAndDescriptor",
        "includeMode",
        "baseWebId",
        "subordinateWebId",
        "q",
        "count",
        "scope",
        "webId[]",
    ]
)
segments = st.one_of(
    st.sampled_from(
        [
            "streams",
            "streamsets",
            "points",
            "dataservers",
            "enumerationsets",
            "recorded",
            "value",
            "end",
            "multiple",
            "search",
            "attributes",
            "enumerationvalues",
            "system",
            "userinfo",
            "configuration",
            "interpolated",
            "interpolatedattimes",
            "plot",
            "summary",
            "joined",
            "calculation",
            "times",
            "intervals",
            "query",
            "license",
            "batch",
        ]
    ),
    st.sampled_from(WEB_IDS),
    st.text(max_size=8),
)


def ask(method: str, path: str, query: str = "", body: bytes = b"") -> None:
    request = Request(method, path, query, {"x-requested-with": "t"}, body)
    for server in (SERVER, OLD_SERVER):
        response = handle(server, request)
        assert response.status in (200, 204, 207, 400, 403, 404, 405, 413)
        if response.status != 204 and response.content_type.startswith("application/json"):
            json.loads(response.body)


def encoded(pairs: list[tuple[str, str]]) -> str:
    from urllib.parse import urlencode

    return urlencode([(name, value.encode(errors="replace")) for name, value in pairs])


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    st.lists(segments, max_size=4),
    st.lists(st.tuples(names, words), max_size=5),
)
def test_any_address_is_answered(method: str, path: list[str], query: list[tuple[str, str]]) -> None:
    ask(method, "/piwebapi/" + "/".join(path), encoded(query))


@settings(max_examples=150, deadline=None, database=None)
@given(
    st.sampled_from(
        [
            "/streams/{}/recorded",
            "/streams/{}/value",
            "/streams/{}/interpolated",
            "/streams/{}/interpolatedattimes",
            "/streams/{}/recordedattime",
            "/streams/{}/recordedattimes",
            "/streams/{}/plot",
            "/streams/{}/summary",
            "/streamsets/interpolated",
            "/streamsets/recordedattimes",
            "/streamsets/summary",
            "/streamsets/plot",
            "/streamsets/joined",
            "/streamsets/{}/recorded",
            "/calculation/times",
            "/calculation/intervals",
            "/calculation/recorded",
            "/calculation/summary",
            "/system/configuration/{}",
            "/search/query",
            "/streamsets/recorded",
            "/streamsets/value",
            "/points/search",
            "/dataservers/{}/points",
            "/points/{}/attributes",
            "/points/multiple",
            "/dataservers",
            "/points",
        ]
    ),
    st.sampled_from(WEB_IDS),
    st.lists(st.tuples(names, words), max_size=6),
)
def test_any_parameters_are_answered(path: str, web_id: str, query: list[tuple[str, str]]) -> None:
    ask("GET", "/piwebapi" + path.format(web_id), encoded([("webId", web_id), *query]))


@settings(max_examples=100, deadline=None, database=None)
@given(st.text(max_size=40))
def test_any_query_text_is_answered(query: str) -> None:
    ask("GET", f"/piwebapi/streams/{WEB_IDS[0]}/recorded", query)


resources = st.one_of(
    st.sampled_from(
        [
            "http://h/piwebapi/system",
            f"http://h/piwebapi/dataservers/{WEB_IDS[2]}/points",
            "{0}",
            "$.a.Content.Links.Self",
            "http://[",
            "http://h/piwebapi/%ff%fe?%",
        ]
    ),
    st.text(max_size=20),
)
paths = st.one_of(
    st.sampled_from(
        ["$.a.Content.Links.Self", "$.b.Content.Items[*].WebId", "$", "$.*", "$.a.*.*", "$.0", "$[0]"]
    ),
    st.text(alphabet="$.[]*'\"ab0Content", max_size=12),
)
members = st.fixed_dictionaries(
    {"Method": st.sampled_from(["GET", "POST", "get"])},
    optional={
        "Resource": resources,
        "RequestTemplate": st.fixed_dictionaries({"Resource": resources}),
        "Parameters": st.lists(paths, max_size=3),
        "ParentIds": st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
        "Content": st.text(max_size=5),
        "Headers": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
    },
)


@settings(max_examples=150, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c", "0"]), members, max_size=4))
def test_any_batch_is_answered(batch: Any) -> None:
    ask("POST", "/piwebapi/batch", "", json.dumps(batch).encode())


@settings(max_examples=100, deadline=None, database=None)
@given(st.binary(max_size=60))
def test_any_body_is_answered(body: bytes) -> None:
    ask("POST", "/piwebapi/batch", "", body)
    ask("POST", "/admin/points", "", body)


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_deep_json_is_refused(depth: int) -> None:
    ask("POST", "/piwebapi/batch", "", b'{"a":' * depth + b"1" + b"}" * depth)
