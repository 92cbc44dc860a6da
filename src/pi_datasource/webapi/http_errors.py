"""What is said of a call that failed: HTTP statuses and bodies → errors that name the call and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from pi_datasource.errors import (
    AccessDenied,
    AuthenticationFailed,
    RequestRefused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    UnexpectedReply,
)
from pi_datasource.redaction import shorten
from pi_datasource.webapi import envelope
from pi_datasource.webapi.envelope import NOT_JSON

_BY_STATUS: dict[int, tuple[type[ServerError], str]] = {
    401: (
        AuthenticationFailed,
        "check 'username' and 'password' (or 'token'), and that the server allows this 'auth'",
    ),
    403: (AccessDenied, "ask for the right to read, or use another account"),
    404: (RequestRefused, "check that 'url' ends in /piwebapi and that this account may read the object"),
    408: (RequestRefused, "the server gave up waiting: read a shorter window, or set a smaller 'page_size'"),
    413: (RequestRefused, "set a smaller 'batch_size'"),
    429: (ServerFailed, "the server limits its request rate: use fewer 'num_partitions', or ask later"),
    502: (ServerFailed, "the proxy cannot reach PI Web API, or PI Web API the archive"),
    503: (ServerFailed, "the PI Web API service is not running, or starting"),
    504: (ServerFailed, "the proxy gave up waiting: read a shorter window, or set a smaller 'page_size'"),
}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]{1,31}")


@dataclass(frozen=True)
class Failures:
    """The errors of calls to one PI Web API."""

    url: str
    timeout_s: float
    signs_in: bool

    def late(self, call: str, *, connecting: bool) -> ServerTimeout:
        """No answer in time, or no connection."""
        what = "no connection" if connecting else "no complete answer"
        message = (
            f"{call}: {what} from {self.url} within {self.timeout_s:g} s; set a smaller 'page_size' or 'batch_size', "
            "or a longer 'timeout'"
        )
        return ServerTimeout(message)

    def refusal(
        self,
        call: str,
        status: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        errors: tuple[str, ...] = (),
    ) -> ServerError:
        """An answer whose status is a failure, with the server's own ``text``, and PI Web API's ``errors`` if it has any."""
        kind, hint = _BY_STATUS.get(status, (ServerFailed if status >= 500 else RequestRefused, ""))
        if status == 401 and not self.signs_in:
            hint = "sign in with the options 'username' and 'password', or 'token'"
        if status == 401 and (schemes := _schemes((headers or {}).get("WWW-Authenticate", ""))):
            hint += f"; it offers {', '.join(schemes)}"
        words = shorten(text)
        said = f": {words.rstrip('.') if hint else words}" if words else ""
        message = f"{call}: HTTP {status}{said}" + (f"; {hint}" if hint else "")
        return kind(message, status, errors)

    def not_routed(self, base: str) -> RequestRefused:
        """PI Web API knows the address of no sub-request."""
        return RequestRefused(
            f"POST batch: PI Web API answers at {self.url}, but does not know the sub-requests' address {shorten(base)}: a proxy "
            "maps its path; give the address under which PI Web API knows itself as option 'batch_url'",
            404,
        )

    def not_json(self, call: str, headers: Mapping[str, str], body: bytes) -> UnexpectedReply:
        """An answer that is not PI Web API's, such as a proxy's page."""
        kind = shorten(headers.get("Content-Type", "no content type"))
        return UnexpectedReply(
            f"{call}: {self.url} did not answer with PI Web API's JSON but with {kind}, starting with "
            f"{envelope.opening(body)}; check that 'url' is the address of PI Web API "
            "(https://HOST/piwebapi)"
        )


def error_text(body: bytes) -> str:
    """What the body of a refusal says, or how it starts."""
    try:
        parsed = msgspec.json.decode(body)
    except NOT_JSON:
        return envelope.opening(body) if body else ""
    return envelope.text_of(parsed)


def own_errors(body: bytes, headers: Mapping[str, str]) -> tuple[str, ...]:
    """PI Web API's own texts in the body of a refusal.

    None in HTML, in an empty body, in the ``Message`` of the framework below PI Web API, which knows no address, and in JSON
    of another shape.
    """
    if "json" not in headers.get("Content-Type", "").lower():
        return ()
    try:
        parsed = msgspec.json.decode(body)
    except NOT_JSON:
        return ()
    return envelope.own_errors(parsed.get("Errors")) if isinstance(parsed, dict) else ()


def _schemes(challenges: str) -> list[str]:
    """The names of the schemes in a ``WWW-Authenticate`` header, without their parameters."""
    parts = re.sub(r'"[^"]*"', "", shorten(challenges)).split(",")  # a quoted realm may hold commas
    first_words = [part.split()[0] for part in parts if part.split()]
    return sorted({word for word in first_words if _SCHEME.fullmatch(word)})
