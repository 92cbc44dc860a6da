"""Replies of PI Web API → pages of events, or the failure that they are.

Rules are those of the reference: a sub-reply's content is events, a string, ``Errors`` or a ``Message``; a body with
status 2xx may still carry a failure at any level. Only what has the shape of a page is taken for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from pi_datasource import redaction
from pi_datasource.errors import UnexpectedReply
from pi_datasource.recorded import events, fast_rows, wire
from pi_datasource.recorded.events import Events
from pi_datasource.recorded.fast_rows import FastRows
from pi_datasource.recorded.interleaving import Cut, Interleaving
from pi_datasource.recorded.wire import Stream, StreamSet, TimedValue
from pi_datasource.webapi import envelope, request_ids, retry
from pi_datasource.webapi.envelope import (
    NOT_JSON,
    Failure,
    SubReply,
    opening,
    own_errors,
    shown,
    status_of,
    text_of,
)

_NO_STREAMS: Mapping[str, Page] = MappingProxyType({})


class Page(NamedTuple):
    """What one sub-request brought: events (of one stream, or of each in ``streams``), or status and text of a failure.

    ``unrecognized`` is a failure, too: status 200 with something that is neither events nor PI Web API's words for an error.
    """

    events: Events = events.EMPTY
    units: str | None = None
    status: int = 200
    message: str = ""
    retry_after_s: float | None = None
    streams: Mapping[str, Page] = _NO_STREAMS
    errors: tuple[str, ...] = ()  # PI Web API's own texts of a failure
    unrecognized: bool = False
    in_order: bool = True  # no event lies before the one above it
    dropped: int = 0  # events beside a failure: not trusted, but they count where a limit is shared

    @property
    def ok(self) -> bool:
        """Whether the events are to be trusted."""
        return self.status == 200


def batch_reply(body: bytes, asked: Sequence[str] = (), *, sets: bool = False) -> dict[str, Page]:
    """The pages of a batch reply by request id: of single streams, or with ``sets`` of stream sets.

    A member that cannot be read is a failure of its own, as long as the body can be taken apart.

    Raises:
        UnexpectedReply: the body is cut, no batch reply, or its ids are not exactly those ``asked``; nothing of it was used.
    """
    try:
        return _read(body, asked, sets)
    except UnexpectedReply:
        # The members one by one: only what is wrong with the body as a whole is raised.
        mended = envelope.quote_bare_numbers(body)
        members = envelope.members(mended) or {}
        broken = members.pop("WebException", b"null") != b"null"
        if broken or not any(key in members for key in asked or members):
            raise
    if asked:
        request_ids.check(mended, members, asked)
    return {key: _read_one(key, member, sets) for key, member in members.items()}


def _read_one(key: str, member: bytes, sets: bool) -> Page:
    body = b"{%b:%b}" % (msgspec.json.encode(key), member)
    try:
        return _read(body, (key,), sets)[key]
    except UnexpectedReply as damage:
        return _unreadable(damage)


def _unreadable(damage: UnexpectedReply) -> Page:
    return _unrecognized(f"the answer cannot be read: {redaction.shorten(str(damage.__cause__ or damage))}")


def _unrecognized(message: str) -> Page:
    return Page(status=500, message=message, unrecognized=True)


def _read(body: bytes, asked: Sequence[str], sets: bool) -> dict[str, Page]:
    lifted = fast_rows.extract(body)
    pages = _pages(body, lifted, asked, sets)
    if pages is None:
        # Rows stand where the reference has none: the parser says what is wrong, if anything is.
        pages = _pages(body, None, asked, sets)
    return pages or {}


def _pages(body: bytes, lifted: FastRows | None, asked: Sequence[str], sets: bool) -> dict[str, Page] | None:
    """The pages; None if the lifted rows do not fit into what is left of the body."""
    text = lifted.residual_json if lifted else body
    replies = _parsed(text, body, sets)
    if replies is None:
        return None
    if asked:
        request_ids.check(text, replies, asked)
    planning = _Planning(text)
    plans = {key: planning.member(key, answer or SubReply()) for key, answer in replies.items()}
    cut = planning.interleaving.cut(lifted)
    if cut is None:
        return None
    return {key: plan if isinstance(plan, Page) else plan.filled(cut) for key, plan in plans.items()}


def _parsed(text: bytes, body: bytes, sets: bool) -> Mapping[str, SubReply | None] | None:
    decoder: Any = wire.SETS if sets else wire.STREAMS
    try:
        if not text.isascii():
            str(
                text, "utf-8"
            )  # the decoder passes over a name with a wrong byte, and what it names is then missing
        replies: dict[str, SubReply | None] = decoder.decode(text)
    except NOT_JSON as cause:
        if text is not body:
            return None
        message = f"POST batch: the body is no batch reply ({cause}); it starts with {opening(body)}"
        raise UnexpectedReply(message) from cause
    broken = replies.pop("WebException", None)
    if broken is not None:
        message = (
            f"POST batch: the server failed while it answered: {text_of(broken.Errors) or 'no reason given'}"
        )
        raise UnexpectedReply(message, status_of({"StatusCode": broken.StatusCode}))
    return replies


class _Planned(NamedTuple):
    """A page whose events are still to come: ``number`` of a stream, or the streams of a set."""

    number: int = 0
    units: str | None = None
    streams: dict[str, Page | _Planned] | None = None

    def filled(self, cut: Cut) -> Page:
        """The page with its events."""
        if self.streams is None:
            return Page(cut.streams[self.number], self.units, in_order=self.number not in cut.disordered)
        each = {
            web_id: plan if isinstance(plan, Page) else plan.filled(cut)
            for web_id, plan in self.streams.items()
        }
        return Page(streams=each)


class _Planning:
    """Tells pages from failures, member by member."""

    def __init__(self, text: bytes) -> None:
        self.interleaving = Interleaving()
        self._text = text
        self._plain: Any = None

    def member(self, key: str, reply: SubReply) -> Page | _Planned:
        """What the answer to one request is."""
        content: Any = getattr(reply, "Content", None)
        failure = _failure_of(reply, content)
        if isinstance(content, Stream):
            return self._stream(content, (key, "Content"), failure)
        if isinstance(content, StreamSet):
            return self._set(content, (key, "Content"), failure)
        if failure is not None:
            return failure
        return _unrecognized(f"HTTP 200 without events: {shown(content)}")

    def _set(self, content: StreamSet, place: tuple[str | int, ...], failure: Page | None) -> Page | _Planned:
        items = content.Items
        if items is UNSET:
            return failure or _unrecognized(f"HTTP 200 without events: {shown(self._at(place))}")
        each = {
            stream.WebId: self._stream(stream, (*place, "Items", number), _failure_of_part(stream))
            for number, stream in enumerate(items)
        }
        if failure is None and len(each) < len(items):
            return _unrecognized("the answer holds a stream more than once")
        return failure or _Planned(streams=each)

    def _stream(self, stream: Stream, place: tuple[str | int, ...], failure: Page | None) -> Page | _Planned:
        items = stream.Items
        if items is UNSET:
            if failure is None and not wire.is_empty_page(self._at(place)):
                failure = _unrecognized(f"HTTP 200 without events: {shown(self._at(place))}")
            items = []
        number = self.interleaving.add(
            items
        )  # of a failure, too: all rows that were lifted have their stream
        if failure is not None:
            return failure._replace(dropped=_size(items))
        last = items[-1] if items else None
        if type(last) is TimedValue and last.Errors:
            # The server handled a failure while it wrote; whether there were more events it does not say.
            words = text_of(last.Errors) or "no reason given"
            message = f"the events end with an error entry: {words}"
            return Page(status=500, message=message, dropped=_size(items))
        return _Planned(number, stream.UnitsAbbreviation)

    def _at(self, place: Sequence[str | int]) -> Any:
        """What stands at a place, with the names that the typed objects do not have."""
        if self._plain is None:
            try:
                self._plain = msgspec.json.decode(self._text)
            except NOT_JSON as cause:  # in a part that the typed objects do not have either
                message = f"POST batch: the body is no batch reply ({cause})"
                raise UnexpectedReply(message) from cause
        found = self._plain
        for step in place:
            found = found[step]
        return found


def _size(items: Sequence[wire.Entry]) -> int:
    return sum(1 if isinstance(each, TimedValue) else each[1] - each[0] for each in items)


def _failure_of(reply: SubReply, content: Any) -> Page | None:
    """The failure that a member is, by its status and by what it says of itself; None where it is none."""
    inner = content if isinstance(content, Failure) else None
    failure = _failure_of_part(reply) or (_failure_of_part(inner) if inner is not None else None)
    if reply.Status == 200 or (inner is not None and inner.WebException is not None):
        return failure
    words = text_of(content) if isinstance(content, str) else failure.message if failure else ""
    errors = own_errors(inner.Errors) if inner is not None else ()
    pause_s = _retry_after(reply.Headers)
    return Page(status=reply.Status or 500, message=words, retry_after_s=pause_s, errors=errors)


def _failure_of_part(part: Failure) -> Page | None:
    """The failure that a part with status 200 holds, whatever data stand beside it."""
    told = part.WebException
    if told is None and not part.Errors and not part.exception and not part.Message:
        return None
    words = text_of(told) or text_of(part.Errors) or text_of(part.exception) or text_of(part.Message)
    return Page(status=status_of(told), message=words)


def _retry_after(headers: Any) -> float | None:
    return retry.retry_after_s(headers.get("Retry-After")) if isinstance(headers, dict) else None
