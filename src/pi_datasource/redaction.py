"""Removes secrets from every text that leaves the package: messages, their causes, log records, status rows.

A secret is registered when it is looked up or issued, and kept in the memory of this process only. From then on no text
that passes through ``redact`` holds it, or ``FRAGMENT`` consecutive characters of it, in any form in which it may come
back: as it is, in any letter case, escaped (JSON, URL, HTML, Python), in base64 or in hex. The origin of a text does not
matter, so no code has to know which servers and libraries repeat what was sent.

A secret shorter than ``SHORTEST`` characters looks like ordinary text and is not searched for, except in the base64 form
in which it is sent. One shorter than ``FRAGMENT`` is searched for as a whole only.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

SHORTEST = 4
FRAGMENT = 8
MOST_TOKENS = 64  # the last hour's, if they are renewed every minute
LONGEST_TEXT = 500  # characters of one text that a server sent
LONGEST_MESSAGE = 20_000
MASK = "***"
_NOTE = 40  # characters, more than what is said of a cut text
# What follows the name of an authentication scheme is never shown: Kerberos tickets are registered nowhere.
_CREDENTIALS = re.compile(
    r"\b(Basic|Bearer|Negotiate|NTLM|Kerberos)(\s+)[A-Za-z0-9+/._~=-]{16,}", re.IGNORECASE
)


class _KnownSecrets(NamedTuple):
    """What is searched for, in lower case."""

    whole: frozenset[str] = frozenset()
    fragments: frozenset[str] = frozenset()


_lock = Lock()
_secrets: dict[str, frozenset[str]] = {}  # each with its forms
_current_tokens: dict[str, None] = {}  # those among them that expire, the oldest first
_public: set[str] = set()
_known_secrets = _KnownSecrets()


def register(secret: str, public: Iterable[str] = (), *, expires: bool = False) -> None:
    """Removes ``secret`` from every text from now on; fragments of it that are also in the ``public`` texts may stay.

    All secrets are kept, except that only the last ``MOST_TOKENS`` of those that expire are.
    """
    global _known_secrets  # noqa: PLW0603 - one registry per process
    _redact_log_records()
    with _lock:
        shown = {part for text in public for part in _fragments(_lower(text))}
        if (secret in _secrets or len(secret) < SHORTEST) and shown <= _public:
            return
        _public.update(shown)
        if len(secret) >= SHORTEST:
            _secrets.setdefault(secret, frozenset(map(_lower, _forms(secret))))
        if expires:
            _current_tokens[secret] = None
        while len(_current_tokens) > MOST_TOKENS:
            oldest = next(iter(_current_tokens))
            del _current_tokens[oldest]
            _secrets.pop(oldest, None)
        whole = frozenset(form for forms in _secrets.values() for form in forms)
        fragments = frozenset(part for form in whole for part in _fragments(form))
        _known_secrets = _KnownSecrets(whole, fragments - _public)


def forget() -> None:
    """Forgets every secret: for tests."""
    global _known_secrets  # noqa: PLW0603
    with _lock:
        _secrets.clear()
        _current_tokens.clear()
        _public.clear()
        _known_secrets = _KnownSecrets()


def redact(text: str) -> str:
    """``text`` with ``***`` in place of each secret and of each fragment of one."""
    text = _CREDENTIALS.sub(rf"\1\2{MASK}", text)
    known, lowered = _known_secrets, _lower(text)
    hidden = bytearray(len(text))
    if known.fragments:
        for at in range(len(text) - FRAGMENT + 1):
            if lowered[at : at + FRAGMENT] in known.fragments:
                hidden[at : at + FRAGMENT] = b"\1" * FRAGMENT
    for form in known.whole:
        at = lowered.find(form)
        while at >= 0:
            hidden[at : at + len(form)] = b"\1" * len(form)
            at = lowered.find(form, at + 1)
    if not any(hidden):
        return text
    runs = re.finditer(rb"\x00+|\x01+", hidden)
    return "".join(text[run.start() : run.end()] if run[0][0] == 0 else MASK for run in runs)


def shorten(text: str, most: int = LONGEST_TEXT) -> str:
    """``text`` without secrets and of at most about ``most`` characters; a cut text ends with its full length."""
    if len(text) <= most + _NOTE:  # also one that has been cut already
        return redact(text)
    # A secret that straddles the cut is seen whole.
    window = most + max(map(len, _known_secrets.whole), default=0)
    return f"{redact(text[:window])[:most]}… ({len(text)} characters)"


def redact_error(error: BaseException | None) -> None:
    """Redacts the texts of ``error`` and of all errors chained to it, in place: a traceback prints every one of them."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__, *(a for a in each.args if isinstance(a, BaseException))]
        _redact_attributes(each)


