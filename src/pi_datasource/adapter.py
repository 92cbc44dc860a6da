"""HTTP connections that owe a whole answer, headers and body, by one deadline; and retries where they may help."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from http.client import HTTPResponse
from ssl import SSLContext
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TOO_MANY_REQUESTS = 429
RETRIED = (TOO_MANY_REQUESTS, 500, 502, 503, 504)


class PatientAdapter(HTTPAdapter):
    """Sends again what broke or was refused for the moment; gives up on an answer that is late as a whole.

    ``context`` may hold a client certificate; ``before_retry`` is called before anything is sent again, with the seconds
    waited if the answer was 429. The read time-out of a request bounds its answer from the first byte of the headers to
    the last of the body, where urllib3 alone would bound each single wait.
    """

    def __init__(
        self,
        max_retries: int,
        context: SSLContext | None = None,
        before_retry: Callable[[float], None] = lambda _: None,
    ) -> None:
        class Paced(_Retry):
            """Retries are requests too: they wait for their turn; urllib3 makes each anew from its class."""

            def sleep(self, response: BaseHTTPResponse | None = None) -> None:
                began = time.monotonic()
                super().sleep(response)
                refused = response is not None and response.status == TOO_MANY_REQUESTS
                before_retry(time.monotonic() - began if refused else 0.0)

        self._context = context
        retry = Paced(
            total=max_retries,
            connect=min(3, max_retries),  # a wrong address should be told within seconds
            backoff_factor=0.5,
            backoff_max=30,
            backoff_jitter=0.3,
            status_forcelist=RETRIED,
            allowed_methods=None,  # a batch of GETs is as safe to repeat as a GET
            raise_on_status=False,
        )
        super().__init__(max_retries=retry, pool_maxsize=4)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **settings: Any) -> None:
        """The pools of direct connections."""
        super().init_poolmanager(connections, maxsize, block, **settings, **self._tls())
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> PoolManager:
        """The pools of connections through ``proxy``."""
        manager = cast("PoolManager", super().proxy_manager_for(proxy, **settings, **self._tls()))
        if not proxy.lower().startswith("socks"):  # such a manager has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def _tls(self) -> dict[str, Any]:
        return {"ssl_context": self._context} if self._context is not None else {}


class _Retry(Retry):
    """urllib3's retries, but a slow answer is not asked for again: it would be slow again."""

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> _Retry:
        if isinstance(error, ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class _TimedBytes(io.RawIOBase):
    """What a socket receives until a deadline."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._deadline = raw, deadline
        self._sock = sock  # under this name requests_ntlm looks for the server's certificate

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")  # noqa: EM101 - the words of a socket's own
        self._sock.settimeout(left)
        return cast("int | None", self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer that must be whole within the time-out that its socket has when it begins."""

    def __init__(self, sock: socket.socket, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        if (seconds := sock.gettimeout()) is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_TimedBytes(raw, sock, time.monotonic() + seconds))


class _Connection(HTTPConnection):
    response_class = _TimedResponse


class _TLSConnection(HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


_POOLS = {"http": _Pool, "https": _TLSPool}
