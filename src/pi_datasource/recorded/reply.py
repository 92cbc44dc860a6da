"""Decodes batch replies into pages of events and failures.

What a failure is decides ``webapi.envelope``; only what has the shape of a page becomes one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from pi_datasource.errors import UnexpectedReply
from pi_datasource.recorded import events, fast_rows, wire
from pi_datasource.recorded.events import Events
from pi_datasource.recorded.fast_rows import FastRows
from pi_datasource.recorded.interleaving import Cut, Interleaving
from pi_datasource.recorded.wire import Stream, StreamSet, TimedValue
from pi_datasource.webapi import envelope
from pi_datasource.webapi.envelope import NOT_JSON, FailedPart, SubReply, text_of

_NO_STREAMS: Mapping[str, Page] = MappingProxyType({})


class Page(NamedTuple):
    """The answer to one sub-request: events (of one stream, or of each in ``streams``), or a failure (see ``FailedPart``)."""

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

    A member that cannot be read is a failure of its own, if the body as a whole can be parsed.

    Raises:
        UnexpectedReply: the body is cut, not a batch reply, or its ids are not exactly those ``asked``; nothing of it was used.
    """
    try:
        return _read(body, asked, sets)
    except UnexpectedReply:  # raised again if it is about the body as a whole
        members = envelope.members(envelope.quote_bare_numbers(body), asked)
    return {key: _read_one(key, member, sets) for key, member in members.items()}


def _read_one(key: str, member: bytes, sets: bool) -> Page:
    body = b"{%b:%b}" % (msgspec.json.encode(key), member)
    try:
        return _read(body, (key,), sets)[key]
    except UnexpectedReply as damage:
        return _failed(envelope.unreadable(damage))


def _failed(failed: FailedPart, dropped: int = 0) -> Page:
    return Page(**failed._asdict(), dropped=dropped)


def _read(body: bytes, asked: Sequence[str], sets: bool) -> dict[str, Page]:
    fast = fast_rows.extract(body)
    pages = _pages(body, fast, asked, sets)
    if pages is None:
        # Rows stand where the reference has none: the parser says what is wrong, if anything is.
        pages = _pages(body, None, asked, sets)
    return pages or {}


def _pages(body: bytes, fast: FastRows | None, asked: Sequence[str], sets: bool) -> dict[str, Page] | None:
    """The pages; None if the fast rows do not fit into what is left of the body."""
    text = fast.residual_json if fast else body
    replies = _parsed(text, body, sets)
    if replies is None:
        return None
    if asked:
        envelope.check_ids(text, replies, asked)
    planning = _Planning(text)
    plans = {key: planning.member(key, answer or SubReply()) for key, answer in replies.items()}
    cut = planning.interleaving.cut(fast)
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
        raise envelope.no_batch_reply(body, cause) from cause
    broken = replies.pop("WebException", None)
    if broken is not None:
        raise envelope.broken_batch(broken)
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
    """Separates pages from failures, member by member."""

    def __init__(self, text: bytes) -> None:
        self.interleaving = Interleaving()
        self._text = text
        self._plain: Any = None

    def member(self, key: str, reply: SubReply) -> Page | _Planned:
        """What the answer to one request is."""
        content: Any = getattr(reply, "Content", None)
        failure = envelope.failure_of_member(reply, content)
        if isinstance(content, Stream):
            return self._stream(content, (key, "Content"), failure)
        if isinstance(content, StreamSet):
            return self._set(content, (key, "Content"), failure)
        return _failed(failure or _without_events(content))

    def _set(
        self, content: StreamSet, place: tuple[str | int, ...], failure: FailedPart | None
    ) -> Page | _Planned:
        items = content.Items
        if items is UNSET:
            return _failed(failure or _without_events(self._at(place)))
        each = {
            stream.WebId: self._stream(stream, (*place, "Items", number), envelope.failure_of(stream))
            for number, stream in enumerate(items)
        }
        if failure is None and len(each) < len(items):
            failure = envelope.unrecognized("the answer holds a stream more than once")
        return _failed(failure) if failure else _Planned(streams=each)

    def _stream(
        self, stream: Stream, place: tuple[str | int, ...], failure: FailedPart | None
    ) -> Page | _Planned:
        items = stream.Items
        if items is UNSET:
            if failure is None and not wire.is_empty_page(self._at(place)):
                failure = _without_events(self._at(place))
            items = []
        number = self.interleaving.add(items)  # of a failure, too: every fast row belongs to a stream
        if failure is not None:
            return _failed(failure, _size(items))
        last = items[-1] if items else None
        if type(last) is TimedValue and last.Errors:
            # The server handled a failure while it wrote; whether there were more events it does not say.
            text = text_of(last.Errors) or "no reason given"
            return _failed(FailedPart(500, f"the events end with an error entry: {text}"), _size(items))
        return _Planned(number, stream.UnitsAbbreviation)

    def _at(self, place: Sequence[str | int]) -> Any:
        """The part at ``place`` as plain objects, with the names that the typed ones do not have."""
        if self._plain is None:
            try:
                self._plain = msgspec.json.decode(self._text)
            except NOT_JSON as cause:  # in a part that the typed objects do not have either
                raise envelope.no_batch_reply(self._text, cause) from cause
        found = self._plain
        for step in place:
            found = found[step]
        return found


def _without_events(content: Any) -> FailedPart:
    return envelope.unrecognized(f"HTTP 200 without events: {envelope.shown(content)}")


def _size(items: Sequence[wire.Entry]) -> int:
    return sum(1 if isinstance(each, TimedValue) else each[1] - each[0] for each in items)