@contextmanager
def redacted_errors() -> Iterator[None]:
    """Redacts every error that leaves the block, of whatever class; also usable as a decorator."""
    try:
        yield
    except BaseException as error:
        redact_error(error)
        raise


def _redact_attributes(error: BaseException) -> None:
    for name, value in list(vars(error).items()):
        if not isinstance(value, BaseException):
            vars(error)[name] = _redacted(value)
    if isinstance(error, OSError):
        for name in ("strerror", "filename", "filename2"):
            if (value := getattr(error, name)) is not None:
                setattr(error, name, _redacted(value))
    args = tuple(_redacted(value) for value in error.args)
    if any(new is not old for new, old in zip(args, error.args, strict=True)):
        error.args = args


def _redacted(value: Any) -> Any:
    """The same value, or one without secrets."""
    if isinstance(value, str):
        clean = shorten(value, LONGEST_MESSAGE)
        return value if clean == value else clean
    if isinstance(value, bytes):
        text = value.decode("latin-1")
        clean = shorten(text, LONGEST_MESSAGE)
        return value if clean == text else clean.encode("utf-8")
    if isinstance(value, (tuple, list)):
        items = [_redacted(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else type(value)(items)
    if value is None or isinstance(value, (int, float, BaseException)):
        return value
    shown = repr(value)  # any other object: by what a traceback would show
    return value if redact(shown) == shown else redact(shown)


def _fragments(text: str) -> Iterable[str]:
    return (text[at : at + FRAGMENT] for at in range(len(text) - FRAGMENT + 1))


def _lower(text: str) -> str:
    """``text`` in lower case, with each character at the same index."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)


def _forms(secret: str) -> set[str]:
    """The forms in which ``secret`` may appear in a text."""
    found = {secret, *_encoded(secret)}
    for _ in range(2):  # JSON within JSON, a URL within HTML
        found |= {escape(form) for form in found for escape in _ESCAPES}
    return found


def _encoded(secret: str) -> Iterable[str]:
    """In hex, and in base64 at each of the three places where it may begin within a longer text, such as ``user:secret``."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield raw.hex()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw).decode()
        first, after = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        if after - first >= FRAGMENT:
            yield coded[first:after]
            yield coded[first:after].replace("+", "-").replace("/", "_")


_ESCAPES: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode("utf-8", "surrogatepass"))[2:-1],
    html.escape,
    lambda text: quote(text, safe="", errors="replace"),
    lambda text: quote(text, errors="replace"),
    lambda text: quote_plus(text, errors="replace"),
    lambda text: text.encode("utf-8", "surrogatepass").decode("latin-1"),  # how http.client reads headers
)


def _redact_log_records() -> None:
    """Lets every record that this process logs from now on pass through ``redact``; one without secrets is unchanged.

    Not a filter: that of a logger does not see what the loggers beneath it log, and HTTP libraries have loggers of their
    own, which repeat headers that they cannot read.
    """
    factory = logging.getLogRecordFactory()
    if getattr(factory, "redacts", False):
        return

    def redacting(*args: Any, **settings: Any) -> logging.LogRecord:
        return _redacted_record(factory(*args, **settings))

    redacting.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacting)


def _redacted_record(record: logging.LogRecord) -> logging.LogRecord:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - logging would print the arguments together with what is wrong
        message, record.args = f"{record.msg!r} with arguments {record.args!r}", None
        record.msg = redact(message)
        return record
    clean = redact(message)
    if clean != message:
        record.msg, record.args = clean, None
    if record.exc_info and record.exc_info[1] is not None:
        redact_error(record.exc_info[1])
    return record
