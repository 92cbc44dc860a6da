"""The types of options: each converts text into a checked value, or raises a ValueError that says why not."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Annotated
from urllib.parse import SplitResult, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from pi_datasource import schema, time_strings

# Any moment will do to check whether a time can be parsed.
SOME_MOMENT = datetime(2024, 5, 15, 12, tzinfo=timezone.utc)
REFERENCES = ("env", "file", "secret")  # before a colon: the value of a secret option is found there
_HOST = r"[\w.-]+|[0-9a-f:.]+(%\w+)?"  # a name, IPv4 or IPv6 address


def _names(value: object) -> object:
    """A comma-separated list, or a JSON array of strings for names that hold commas."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = None  # a PI name filter may start with a character set such as [ab]*
        if isinstance(parsed, list):
            return tuple(dict.fromkeys(str(item) for item in parsed))
    return tuple(dict.fromkeys(part for part in (part.strip() for part in value.split(",")) if part))


def _time(value: str) -> str:
    time_strings.resolve(value, SOME_MOMENT)
    return value.strip()


def _span(value: object) -> object:
    return time_strings.duration(value) if isinstance(value, str) else value


def _positive(value: timedelta) -> timedelta:
    if not value:
        message = "must be longer than 0s"
        raise ValueError(message)
    return value


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groupindex
    except re.error as cause:
        message = f"is not a valid regular expression: {cause}"
        raise ValueError(message) from cause
    schema.check_pattern_columns(tuple(groups))
    if not groups:
        message = "has no named group such as (?P<plant>[^.]+); each named group becomes a column"
        raise ValueError(message)
    return value


def _zone(value: str) -> str:
    time_strings.zone_named(value)
    return value


def _split(address: str, example: str, host: str = ".+") -> SplitResult:
    message = f"is not a valid address; use https://HOST/{example}"
    try:
        parts = urlsplit(address)
        valid = parts.scheme in ("http", "https") and parts.port != 0 and "@" not in address
    except ValueError:
        raise ValueError(message) from None
    if not (valid and re.fullmatch(host, parts.hostname or "", re.ASCII | re.IGNORECASE)):
        raise ValueError(message)
    return parts


def _url(value: str) -> str:
    """``https://host/piwebapi`` whether or not scheme, path or a trailing slash were given."""
    text = value.strip() if "/" in value.partition(":")[2][:1] else f"https://{value.strip()}"
    if "@" in text:  # wherever it stands: a password with special characters may end up in any part
        message = "holds a user name or password; give them as the options 'username' and 'password'"
        raise ValueError(message)
    parts = _split(text, "piwebapi", _HOST)
    path = parts.path.rstrip("/") or "/piwebapi"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _endpoint(value: str) -> str:
    text = value.strip()
    _split(text, "identitymanager/connect/token")
    return text


def is_reference(text: str) -> bool:
    """Whether a secret option says where its value is found, instead of the value."""
    return text.strip().partition(":")[0] in REFERENCES and ":" in text


def unsendable(text: str, *, in_header: bool) -> str | None:
    """What in ``text`` cannot be sent, in words that do not show it; None if all of it can.

    ``in_header``: as part of an HTTP header, which can hold Latin-1 only.
    """
    for place, letter in enumerate(text, 1):
        if letter in "\r\n":
            return f"a line end (character {place})"
        if unicodedata.category(letter) in ("Cc", "Cs"):
            return f"a control character (character {place})"
        if in_header and ord(letter) > 0xFF:
            return f"a character that no HTTP header may hold (character {place})"
    return None


def _sendable(value: str, *, in_header: bool = False) -> str:
    if problem := unsendable(value, in_header=in_header):
        message = f"holds {problem}; give it without"
        raise ValueError(message)
    return value


def _secret(value: SecretStr, *, in_header: bool = False) -> SecretStr:
    text = value.get_secret_value()
    if not is_reference(text):
        _sendable(text.strip() if in_header else text.rstrip("\r\n"), in_header=in_header)
    return value


def _proxy(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if "@" in text and not is_reference(text):
        message = (
            "holds a user name or password, which Spark would show in plans; give these as the options 'proxy_username' "
            "and 'proxy_password', or the whole as env:NAME, file:PATH or secret:SCOPE/KEY"
        )
        raise ValueError(message)
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Time = Annotated[str, BeforeValidator(_time)]
Span = Annotated[timedelta, BeforeValidator(_span), Field(ge=timedelta(0))]
PositiveSpan = Annotated[Span, AfterValidator(_positive)]
Zone = Annotated[str, BeforeValidator(_zone)]
Address = Annotated[str, BeforeValidator(_url)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
UserName = Annotated[str, AfterValidator(_sendable)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Token = Annotated[SecretStr, AfterValidator(partial(_secret, in_header=True))]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
