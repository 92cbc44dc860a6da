"""Data servers and points: what there is to read, and the server's clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from itertools import islice

import msgspec

from pi_datasource import time_strings
from pi_datasource.errors import (
    InvalidOption,
    NoTagMatches,
    ServerError,
    ServerFailed,
    UnexpectedReply,
)
from pi_datasource.model import DataServer, Point, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.points import listing
from pi_datasource.points.listing import ID_ONLY, PAGE_SIZE, Found, matching, typed
from pi_datasource.redaction import shorten
from pi_datasource.webapi.client import PIClient, server_date

log = logging.getLogger(__name__)

SHOWN_NAMES = 10
MOST_CLOCK_DIFFERENCE = timedelta(minutes=10)  # of connected data servers; more is a clock that is wrong
# What a server that has no clock to tell sends in its place: year 1, 1970 (reference: section 13, data servers).
_PLAUSIBLE_YEARS = range(1980, 2200)
SAMPLED_PATTERNS = 3  # each takes a request
_POINT_FIELDS = ("WebId", "Name", "PointType", "EngineeringUnits")


def data_servers(client: PIClient, options: Options) -> list[DataServer]:
    """The data servers to read, in the server's order, each with its clock; all of them can be read.

    ``IsConnected: false`` alone may mean that nothing has been asked of that server yet, so it is asked for a point.

    Raises:
        InvalidOption: ``data_servers`` names one that does not exist.
        ServerFailed: one of them is not connected and lists no point. It has status 503: waiting may help.
        UnexpectedReply: PI Web API knows no data server at all.
    """
    chosen = _chosen(_listed(client), options, client.url)
    for server in chosen:
        if not server.connected:
            _check_readable(client, server, [other.name for other in chosen if other.connected])
    return chosen


def _listed(client: PIClient) -> list[DataServer]:
    fields = "Items.WebId;Items.Name;Items.ServerTime;Items.IsConnected"
    reply = client.get("dataservers", {"selectedFields": fields, **ID_ONLY})
    date = server_date(reply)
    return [
        DataServer(item.WebId, item.Name, _clock(item, date), item.IsConnected is not False)
        for item in typed(reply, _DataServers, "dataservers").Items
    ]


def _clock(item: _DataServer, date: datetime | None) -> datetime | None:
    """The server's own clock, or that of PI Web API (``date``) where it tells none."""
    if not item.ServerTime:
        return date
    try:
        clock = time_strings.parse_wire(item.ServerTime)
    except ValueError as cause:
        message = (
            f"GET dataservers: the ServerTime of {shorten(item.Name)} cannot be read: {shorten(str(cause))}"
        )
        raise UnexpectedReply(message) from cause
    if clock.year in _PLAUSIBLE_YEARS:
        return clock
    log.warning("the ServerTime of %s is %s, which cannot be its clock: ignored", item.Name, item.ServerTime)
    return date


def _chosen(found: list[DataServer], options: Options, url: str) -> list[DataServer]:
    if not found:
        message = f"{url} knows no data server; connect PI Web API to a PI Data Archive, or check the account"
        raise UnexpectedReply(message)
    by_name = {server.name.lower(): server for server in found}
    if unknown := [name for name in options.data_servers if name.lower() not in by_name]:
        message = f"option 'data_servers': there is no {unknown[0]!r}; there are {shorten(', '.join(s.name for s in found))}"
        raise InvalidOption(message)
    return [by_name[name.lower()] for name in options.data_servers] or found


def _check_readable(client: PIClient, server: DataServer, connected: list[str]) -> None:
    try:
        why = "it lists no point" if not listing.first_point(client, server) else None
    except ServerError as error:
        why = str(error)
    if why is None:
        return
    others = f", or leave it out: data_servers={','.join(connected)}" if connected else ""
    message = (
        f"the data server {server.name} is not connected, so its tags cannot be read ({why}); connect it to PI Web API"
        f"{others}"
    )
    raise ServerFailed(message, 503)


def server_now(servers: list[DataServer]) -> datetime:
    """The PI server's present time: of several connected servers the one whose clock is furthest behind.

    Raises:
        UnexpectedReply: the server tells its time neither in ``ServerTime`` nor in a ``Date`` header, or the clocks of
            connected servers are more than ``MOST_CLOCK_DIFFERENCE`` apart.
    """
    connected = [server for server in servers if server.connected] or servers
    clocks = {server.name: server.time for server in connected if server.time is not None}
    if not clocks:
        message = "the server tells no time (neither ServerTime nor a Date header), so '*' has no meaning"
        raise UnexpectedReply(message)
    if max(clocks.values()) - min(clocks.values()) > MOST_CLOCK_DIFFERENCE:
        each = ", ".join(f"{name} says {iso_utc(clock)}" for name, clock in clocks.items())
        message = (
            f"the clocks of the data servers disagree ({each}), so '*' has no meaning for all of them; set them by one "
            "time service, or read one of them: data_servers=NAME"
        )
        raise UnexpectedReply(message)
    return min(clocks.values()).astimezone(timezone.utc)


