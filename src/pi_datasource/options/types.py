"""The types of options: each converts text into a checked value, or raises a ValueError that says why not."""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from pi_datasource import schema, time_strings

# Any moment will do to check whether a time can be parsed.
SOME_MOMENT = datetime(2024, 5, 15, 12, tzinfo=timezone.utc)
REFERENCES = ("env", "file", "secret")  # before a colon: the value of a secret option is found there
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(%\w+)?", re.ASCII | re.IGNORECASE)  # a name, IPv4 or IPv6 address


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


def _url(value: str) -> str:
    """``https://host/piwebapi`` whether or not scheme, path or a trailing slash were given."""
    text = value.strip() if "/" in value.partition(":")[2][:1] else f"https://{value.strip()}"
    if "@" in text:  # wherever it stands: a password with special characters may end up in any part
        message = "holds a user name or password; give them as the options 'username' and 'password'"
        raise ValueError(message)
    message = "is not a valid address; use https://HOST/piwebapi"
    try:
        parts = urlsplit(text)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(message) from None
    if (
        parts.scheme not in ("http", "https")
        or not _HOST.fullmatch(parts.hostname or "")
        or not port_is_number
    ):
        raise ValueError(message)
    path = parts.path.rstrip("/") or "/piwebapi"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _endpoint(value: str) -> str:
    message = "is not a valid address; use https://HOST/identitymanager/connect/token"
    try:
        parts = urlsplit(value.strip())
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError(message) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in value or not port_is_number:
        raise ValueError(message)
    return value.strip()


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


def _sendable(value: str, *, in_header: bool) -> None:
    if problem := unsendable(value, in_header=in_header):
        message = f"holds {problem}; give it without"
        raise ValueError(message)


def _user_name(value: str) -> str:
    _sendable(value, in_header=False)
    return value


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not is_reference(text):
        _sendable(text.rstrip("\r\n"), in_header=False)
    return value


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not is_reference(text):
        _sendable(text.strip(), in_header=True)
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
UserName = Annotated[str, AfterValidator(_user_name)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
