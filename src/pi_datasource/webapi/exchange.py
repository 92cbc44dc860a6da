"""One HTTP request and its whole response, or why there is none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http.client import HTTPException
from typing import NamedTuple

import requests
from urllib3.exceptions import HTTPError as TransportError
from urllib3.exceptions import ReadTimeoutError

from pi_datasource.errors import Call, ServerError
from pi_datasource.redaction import shorten
from pi_datasource.webapi import deadline_adapter, envelope, retry
from pi_datasource.webapi.http_errors import Failures, reason
from pi_datasource.webapi.retry import Failed, Failure

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0
_CHUNK = 1 << 20


class Answer(NamedTuple):
    """A complete response that is not a failure by its status."""

    body: bytes
    headers: Mapping[str, str]


class Exchange:
    """Sends requests over ``session``, each once."""

    def __init__(self, session: requests.Session, failures: Failures) -> None:
        self._session, self._failures = session, failures

    def send(self, call: Call, url: str, data: bytes | None, attempt: int) -> Answer | Failed:
        """The response to one request; ``attempt`` counts those in a row of which the body came incomplete."""
        seconds = self._failures.timeout_s
        timeouts = (min(CONNECT_TIMEOUT_S, seconds), seconds)
        try:
            with self._session.request(
                call.method, url, data=data, timeout=timeouts, stream=True, allow_redirects=False
            ) as response:
                body = _body(response)
        except _BodyCut as cut:
            return _failed(self._failures.cut(call, attempt, str(cut)), cut, Failure.BROKEN)
        except (requests.Timeout, ReadTimeoutError) as cause:
            late = self._failures.late(call, connecting=isinstance(cause, requests.ConnectTimeout))
            return _failed(late, cause, deadline_adapter.kind(cause))
        except requests.RequestException as cause:
            return _failed(self._failures.no_answer(call, cause), cause, deadline_adapter.kind(cause))
        except (TransportError, HTTPException, OSError, ValueError) as cause:  # the response is not HTTP
            return _failed(self._failures.no_answer(call, cause), cause, Failure.BROKEN)
        log.debug("%s: HTTP %s, %s bytes", call, response.status_code, len(body))
        if response.status_code < 300:
            return Answer(body, response.headers)
        pause_s = retry.retry_after_s(response.headers.get("Retry-After"))
        kind = retry.kind_of_status(response.status_code)
        return Failed(self._refusal(call, response, body), kind, pause_s)

    def _refusal(self, call: Call, response: requests.Response, body: bytes) -> ServerError:
        status, headers = response.status_code, response.headers
        if status < 400:
            return self._failures.redirected(call, status, headers.get("Location", "elsewhere"))
        return self._failures.refusal(call, envelope.failed_body(status, headers, body), headers)


class _BodyCut(Exception):
    """The body ended early, or cannot be decompressed."""


def _failed(error: ServerError, cause: Exception, kind: Failure | None) -> Failed:
    error.__cause__ = cause
    return Failed(error, kind)


def _body(response: requests.Response) -> bytes:
    raw = response.raw
    read = getattr(raw, "read1", raw.read)  # read1 returns what is there
    chunks = []
    try:
        while chunk := read(_CHUNK, decode_content=True):
            chunks.append(chunk)
    except ReadTimeoutError:
        raise
    except (TransportError, HTTPException, OSError, ValueError) as cause:
        raise _BodyCut(reason(cause)) from cause
    body = b"".join(chunks)
    expected = response.headers.get("Content-Length", "")
    if expected.isdecimal() and "Content-Encoding" not in response.headers and len(body) < int(expected):
        message = f"{len(body)} of {shorten(expected)} bytes"
        raise _BodyCut(message)
    return body
