"""The JSON of a batch reply: typed members by request id, or each member's own JSON where one of them is damaged. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pi_datasource.recorded.wire import NOT_JSON, TimedValue

Entry = TimedValue | tuple[int, int]  # an event, or the numbers of a run of lifted rows


class Failure(msgspec.Struct, gc=False):
    """What any part of a reply may hold beside its data or in place of it (reference: errors, failed members)."""

    WebException: Any = None
    Errors: Any = None
    exception: Any = msgspec.field(default=None, name="Exception")
    Message: Any = None


class Stream(Failure, gc=False):
    """One stream's page of events."""

    Items: list[Entry] | UnsetType = UNSET
    UnitsAbbreviation: str | None = None


class StreamOfSet(Stream, gc=False, kw_only=True):
    """One stream's page within a stream set."""

    WebId: str


class StreamSet(Failure, gc=False):
    """The pages of several streams."""

    Items: list[StreamOfSet] | UnsetType = UNSET


class SubReply(Failure, gc=False):
    """The answer to one request of a batch."""

    Status: int = 0
    Headers: Any = None
    StatusCode: Any = None  # of a WebException in place of the replies


class StreamReply(SubReply, gc=False):
    """The answer to a request for a stream."""

    Content: Stream | str | None = None


class SetReply(SubReply, gc=False):
    """The answer to a request for a stream set."""

    Content: StreamSet | str | None = None


STREAMS = msgspec.json.Decoder(dict[str, StreamReply | None])
SETS = msgspec.json.Decoder(dict[str, SetReply | None])

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FAILURES = ("WebException", "Errors", "Exception", "Message")
_MARKS = frozenset({"Links", "UnitsAbbreviation"})
_NAMES_OF_A_PAGE = _MARKS.union(_FAILURES, ("WebId", "Name", "Path"))
_BARE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN', re.DOTALL)


def is_empty_page(content: Any) -> bool:
    """Whether a parsed object without ``Items`` is a page of no events all the same.

    A server may leave out an empty list under ``selectedFields`` (reference: quirk 5), and then still writes the units. An
    object with any other name, or with none of a page, is something else, such as a gateway's ``{"error": …}``.
    """
    return isinstance(content, dict) and bool(_MARKS & content.keys()) and content.keys() <= _NAMES_OF_A_PAGE


def members(body: bytes) -> dict[str, bytes] | None:
    """The JSON of each member by its id, unchecked; None if the body is not an object."""
    try:
        return {key: bytes(raw) for key, raw in _MEMBERS.decode(body).items()}
    except NOT_JSON:
        return None


def quote_bare_numbers(body: bytes) -> bytes:
    """``body`` with each bare ``NaN`` and ``Infinity``, which JSON does not have, as the text that PI Web API writes."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _BARE.sub(_quoted, body)


def _quoted(token: re.Match[bytes]) -> bytes:
    return token[0] if token[0].startswith(b'"') else b'"%b"' % token[0]
