"""What every answer of PI Web API has in common: batch members, failures at any level, texts of errors. Pure.

A body with status 2xx may hold a failure at any level: ``WebException``, ``Errors``, ``Exception`` or ``Message`` of the batch,
of one of its members, of a content, or of an item in it (reference: errors, failed members). A content may also be a string.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pi_datasource import redaction
from pi_datasource.errors import Call, UnexpectedReply
from pi_datasource.webapi import retry

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding a foreign body may raise
BATCH = Call("POST", "batch")
FAILURE_NAMES = frozenset({"WebException", "Errors", "Exception", "Message"})
_SHOWN = 120  # characters of something unexpected
_OPENING = 4096  # bytes of a body that are looked at for a message
_TOO_MANY_ITEMS = re.compile(r"greater than the maximum allowed(?:\D*(\d+))?")
_BARE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN', re.DOTALL)


class FailureFields(msgspec.Struct, gc=False):
    """What any part of an answer may hold beside its data or in place of it."""

    WebException: Any = None
    Errors: Any = None
    exception: Any = msgspec.field(default=None, name="Exception")
    Message: Any = None


class SubReply(FailureFields, gc=False):
    """The answer to one request of a batch."""

    Status: int = 0
    Headers: Any = None
    StatusCode: Any = None  # of a WebException in place of the replies


class _AnyReply(SubReply, gc=False):
    Content: Any = None


class FailedPart(NamedTuple):
    """A part of an answer that is a failure: HTTP status, text, and PI Web API's own ``errors`` if it has any.

    ``unrecognized`` means status 200 with neither data nor an error of PI Web API.
    """

    status: int
    message: str = ""
    errors: tuple[str, ...] = ()
    retry_after_s: float | None = None
    unrecognized: bool = False


def failure_of(part: FailureFields) -> FailedPart | None:
    """The failure that a part with status 200 holds, whatever data stand beside it."""
    if part.WebException is None and not (part.Errors or part.exception or part.Message):
        return None
    texts = map(text_of, (part.WebException, part.Errors, part.exception, part.Message))
    return FailedPart(_status_of(part.WebException), next(filter(None, texts), ""))


def failure_in(content: Any) -> FailedPart | None:
    """The failure that an object with status 200 holds, of plain Python objects."""
    if not isinstance(content, dict) or FAILURE_NAMES.isdisjoint(content):
        return None
    return failure_of(msgspec.convert(content, FailureFields))


def failure_of_member(reply: SubReply, content: Any) -> FailedPart | None:
    """The failure that a member of a batch is, by its status and by what it says; None if it is none."""
    inner = content if isinstance(content, FailureFields) else None
    failure = failure_of(reply) or (failure_of(inner) if inner is not None else None)
    if reply.Status == 200 or (inner is not None and inner.WebException is not None):
        return failure
    text = text_of(content) if isinstance(content, str) else failure.message if failure else ""
    errors = own_errors(inner.Errors) if inner is not None else ()
    asked = reply.Headers.get("Retry-After") if isinstance(reply.Headers, dict) else None
    return FailedPart(reply.Status or 500, text, errors, retry.retry_after_s(asked))


def failed_body(status: int, headers: Mapping[str, str], body: bytes) -> FailedPart:
    """The failure that an answer with this status, of 400 or more, is.

    Its ``errors`` are empty for HTML, for an empty body, for the ``Message`` of the framework below PI Web API, which knows
    no address, and for JSON of another shape.
    """
    try:
        parsed = msgspec.json.decode(body)
    except NOT_JSON:
        return FailedPart(status, opening(body) if body else "")
    failure = failure_in(parsed)
    errors: tuple[str, ...] = ()
    if isinstance(parsed, dict) and "json" in headers.get("Content-Type", "").lower():
        errors = own_errors(parsed.get("Errors"))
    return FailedPart(status, failure.message if failure else text_of(parsed), errors)


def items_limit(text: str) -> int | None:
    """The most items of one call, in the words by which PI Web API refuses more; 0 if it names none, None for other words."""
    found = _TOO_MANY_ITEMS.search(text)
    return int(found[1] or 0) if found else None


def members(body: bytes, asked: Sequence[str] = ()) -> dict[str, bytes]:
    """The JSON of each member of a batch reply by its id, unchecked.

    Raises:
        UnexpectedReply: the body is cut, not a batch reply, or its ids are not exactly those ``asked``.
    """
    try:
        found = {key: bytes(raw) for key, raw in _MEMBERS.decode(body).items()}
        broken = _BROKEN.decode(found.pop("WebException", b"null"))
    except NOT_JSON as cause:
        raise no_batch_reply(body, cause) from cause
    if broken is not None:
        raise broken_batch(broken)
    if asked:
        if FAILURE_NAMES & found.keys():  # an error of a gateway in place of the members
            raise no_batch_reply(body, text_of(msgspec.json.decode(body)))
        check_ids(body, found, asked)
    return found


def content_of(member: bytes) -> Any:
    """The content of a member as plain Python objects, or the ``FailedPart`` that the member is."""
    try:
        reply = _ANY_REPLY.decode(member) or _AnyReply()
    except NOT_JSON as damage:
        return unreadable(damage)
    content = reply.Content
    fields = msgspec.convert(content, FailureFields) if isinstance(content, dict) else content
    if (failure := failure_of_member(reply, fields)) is not None:
        return failure
    return content if isinstance(content, dict) else unrecognized(f"HTTP 200 without data: {shown(content)}")


def unreadable(damage: Exception) -> FailedPart:
    """A part that is not of the shape that PI Web API gives it."""
    return unrecognized(f"the answer cannot be read: {redaction.shorten(str(damage.__cause__ or damage))}")


def unrecognized(message: str) -> FailedPart:
    """A part with status 200 that is neither data nor an error of PI Web API."""
    return FailedPart(500, message, unrecognized=True)


def no_batch_reply(body: bytes, why: object) -> UnexpectedReply:
    """A body that is not the answer to a batch."""
    return UnexpectedReply(
        f"the body is not a batch reply ({why}); it starts with {opening(body)}", call=BATCH
    )


def broken_batch(broken: SubReply) -> UnexpectedReply:
    """A ``WebException`` in place of the members."""
    text = text_of(broken.Errors) or "no reason given"
    status = _status_of({"StatusCode": broken.StatusCode})
    return UnexpectedReply(f"the server failed while it answered: {text}", status, call=BATCH)


def new_ids(count: int) -> list[str]:
    """``count`` ids for the requests of a batch; they share a random prefix, which no other call has.

    A proxy may deliver an answer late or twice on a kept connection; the next call would otherwise take it for its own.
    """
    prefix = os.urandom(4).hex()
    return [f"{prefix}_{number}" for number in range(count)]


def check_ids(body: bytes, answered: Collection[str], asked: Sequence[str]) -> None:
    """Returns if ``body``, whose members have the ids ``answered``, answers exactly the requests ``asked``, each once.

    Raises:
        UnexpectedReply: ids are missing, repeated, or of another call; nothing of the body may be used.
    """
    prefix = asked[0].partition("_")[0] if asked else ""
    if missing := sum(one not in answered for one in asked):
        message = f"{missing} of {len(asked)} sub-requests were not answered"
    elif len(answered) > len(asked):
        message = f"the answer holds {len(answered) - len(asked)} member(s) that were not asked for"
    elif body.count(b'"%b_' % prefix.encode()) > len(asked):
        message = "the answer holds a member more than once"
    else:
        return
    raise UnexpectedReply(message, call=BATCH)


def quote_bare_numbers(body: bytes) -> bytes:
    """``body`` with each bare ``NaN`` and ``Infinity``, which JSON does not have, as the text that PI Web API writes."""
    if b"NaN" not in body and b"Infinity" not in body:
        return body
    return _BARE.sub(lambda token: token[0] if token[0].startswith(b'"') else b'"%b"' % token[0], body)


def opening(body: bytes) -> str:
    """The first words of a body, fit for an error message."""
    # Redacted before a cut or a tag goes through a secret.
    start = redaction.redact(body[:_OPENING].decode("utf-8", "replace"))
    text = _without_tags(start[: _OPENING // 2])
    return repr(text[:_SHOWN]) if text else "nothing"


def _without_tags(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def shown(content: Any) -> str:
    """How an unexpected content begins, fit for an error message."""
    text = content if isinstance(content, str) else msgspec.json.encode(content).decode()
    clean = redaction.shorten(text)  # before a cut goes through a secret
    if isinstance(content, str):
        clean = repr(clean)
    return clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…"


def text_of(errors: Any) -> str:
    """One text from any of PI's forms of errors (a string, a list, field errors): without secrets, and not at any length."""
    return redaction.shorten(_text_of(errors))


def _text_of(errors: Any) -> str:
    if isinstance(errors, str):
        return _without_tags(redaction.redact(errors)) if errors.lstrip().startswith("<") else errors
    if isinstance(errors, dict):
        return _text_of(errors.get("Message") or errors.get("Errors"))
    if isinstance(errors, list):
        return "; ".join(filter(None, map(_text_of, errors)))
    return ""


def own_errors(errors: Any) -> tuple[str, ...]:
    """The texts of ``Errors`` as PI Web API writes it, a list of strings or one string; none of anything else."""
    texts = [errors] if isinstance(errors, str) else errors
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return ()
    return tuple(filter(None, map(str.strip, texts)))


def _status_of(web_exception: Any) -> int:
    """The HTTP status that a ``WebException`` stands for; 500 where it says none, or none of a failure."""
    code = web_exception.get("StatusCode") if isinstance(web_exception, dict) else None
    return code if type(code) is int and code >= 400 else 500


_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY_REPLY = msgspec.json.Decoder(_AnyReply | None)
_BROKEN = msgspec.json.Decoder(SubReply | None)
