"""The only HTTP session: calls with their retries, pauses and time-outs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from threading import Lock
from types import TracebackType
from typing import Any

import msgspec
import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import ReadTimeoutError

from pi_datasource import auth, reply, transport
from pi_datasource.batch_address import BatchAddress, none_routed
from pi_datasource.breaker import Breaker
from pi_datasource.effort import Effort
from pi_datasource.errors import PIError, ServerError, ServerFailed, UnexpectedReply
from pi_datasource.failures import Failures, error_text
from pi_datasource.options import Options
from pi_datasource.outage import PAUSE_S, Outage
from pi_datasource.pacing import Pacer
from pi_datasource.query import query
from pi_datasource.wire import NOT_JSON

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
CHUNK = 1 << 20
UNREADABLE = 2  # answers in a row that are no PI Web API's and are asked for once more
_RESOURCE = {"Items", "Links", "WebId"}  # one of them is in every answer that is not a failure
LONGEST_PAUSE_S = 300.0  # whatever a server's Retry-After says


class PIClient:
    """Calls of one PI Web API; not shared between threads.

    Every failure raises a leaf of ``ServerError`` that names the call; no message or log holds a secret.
    """

    def __init__(self, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = options.url
        self.timeout_s = options.timeout.total_seconds()
        self.max_retries = options.max_retries
        self.sleep = sleep
        self._pacer = Pacer(options.requests_per_second, sleep=sleep)
        self._breaker = Breaker()
        self._batch_address = BatchAddress(options.url, options.batch_url)
        self._patience_s = options.wait_for_server.total_seconds()
        self._effort = Effort()
        self._adding = Lock()  # a pause may end while the next call is on its way
        self._session = transport.session(options, before_retry=self._before_retry)
        self._failures = Failures(
            options.url, self.timeout_s, auth.chosen(options) != "anonymous", self._session.discreet
        )

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

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON body of a GET, after a look for the failure that a 200 may hide (``WebException``)."""
        return self._json(f"GET {path}", self.resource(path, params), None)

    def post(self, path: str, content: Any) -> Any:
        """The JSON body of the answer to a POST of ``content``, with the same look; for small answers."""
        return self._json(f"POST {path}", self.resource(path), msgspec.json.encode(content))

    def _json(self, call: str, url: str, data: bytes | None) -> Any:
        attempt = 0
        while True:
            body, headers = self._send(call, url, data)
            try:
                return self._parsed(call, body, headers)
            except (
                UnexpectedReply,
                ServerFailed,
            ) as error:  # half of an answer, or a proxy's page in its place
                if attempt == min(UNREADABLE, self.max_retries):
                    raise
                log.warning("%s; asking again", error)
            self.pause(attempt)
            attempt += 1

    def _parsed(self, call: str, body: bytes, headers: Mapping[str, str]) -> Any:
        try:
            parsed = msgspec.json.decode(body)
        except NOT_JSON as cause:
            raise self._failures.not_json(call, headers, body) from cause
        if isinstance(parsed, dict) and isinstance(failure := parsed.get("WebException"), dict):
            raise self._failures.refusal(call, reply.status_of(failure), reply.text_of(failure.get("Errors")))
        if isinstance(parsed, dict) and not parsed.keys() & _RESOURCE and (words := error_text(body)):
            raise self._failures.refusal(call, 500, words)  # a gateway's, with status 200
        if isinstance(parsed, dict) and "Date" in headers:
            parsed.setdefault("Date", headers["Date"])
        return parsed

    def batch(self, requests_by_id: Mapping[str, str]) -> bytes:
        """The body of the answer to many GETs sent as one call of the batch endpoint.

        Raises:
            UnexpectedReply: the answer is cut or no JSON object.
            RequestRefused: PI Web API knows the address of none of the GETs.
        """
        body = self._batch(requests_by_id)
        if not none_routed(body, len(requests_by_id)):
            return body
        changed = self._batch_address.find(self.get, lambda url: self._batch({"address": url}))
        if changed is None:
            raise self._failures.not_routed(self._batch_address.base)
        return self._batch(requests_by_id) if changed else body

    def _batch(self, requests_by_id: Mapping[str, str]) -> bytes:
        content = {
            key: {"Method": "GET", "Resource": self._batch_address.of(url)}
            for key, url in requests_by_id.items()
        }
        call = "POST batch"
        body, headers = self._send(
            call, self.resource("batch"), msgspec.json.encode(content), weight=len(content)
        )
        if body[:1] != b"{":
            raise self._failures.not_json(call, headers, body)
        return body

    def pace(self, requests_per_second: float | None) -> None:
        """From here on at most so many requests are sent in any second, each sub-request of a batch counted."""
        self._pacer.set(requests_per_second)

    def pause(self, attempt: int, least_s: float = 0.0, *, requests: int = 1, refused: bool = False) -> None:
        """Waits before ``requests`` are sent again: 1, 2, 4 … seconds, at most 30, but ``least_s`` if longer.

        A second is what PI's rate limit asks for at least (reference: limits); ``refused`` says that it was this limit.
        """
        pause_s = max(min(2.0**attempt, 30.0), min(least_s, LONGEST_PAUSE_S))
        self.sleep(pause_s)
        self._spent(Effort(0, requests, pause_s if refused else 0.0))

    @property
    def effort(self) -> Effort:
        """What the calls of this client have cost so far."""
        return self._effort + Effort(throttled_seconds=self._pacer.waited_s)

    def _spent(self, more: Effort) -> None:
        with self._adding:
            self._effort += more

    def _before_retry(self, refused_s: float) -> None:
        self._spent(Effort(1, 1, refused_s))
        self._pacer.wait_again()

    def _send(
        self, call: str, url: str, data: bytes | None, weight: int = 1
    ) -> tuple[bytes, Mapping[str, str]]:
        """The body and headers of one call; a server that is down is waited for as long as the options say."""
        outage = Outage(self._patience_s)
        while True:
            try:
                return self._checked(call, url, data, weight)
            except ServerError as error:
                if not outage.bears(error):
                    raise
            self.sleep(PAUSE_S)

    def _checked(
        self, call: str, url: str, data: bytes | None, weight: int
    ) -> tuple[bytes, Mapping[str, str]]:
        self._breaker.check(call)
        try:
            answer = self._whole(call, url, data, weight)
        except ServerError as error:
            self._breaker.failed(error)
            raise
        self._breaker.answered()
        return answer

    def _whole(self, call: str, url: str, data: bytes | None, weight: int) -> tuple[bytes, Mapping[str, str]]:
        """A body that was cut is asked for again."""
        attempt = 0
        while True:
            try:
                self._pacer.wait(weight)
                try:
                    return self._once(call, url, data)
                finally:
                    self._pacer.answered()
            except _BodyCut as cut:
                if attempt == self.max_retries:
                    message = (
                        f"{call}: the answer of {self.url} was cut short {attempt + 1} time(s) in a row ({cut}); "
                        "check for a proxy that limits answers, or set a smaller 'page_size'"
                    )
                    raise UnexpectedReply(message) from cut
                log.warning("%s: the body was cut, asking again", call)
            self._spent(Effort(retries=1))
            self.sleep(min(0.2 * 2**attempt, 5.0))
            attempt += 1

    def _once(self, call: str, url: str, data: bytes | None) -> tuple[bytes, Mapping[str, str]]:
        timeouts = (min(CONNECT_TIMEOUT_S, self.timeout_s), self.timeout_s)
        self._spent(Effort(calls=1))
        try:
            with self._session.request(
                call.partition(" ")[0],
                url,
                data=data,
                timeout=timeouts,
                stream=True,
                allow_redirects=False,
            ) as response:
                body = self._body(response, call)
        except requests.Timeout as cause:
            raise self._failures.late(call, connecting=isinstance(cause, requests.ConnectTimeout)) from cause
        except requests.RequestException as cause:
            raise transport.failure(call, self.url, cause) from cause
        log.debug("%s: HTTP %s, %s bytes", call, response.status_code, len(body))
        if 300 <= response.status_code < 400:
            place = response.headers.get("Location", "elsewhere").partition("?")[0]
            message = (
                f"{call}: {self.url} sends the caller on to {place}; give PI Web API's own address as 'url'"
            )
            raise UnexpectedReply(message, response.status_code)
        if response.status_code >= 400:
            raise self._failures.refusal(call, response.status_code, error_text(body), response.headers)
        return body, response.headers

    def _body(self, response: requests.Response, call: str) -> bytes:
        raw = response.raw
        read = getattr(raw, "read1", raw.read)  # read1 returns what is there
        chunks = []
        try:
            while chunk := read(CHUNK, decode_content=True):
                chunks.append(chunk)
        except ReadTimeoutError as cause:
            raise self._failures.late(call, connecting=False) from cause
        except (TransportError, OSError) as cause:
            raise _BodyCut(transport.reason(cause)) from cause
        body = b"".join(chunks)
        expected = response.headers.get("Content-Length")
        if expected is not None and "Content-Encoding" not in response.headers and len(body) < int(expected):
            message = f"{len(body)} of {expected} bytes"
            raise _BodyCut(message)
        return body


class _BodyCut(PIError):
    """The body ended early; the call is sent again."""


@lru_cache(maxsize=4)
def shared(options: Options) -> PIClient:
    """The client of these options in this process: one connection serves many tasks of a reused worker."""
    return PIClient(options)


def server_date(answer: Mapping[str, Any]) -> datetime | None:
    """The server's clock from the ``Date`` header that ``get`` leaves in a reply, or None."""
    try:
        return parsedate_to_datetime(answer["Date"])
    except (KeyError, TypeError, ValueError):
        return None
