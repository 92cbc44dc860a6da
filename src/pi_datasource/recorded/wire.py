"""An event as PI Web API writes it."""

from __future__ import annotations

from typing import Any

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding a foreign body may raise
FLAGS = ("Good", "Questionable", "Substituted", "Annotated")


class TimedValue(msgspec.Struct, gc=False):
    """One event as PI writes it."""

    Timestamp: str
    Value: Any = None
    Good: bool | None = None
    Questionable: bool | None = None
    Substituted: bool | None = None
    Annotated: bool | None = None
    Errors: Any = None
