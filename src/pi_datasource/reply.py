"""Replies of PI Web API → typed objects, or the error that they are.

Rules are those of the reference: a sub-reply's content is events, a string, ``Errors`` or a ``Message``; a body with
status 2xx may still carry a failure (``WebException``); a timestamp has 0 to 7 fraction digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from pi_datasource import timespec
from pi_datasource.errors import UnexpectedReply

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding a foreign body may raise


class TimedValue(msgspec.Struct, gc=False):
    """One event as PI writes it."""

    Timestamp: str
    Value: Any = None
    Good: bool | None = None
    Questionable: bool | None = None
    Substituted: bool | None = None
    Annotated: bool | None = None
    Errors: Any = None


class Content(msgspec.Struct):
    """The body of one sub-reply: events when it worked, texts when it did not."""

    Items: list[TimedValue] = []
    UnitsAbbreviation: str | None = None
    Errors: Any = None
    Message: str | None = None
    WebException: Any = None


class SubReply(msgspec.Struct):
    """One sub-reply of a batch."""

    Status: int = 0
    Content: Content | str | None = None
    Headers: Any = None
    StatusCode: int | None = None  # of a WebException in place of the replies
    Errors: Any = None


@dataclass(frozen=True)
class Page:
    """What one sub-request brought: the events, or the status and text of its failure (never both)."""

    items: list[TimedValue] = field(default_factory=list)
    units: str | None = None
    status: int = 200
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the events are to be trusted."""
        return self.status == 200


_DECODER = msgspec.json.Decoder(dict[str, SubReply | None])


def batch_reply(body: bytes) -> dict[str, Page]:
    """The pages of a batch reply by request id.

    Raises:
        UnexpectedReply: the body is cut or no batch reply; nothing of it was used.
    """
    try:
        replies = _DECODER.decode(body)
    except NOT_JSON as cause:
        message = f"POST batch: the body is no batch reply ({cause}); it starts with {opening(body)}"
        raise UnexpectedReply(message) from cause
    broken = replies.pop("WebException", None)
    if broken is not None:
        message = (
            f"POST batch: the server failed while it answered: {text_of(broken.Errors) or 'no reason given'}"
        )
        raise UnexpectedReply(message, broken.StatusCode)
    return {key: _page(reply or SubReply()) for key, reply in replies.items()}


def opening(body: bytes) -> str:
    """The first words of a body, fit for an error message."""
    text = re.sub(r"<[^>]*>", " ", body[:600].decode("utf-8", "replace"))
    return repr(" ".join(text.split())[:120]) if text.split() else "nothing"


def text_of(errors: Any) -> str:
    """One line from any of PI's forms of error text: a string, a list of them, or field errors."""
    if isinstance(errors, str):
        return errors
    if isinstance(errors, dict):
        return text_of(errors.get("Message") or errors.get("Errors"))
    if isinstance(errors, list):
        return "; ".join(filter(None, map(text_of, errors)))
    return ""


def status_of(web_exception: dict[str, Any]) -> int:
    """The HTTP status that a ``WebException`` stands for; 500 where it says none."""
    code = web_exception.get("StatusCode")
    return code if type(code) is int else 500


def _page(reply: SubReply) -> Page:
    content = reply.Content
    if isinstance(content, Content):
        if isinstance(content.WebException, dict):
            failure = content.WebException
            return Page(status=status_of(failure), message=text_of(failure.get("Errors")))
        if reply.Status == 200:
            return Page(content.Items, content.UnitsAbbreviation)
        return Page(status=reply.Status or 500, message=text_of(content.Errors) or content.Message or "")
    if reply.Status == 200:
        return Page(status=500, message=f"HTTP 200 without events: {content!r}")
    return Page(status=reply.Status or 500, message=content or "")


def moment(text: str) -> datetime:
    """One timestamp as PI writes it, cut to microseconds.

    Raises:
        UnexpectedReply: the text is no timestamp.
    """
    try:
        return timespec.parse_wire(text)
    except ValueError as cause:
        message = f"an event's Timestamp cannot be read: {cause}"
        raise UnexpectedReply(message) from cause
