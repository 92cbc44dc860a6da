"""Parameters of a call → the query of its URL. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

WEB_IDS_PER_URL = 50  # some 2 kB of URL with short WebIds (reference: performance)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")  # what percent-encoding leaves as it is


def query(params: Mapping[str, Any]) -> str:
    """A parameter that is a list once for each of its values, one that is None not at all; all special percent-encoded."""
    return "&".join(filter(None, (_of(name, value) for name, value in params.items() if value is not None)))


def _of(name: str, value: Any) -> str:
    # Hundreds of WebIds come in one call, and hold nothing special.
    if isinstance(value, list) and _PLAIN.fullmatch("".join(map(str, value))):
        return "&".join([f"{name}={each}" for each in value])
    return urlencode({name: value}, quote_via=quote, doseq=True)
