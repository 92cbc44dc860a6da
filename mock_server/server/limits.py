"""Limits of requests: their rate and the length of their addresses."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from mock_server.server import error_pages
from mock_server.webapi.messages import Request, Response, refusal

_CLIENTS_REMEMBERED = 10_000
_SEGMENT_CHARACTERS = 260  # UrlSegmentMaxLength of HTTP.sys
_IIS_QUERY_BYTES = 2048
_DEFAULT_BYTES = {"httpsys": 16_384, "iis": 4096, "nginx": 8192, "off": 0}


class RateLimit:
    """At most `per_second` requests of one client in any second; 0 is no limit.

    The window slides, which is at least as strict as the fixed windows a real server may have. Rejected requests do
    not count.
    """

    def __init__(self, per_second: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        if per_second < 0:
            msg = f"the rate limit must be 0 (none) or more, not {per_second}"
            raise ValueError(msg)
        self.per_second = per_second
        self._clock = clock
        self._admitted: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admits(self, client: str) -> bool:
        """Whether one more request of this client is within the limit; if so, it is counted."""
        if not self.per_second:
            return True
        with self._lock:
            now = self._clock()
            admitted = self._admitted.setdefault(client, deque())
            self._admitted.move_to_end(client)
            if len(self._admitted) > _CLIENTS_REMEMBERED:
                self._admitted.popitem(last=False)
            while admitted and now - admitted[0] >= 1.0:
                admitted.popleft()
            if len(admitted) >= self.per_second:
                return False
            admitted.append(now)
            return True


def rate_limit_reached() -> Response:
    """The 429 response for too many requests."""
    return refusal(429, "Rate limit was reached").response


@dataclass(frozen=True)
class UrlLimit:
    """The maximum length of an address, and the server that enforces it: `httpsys`, `iis`, `nginx` or none (`off`).

    `size` in bytes limits what that server limits: request line and headers (HTTP.sys), path and query (IIS), request
    line (nginx).
    """

    style: str = "httpsys"
    size: int = _DEFAULT_BYTES["httpsys"]

    @classmethod
    def parse(cls, text: str) -> "UrlLimit":
        """The limit that `STYLE[:BYTES]` describes.

        Raises:
            ValueError: when the text is not valid.
        """
        style, _, size = text.partition(":")
        if style not in _DEFAULT_BYTES or (size and not (size.isdecimal() and int(size) > 0)):
            msg = f"'{text}' is no limit of an address: use {', '.join(_DEFAULT_BYTES)}, with :BYTES if you like"
            raise ValueError(msg)
        return cls(style, int(size) if size else _DEFAULT_BYTES[style])

    def __str__(self) -> str:
        return self.style if self.style == "off" else f"{self.style}:{self.size}"

    def refusal_of(self, request: Request) -> Response | None:
        """The error page for a request that is too long, or None."""
        return _REFUSALS[self.style](request, self.size)


def _target(request: Request) -> int:
    return len(request.raw_path or request.path) + (1 + len(request.query) if request.query else 0)


def _http_sys(request: Request, size: int) -> Response | None:
    head = _target(request) + len(f"{request.method}  HTTP/1.1\r\n\r\n")
    if head > size:
        return error_pages.http_sys(414, "Request URL Too Long", "The request URL is too long.")
    head += sum(len(name) + len(value) + 4 for name, value in request.headers.items())
    if head > size:
        text = "The size of the request headers is too long."
        return error_pages.http_sys(400, "Bad Request - Request Too Long", text)
    if any(len(segment) > _SEGMENT_CHARACTERS for segment in request.path.split("/")):
        return error_pages.http_sys(400, "Bad Request - Invalid URL", "The request URL is invalid.")
    return None


def _iis(request: Request, size: int) -> Response | None:
    reason = "The request filtering module is configured to deny a request {}."
    if _target(request) > size:
        return error_pages.iis("404.14", reason.format("where the URL is too long"))
    if len(request.query) > min(size, _IIS_QUERY_BYTES):
        return error_pages.iis("404.15", reason.format("where the query string is too long"))
    return None


def _nginx(request: Request, size: int) -> Response | None:
    if len(request.method) + _target(request) + len("  HTTP/1.1\r\n") > size:
        return error_pages.nginx(414, "Request-URI Too Large")
    if any(len(name) + len(value) + 4 > size for name, value in request.headers.items()):
        return error_pages.nginx(400, "Request Header Or Cookie Too Large")
    return None


_REFUSALS: dict[str, Callable[[Request, int], Response | None]] = {
    "httpsys": _http_sys,
    "iis": _iis,
    "nginx": _nginx,
    "off": lambda _request, _size: None,
}
