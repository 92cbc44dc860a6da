"""Lists of points: by pattern page by page, by exact name many in one call, by path one by one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from sys import intern
from typing import Any

import msgspec

from pi_datasource.errors import Call, RequestRefused, ServerError, UnexpectedReply
from pi_datasource.model import DataServer, Point
from pi_datasource.redaction import shorten
from pi_datasource.webapi import batch, envelope, lists
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import FailedPart
from pi_datasource.webapi.lists import ID_ONLY, Listed

log = logging.getLogger(__name__)

PAGE_SIZE = 10_000
MOST_MOVES = 100  # of items, while their list is read; a list that moves more often has no order
FEWEST_CAPPED = 100  # items: a server may cap pages without saying so, but not to fewer items than these
NAMES_PER_CALL = 100  # each is a request of its own to the server's rate limit
_INTERPRETED = re.compile(r"[\[\]\\]")
_REGULAR = {"*": ".*", "?": "."}
_WILDCARD = re.compile(r"[*?\[\]]")


REQUIRED_FIELDS = ("WebId", "Name", "PointType")  # of every point that is listed


class PointItem(msgspec.Struct):
    """A point as PI Web API lists it; what was not asked for has its default."""

    WebId: str
    Name: str
    PointType: str  # only points have one, data servers and other objects do not
    Id: int | None = None
    Path: str = ""
    Descriptor: str | None = None
    PointClass: str | None = None
    DigitalSetName: str | None = None
    EngineeringUnits: str | None = None
    Zero: float | None = None
    Span: float | None = None
    Step: bool | None = None
    Future: bool | None = None
    DisplayDigits: int | None = None


Found = tuple[PointItem, DataServer]


def matching(
    client: PIClient, servers: Sequence[DataServer], tag: str, fields: Sequence[str]
) -> Iterator[Found]:
    """The points that a name, a pattern or a full path (server and tag) selects, in the server's order."""
    if tag.startswith("\\\\"):
        yield from _by_path(client, servers, tag, fields)
        return
    for server in servers:
        for item in _pages(client, f"dataservers/{server.web_id}/points", tag, _selected(fields)):
            if _meant(tag, item):
                yield item, server


def named(
    client: PIClient,
    servers: Sequence[DataServer],
    tags: Sequence[str],
    fields: Sequence[str],
    most_requests: int = NAMES_PER_CALL,
) -> dict[str, list[Found]]:
    """The points of each exact name among ``tags``, many names in one call of at most ``most_requests`` requests.

    Patterns, paths, and names whose answer failed or is incomplete are left out: they have to be asked for alone.
    """
    exact = [tag for tag in tags if not _WILDCARD.search(tag) and not tag.startswith("\\\\")]
    step = min(NAMES_PER_CALL, most_requests) // max(1, len(servers))
    if len(exact) < 2 or step < 2:
        return {}
    found: dict[str, list[Found]] = {}
    for first in range(0, len(exact), step):
        found.update(_asked_together(client, servers, exact[first : first + step], fields))
    return found


def _asked_together(
    client: PIClient, servers: Sequence[DataServer], tags: Sequence[str], fields: Sequence[str]
) -> dict[str, list[Found]]:
    window = {"startIndex": 0, "maxCount": NAMES_PER_CALL, "selectedFields": _selected(fields), **ID_ONLY}
    urls = [
        client.resource(f"dataservers/{server.web_id}/points", {"nameFilter": tag, **window})
        for tag in tags
        for server in servers
    ]
    try:
        answers = iter(batch.lists_of(client, urls, PointItem, "dataservers/…/points"))
        found: dict[str, list[Found]] = {}
        for tag in tags:
            pages = [_whole(next(answers)) for _ in servers]
            if all(page is not None for page in pages):
                found[tag] = [
                    (item, server)
                    for server, page in zip(servers, pages, strict=True)
                    for item in page or []
                    if _meant(tag, item)
                ]
    except ServerError:
        return {}  # asked for alone, each name gets an error of its own
    return found


def _whole(answer: Listed[PointItem] | FailedPart) -> list[PointItem] | None:
    """The points of one answer; None if it failed or there may be more."""
    if isinstance(answer, FailedPart) or answer.Links.Next or len(answer.Items) >= NAMES_PER_CALL:
        return None
    return answer.Items


def _meant(tag: str, item: PointItem) -> bool:
    """Whether ``tag`` selects ``item``: a server may take a name without wildcards for a prefix (reference: quirk 30)."""
    return bool(_WILDCARD.search(tag)) or item.Name.lower() == tag.lower()


def _selected(fields: Sequence[str]) -> str:
    return ";".join(["Links.Next", *(f"Items.{name}" for name in fields)])


