"""Replies of PI Web API → pages of events, or the failure that they are.

Rules are those of the reference: a sub-reply's content is events, a string, ``Errors`` or a ``Message``; a body with
status 2xx may still carry a failure (``WebException``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pi_datasource import events, lift, retry
from pi_datasource.errors import UnexpectedReply
from pi_datasource.events import Columns, Events
from pi_datasource.lift import Lifted
from pi_datasource.wire import NOT_JSON, TimedValue

_Entry = TimedValue | tuple[int, int]  # an event, or the numbers of a run of lifted rows


class _Stream(msgspec.Struct, gc=False):
    """One stream of a stream set."""

    WebId: str
    Items: list[_Entry] = []  # an empty list may be left out altogether (reference: selectedFields)
    UnitsAbbreviation: str | None = None


class _Failure(msgspec.Struct, gc=False):
    """What any content may hold in place of events."""

    Errors: Any = None
    Message: str | None = None
    WebException: Any = None


class _StreamContent(_Failure, gc=False):
    Items: list[_Entry] = []
    UnitsAbbreviation: str | None = None


class _SetContent(_Failure, gc=False):
    Items: list[_Stream] = []


class _SubReply(msgspec.Struct, gc=False):
    Status: int = 0
    Headers: Any = None
    StatusCode: int | None = None  # of a WebException in place of the replies
    Errors: Any = None


class _StreamReply(_SubReply, gc=False):
    Content: _StreamContent | str | None = None


class _SetReply(_SubReply, gc=False):
    Content: _SetContent | str | None = None


_NO_STREAMS: Mapping[str, Page] = MappingProxyType({})


class Page(NamedTuple):
    """What one sub-request brought: events (of one stream, or of each in ``streams``), or status and text of a failure."""

    events: Events = events.NONE
    units: str | None = None
    status: int = 200
    message: str = ""
    retry_after_s: float | None = None
    streams: Mapping[str, Page] = _NO_STREAMS
    errors: tuple[str, ...] = ()  # PI Web API's own texts of a failure

    @property
    def ok(self) -> bool:
        """Whether the events are to be trusted."""
        return self.status == 200


_STREAMS = msgspec.json.Decoder(dict[str, _StreamReply | None])
_SETS = msgspec.json.Decoder(dict[str, _SetReply | None])


def batch_reply(body: bytes, asked: Iterable[str] = (), *, sets: bool = False) -> dict[str, Page]:
    """The pages of a batch reply by request id: of single streams, or with ``sets`` of stream sets.

    Raises:
        UnexpectedReply: the body is cut, no batch reply, or lacks one of the ids ``asked``; nothing of it was used.
    """
    pages = _pages(body, lift.lift(body), sets)
    if (
        pages is None
    ):  # rows stand where the reference has none: the parser says what is wrong, if anything is
        pages = _pages(body, None, sets)
    wanted = list(asked)
    if missing := [key for key in wanted if key not in (pages or {})]:
        message = f"POST batch: {len(missing)} of {len(wanted)} sub-requests were not answered"
        raise UnexpectedReply(message)
    return pages or {}


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


def own_errors(errors: Any) -> tuple[str, ...]:
    """The texts of ``Errors`` as PI Web API writes it, a list of strings or one string; none of anything else."""
    texts = [errors] if isinstance(errors, str) else errors
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return ()
    return tuple(filter(None, map(str.strip, texts)))


def status_of(web_exception: dict[str, Any]) -> int:
    """The HTTP status that a ``WebException`` stands for; 500 where it says none."""
    code = web_exception.get("StatusCode")
    return code if type(code) is int else 500


def _pages(body: bytes, lifted: Lifted | None, sets: bool) -> dict[str, Page] | None:
    """The pages; None if the lifted rows do not fit into what is left of the body."""
    replies = _parsed(body, lifted, sets)
    if replies is None:
        return None
    weave = _Weave()
    plans = {key: _planned(answer or _SubReply(), weave) for key, answer in replies.items()}
    cut = weave.cut(lifted)
    if cut is None:
        return None
    return {key: plan if isinstance(plan, Page) else _filled(plan, cut) for key, plan in plans.items()}


def _parsed(body: bytes, lifted: Lifted | None, sets: bool) -> Mapping[str, _SubReply | None] | None:
    decoder: Any = _SETS if sets else _STREAMS
    try:
        replies: dict[str, _SubReply | None] = decoder.decode(lifted.skeleton if lifted else body)
    except NOT_JSON as cause:
        if lifted:
            return None
        message = f"POST batch: the body is no batch reply ({cause}); it starts with {opening(body)}"
        raise UnexpectedReply(message) from cause
    broken = replies.pop("WebException", None)
    if broken is not None:
        message = (
            f"POST batch: the server failed while it answered: {text_of(broken.Errors) or 'no reason given'}"
        )
        raise UnexpectedReply(message, broken.StatusCode)
    return replies


class _Weave:
    """Collects the entries of all streams in the order of the body, and cuts the woven events apart again."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.edges = [0]  # after each stream, in entries

    def add(self, entries: list[_Entry]) -> int:
        """The number under which ``cut`` gives the events of these entries."""
        self.entries += entries
        self.edges.append(len(self.entries))
        return len(self.edges) - 2

    def cut(self, lifted: Lifted | None) -> list[Events] | None:
        """The events of each stream; None if the runs are not exactly those that were lifted."""
        if lifted is None:
            if not all(type(entry) is TimedValue for entry in self.entries):
                message = "POST batch: a list stands in place of an event"
                raise UnexpectedReply(message)
            return _apart(events.of(self.entries), self.edges)  # type: ignore[arg-type]
        items, places, rows, at = [], [], [0], 0
        run_ends_at = 0
        for entry in self.entries:
            if type(entry) is TimedValue:
                items.append(entry)
                places.append(at)
                at += 1
            else:
                first, after = entry  # type: ignore[misc]
                if first != run_ends_at or after <= first:
                    return None
                run_ends_at = after
                at += after - first
            rows.append(at)
        if run_ends_at != len(lifted.ticks):
            return None
        woven = events.woven(lifted, events.of(items), np.array(places, np.int64))
        return _apart(woven, [rows[edge] for edge in self.edges])