def points(
    client: PIClient,
    servers: list[DataServer],
    options: Options,
    *,
    strict: bool = True,
    more_fields: Sequence[str] = (),
) -> list[Point]:
    """The points that the options select, each once, ordered as found.

    With ``strict`` every tag and pattern asked for must select something; without, a tag that has gone is left out.
    ``more_fields`` are PI's names of what else is wanted of a point, such as ``Step``.

    Raises:
        NoTagMatches: a tag or pattern selects nothing; the message names it.
    """
    fields = (*_POINT_FIELDS, *(("Path",) if options.include_metadata else ()), *more_fields)
    return [listing.point(*found) for found in selected(client, servers, options, fields, strict=strict)]


def selected(
    client: PIClient,
    servers: list[DataServer],
    options: Options,
    fields: Sequence[str],
    *,
    strict: bool = True,
) -> Iterator[Found]:
    """The points that the options select with their data servers, each once, page by page; memory holds their WebIds at most.

    ``fields`` are PI's names of what is wanted of them. Raises at the end what ``points`` raises.
    """
    wanted = options.tags or ("*",)
    allowed = _allowed(client, servers, options.tag_filter)
    together = listing.named(client, servers, wanted, fields, _most_requests(options))
    seen: set[str] = set()
    unmatched, found = [], 0
    for tag in wanted:
        matched = False
        for item, server in together.get(tag) or matching(client, servers, tag, fields):
            matched = True
            if item.WebId not in seen and (allowed is None or item.WebId in allowed):
                seen.add(
                    item.WebId
                )  # patterns overlap, and a list that changes while it is read repeats points
                found += 1
                yield item, server
        if not matched:
            unmatched.append(tag)
    if unmatched and strict:
        raise _no_match(unmatched, servers, options)
    if allowed is not None and strict and not found:
        message = f"option 'tag_filter': no selected tag matches {options.tag_filter!r}"
        raise NoTagMatches(message)


def _allowed(client: PIClient, servers: list[DataServer], tag_filter: str | None) -> set[str] | None:
    """The WebIds of all points that match ``tag_filter``; None if there is no such option."""
    if tag_filter is None:
        return None
    return {item.WebId for item, _ in matching(client, servers, tag_filter, ("WebId", "Name", "PointType"))}


def sample(client: PIClient, servers: list[DataServer], options: Options) -> tuple[list[Point], bool]:
    """Points that the options select, from one page of each of the first tags or patterns; and whether that is all.

    Raises:
        NoTagMatches: one of those tags or patterns selects nothing; the message names it.
    """
    wanted = options.tags or ("*",)
    pages = {
        tag: [
            listing.point(*found)
            for found in islice(matching(client, servers, tag, _POINT_FIELDS), PAGE_SIZE)
        ]
        for tag in wanted[:SAMPLED_PATTERNS]
    }
    if unmatched := [tag for tag, page in pages.items() if not page]:
        raise _no_match(unmatched, servers, options)
    found = {point.web_id: point for page in pages.values() for point in page}
    whole = (
        len(pages) == len(wanted) and max(map(len, pages.values())) < PAGE_SIZE and options.tag_filter is None
    )
    return list(found.values()), whole


def _no_match(unmatched: list[str], servers: list[DataServer], options: Options) -> NoTagMatches:
    names = ", ".join(repr(tag) for tag in unmatched[:SHOWN_NAMES])
    more = f" and {len(unmatched) - SHOWN_NAMES} more" if len(unmatched) > SHOWN_NAMES else ""
    where = f"on {shorten(', '.join(server.name for server in servers))}"
    if not options.tags:
        return NoTagMatches(f"there is no tag {where} that this account can see")
    return NoTagMatches(
        f"option 'tags': nothing {where} matches {names}{more}; check the spelling, and that this account may read "
        "the tag (PI hides what it may not)"
    )


def _most_requests(options: Options) -> int:
    """How many requests one call may hold: at most half of what is allowed in a second (``pacing``)."""
    rate = options.requests_per_second
    return listing.NAMES_PER_CALL if rate is None else int(rate / 2)


class _DataServer(msgspec.Struct):
    WebId: str
    Name: str
    ServerTime: str | None = None
    IsConnected: bool | None = None
    PointType: None = None  # a point, in an answer that belongs to another request, has one


class _DataServers(msgspec.Struct):
    Items: list[_DataServer] = []  # an empty list may be left out altogether (reference: selectedFields)
