"""HTTP failures → errors that name the call, what the server says, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pi_datasource.errors import (
    AccessDenied,
    AuthenticationFailed,
    Call,
    RequestRefused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    UnexpectedReply,
)
from pi_datasource.redaction import shorten
from pi_datasource.webapi.envelope import BATCH, FailedPart, opening

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
_SIGN_IN = "sign in with the options 'username' and 'password', or 'token'"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]{1,31}")


@dataclass(frozen=True)
class Failures:
    """The errors of calls to one PI Web API."""

    url: str
    timeout_s: float
    signs_in: bool

    def late(self, call: Call, *, connecting: bool) -> ServerTimeout:
        """No answer in time, or no connection."""
        what = "no connection" if connecting else "no complete answer"
        message = (
            f"{what} from {self.url} within {self.timeout_s:g} s; set a smaller 'page_size' or 'batch_size', "
            "or a longer 'timeout'"
        )
        return ServerTimeout(message, call=call)

    def refusal(
        self, call: Call, failed: FailedPart, headers: Mapping[str, str] = MappingProxyType({})
    ) -> ServerError:
        """An answer that is a failure, by its status or by what it holds."""
        hint = None
        if failed.status == 401:
            hint = _BY_STATUS[401][1] if self.signs_in else _SIGN_IN
            if schemes := _schemes(headers.get("WWW-Authenticate", "")):
                hint += f"; it offers {', '.join(schemes)}"
        return of_status(call, failed, hint)

    def not_routed(self, base: str) -> RequestRefused:
        """PI Web API knows the address of no sub-request."""
        return RequestRefused(
            f"PI Web API answers at {self.url}, but does not know the sub-requests' address {shorten(base)}: a proxy "
            "maps its path; give the address under which PI Web API knows itself as option 'batch_url'",
            404,
            call=BATCH,
        )

    def not_json(self, call: Call, headers: Mapping[str, str], body: bytes) -> UnexpectedReply:
        """An answer that is not PI Web API's, such as a proxy's page."""
        kind = shorten(headers.get("Content-Type", "no content type"))
        message = (
            f"{self.url} did not answer with PI Web API's JSON but with {kind}, starting with {opening(body)}; check that "
            "'url' is the address of PI Web API (https://HOST/piwebapi)"
        )
        return UnexpectedReply(message, call=call)


def of_status(call: Call, failed: FailedPart, hint: str | None = None) -> ServerError:
    """The error for a status of 400 or more: what the server says, and what to do about it."""
    status = failed.status
    kind, usual = _BY_STATUS.get(status, (ServerFailed if status >= 500 else RequestRefused, ""))
    hint = usual if hint is None else hint
    words = shorten(failed.message)
    said = f": {words.rstrip('.') if hint else words}" if words else ""
    return kind(f"HTTP {status}{said}" + (f"; {hint}" if hint else ""), status, failed.errors, call=call)


def _schemes(challenges: str) -> list[str]:
    """The names of the schemes in a ``WWW-Authenticate`` header, without their parameters."""
    parts = re.sub(r'"[^"]*"', "", shorten(challenges)).split(",")  # a quoted realm may hold commas
    first_words = [part.split()[0] for part in parts if part.split()]
    return sorted({word for word in first_words if _SCHEME.fullmatch(word)})
