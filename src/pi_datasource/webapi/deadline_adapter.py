"""HTTP connections that owe a whole answer by one deadline, and that know whether they were used before.

Nothing is sent again here: what a failed attempt means for the next one is decided by ``retry``, from ``kind``.
"""

from __future__ import annotations

import errno
import io
import re
import socket
import ssl
import time
from collections.abc import Iterator
from http.client import (
    CONTINUE,
    SWITCHING_PROTOCOLS,
    HTTPException,
    HTTPResponse,
    IncompleteRead,
    parse_headers,
)
from typing import TYPE_CHECKING, Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from pi_datasource.webapi.retry import Failure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LONGEST_IDLE_S = (
    60.0  # of a connection that is used again; HTTP.sys closes idle ones after two minutes, others sooner
)
_UNACKNOWLEDGED_S = 20  # after so long without a sign from the other machine a connection is given up
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


def _socket_options() -> list[tuple[int, int, int]]:
    """Sends small packets at once, and notices a connection that a firewall has dropped, where the system can."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    wanted = {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": _UNACKNOWLEDGED_S * 1000,
    }
    options += [
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in wanted.items()
        if hasattr(socket, name)
    ]
    return options


class DeadlineAdapter(HTTPAdapter):
    """Sends each request once; gives up on an answer that is late as a whole.

    ``context`` may hold a client certificate. The read time-out of a request bounds its answer from the first byte of the
    headers to the last of the body, where urllib3 alone would bound each single wait.
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
    """A connection that had answered before broke without a byte of this answer."""


class _Silent(TimeoutError):
    """A connection that had answered before brought no byte of this answer in time."""


class _Damaged(HTTPException):
    """The head of an answer that does not say where its body ends."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and what it wraps, outermost first; transport errors wrap each other many times."""
    while error is not None:
        yield error
        held = (getattr(error, "reason", None), *error.args, error.__cause__)
        error = next((part for part in held if isinstance(part, BaseException)), None)


def was_silent(error: BaseException | None) -> bool:
    """Whether this is the time-out of a request on a connection that had been used before, without a byte of the answer."""
    return any(isinstance(one, _Silent) for one in causes(error))


def is_damaged(error: BaseException) -> bool:
    """Whether something did answer, but not in HTTP."""
    return any(
        isinstance(one, HTTPException) and not isinstance(one, (IncompleteRead, ConnectionError))
        for one in causes(error)
    )


def kind(error: BaseException) -> Failure | None:
    """Why a request got no answer; None where it would get none the next time either."""
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
    """What a socket receives until a deadline."""

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
            if error.errno == errno.ETIMEDOUT:  # the other machine acknowledges nothing: broken, and not slow
                raise ConnectionAbortedError(*error.args) from error
            raise
        self.received += size or 0
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer that must be whole within the time-out that its socket has when it begins."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.bytes: _TimedBytes | None = None
        if (seconds := sock.gettimeout()) is not None:
            self.bytes = _TimedBytes(self.fp.detach(), sock, time.monotonic() + seconds)
            self.fp = io.BufferedReader(self.bytes)

    def _read_status(self) -> tuple[str, int, str]:
        """As inherited, after any interim answers such as ``103 Early Hints``; http.client itself passes over 100 only."""
        while True:
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not CONTINUE < status[1] < 200 or status[1] == SWITCHING_PROTOCOLS:
                return status
            parse_headers(self.fp)

    def begin(self) -> None:
        """Reads the head of the answer.

        Raises:
            HTTPException: it is not HTTP, or does not say where the body ends.
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
    """Knows whether its present socket has brought an answer before."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.response_class = self._response  # type: ignore[assignment]
        self._answers, self._used_at = 0, 0.0
        self._last: _TimedResponse | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the socket may be used again."""
        idle_s = time.monotonic() - self._used_at
        return super().is_connected and (not self._answers or idle_s < LONGEST_IDLE_S)

    def connect(self) -> None:
        """Opens a new socket."""
        self._answers = 0
        super().connect()

    def request(self, *args: Any, **settings: Any) -> None:
        """Sends a request; a socket that was closed by the other side may still hold an answer, so that is no error yet."""
        try:
            super().request(*args, **settings)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            if self._answers:
                raise _Dropped(str(error)) from error
            raise

    def getresponse(self) -> Any:
        """The head of the answer."""
        try:
            answer = super().getresponse()
        except OSError as error:
            if not self._answers or self._heard():
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

    def _heard(self) -> bool:
        return self._last is None or self._last.bytes is None or self._last.bytes.received > 0


class _TLSConnection(_Connection, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
