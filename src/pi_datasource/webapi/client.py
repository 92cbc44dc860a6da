"""The only HTTP session: calls with their time-outs, sent again as ``retry`` says."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from http.client import HTTPException
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import msgspec
import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import ReadTimeoutError

from pi_datasource.errors import Call, ServerError, ServerFailed, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.redaction import redacted_errors, shorten
from pi_datasource.webapi import auth, deadline_adapter, envelope, retry, transport
from pi_datasource.webapi.batch_address import BatchAddress, none_routed
from pi_datasource.webapi.circuit_breaker import Breaker
from pi_datasource.webapi.envelope import BATCH, NOT_JSON
from pi_datasource.webapi.http_errors import Failures
from pi_datasource.webapi.metrics import RequestMetrics
from pi_datasource.webapi.outage import PAUSE_S, Outage
from pi_datasource.webapi.query import query
from pi_datasource.webapi.rate_limit import Pacer
from pi_datasource.webapi.retry import Attempts, Failed, Failure

log = logging.getLogger(__name__)

_State = TypeVar("_State")

CONNECT_TIMEOUT_S = 10.0
CHUNK = 1 << 20


class _Answer(NamedTuple):
    """An answer that came in whole."""

    body: bytes
    headers: Mapping[str, str]


class _Sent(NamedTuple):
    """One call: counts for ``weight`` requests; ``read`` makes of the answer what the caller wants."""

    name: Call
    url: str
    data: bytes | None
    weight: int = 1
    read: Callable[[_Answer], Any] = lambda answer: answer


class PIClient:
    """Calls of one PI Web API; not shared between threads.

    Every failure raises a leaf of ``ServerError`` that names the call; no message or log holds a secret.
    """

    def __init__(self, options: Options, sleep: Callable[[float], None] | None = None) -> None:
        self.url = options.url
        self.timeout_s = options.timeout.total_seconds()
        self.max_retries = options.max_retries
        self.sleep = sleep or time.sleep
        self.patience_s = options.wait_for_server.total_seconds()
        self._pacer = Pacer(options.requests_per_second, sleep=self._sleep_for_rate)
        self._breaker = Breaker()
        self._batch_address = BatchAddress(options.url, options.batch_url)
        self._metrics = RequestMetrics()
        self._distrusts_connections = False
        self._adding = Lock()  # a pause may end while the next call is on its way
        self._session = transport.session(options)
        self._failures = Failures(options.url, self.timeout_s, auth.chosen(options) != "anonymous")

    def __enter__(self) -> PIClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def resource(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The absolute URL of a resource; everything special in ``params`` is percent-encoded."""
        asked = query(params or {})
        return f"{self.url}/{path}" + (f"?{asked}" if asked else "")

    @redacted_errors()
    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON body of a GET, after a look for the failure that a 200 may hide (``WebException``)."""
        return self._json(Call("GET", path), self.resource(path, params), None)

    @redacted_errors()
    def post(self, path: str, content: Any) -> Any:
        """The JSON body of the answer to a POST of ``content``, with the same look; for small answers."""
        return self._json(Call("POST", path), self.resource(path), msgspec.json.encode(content))

    def _json(self, name: Call, url: str, data: bytes | None) -> Any:
        call = _Sent(name, url, data, read=partial(self._parsed, name))
        return self._send(call, Attempts(self.max_retries))

    def _parsed(self, call: Call, answer: _Answer) -> Any:
        body, headers = answer
        try:
            parsed = msgspec.json.decode(body)
        except NOT_JSON as cause:
            raise self._failures.not_json(call, headers, body) from cause
        if (failed := envelope.failure_in(parsed)) is not None:
            raise self._failures.refusal(call, failed)
        if isinstance(parsed, dict) and "Date" in headers:
            parsed.setdefault("Date", headers["Date"])
        return parsed

    @redacted_errors()
    def batch(self, requests_by_id: Mapping[str, str], attempts: Attempts | None = None) -> bytes:
        """The body of the answer to many GETs sent as one call of the batch endpoint.

        ``attempts`` may hold retries that the caller has used before, and holds afterwards those of this call, too.

        Raises:
            UnexpectedReply: the answer is cut or no JSON object.
            RequestRefused: PI Web API knows the address of none of the GETs.
        """
        attempts = attempts or Attempts(self.max_retries)
        body = self._batch(requests_by_id, attempts)
        if not none_routed(body, len(requests_by_id)):
            return body
        changed = self._batch_address.find(
            self.get, lambda url: self._batch({"address": url}, Attempts(self.max_retries))
        )
        if changed is None:
            raise self._failures.not_routed(self._batch_address.base)
        return self._batch(requests_by_id, attempts) if changed else body

    def _batch(self, requests_by_id: Mapping[str, str], attempts: Attempts) -> bytes:
        content = {
            key: {"Method": "GET", "Resource": self._batch_address.of(url)}
            for key, url in requests_by_id.items()
        }
        call = _Sent(BATCH, self.resource("batch"), msgspec.json.encode(content), weight=len(content))
        answer: _Answer = self._send(call, attempts)
        if answer.body[:1] != b"{":
            raise self._failures.not_json(call.name, answer.headers, answer.body)
        return answer.body

    def drop_connections(self) -> None:
        """Closes the kept connections before the next call: answers that still arrive on them reach no later one."""
        self._distrusts_connections = (
            True  # closed by the thread that sends: another may be about to take one
        )

    def pace(self, requests_per_second: float | None) -> None:
        """From here on at most so many requests are sent in any second, each sub-request of a batch counted."""
        self._pacer.set(requests_per_second)

    def pause(self, attempt: int, least_s: float = 0.0, *, requests: int = 1, refused: bool = False) -> None:
        """Waits before ``requests`` are sent again: 1, 2, 4 … seconds, at most 30, but ``least_s`` if longer.

        A second is what PI's rate limit asks for at least (reference: limits); ``refused`` says that it was this limit.
        """
        pause_s = max(retry.back_off_s(attempt, limited=True), retry.bounded_s(least_s))
        if pause_s > retry.LOGGED_PAUSE_S:
            retry.report(f"POST batch: {requests} sub-request(s) failed for the moment", pause_s, least_s)
        self.sleep(pause_s)
        self._spent(RequestMetrics(0, requests, pause_s if refused else 0.0))

    def server_state(self, kind: Callable[[], _State]) -> _State:
        """The only ``kind`` of this process for this server: what its clients have learnt, shared by all of them."""
        state: _State = _server_state(self.url, kind)
        return state

    @property
    def metrics(self) -> RequestMetrics:
        """What the calls of this client have cost so far."""
        return self._metrics + RequestMetrics(throttled_seconds=self._pacer.waited_s)

    def _spent(self, more: RequestMetrics) -> None:
        with self._adding:
            self._metrics += more

    def _sleep_for_rate(self, seconds: float) -> None:
        if seconds > retry.LOGGED_PAUSE_S:
            log.warning("the next call waits for %.1f s, to keep 'requests_per_second'", seconds)
        self.sleep(seconds)

    def _send(self, call: _Sent, attempts: Attempts) -> Any:
        """What ``call`` makes of its answer; a server that is down is waited for as long as the options say."""
        outage = Outage(self.patience_s)
        while True:
            try:
                answer = self._checked(call, attempts)
            except ServerError as error:
                if not outage.should_wait(error):
                    raise
            else:
                outage.over()
                return answer
            self.sleep(PAUSE_S)
            attempts.start_over()

    def _checked(self, call: _Sent, attempts: Attempts) -> Any:
        self._breaker.check(call.name)
        try:
            answer = retry.send(
                partial(self._attempt, call, attempts), attempts, self.sleep, self._before_retry
            )
        except ServerError as error:
            self._breaker.failed(error)
            raise
        self._breaker.answered()
        return answer

    def _before_retry(self, failed: Failed, pause_s: float) -> None:
        if failed.kind in (Failure.DROPPED, Failure.SILENT):
            self._session.close()  # what has dropped one kept connection has dropped the others, too
        self._spent(
            RequestMetrics(
                retries=1, throttled_seconds=pause_s if failed.kind is Failure.RATE_LIMITED else 0.0
            )
        )

    def _attempt(self, call: _Sent, attempts: Attempts) -> Any:
        self._pacer.wait(call.weight)
        try:
            answer = self._once(call.name, call.url, call.data, attempts)
        finally:
            self._pacer.answered()
        if isinstance(answer, Failed):
            return answer
        try:
            return call.read(answer)
        except (UnexpectedReply, ServerFailed) as error:  # half of an answer, or a proxy's page in its place
            return Failed(error, Failure.UNREADABLE)

    def _once(self, call: Call, url: str, data: bytes | None, attempts: Attempts) -> _Answer | Failed:
        if self._distrusts_connections:
            self._distrusts_connections = False
            self._session.close()
        timeouts = (min(CONNECT_TIMEOUT_S, self.timeout_s), self.timeout_s)
        self._spent(RequestMetrics(calls=1))
        try:
            with self._session.request(
                call.method,
                url,
                data=data,
                timeout=timeouts,
                stream=True,
                allow_redirects=False,
            ) as response:
                body = _body(response)
        except _BodyCut as cut:
            return Failed(_caused(self._cut(call, cut, attempts), cut), Failure.BROKEN)
        except (requests.Timeout, ReadTimeoutError) as cause:
            late = self._failures.late(call, connecting=isinstance(cause, requests.ConnectTimeout))
            return Failed(_caused(late, cause), deadline_adapter.kind(cause))
        except requests.RequestException as cause:
            return Failed(
                _caused(transport.failure(call, self.url, cause), cause), deadline_adapter.kind(cause)
            )
        except (TransportError, HTTPException, OSError, ValueError) as cause:  # of an answer beyond all rules
            return Failed(_caused(transport.failure(call, self.url, cause), cause), Failure.BROKEN)
        log.debug("%s: HTTP %s, %s bytes", call, response.status_code, len(body))
        if (refusal := self._refusal(call, response, body)) is None:
            return _Answer(body, response.headers)
        pause_s = retry.retry_after_s(response.headers.get("Retry-After"))
        return Failed(refusal, retry.kind_of_status(response.status_code), pause_s)

    def _refusal(self, call: Call, response: requests.Response, body: bytes) -> ServerError | None:
        if 300 <= response.status_code < 400:
            place = shorten(response.headers.get("Location", "elsewhere")).partition("?")[0]
            message = f"{self.url} sends the caller on to {place}; give PI Web API's own address as 'url'"
            return UnexpectedReply(message, response.status_code, call=call)
        if response.status_code >= 400:
            failed = envelope.failed_body(response.status_code, response.headers, body)
            return self._failures.refusal(call, failed, response.headers)
        return None

    def _cut(self, call: Call, cut: _BodyCut, attempts: Attempts) -> UnexpectedReply:
        return UnexpectedReply(
            f"the answer of {self.url} was cut short {attempts.seen(Failure.BROKEN) + 1} time(s) in a row ({cut}); "
            "check for a proxy that limits answers, or set a smaller 'page_size'",
            call=call,
        )


class _BodyCut(Exception):
    """The body ended early, or cannot be unpacked."""


def _caused(error: ServerError, cause: Exception) -> ServerError:
    error.__cause__ = cause
    return error


def _body(response: requests.Response) -> bytes:
    raw = response.raw
    read = getattr(raw, "read1", raw.read)  # read1 returns what is there
    chunks = []
    try:
        while chunk := read(CHUNK, decode_content=True):
            chunks.append(chunk)
    except ReadTimeoutError:
        raise
    except (TransportError, HTTPException, OSError, ValueError) as cause:
        raise _BodyCut(transport.reason(cause)) from cause
    body = b"".join(chunks)
    expected = response.headers.get("Content-Length", "")
    if expected.isdecimal() and "Content-Encoding" not in response.headers and len(body) < int(expected):
        message = f"{len(body)} of {shorten(expected)} bytes"
        raise _BodyCut(message)
    return body


@lru_cache(maxsize=64)
def _server_state(url: str, kind: Any) -> Any:  # noqa: ARG001 - the key of the cache
    return kind()


@lru_cache(maxsize=4)
def shared(options: Options) -> PIClient:
    """The client of these options in this process: one connection serves many tasks of a reused worker."""
    return PIClient(options)


def server_date(answer: Mapping[str, Any]) -> datetime | None:
    """The server's clock from the ``Date`` header that ``get`` leaves in a reply, or None."""
    try:
        return parsedate_to_datetime(answer["Date"])
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
