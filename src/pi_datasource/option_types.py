"""The kinds of value that options have: from the text a user gives to a checked value, or a ValueError that says why."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import BeforeValidator, Field

from pi_datasource import condition, schema, timespec

# Any will do to see whether a time text can be read.
SOME_MOMENT = datetime(2024, 5, 15, 12, tzinfo=timezone.utc)
_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]+(%\w+)?", re.ASCII | re.IGNORECASE)  # a name, IPv4 or IPv6 address
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


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


def _flag(value: object) -> object:
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    return value


def _time(value: str) -> str:
    timespec.resolve(value, SOME_MOMENT)
    return value.strip()


def _span(value: object) -> object:
    return timespec.duration(value) if isinstance(value, str) else value


def _pattern(value: str) -> str:
    try:
        groups = re.compile(value).groupindex
    except re.error as cause:
        message = f"is no regular expression: {cause}"
        raise ValueError(message) from cause
    schema.check_pattern_columns(tuple(groups))
    if not groups:
        message = "has no named group such as (?P<plant>[^.]+); each named group becomes a column"
        raise ValueError(message)
    return value


def _condition(value: str) -> str:
    condition.loads(value)
    return value


def _zone(value: str) -> str:
    timespec.zone_named(value)
    return value


def _url(value: str) -> str:
    """``https://host/piwebapi`` whether or not scheme, path or a trailing slash were given."""
    text = value.strip() if "/" in value.partition(":")[2][:1] else f"https://{value.strip()}"
    if "@" in text:  # wherever it stands: a password with special characters may end up in any part
        message = "holds a user name or password; give them as the options 'username' and 'password'"
        raise ValueError(message)
    message = "is no address; use https://HOST/piwebapi"
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
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        message = "is no address; use https://HOST/identitymanager/connect/token"
        raise ValueError(message)
    return value.strip()


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Time = Annotated[str, BeforeValidator(_time)]
Span = Annotated[timedelta, BeforeValidator(_span), Field(ge=timedelta(0))]
Zone = Annotated[str, BeforeValidator(_zone)]
Address = Annotated[str, BeforeValidator(_url)]
Endpoint = Annotated[str, BeforeValidator(_endpoint)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Predicate = Annotated[str, BeforeValidator(_condition)]
