"""Filters, sorting and paging of AF lists."""

from collections.abc import Callable, Sequence
from typing import Any

from mock_server.af.search import BadQuery, Filter, Term, holds, parse
from mock_server.plant.checkpoints import paced_sort
from mock_server.plant.wildcards import wildcard_pattern
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import list_reply
from mock_server.webapi.messages import Response, refusal

SORT_FIELDS = ("Name", "ID", "Type", "StartTime", "EndTime")
Test = Callable[[Any], bool]
Show = Callable[[Call, Any], dict[str, Any]]


def flag(call: Call, name: str) -> bool:
    """A parameter that is true or false."""
    return call.choice(name, "false", ("true", "false")) == "true"


def optional_flag(call: Call, name: str) -> bool | None:
    """The same, None when it is not given."""
    return flag(call, name) if call.text(name) else None


def pattern(call: Call, name: str) -> Callable[[str], bool]:
    """A test for a wildcard parameter; it accepts everything when the parameter is not given."""
    text = call.text(name)
    if text in ("", "*"):
        return lambda _: True
    match = wildcard_pattern(text).match
    return lambda held: match(held) is not None


def by_value(call: Call, name: str, read: Callable[[Any], list[str]]) -> Test:
    """A test for a parameter that equals one of an item's texts, ignoring case; it accepts all if not given."""
    wanted = call.text(name).lower()
    return lambda item: not wanted or wanted in [each.lower() for each in read(item)]


def by_name(call: Call, prefix: str = "") -> Test:
    """A test for the name and description filters of a list."""
    name, description = ("nameFilter", "descriptionFilter")
    if prefix:
        name, description = f"{prefix}NameFilter", f"{prefix}DescriptionFilter"
    by_name, by_description = pattern(call, name), pattern(call, description)
    return lambda item: by_name(item.name) and by_description(item.description)


def ordered(call: Call, found: Sequence[Any], keys: dict[str, Callable[[Any], Any]]) -> list[Any]:
    """The items in the requested order."""
    field = call.choice("sortField", "Name", SORT_FIELDS)
    descending = call.descending
    key = keys.get(field) or (lambda item: item.name.lower())
    if field == "ID":
        key = lambda item: item.guid.hex  # noqa: E731 - one of several keys
    return paced_sort(found, key, reverse=descending)


def page(call: Call, found: Sequence[Any], show: Show, cap: int | None = None) -> Response:
    """The page that `startIndex` and `maxCount` select, with links to its neighbours."""
    start, count = call.integer("startIndex", 0), call.max_count(cap=cap)
    items = (show(call, each) for each in found[start : start + count])
    return list_reply(call, call.page_links(start, count, len(found)), items)


def unpaged(call: Call, found: Sequence[Any], show: Show) -> Response:
    """A list without paging."""
    return list_reply(call, {}, (show(call, each) for each in found))


def query_terms(call: Call, known: dict[str, Filter], parameter: str = "query") -> list[Term]:
    """The terms of the call's AFSearch query; 400 when it is not valid."""
    try:
        return parse(call.text(parameter), known)
    except BadQuery as error:
        raise refusal(400, str(error)) from error


def query_test(call: Call, terms: list[Term], known: dict[str, Filter]) -> Test:
    """A test for the terms; 400 when a value cannot be compared."""
    try:
        return holds(terms, known, call.now)
    except BadQuery as error:
        raise refusal(400, str(error)) from error