def _apart(whole: Columns, edges: list[int]) -> list[Events]:
    return [Events(whole, first, after) for first, after in pairwise(edges)]


class _Planned(NamedTuple):
    """A page whose events are still to come: ``number`` of a stream, or the streams of a set."""

    number: int = 0
    units: str | None = None
    streams: dict[str, _Planned] | None = None


def _planned(reply: _SubReply, weave: _Weave) -> Page | _Planned:
    content: Any = getattr(reply, "Content", None)
    failed = reply.Status or 500
    pause = _retry_after(reply.Headers)
    if not isinstance(content, _Failure):
        if reply.Status == 200:
            return Page(status=500, message=f"HTTP 200 without events: {content!r}")
        return Page(status=failed, message=content or "", retry_after_s=pause)
    if isinstance(content.WebException, dict):
        told = content.WebException
        return Page(status=status_of(told), message=text_of(told.get("Errors")))
    if reply.Status != 200:
        return Page(
            status=failed,
            message=text_of(content.Errors) or content.Message or "",
            retry_after_s=pause,
            errors=own_errors(content.Errors),
        )
    if isinstance(content, _SetContent):
        each = {s.WebId: _Planned(weave.add(s.Items), s.UnitsAbbreviation) for s in content.Items}
        return _Planned(streams=each)
    assert isinstance(content, _StreamContent)
    return _Planned(weave.add(content.Items), content.UnitsAbbreviation)


def _filled(plan: _Planned, cut: list[Events]) -> Page:
    if plan.streams is not None:
        return Page(streams={web_id: _filled(stream, cut) for web_id, stream in plan.streams.items()})
    return Page(cut[plan.number], plan.units)


def _retry_after(headers: Any) -> float | None:
    return retry.retry_after_s(headers.get("Retry-After")) if isinstance(headers, dict) else None
