"""Indexed Search over names and descriptions, which PI Web API had until 2023."""

import re
from typing import Any

from mock_server.plant.checkpoints import paced
from mock_server.plant.point import Point
from mock_server.plant.wildcards import wildcard_pattern
from mock_server.webapi.call import Call
from mock_server.webapi.messages import Response
from mock_server.webapi.router import no_resource, route

_TERM = re.compile(r"(?:(name|description|itemtype)\s*:)?((?:\\.|[^\s\\])+)", re.IGNORECASE | re.DOTALL)
_PER_PAGE = 10


@route("GET", "/search")
def search_links(call: Call) -> Response:
    """Links to the search."""
    _check_generation(call)
    self_link = call.link("/search")
    return call.reply(
        {"Links": {"Self": self_link, "Query": f"{self_link}/query", "Sources": f"{self_link}/sources"}}
    )


@route("GET", "/search/query")
def search_query(call: Call) -> Response:
    """A page of the points that match `q`, such as `name:FLOW*`: `count` points from `start` on."""
    _check_generation(call)
    start, count = call.integer("start", 0), call.integer("count", _PER_PAGE, low=1)
    call.check_size("count", count)
    found, errors = _found(call)
    items = [_item(call, point) for point in call.plant.catalog.points(found[start : start + count])]
    last = (max(len(found), 1) - 1) // count * count
    links = {
        "First": _page(call, 0),
        "Previous": _page(call, max(start - count, 0)),
        "Next": _page(call, start + count),
        "Last": _page(call, last),
    }
    return call.reply({"TotalHits": len(found), "Links": links, "Errors": errors, "Items": items})


def _found(call: Call) -> tuple[list[int], list[str]]:
    scope = call.text("scope")
    server = call.plant.catalog.server.name
    if scope and scope.lower() not in (f"pi:{server.lower()}", "pi:*", "*"):
        return [], [f"The scope '{scope}' is unknown."]
    text = call.text("q")
    if not text:
        return [], ["The query is empty."]
    catalog = call.plant.catalog
    terms = [(match[1], match[2]) for match in _TERM.finditer(text) if match[2].upper() != "AND"]
    first = next((_plain(word) for field, word in terms if (field or "").lower() == "name"), "*")
    tests = [_test(field, word) for field, word in terms]
    indexes = [int(each) for each in catalog.matching(first)]
    return [each for each in paced(indexes) if all(test(catalog.point(each)) for test in tests)], []


def _plain(word: str) -> str:
    """The word as a name filter in which only `*` and `?` are wildcards."""
    return re.sub(r"\\(.)|([\[\]])", lambda found: _literal(found[1] or found[2]), word, flags=re.DOTALL)


def _literal(char: str) -> str:
    return f"\\{char}" if char in "*?[]\\" else char


def _test(field: str | None, word: str) -> "Any":
    matches = wildcard_pattern(_plain(word)).match
    unpaged = (field or "").lower()
    if unpaged == "name":
        return lambda point: matches(point.name)
    if unpaged == "itemtype":
        return lambda _: matches("pipoint")
    contains = wildcard_pattern(f"*{_plain(word)}*").match
    if unpaged == "description":
        return lambda point: contains(point.descriptor)
    return lambda point: matches(point.name) or contains(point.descriptor)


def _item(call: Call, point: Point) -> dict[str, Any]:
    web_id = call.web_id(point)
    return {
        "Name": point.name,
        "Description": point.descriptor,
        "MatchedFields": [{"Field": "name", "Value": point.name}],
        "ItemType": "pipoint",
        "WebId": web_id,
        "UniqueID": f"{point.server.guid}|{point.point_id}",
        "DataType": point.point_type,
        "Links": {"Self": call.link(f"/points/{web_id}")},
        "Score": 1.0,
    }


def _page(call: Call, start: int) -> str:
    return call.link("", start=start)


def _check_generation(call: Call) -> None:
    if not call.server.generation.has("search/query"):
        raise no_resource(call.request)
