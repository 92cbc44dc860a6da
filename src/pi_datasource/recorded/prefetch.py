"""Sends the next batch call from a background thread while the answer to the previous one is decoded."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial

from pi_datasource.recorded import reply
from pi_datasource.recorded.calls import Call, Request
from pi_datasource.recorded.reply import Page
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.retry import RETRIED, Attempts

_RETRY_STATUS = re.compile(rb'"Status(?:Code)?"\s*:\s*(?:%b)\b' % "|".join(map(str, RETRIED)).encode())
_FIRST_EVENT = b'[{"Timestamp"'
_GAP = 1 << 16  # bytes searched for the next list of events: heads of members are shorter


class PendingCall:
    """A batch call, sent as soon as the answer to the ``previous`` call has arrived; a context manager.

    A task thus has one request under way at a time. If the previous call failed, or its answer holds a status that asks for
    a pause, this call is sent when the ``with`` block of the previous one ends, and never if that raises. It runs in a daemon
    thread, which does not outlive the process. Where no thread can be started, calls are sent when their pages are asked for.
    """

    _thread: threading.Thread | None

    def __init__(
        self, client: PIClient, call: Call, urls: dict[str, str], previous: PendingCall | None
    ) -> None:
        self.call, self._ids = call, list(urls)
        self._body = b""
        self.error: BaseException | None = None  # raised while the call was sent or its answer received
        self.retries_before = max(cursor.attempts for cursor in call.cursors)
        self._attempts = Attempts(client.max_retries, self.retries_before)
        self._released, self._next_cancelled = threading.Event(), False
        send = partial(self._send, client, urls, previous)
        self._thread = None if previous and not previous._thread else _start_thread(send)
        self._unsent = None if self._thread else send

    def _send(self, client: PIClient, urls: dict[str, str], previous: PendingCall | None) -> None:
        if previous is not None:
            previous._released.wait()
            if previous._next_cancelled:
                return
        try:
            self._body = client.batch(urls, self._attempts)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            self.error = error
        else:
            if not holds_retry_status(self._body):
                self._released.set()

    def __enter__(self) -> PendingCall:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._next_cancelled = error is not None
        self._released.set()

    def pages(self) -> list[tuple[Request, Page]]:
        """Waits for the answer and returns what it holds for each request.

        Raises:
            ServerError: the call failed after all retries.
            UnexpectedReply: the answer is not a batch reply to these requests.
        """
        if self._thread is not None:
            self._thread.join()
        elif self._unsent is not None:
            send, self._unsent = self._unsent, None  # which refers to the previous call, and so on
            send()
        for cursor in self.call.cursors:
            cursor.attempts += max(0, self._attempts.retries - self.retries_before)
        if self.error is not None:
            raise self.error
        body, self._body = self._body, b""
        pages = reply.batch_reply(body, self._ids, sets=self.call.sets)
        return [(request, pages[key]) for request, key in zip(self.call.requests, self._ids, strict=True)]


def holds_retry_status(body: bytes) -> bool:
    """Whether a batch reply holds a status that asks for a pause, found without parsing it.

    Only what surrounds the events is searched: a search for one byte passes over them thirty times faster than the
    expression does. Events have no status, but a failing server may write a ``WebException`` between two of them.
    """
    start = 0
    while (events := body.find(_FIRST_EVENT, start, start + _GAP)) >= 0:
        if _RETRY_STATUS.search(body, start, events):
            return True
        end = body.find(b"]", events)
        if end < 0 or body.find(b"W", events, end) >= 0:
            break
        start = end
    return _RETRY_STATUS.search(body, start) is not None


def _start_thread(target: Callable[[], None]) -> threading.Thread | None:
    """A thread that runs ``target``; None where this machine allows no more threads."""
    thread = threading.Thread(target=target, name="call", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
