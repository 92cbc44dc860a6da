"""HTTP statuses → error classes, each with what to do about it. Pure."""

from __future__ import annotations

from pi_datasource.errors import (
    AccessDenied,
    AuthenticationFailed,
    Call,
    RequestRefused,
    ServerError,
    ServerFailed,
)
from pi_datasource.redaction import shorten
from pi_datasource.webapi.envelope import FailedPart

BY_STATUS: dict[int, tuple[type[ServerError], str]] = {
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


def of_status(call: Call, failed: FailedPart, hint: str | None = None) -> ServerError:
    """The error for a status of 400 or more: what the server says, and what to do about it."""
    status = failed.status
    kind, usual = BY_STATUS.get(status, (ServerFailed if status >= 500 else RequestRefused, ""))
    hint = usual if hint is None else hint
    text = shorten(failed.message)
    said = f": {text.rstrip('.') if hint else text}" if text else ""
    return kind(f"HTTP {status}{said}" + (f"; {hint}" if hint else ""), status, failed.errors, call=call)
