"""The exceptions of the package, named by their condition and grouped by what to do about them.

::

    PIError
      x ConfigurationError        change an option, then run again
        - UnknownOption
        - InvalidOption
        - MissingPackage
        - NoTagMatches            (also: the account may not read the tag)
      x ServerError               look at the server, the network or the account
        - ServerUnreachable
        - ServerTimeout
        - AuthenticationFailed
        - AccessDenied
        - RequestRefused
        - ServerFailed
        - UnexpectedReply
      x ReadFailed                some points could not be read: the message names them
      x OffsetError               a stream's checkpoint does not fit this version
      x StreamInUse               another process ingests the same stream now
      x TablesUnavailable         the tables that the dashboard shows cannot be read now

Messages say what failed, on which option, point or call, and what to do next. They never hold a secret: each passes
through ``redaction``, and so do the errors that caused it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pi_datasource import redaction

__all__ = [
    "AccessDenied",
    "AuthenticationFailed",
    "ConfigurationError",
    "InvalidOption",
    "MissingPackage",
    "NoTagMatches",
    "OffsetError",
    "PIError",
    "PointFailure",
    "ReadFailed",
    "RequestRefused",
    "ServerError",
    "ServerFailed",
    "ServerTimeout",
    "ServerUnreachable",
    "StreamInUse",
    "TablesUnavailable",
    "UnexpectedReply",
    "UnknownOption",
]

SHOWN_FAILURES = 20
MOST_TEXTS = 20  # of a server, that one error keeps


class PIError(Exception):
    """The base class of all exceptions that this package raises on purpose.

    Its texts hold no secret and are not longer than ``redaction.LONGEST_MESSAGE``; nor are those of the exception that is
    handled when it is raised, which a traceback prints above it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(redaction.shorten(message, redaction.LONGEST_MESSAGE))
        redaction.redact_error(sys.exc_info()[1])


class ConfigurationError(PIError):
    """An option or the installation must change; no request will help."""


class UnknownOption(ConfigurationError):
    """There is no such option; the message suggests the nearest name."""


class InvalidOption(ConfigurationError):
    """An option whose value cannot be used; the message names it and what is accepted."""


class MissingPackage(ConfigurationError):
    """An optional Python package or program is needed; the message holds the command that installs it."""


class NoTagMatches(ConfigurationError):
    """A tag or pattern selects nothing that this account can see."""


class Call(NamedTuple):
    """An HTTP request as messages name it: method, path below ``url`` (for another server its URL), and what it is for."""

    method: str
    path: str
    purpose: str = ""

    def __str__(self) -> str:
        return f"{self.purpose}{': ' * bool(self.purpose)}{self.method} {self.path}"


class ServerError(PIError):
    """One call failed; ``status`` is its HTTP status, or None if there was no answer.

    ``method`` and ``path`` name the call, ``attempt`` is the number of times it was sent. ``errors`` are PI Web API's own
    texts (``Errors`` of its JSON), empty if something else answered or refused the address: the first ``MOST_TEXTS`` of
    them, each without secrets and not longer than ``redaction.LONGEST_TEXT``. Decide by these fields, never by the text.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        errors: tuple[str, ...] = (),
        *,
        call: Call | None = None,
    ) -> None:
        super().__init__(f"{call}: {message}" if call else message)
        self.status = status
        self.errors = tuple(map(redaction.shorten, errors[:MOST_TEXTS]))
        self.method = call.method if call else None
        self.path = redaction.shorten(call.path) if call else None
        self.attempt: int | None = None

    def extended(self, text: str) -> ServerError:
        """The same error with ``text`` added to its message."""
        longer = type(self)(f"{self}{text}")
        vars(longer).update(vars(self))
        return longer


class ServerUnreachable(ServerError):
    """No connection could be made, or it broke before an answer came."""


class ServerTimeout(ServerError):
    """The server took longer than the option ``timeout`` allows."""


class AuthenticationFailed(ServerError):
    """HTTP 401: the server does not accept the credentials, or this kind of authentication."""


class AccessDenied(ServerError):
    """HTTP 403: authenticated, but not authorized."""


class RequestRefused(ServerError):
    """Another HTTP 4xx: the server refused the request."""


class ServerFailed(ServerError):
    """HTTP 5xx or 429 after all retries, or a failure that the server reported inside a 200."""


class UnexpectedReply(ServerError):
    """The answer is not one of PI Web API: HTML, cut short, or JSON of another shape."""


@dataclass(frozen=True)
class PointFailure:
    """A point whose events could not be read, and why; ``not_found`` if PI Web API itself answered 404.

    The message holds no secret, and its length is bounded.
    """

    point: str
    web_id: str
    status: int | None
    message: str
    not_found: bool = False

    def __post_init__(self) -> None:
        """Redacts the message: it goes into rows, too."""
        object.__setattr__(self, "message", redaction.shorten(self.message, 2 * redaction.LONGEST_TEXT))

    def __str__(self) -> str:
        status = f"HTTP {self.status}" if self.status else "no status"
        return f"{self.point} ({status}): {self.message}"


def shown(failures: Sequence[PointFailure]) -> str:
    """The first ones as text, and how many more there are."""
    first = "; ".join(str(failure) for failure in failures[:SHOWN_FAILURES])
    more = len(failures) - SHOWN_FAILURES
    return f"{first}; and {more} more" if more > 0 else first


class ReadFailed(PIError):
    """Some points of a window could not be read; ``failures`` names every one of them."""

    def __init__(self, message: str, failures: tuple[PointFailure, ...] = ()) -> None:
        super().__init__(message)
        self.failures = failures

    @classmethod
    def of(cls, failures: list[PointFailure], window: str) -> ReadFailed:
        """The error for ``failures`` within ``window`` (as text); all are kept, the first ones are shown."""
        return cls(
            f"{len(failures)} point(s) could not be read in {window}: {shown(failures)}. Nothing of this window counts as "
            'read; set on_error="report" to get such points as rows instead.',
            tuple(failures),
        )


class OffsetError(PIError):
    """A stream offset that this version cannot read."""


class StreamInUse(PIError):
    """Another process ingests the same server and tags now; the message names it."""


class TablesUnavailable(PIError):
    """The pipeline's tables cannot be read now; the message says where and why."""
