"""Pages of events as PI Web API writes them: of one stream or of a set, each the content of a member of a batch."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pi_datasource.webapi.envelope import FAILURE_NAMES, FailureFields, SubReply

FLAGS = ("Good", "Questionable", "Substituted", "Annotated")


class TimedValue(msgspec.Struct, gc=False):
    """One event."""

    Timestamp: str
    Value: Any = None
    Good: bool | None = None
    Questionable: bool | None = None
    Substituted: bool | None = None
    Annotated: bool | None = None
    Errors: Any = None


Entry = TimedValue | tuple[int, int]  # an event, or the numbers of a run of fast rows


class Stream(FailureFields, gc=False):
    """One stream's page of events."""

    Items: list[Entry] | UnsetType = UNSET
    UnitsAbbreviation: str | None = None


class StreamOfSet(Stream, gc=False, kw_only=True):
    """One stream's page within a stream set."""

    WebId: str


class StreamSet(FailureFields, gc=False):
    """The pages of several streams."""

    Items: list[StreamOfSet] | UnsetType = UNSET


class StreamReply(SubReply, gc=False):
    """The answer to a request for a stream."""

    Content: Stream | str | None = None


class SetReply(SubReply, gc=False):
    """The answer to a request for a stream set."""

    Content: StreamSet | str | None = None


STREAMS = msgspec.json.Decoder(dict[str, StreamReply | None])
SETS = msgspec.json.Decoder(dict[str, SetReply | None])

_MARKS = frozenset({"Links", "UnitsAbbreviation"})
_NAMES_OF_A_PAGE = _MARKS.union(FAILURE_NAMES, ("WebId", "Name", "Path"))


def is_empty_page(content: Any) -> bool:
    """Whether a parsed object without ``Items`` is a page of no events all the same.

    A server may leave out an empty list under ``selectedFields`` (reference: quirk 5), and then still writes the units. An
    object with any other name, or with none of a page, is something else, such as a gateway's ``{"error": …}``.
    """
    return isinstance(content, dict) and bool(_MARKS & content.keys()) and content.keys() <= _NAMES_OF_A_PAGE
