"""Finds the points that the options select."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice, starmap

from pi_datasource.errors import NoTagMatches
from pi_datasource.model import DataServer, Point
from pi_datasource.options.declaration import Options
from pi_datasource.points import listing
from pi_datasource.points.listing import PAGE_SIZE, Found, matching
from pi_datasource.redaction import shorten
from pi_datasource.webapi.client import PIClient

log = logging.getLogger(__name__)

SHOWN_NAMES = 10
SAMPLED_PATTERNS = 3  # each takes a request
_POINT_FIELDS = (*listing.REQUIRED_FIELDS, "EngineeringUnits")


def points(
    client: PIClient,
    servers: list[DataServer],
    options: Options,
    *,
    strict: bool = True,
    more_fields: Sequence[str] = (),
) -> list[Point]:
    """The points that the options select, each once, ordered as found.

    With ``strict`` every tag and pattern must select something; without, those that select nothing are skipped.
    ``more_fields`` are PI's names of further attributes, such as ``Step``.

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
    # At most half of those that may be sent in a second.
    most_requests = int((options.requests_per_second or 2 * listing.NAMES_PER_CALL) / 2)
    together = listing.named(client, servers, wanted, fields, most_requests)
    seen: set[str] = set()
    unmatched = []
    for tag in wanted:
        matched = False
        for item, server in together.get(tag) or matching(client, servers, tag, fields):
            matched = True
            if item.WebId not in seen and (allowed is None or item.WebId in allowed):
                # Patterns overlap, and a list that changes while it is read repeats points.
                seen.add(item.WebId)
                yield item, server
        if not matched:
            unmatched.append(tag)
    if unmatched and strict:
        raise no_match(unmatched, servers, options)
    if allowed is not None and strict and not seen:
        message = f"option 'tag_filter': no selected tag matches {options.tag_filter!r}"
        raise NoTagMatches(message)


def _allowed(client: PIClient, servers: list[DataServer], tag_filter: str | None) -> set[str] | None:
    """The WebIds of all points that match ``tag_filter``; None if there is no such option."""
    if tag_filter is None:
        return None
    return {item.WebId for item, _ in matching(client, servers, tag_filter, listing.REQUIRED_FIELDS)}


def sample(client: PIClient, servers: list[DataServer], options: Options) -> tuple[list[Point], bool]:
    """Points that the options select, from one page of each of the first tags or patterns, and whether these are all.

    Raises:
        NoTagMatches: one of those tags or patterns selects nothing; the message names it.
    """
    wanted = options.tags or ("*",)
    pages = {
        tag: list(starmap(listing.point, islice(matching(client, servers, tag, _POINT_FIELDS), PAGE_SIZE)))
        for tag in wanted[:SAMPLED_PATTERNS]
    }
    if unmatched := [tag for tag, page in pages.items() if not page]:
        raise no_match(unmatched, servers, options)
    found = {point.web_id: point for page in pages.values() for point in page}
    cut = len(pages) < len(wanted) or max(map(len, pages.values())) >= PAGE_SIZE
    return list(found.values()), not cut and options.tag_filter is None


_BRACKETS = "; PI takes [ab] for a set of characters: a bracket in a name is written \\["


def no_match(unmatched: list[str], servers: list[DataServer], options: Options) -> NoTagMatches:
    """The error for tags or patterns that select nothing; without the option ``tags``, for an account that sees no tag."""
    names = ", ".join(repr(tag) for tag in unmatched[:SHOWN_NAMES])
    more = f" and {len(unmatched) - SHOWN_NAMES} more" if len(unmatched) > SHOWN_NAMES else ""
    where = f"on {shorten(', '.join(server.name for server in servers))}"
    if not options.tags:
        return NoTagMatches(f"there is no tag {where} that this account can see")
    return NoTagMatches(
        f"option 'tags': nothing {where} matches {names}{more}; check the spelling, and that this account may read "
        f"the tag (PI hides what it may not){_BRACKETS if any('[' in tag for tag in unmatched) else ''}"
    )
