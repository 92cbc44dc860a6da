"""The address under which PI Web API resolves the sub-requests of a batch: its own, whatever the path on a proxy.

A proxy that maps another path to PI Web API does so for the call, not for the addresses in its body (reference: section 13,
batch and proxies). Their host and port do not matter, their path does.
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
_OPENING = 4096  # bytes that hold the first sub-reply
_USUAL_PATH = "/piwebapi"


class BatchAddress:
    """The base of sub-requests: ``given`` if there is one, else ``url`` as long as PI Web API accepts it."""

    def __init__(self, url: str, given: str | None = None) -> None:
        self.base = given or url
        self._url, self._fixed = url, given is not None
        self._confirmed = False

    def of(self, url: str) -> str:
        """The address of a sub-request for the resource at ``url``."""
        return self.base + url.removeprefix(self._url) if url.startswith(self._url) else url

    def find(self, get: Callable[[str], Any], batch: Callable[[str], bytes]) -> bool | None:
        """Looks for a base that PI Web API knows: True if it is a new one, None if none of those tried is known.

        ``get`` sends a GET, ``batch`` sends one within a batch. A base under which the list of data servers is found is
        right; an endpoint that is not found under it is one that this release lacks.
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
        if own := _own_address(get):
            yield own
        yield urlunsplit((*urlsplit(self._url)[:2], _USUAL_PATH, "", ""))


def none_routed(body: bytes, requests: int) -> bool:
    """Whether PI Web API found no resource for any of the ``requests`` of the batch that ``body`` answers."""
    return _NOT_ROUTED in body[:_OPENING] and body.count(_NOT_ROUTED) >= requests


def _own_address(get: Callable[[str], Any]) -> str | None:
    """The address in the links of PI Web API's home page."""
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
