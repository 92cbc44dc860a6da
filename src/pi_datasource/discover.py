"""Data servers and points: what there is to read, and the server's clock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from sys import intern
from typing import Any, TypeVar

import msgspec

from pi_datasource import timespec
from pi_datasource.client import PIClient, server_date
from pi_datasource.errors import InvalidOption, NoTagMatches, RequestRefused, ServerError, UnexpectedReply
from pi_datasource.model import DataServer, Point
from pi_datasource.options import Options

PAGE_SIZE = 10_000
SHOWN_NAMES = 10
SAMPLED_PATTERNS = 3  # each takes a request
_WILDCARD = re.compile(r"[*?\[\]]")
_POINT_FIELDS = ("WebId", "Name", "PointType", "EngineeringUnits")


def data_servers(client: PIClient, options: Options) -> list[DataServer]:
    """The data servers to read, in the server's order, each with its clock.

    Raises:
        InvalidOption: ``data_servers`` names one that does not exist.
        UnexpectedReply: PI Web API knows no data server at all.
    """
    fields = {"selectedFields": "Items.WebId;Items.Name;Items.ServerTime", **_ID_ONLY}
    reply = client.get("dataservers", fields)
    listed = _typed(reply, _DataServers, "dataservers").Items
    date = server_date(reply)
    try:
        clocks = [timespec.parse_wire(item.ServerTime) if item.ServerTime else date for item in listed]
    except ValueError as cause:
        message = f"GET dataservers: the ServerTime cannot be read: {cause}"
        raise UnexpectedReply(message) from cause
    found = [DataServer(item.WebId, item.Name, clock) for item, clock in zip(listed, clocks, strict=True)]
    if not found:
        message = f"{client.url} knows no data server; connect PI Web API to a PI Data Archive, or check the account"
        raise UnexpectedReply(message)
    by_name = {server.name.lower(): server for server in found}
    if unknown := [name for name in options.data_servers if name.lower() not in by_name]:
        message = (
            f"option 'data_servers': there is no {unknown[0]!r}; there are {', '.join(s.name for s in found)}"
        )
        raise InvalidOption(message)
    return [by_name[name.lower()] for name in options.data_servers] or found


def server_now(servers: list[DataServer]) -> datetime:
    """The PI server's present time: of several servers the one whose clock is furthest behind.

    Raises:
        UnexpectedReply: the server tells its time neither in ``ServerTime`` nor in a ``Date`` header.
    """
    clocks = [server.time for server in servers if server.time is not None]
    if not clocks:
        message = "the server tells no time (neither ServerTime nor a Date header), so '*' has no meaning"
        raise UnexpectedReply(message)
    return min(clocks).astimezone(timezone.utc)


def points(
    client: PIClient, servers: list[DataServer], options: Options, *, strict: bool = True
) -> list[Point]:
    """The points that the options select, each once, ordered as found.

    With ``strict`` every tag and pattern asked for must select something; without, a tag that has gone is left out.

    Raises:
        NoTagMatches: a tag or pattern selects nothing; the message names it.
    """
    wanted = options.tags or ("*",)
    fields = (*_POINT_FIELDS, "Path") if options.include_metadata else _POINT_FIELDS
    found: dict[str, Point] = {}
    unmatched = []
    for tag in wanted:
        matched = 0
        for point in _matching(client, servers, tag, fields):
            found[point.web_id] = point
            matched += 1
        if not matched:
            unmatched.append(tag)
    if unmatched and strict:
        raise _no_match(unmatched, servers, options)
    if options.tag_filter is not None:
        allowed = {point.web_id for point in _matching(client, servers, options.tag_filter, fields)}
        found = {web_id: point for web_id, point in found.items() if web_id in allowed}
        if not found and strict:
            message = f"option 'tag_filter': no selected tag matches {options.tag_filter!r}"
            raise NoTagMatches(message)
    return list(found.values())


def sample(client: PIClient, servers: list[DataServer], options: Options) -> tuple[list[Point], bool]:
    """Points that the options select, from one page of each of the first tags or patterns; and whether that is all.

    Raises:
        NoTagMatches: one of those tags or patterns selects nothing; the message names it.
    """
    wanted = options.tags or ("*",)
    pages = {
        tag: list(islice(_matching(client, servers, tag, _POINT_FIELDS), PAGE_SIZE))
        for tag in wanted[:SAMPLED_PATTERNS]
    }
    if unmatched := [tag for tag, page in pages.items() if not page]:
        raise _no_match(unmatched, servers, options)
    found = {point.web_id: point for page in pages.values() for point in page}
    whole = (
        len(pages) == len(wanted) and max(map(len, pages.values())) < PAGE_SIZE and options.tag_filter is None
    )
    return list(found.values()), whole


_ID_ONLY = {"webIdType": "IDOnly"}  # short, and the same after a rename (reference: WebID 2.0)


def _no_match(unmatched: list[str], servers: list[DataServer], options: Options) -> NoTagMatches:
    names = ", ".join(repr(tag) for tag in unmatched[:SHOWN_NAMES])
    more = f" and {len(unmatched) - SHOWN_NAMES} more" if len(unmatched) > SHOWN_NAMES else ""
    where = f"on {', '.join(server.name for server in servers)}"
    if not options.tags:
        return NoTagMatches(f"there is no tag {where} that this account can see")
    return NoTagMatches(
        f"option 'tags': nothing {where} matches {names}{more}; check the spelling, and that this account may read "
        "the tag (PI hides what it may not)"
    )


def _matching(
    client: PIClient, servers: list[DataServer], tag: str, fields: Sequence[str]
) -> Iterator[Point]:
    if tag.startswith("\\\\"):
        yield from _by_path(client, servers, tag, fields)
        return
    selected = ";".join(["Links.Next", *(f"Items.{name}" for name in fields)])
    for server in servers:
        asked = {"nameFilter": tag, "selectedFields": selected}
        for item in _pages(client, f"dataservers/{server.web_id}/points", asked):
            # A server may read a name without wildcards as a prefix; exact means exact (reference: quirk 30).
            if _WILDCARD.search(tag) or item.Name.lower() == tag.lower():
                yield _point(item, server.name)


def _by_path(
    client: PIClient, servers: list[DataServer], path: str, fields: Sequence[str]
) -> Iterator[Point]:
    asked = path[2:].partition("\\")[0].lower()
    owner = next((server.name for server in servers if server.name.lower() == asked), None)
    if owner is None:
        return
    try:
        item = client.get("points", {"path": path, "selectedFields": ";".join(fields), **_ID_ONLY})
    except RequestRefused as refused:
        if refused.status == 404:
            return
        raise
    yield _point(_typed(item, _Point, "points"), owner)


def _pages(client: PIClient, path: str, params: Mapping[str, Any]) -> Iterator[_Point]:
    """All items of a paged list; ends at an empty page, or a short one without a ``Next`` link.

    Raises:
        UnexpectedReply: the server sends the same page again and again, whatever is asked for.
    """
    start, size = 0, PAGE_SIZE
    last: list[_Point] = []
    while True:
        page = {**params, **_ID_ONLY, "startIndex": start, "maxCount": size}
        try:
            reply = client.get(path, page)
        except ServerError as refused:
            if size == 1 or "greater than the maximum allowed" not in str(refused):
                raise
            size //= 2
            continue
        listed = _typed(reply, _Points, path)
        if listed.Items and listed.Items == last:
            message = (
                f"GET {path}: the page at startIndex={start} is the one before again, so the list has no end"
            )
            raise UnexpectedReply(message)
        last = listed.Items
        yield from listed.Items
        start += len(listed.Items)
        if not listed.Items or (len(listed.Items) < size and not listed.Links.Next):
            return


class _DataServer(msgspec.Struct):
    WebId: str
    Name: str
    ServerTime: str | None = None


class _DataServers(msgspec.Struct):
    Items: list[_DataServer] = []  # an empty list may be left out altogether (reference: selectedFields)


class _Point(msgspec.Struct):
    WebId: str
    Name: str
    Path: str = ""
    PointType: str = ""
    EngineeringUnits: str | None = None


class _Links(msgspec.Struct):
    Next: str | None = None


class _Points(msgspec.Struct):
    Items: list[_Point] = []
    Links: _Links = msgspec.field(default_factory=_Links)


_Shape = TypeVar("_Shape")


def _typed(reply: Any, shape: type[_Shape], path: str) -> _Shape:
    try:
        return msgspec.convert(reply, shape)
    except msgspec.ValidationError as cause:
        message = f"GET {path}: the answer is none of PI Web API's ({cause}); check that 'url' is its address"
        raise UnexpectedReply(message) from cause


def _point(item: _Point, server: str) -> Point:
    units = intern(item.EngineeringUnits) if item.EngineeringUnits else None
    # A million points share few types, units and servers.
    return Point(item.WebId, item.Name, intern(item.PointType), units, intern(server), item.Path)
