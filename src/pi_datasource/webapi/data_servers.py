"""The data servers, and the PI server's time: nothing depends on this machine's clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from pi_datasource import time_strings
from pi_datasource.errors import Call, InvalidOption, ServerError, ServerFailed, UnexpectedReply
from pi_datasource.model import DataServer, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.redaction import shorten
from pi_datasource.webapi import client as clients
from pi_datasource.webapi import lists
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
MOST_CLOCK_DIFFERENCE = timedelta(minutes=10)  # between connected data servers; with more a clock is wrong
# A server without a clock sends year 1 or 1970 (reference: section 13, data servers).
_PLAUSIBLE_YEARS = range(1980, 2200)


def select(client: PIClient, options: Options) -> list[DataServer]:
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
    reply = client.get("dataservers", {"selectedFields": fields, **lists.ID_ONLY})
    date = _date_header(reply)
    return [
        DataServer(item.WebId, item.Name, _clock(item, date), item.IsConnected is not False)
        for item in lists.read(reply, _DataServer, "dataservers").Items
    ]


def _date_header(answer: Mapping[str, Any]) -> datetime | None:
    """The clock of PI Web API, from the ``Date`` header that ``PIClient.get`` adds to an answer."""
    try:
        return parsedate_to_datetime(answer["Date"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None


def _clock(item: _DataServer, date: datetime | None) -> datetime | None:
    """The server's own clock, or that of PI Web API (``date``) if it has none."""
    if not item.ServerTime:
        return date
    try:
        clock = time_strings.parse_wire(item.ServerTime)
    except ValueError as cause:
        message = f"the ServerTime of {shorten(item.Name)} cannot be read: {shorten(str(cause))}"
        raise UnexpectedReply(message, call=Call("GET", "dataservers")) from cause
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


def has_points(client: PIClient, server: DataServer) -> bool:
    """Whether this account can see any point of ``server``.

    Raises:
        ServerError: the server does not list its points.
    """
    path = f"dataservers/{server.web_id}/points"
    fields = "Links.Next;Items.WebId;Items.Name;Items.PointType"
    asked = {"startIndex": 0, "maxCount": 1, "selectedFields": fields, **lists.ID_ONLY}
    return bool(lists.read(client.get(path, asked), _Point, path).Items)


def _check_readable(client: PIClient, server: DataServer, connected: list[str]) -> None:
    try:
        why = None if has_points(client, server) else "it lists no point"
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
        UnexpectedReply: the server reports its time neither in ``ServerTime`` nor in a ``Date`` header, or the clocks of
            connected servers are more than ``MOST_CLOCK_DIFFERENCE`` apart.
    """
    connected = [server for server in servers if server.connected] or servers
    clocks = {server.name: server.time for server in connected if server.time is not None}
    if not clocks:
        message = "the server does not report its time (neither ServerTime nor a Date header), so '*' has no meaning"
        raise UnexpectedReply(message)
    if max(clocks.values()) - min(clocks.values()) > MOST_CLOCK_DIFFERENCE:
        each = ", ".join(f"{name} says {iso_utc(clock)}" for name, clock in clocks.items())
        message = (
            f"the clocks of the data servers disagree ({each}), so '*' has no meaning for all of them; set them by one "
            "time service, or read one of them: data_servers=NAME"
        )
        raise UnexpectedReply(message)
    return min(clocks.values()).astimezone(timezone.utc)


class ServerClock:
    """The PI server's time as a stream sees it: one small request, at most once a second.

    Spark's default trigger asks for the latest offset dozens of times a second.
    """

    def __init__(self, options: Options) -> None:
        self._patient = options
        self._at_once = options.model_copy(update={"wait_for_server": timedelta(0)})
        self._answered_at = 0.0
        self.last: datetime | None = None
        self.servers: list[DataServer] = []

    def now(self, *, wait: bool = True) -> datetime:
        """The server's time, at most a second old; with ``wait`` a server that is down is waited for as the options say.

        Raises:
            ServerError: the server does not report its time.
        """
        if self.last is not None and time.monotonic() - self._answered_at < INTERVAL_S:
            return self.last
        options = self._patient if wait else self._at_once
        self.servers = select(clients.shared(options), options)
        self._answered_at = time.monotonic()
        self.last = server_now(self.servers)
        return self.last


class _DataServer(msgspec.Struct):
    WebId: str
    Name: str
    ServerTime: str | None = None
    IsConnected: bool | None = None
    PointType: None = None  # a point, in an answer that belongs to another request, has one


class _Point(msgspec.Struct):
    WebId: str
    Name: str
    PointType: str  # only points have one, data servers do not
