"""Queries of URLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

WEB_IDS_PER_URL = 50  # some 2 kB of URL with short WebIds (reference: performance)
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")  # not changed by percent-encoding


def query(params: Mapping[str, Any]) -> str:
    """The query of a URL, percent-encoded: a list is repeated for each of its values, None is left out."""
    return "&".join(filter(None, (_of(name, value) for name, value in params.items() if value is not None)))


def _of(name: str, value: Any) -> str:
    # A call may hold hundreds of WebIds, which need no encoding.
    if isinstance(value, list) and _PLAIN.fullmatch("".join(map(str, value))):
        return "&".join([f"{name}={each}" for each in value])
    return urlencode({name: value}, quote_via=quote, doseq=True)
