"""The client of one PI Web API: GETs and batches, paced, retried, and waited for during an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import msgspec

from pi_datasource.errors import Call, ServerError, ServerFailed, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.redaction import redacted_errors
from pi_datasource.webapi import auth, envelope, retry, transport
from pi_datasource.webapi.batch_address import BatchAddress, none_routed
from pi_datasource.webapi.envelope import BATCH, NOT_JSON
from pi_datasource.webapi.exchange import Answer, Exchange
from pi_datasource.webapi.http_errors import Failures
from pi_datasource.webapi.metrics import RequestMetrics
from pi_datasource.webapi.outage import PAUSE_S, Breaker, Outage
from pi_datasource.webapi.query import query
from pi_datasource.webapi.rate_limit import Pacer
from pi_datasource.webapi.retry import Attempts, Failed, Failure

log = logging.getLogger(__name__)

_State = TypeVar("_State")


class _Sent(NamedTuple):
    """One call, which counts for ``weight`` requests; ``read`` turns its answer into what the caller gets."""

    name: Call
    url: str
    data: bytes | None = None
    weight: int = 1
    read: Callable[[Answer], Any] = lambda answer: answer


class PIClient:
    """A client of one PI Web API; not shared between threads.

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
        self._drops_connections = False
        self._adding = Lock()  # a pause may end while the next call is under way
        self._session = transport.session(options)
        self._failures = Failures(options.url, self.timeout_s, auth.chosen(options) != "anonymous")
        self._exchange = Exchange(self._session, self._failures)

    def __enter__(self) -> PIClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def resource(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The absolute URL of a resource, with ``params`` percent-encoded."""
        asked = query(params or {})
        return f"{self.url}/{path}" + (f"?{asked}" if asked else "")

    @redacted_errors()
    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON body of a GET; raises the failure that a body with status 200 may hold (``WebException``)."""
        name = Call("GET", path)
        call = _Sent(name, self.resource(path, params), read=partial(self._parsed, name))
        return self._send(call, Attempts(self.max_retries))

    def _parsed(self, call: Call, answer: Answer) -> Any:
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
        """The body of the answer to many GETs in one call of the batch endpoint.

        ``attempts`` holds the retries that the caller has used before; those of this call are added.

        Raises:
            UnexpectedReply: the answer is cut, or not a JSON object.
            RequestRefused: PI Web API finds no resource for any of the GETs.
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
        answer: Answer = self._send(call, attempts)
        if answer.body[:1] != b"{":
            raise self._failures.not_json(call.name, answer.headers, answer.body)
        return answer.body

    def drop_connections(self) -> None:
        """Closes the kept connections before the next call, so that it gets no answer that still arrives on them."""
        self._drops_connections = True  # the thread that sends closes them: it may be about to use one

    def pace(self, requests_per_second: float | None) -> None:
        """Limits the requests in any second from now on; each sub-request of a batch counts."""
        self._pacer.set(requests_per_second)

    def pause(self, attempt: int, least_s: float = 0.0, *, requests: int = 1, refused: bool = False) -> None:
        """Waits before ``requests`` are sent again: 1, 2, 4 … seconds, at most 30, or ``least_s`` if that is longer.

        PI's rate limit needs at least one second (reference: limits); ``refused`` says that it was this limit.
        """
        pause_s = max(retry.back_off_s(attempt, limited=True), retry.bounded_s(least_s))
        if pause_s > retry.LOGGED_PAUSE_S:
            retry.report(f"POST batch: {requests} sub-request(s) failed for the moment", pause_s, least_s)
        self.sleep(pause_s)
        self._count(RequestMetrics(0, requests, pause_s if refused else 0.0))

    def server_state(self, kind: Callable[[], _State]) -> _State:
        """The object of this ``kind`` that all clients of this server in the process share."""
        state: _State = _server_state(self.url, kind)
        return state

    @property
    def metrics(self) -> RequestMetrics:
        """The metrics of all calls so far."""
        return self._metrics + RequestMetrics(throttled_seconds=self._pacer.waited_s)

    def _count(self, more: RequestMetrics) -> None:
        with self._adding:
            self._metrics += more

    def _sleep_for_rate(self, seconds: float) -> None:
        if seconds > retry.LOGGED_PAUSE_S:
            log.warning("the next call waits for %.1f s, to keep 'requests_per_second'", seconds)
        self.sleep(seconds)

    def _send(self, call: _Sent, attempts: Attempts) -> Any:
        """What ``call`` reads from its answer; waits for a server that is down as the options say."""
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
        attempt = partial(self._attempt, call, attempts)
        try:
            answer = retry.send(attempt, attempts, self.sleep, self._before_retry)
        except ServerError as error:
            self._breaker.failed(error)
            raise
        self._breaker.answered()
        return answer

    def _before_retry(self, failed: Failed, pause_s: float) -> None:
        if failed.kind in (Failure.DROPPED, Failure.SILENT):
            self._session.close()  # the other kept connections are dropped, too
        throttled_s = pause_s if failed.kind is Failure.RATE_LIMITED else 0.0
        self._count(RequestMetrics(retries=1, throttled_seconds=throttled_s))

    def _attempt(self, call: _Sent, attempts: Attempts) -> Any:
        self._pacer.wait(call.weight)
        try:
            if self._drops_connections:
                self._drops_connections = False
                self._session.close()
            self._count(RequestMetrics(calls=1))
            answer = self._exchange.send(call.name, call.url, call.data, attempts.seen(Failure.BROKEN) + 1)
        finally:
            self._pacer.answered()
        if isinstance(answer, Failed):
            return answer
        try:
            return call.read(answer)
        except (UnexpectedReply, ServerFailed) as error:  # a part of an answer, or a proxy's page
            return Failed(error, Failure.UNREADABLE)


@lru_cache(maxsize=64)
def _server_state(url: str, kind: Any) -> Any:  # noqa: ARG001 - the key of the cache
    return kind()


@lru_cache(maxsize=4)
def shared(options: Options) -> PIClient:
    """The client of these options in this process: many tasks of a reused worker share its connection."""
    return PIClient(options)