def _by_path(
    client: PIClient, servers: Sequence[DataServer], path: str, fields: Sequence[str]
) -> Iterator[Found]:
    asked = path[2:].partition("\\")[0].lower()
    owner = next((server for server in servers if server.name.lower() == asked), None)
    if owner is None:
        return
    try:
        item = client.get("points", {"path": path, "selectedFields": ";".join(fields), **ID_ONLY})
    except RequestRefused as refused:
        if refused.status == 404 and refused.errors:
            return
        raise
    found = lists.typed(item, PointItem, "points")
    if found.Name.lower() != path.rpartition("\\")[2].lower():
        message = f"the answer is {shorten(found.Name)}, and not {path}; look for a proxy that delivers answers late"
        raise UnexpectedReply(message, call=Call("GET", "points"))
    yield found, owner


def _pages(client: PIClient, path: str, tag: str, selected_fields: str) -> Iterator[PointItem]:
    """All items of a paged list; ends at an empty page, or one shorter than any cap without a ``Next`` link.

    Each page begins with the last item of the one before. If it does not, points were deleted meanwhile, and as many others
    would be skipped: reading then goes back by one page, whose items come a second time.

    Raises:
        UnexpectedReply: the server sends the same page again and again, whatever is asked for, or in no order.
    """
    start, size, moves = 0, PAGE_SIZE, 0
    last: list[PointItem] = []
    while True:
        joint = int(len(last) > 1)  # a server may send points one by one
        paging = {"startIndex": start - joint, "maxCount": size}
        asked = {"nameFilter": tag, "selectedFields": selected_fields, **ID_ONLY, **paging}
        try:
            listed = _page(client, path, asked)
        except ServerError as refused:
            if size == 1 or all(envelope.items_limit(text) is None for text in refused.errors):
                raise
            size //= 2
            continue
        items = listed.Items
        if items and items == last:
            message = f"the page at startIndex={start} is the one before again, so the list has no end"
            raise UnexpectedReply(message, call=Call("GET", path))
        if joint and [item.WebId for item in items[:1]] != [last[-1].WebId]:
            start, moves, last = max(0, start - size), moves + 1, []
            if moves > MOST_MOVES:
                message = (
                    "the list is in another order each time it is read, so tags would be missed; try again"
                )
                raise UnexpectedReply(message, call=Call("GET", path))
            continue
        last = items
        yield from items[joint:]
        start += len(items) - joint
        short = len(items) < min(size, FEWEST_CAPPED)
        if len(items) <= joint or (short and not listed.Links.Next):
            return


def _page(client: PIClient, path: str, asked: Mapping[str, Any]) -> Listed[PointItem]:
    """One page; an answer that belongs to another request is asked for again, once, on a connection of its own.

    Raises:
        UnexpectedReply: it is another list again, or none.
    """
    tag = asked["nameFilter"]
    stranger = None
    for _ in range(2):
        if stranger is not None:
            text = "GET %s: the answer holds %s, which %r does not select; asking again"
            log.warning(text, path, stranger, tag)
            client.drop_connections()
        listed = lists.read(client.get(path, asked), PointItem, path)
        if (stranger := _stranger(tag, listed.Items)) is None:
            return listed
    message = (
        f"the answer holds {stranger}, which {tag!r} does not select, so it belongs to another request; look for a proxy "
        "that delivers answers late"
    )
    raise UnexpectedReply(message, call=Call("GET", path))


def _stranger(tag: str, items: Sequence[PointItem]) -> str | None:
    """The name of an item that ``tag`` cannot select; None if there is none, or none that is certain.

    Only ``*`` and ``?`` are certain; how sets, escapes and letters beyond ASCII match is up to the server. So is a name
    without wildcards (reference: quirk 30), but at least one of its points contains the name.
    """
    if not tag.strip("*") or not tag.isascii() or _INTERPRETED.search(tag):
        return None
    names = [item.Name for item in items if item.Name.isascii()]
    if not _WILDCARD.search(tag):
        return None if not names or any(tag.lower() in name.lower() for name in names) else names[0]
    pattern = re.compile(
        "".join(_REGULAR.get(letter, re.escape(letter)) for letter in tag), re.IGNORECASE | re.DOTALL
    )
    return next((name for name in names if not pattern.fullmatch(name)), None)


def point(item: PointItem, server: DataServer) -> Point:
    """What reading the events of a listed point needs of it."""
    units = intern(item.EngineeringUnits) if item.EngineeringUnits else None
    # A million points share few types, units and servers.
    return Point(
        item.WebId, item.Name, intern(item.PointType), units, intern(server.name), item.Path, bool(item.Step)
    )
