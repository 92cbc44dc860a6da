"""Whatever is asked of the Asset Framework, the answer is a reply or a refusal, never a failure of the server."""

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant, Server
from mock_server.plant import ticks
from mock_server.server.middleware import handle
from mock_server.webapi.af.lookup import RESOURCES
from mock_server.webapi.messages import Request

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
PLANT = Plant(seed=2, tags=64, plants=2, history_start=datetime(2025, 5, 30, tzinfo=timezone.utc))
SERVER = Server(PLANT, clock=lambda: NOW, max_items=500)
LIBRARY = PLANT.assets.library
FRAMES = PLANT.frames.overlapping(
    PLANT.frames.sources(), 0, ticks.from_datetime(NOW), ticks.from_datetime(NOW)
)
ELEMENTS = PLANT.assets.below(None)
ANALYSES = [each for element in ELEMENTS for each in PLANT.assets.analyses_of(element)]


def some_objects() -> list[Any]:
    """One object of each kind."""
    from mock_server.af.attributes import attributes_of
    from mock_server.af.ids import Kind

    analysis = ANALYSES[0]
    return [
        *(LIBRARY.server, LIBRARY.database, *LIBRARY.templates.values()),
        *(PLANT.points[0], PLANT.catalog.server, ELEMENTS[0], ELEMENTS[5], *attributes_of(ELEMENTS[5])[-3:]),
        *(FRAMES[0], FRAMES[-1], *FRAMES[0].children, *attributes_of(FRAMES[0])[:2]),
        *(analysis, analysis.part(Kind.ANALYSIS_RULE), analysis.part(Kind.TIME_RULE)),
        *(
            next(iter(each.values()))
            for each in (LIBRARY.tables, LIBRARY.unit_classes, LIBRARY.enumeration_sets)
        ),
        *(LIBRARY.attribute_templates["Pump"][1], LIBRARY.categories["Element"]["Static"]),
    ]


OBJECTS = some_objects()
KINDS = ("Full", "IDOnly", "PathOnly", "LocalIDOnly", "DefaultIDOnly")
web_ids = st.sampled_from([str(item.web_id(kind)) for item in OBJECTS for kind in KINDS])
broken = st.builds(
    lambda text, at, new: text[: at % len(text)] + new + text[at % len(text) + len(new) :],
    web_ids,
    st.integers(0, 200),
    st.sampled_from(["", "A", "_", "zz", "é", "-9"]),
)
ids = web_ids | broken | st.text(max_size=8)
collections = st.sampled_from([*RESOURCES, "streams", "streamsets", "attributetraits", "points"])
below = st.sampled_from(
    [
        *RESOURCES,
        *("value", "recorded", "end", "recordedattime", "summary", "plot", "interpolated", "joined"),
        *("categories", "annotations", "referencedelements", "elementattributes", "eventframeattributes"),
        *("enumerationvalues", "canonicalunit", "data", "paths", "search", "multiple", "x"),
    ]
)
words = st.one_of(
    st.sampled_from(
        ["true", "false", "Any", "Name", "ID", "StartTime", "Descending", "*", "*-1d", "t", "0", "3"]
    ),
    st.sampled_from(
        ["Overlapped", "BackwardFromEndTime", "ForwardInProgress", "EndInclusive", "9999-12-31", "0001-01-01"]
    ),
    st.sampled_from(
        ["Pump", "Alarm", "[a-", "P-*", "\\", "K", "°F", "Major", "LimitHi", "Paths", "DataReference"]
    ),
    st.sampled_from([item.path for item in OBJECTS if hasattr(item, "path")]),
    st.sampled_from(
        ["Name:=P*", "Element:{Name:=x}", "ModifyDate:>'*-1h'", "Severity:>=Major", "Start:<'9999'", "{"]
    ),
    st.text(max_size=10),
)
names = st.sampled_from(
    [
        *(
            "path",
            "query",
            "webId",
            "databaseWebId",
            "startTime",
            "endTime",
            "time",
            "searchMode",
            "maxCount",
        ),
        *("startIndex", "sortField", "sortOrder", "nameFilter", "templateName", "categoryName", "severity"),
        *(
            "searchFullHierarchy",
            "showHidden",
            "showExcluded",
            "associations",
            "trait",
            "desiredUnits",
            "field",
        ),
        *("isAcknowledged", "canBeAcknowledged", "elementType", "valueType", "webIdType", "selectedFields"),
        *("referencedElementNameFilter", "includeMode", "attributeNameFilter", "elementTemplate", "timeZone"),
    ]
)
queries = st.lists(st.tuples(names, words | ids), max_size=5)


def ask(path: str, pairs: list[tuple[str, str]]) -> None:
    query = urlencode([(name, value.encode(errors="replace")) for name, value in pairs])
    response = handle(SERVER, Request("GET", path, query))
    assert response.status in (200, 207, 400, 404, 405, 409, 501), (path, query, response.body)
    json.loads(response.body)


@settings(max_examples=100, deadline=None, database=None)
@given(collections, ids, below | st.none(), queries)
def test_any_address_is_answered(
    collection: str, web_id: str, rest: str | None, query: list[tuple[str, str]]
) -> None:
    ask("/".join(["/piwebapi", collection, web_id, *([rest] if rest else [])]), query)


@settings(max_examples=80, deadline=None, database=None)
@given(collections, below | st.none(), queries)
def test_any_list_is_answered(collection: str, rest: str | None, query: list[tuple[str, str]]) -> None:
    database = LIBRARY.database.web_id()
    ask("/".join(["/piwebapi", collection, *([rest] if rest else [])]), [*query, ("databaseWebId", database)])
    ask(f"/piwebapi/assetdatabases/{database}/{rest or collection}", query)


@settings(max_examples=60, deadline=None, database=None)
@given(st.sampled_from(["elements", "attributes", "eventframes", "analyses"]), words, st.text(max_size=20))
def test_any_query_is_answered(collection: str, word: str, rest: str) -> None:
    pairs = [("databaseWebId", LIBRARY.database.web_id()), ("query", f"{word} {rest}")]
    ask(f"/piwebapi/{collection}/search", pairs)
