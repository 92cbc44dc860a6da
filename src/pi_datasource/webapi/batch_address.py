"""The address under which PI Web API resolves the sub-requests of a batch: its own, whatever proxy stands before it.

A proxy that maps another path to PI Web API does so for the call, not for the addresses in its body (reference: section 13,
batch and proxies). Host and port of these do not matter, the path does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pi_datasource.errors import ServerError
from pi_datasource.redaction import shorten

log = logging.getLogger(__name__)

_NOT_ROUTED = b"No HTTP resource was found"  # the words of the framework below PI Web API for an unknown path
_OPENING = 4096  # bytes in which the first sub-reply of a batch that was not routed says so
_USUAL_PATH = "/piwebapi"


class BatchAddress:
    """The base of sub-requests: ``given`` if the user named one, else ``url`` until PI Web API does not know it."""

    def __init__(self, url: str, given: str | None = None) -> None:
        self.base = given or url
        self._url, self._fixed = url, given is not None
        self._confirmed = False

    def of(self, url: str) -> str:
        """The address of a resource for a sub-request; ``url`` is its address for a call of its own."""
        return self.base + url.removeprefix(self._url) if url.startswith(self._url) else url

    def find(self, get: Callable[[str], Any], batch: Callable[[str], bytes]) -> bool | None:
        """Whether there is another base than before; None if PI Web API knows none that was tried.

        ``get`` sends a GET, ``batch`` one as a batch. A base under which the list of data servers is found is right, and
        what is not found under it is an endpoint that this release lacks.
        """
        if self._confirmed:
            return False
        before = self.base
        for base in self._likely(get):
            self.base = base
            self._confirmed = not none_routed(batch(f"{self._url}/dataservers"), 1)
            if self._confirmed:
                break
        else:
            self.base = before
            return None
        if self.base == before:
            return False
        log.warning("PI Web API does not know %s: sub-requests go to %s", before, shorten(self.base))
        return True

    def _likely(self, get: Callable[[str], Any]) -> Iterator[str]:
        yield self.base
        if self._fixed:
            return
        if told := _status_rows(get):
            yield told
        yield urlunsplit((*urlsplit(self._url)[:2], _USUAL_PATH, "", ""))


def none_routed(body: bytes, requests: int) -> bool:
    """Whether PI Web API knew the address of none of the ``requests`` of the batch that ``body`` answers."""
    return _NOT_ROUTED in body[:_OPENING] and body.count(_NOT_ROUTED) >= requests


def _status_rows(get: Callable[[str], Any]) -> str | None:
    """The address that PI Web API gives of itself on its home page."""
    try:
        home = get("")
    except ServerError:
        return None
    links = home.get("Links") if isinstance(home, dict) else None
    link = links.get("DataServers") if isinstance(links, dict) else None
    if not isinstance(link, str) or urlsplit(link).scheme not in ("http", "https"):
        return None
    base, found, _ = link.rpartition("/dataservers")
    return base if found else None
