"""What every answer of PI Web API has in common: batch members, failures at any level, texts of errors. Pure.

A body with status 2xx may hold a failure at any level: ``WebException``, ``Errors``, ``Exception`` or ``Message`` of the batch,
of one of its members, of a content, or of an item in it (reference: errors, failed members). A content may also be a string.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pi_datasource import redaction

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding a foreign body may raise
_SHOWN = 120  # characters of something unexpected
_OPENING = 4096  # bytes of a body that are looked at for a message
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_BARE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN', re.DOTALL)


class Failure(msgspec.Struct, gc=False):
    """What any part of a reply may hold beside its data or in place of it (reference: errors, failed members)."""

    WebException: Any = None
    Errors: Any = None
    exception: Any = msgspec.field(default=None, name="Exception")
    Message: Any = None


class SubReply(Failure, gc=False):
    """The answer to one request of a batch."""

    Status: int = 0
    Headers: Any = None
    StatusCode: Any = None  # of a WebException in place of the replies


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


def opening(body: bytes) -> str:
    """The first words of a body, fit for an error message."""
    # Redacted before a cut or a tag goes through a secret.
    start = redaction.redact(body[:_OPENING].decode("utf-8", "replace"))
    words = re.sub(r"<[^>]*>", " ", start[: _OPENING // 2]).split()
    return repr(" ".join(words)[:_SHOWN]) if words else "nothing"


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
        return errors
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


def status_of(web_exception: Any) -> int:
    """The HTTP status that a ``WebException`` stands for; 500 where it says none, or none of a failure."""
    code = web_exception.get("StatusCode") if isinstance(web_exception, dict) else None
    return code if type(code) is int and code >= 400 else 500
