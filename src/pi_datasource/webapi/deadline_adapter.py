"""Connection pools that enforce one deadline per response, headers and body, and classify failed attempts.

Nothing is sent again here: ``retry`` decides that, by the ``kind`` of the failure.
"""

from __future__ import annotations

import errno
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse, IncompleteRead, parse_headers
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from pi_datasource.webapi.retry import Failure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Of a connection that is used again; HTTP.sys closes idle ones after two minutes, others sooner.
LONGEST_IDLE_S = 60.0
_UNACKNOWLEDGED_MS = (
    20_000  # a connection is closed when the other machine has acknowledged nothing for so long
)
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


def _socket_options() -> list[tuple[int, int, int]]:
    """No delay for small packets; where the system can, detection of connections that a firewall has dropped."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    keep_alive = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
    wanted = {**keep_alive, "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_MS}
    known = {name: value for name, value in wanted.items() if hasattr(socket, name)}
    return options + [(socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in known.items()]


class DeadlineAdapter(HTTPAdapter):
    """Sends each request once, with one deadline for the whole response.

    ``context`` may hold a client certificate. The read time-out of a request covers its response from the first byte of the
    headers to the last of the body; urllib3 alone would apply it to each single wait.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        super().__init__(max_retries=0, pool_maxsize=4)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **settings: Any) -> None:
        """The pools of direct connections."""
        super().init_poolmanager(connections, maxsize, block, **settings, **self._own())
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> PoolManager:
        """The pools of connections through ``proxy``."""
        manager = cast("PoolManager", super().proxy_manager_for(proxy, **settings, **self._own()))
        if not proxy.lower().startswith("socks"):  # such a manager has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def _own(self) -> dict[str, Any]:
        tls = {"ssl_context": self._context} if self._context is not None else {}
        return {"socket_options": _socket_options(), **tls}


class _Dropped(ConnectionResetError):
    """A reused connection was closed before the first byte of the response."""


class _Silent(TimeoutError):
    """A reused connection brought no byte of the response in time."""


class _Damaged(HTTPException):
    """Headers of a response that do not say where its body ends."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and what it wraps, outermost first; transport errors wrap each other many times."""
    while error is not None:
        yield error
        held = (getattr(error, "reason", None), *error.args, error.__cause__)
        error = next((part for part in held if isinstance(part, BaseException)), None)


def was_silent(error: BaseException | None) -> bool:
    """Whether a request timed out on a reused connection, without a byte of the response."""
    return any(isinstance(one, _Silent) for one in causes(error))


def is_damaged(error: BaseException) -> bool:
    """Whether the response is not valid HTTP."""
    return any(
        isinstance(one, HTTPException) and not isinstance(one, (IncompleteRead, ConnectionError))
        for one in causes(error)
    )


def kind(error: BaseException) -> Failure | None:
    """Why a request got no response; None if sending it again would not help."""
    inner = list(causes(error))
    if any(isinstance(one, _Dropped) for one in inner):
        return Failure.DROPPED
    if isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectTimeout):
        return Failure.SILENT if was_silent(error) else None
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in inner):
        return None
    unconnected = (requests.ConnectTimeout, requests.exceptions.ProxyError, requests.exceptions.SSLError)
    if isinstance(error, unconnected) or any(isinstance(one, NewConnectionError) for one in inner):
        return Failure.NOT_CONNECTED
    broken = (
        requests.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return Failure.BROKEN if isinstance(error, broken) else None


class _TimedBytes(io.RawIOBase):
    """The bytes that a socket receives until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._deadline = raw, deadline
        self.received = 0
        self._sock = sock  # under this name requests_ntlm looks for the server's certificate

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")  # noqa: EM101 - the words of a socket's own
        self._sock.settimeout(left)
        try:
            size = cast("int | None", self._raw.readinto(buffer))
        except TimeoutError as error:
            if error.errno == errno.ETIMEDOUT:  # the other machine acknowledges nothing: broken, not slow
                raise ConnectionAbortedError(*error.args) from error
            raise
        self.received += size or 0
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """A response that must be complete within the time-out that its socket has when it begins."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.bytes: _TimedBytes | None = None
        if (seconds := sock.gettimeout()) is not None:
            self.bytes = _TimedBytes(self.fp.detach(), sock, time.monotonic() + seconds)
            self.fp = io.BufferedReader(self.bytes)

    def _read_status(self) -> tuple[str, int, str]:
        """As inherited, after any interim response such as ``103 Early Hints``; http.client itself skips 100 only."""
        while True:
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 < status[1] < 200 or status[1] == 101:  # 101 switches protocols
                return status
            parse_headers(self.fp)

    def begin(self) -> None:
        """Reads status line and headers.

        Raises:
            HTTPException: they are not HTTP, or do not say where the body ends.
        """
        super().begin()
        lengths = self.headers.get_all("Content-Length", [])
        if lengths and not (len(lengths) == 1 and _LENGTH.fullmatch(lengths[0].strip())):
            message = "its Content-Length is not a number"
            raise _Damaged(message)
        coding = self.headers.get("Transfer-Encoding", "identity").strip().lower()
        if coding not in ("chunked", "identity"):
            message = "its Transfer-Encoding is not known"
            raise _Damaged(message)


class _Connection(HTTPConnection):
    """A connection that knows whether its socket is being reused."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.response_class = self._response  # type: ignore[assignment]
        self._answers, self._used_at = 0, 0.0
        self._last: _TimedResponse | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the socket can be reused."""
        idle_s = time.monotonic() - self._used_at
        return super().is_connected and (not self._answers or idle_s < LONGEST_IDLE_S)

    def connect(self) -> None:
        self._answers = 0
        super().connect()

    def request(self, *args: Any, **settings: Any) -> None:
        """Sends a request; not an error yet is a socket that the other side has closed: it may still hold a response."""
        try:
            super().request(*args, **settings)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            if self._answers:
                raise _Dropped(str(error)) from error
            raise

    def getresponse(self) -> Any:
        try:
            answer = super().getresponse()
        except OSError as error:
            if not self._answers or self._received_bytes():
                raise
            if isinstance(error, TimeoutError):
                raise _Silent(*error.args) from error
            raise _Dropped(str(error)) from error
        self._last = None
        self._answers += 1
        self._used_at = time.monotonic()
        return answer

    def _response(self, *args: Any, **settings: Any) -> _TimedResponse:
        self._last = _TimedResponse(*args, **settings)
        return self._last

    def _received_bytes(self) -> bool:
        return self._last is None or self._last.bytes is None or self._last.bytes.received > 0


class _TLSConnection(_Connection, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
