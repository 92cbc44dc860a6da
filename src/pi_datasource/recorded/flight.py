"""One batch call on its way, while the answer of the one before it is decoded."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial

from pi_datasource.recorded import reply
from pi_datasource.recorded.calls import Call, Request
from pi_datasource.recorded.reply import Page
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.retry import Attempts

_NEEDS_PAUSE = re.compile(rb'"Status(?:Code)?"\s*:\s*(?:429|50[0234])\b')  # in a body, without reading it all


class Flight:
    """One call under way, in a thread of its own that does not outlive the process.

    It is sent when the answer of the call ``before`` it is there: a task has one request at a time under way. Where that
    answer failed or holds failures that pass, it waits for ``settle``, because a pause may come first. Where no thread can
    be started it is sent when its answer is asked for, and so are those after it.
    """

    def __init__(self, client: PIClient, call: Call, urls: dict[str, str], before: Flight | None) -> None:
        self.call, self._ids = call, list(urls)
        self._body = b""
        self.received = False  # a body that begins as a batch reply does
        self._error: BaseException | None = None
        self.retries_before = max(cursor.attempts for cursor in call.cursors)
        self._attempts = Attempts(client.max_retries, self.retries_before)
        self._settled, self._abandoned = threading.Event(), False
        send = partial(self._send, client, urls, before)
        self._thread: threading.Thread | None = None
        if before is None or before._thread is not None:
            self._thread = _started(send)
        self._unsent = send if self._thread is None else None

    def _send(self, client: PIClient, urls: dict[str, str], before: Flight | None) -> None:
        if before is not None:
            before._settled.wait()
            if before._abandoned:
                return
        try:
            self._body = client.batch(urls, self._attempts)
            self.received = True
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            self._error = error
        else:
            if not _NEEDS_PAUSE.search(self._body):
                self._settled.set()

    def settle(self, *, abandoned: bool) -> None:
        """Lets the next call go, or with ``abandoned`` gives it up."""
        self._abandoned = abandoned
        self._settled.set()

    def answers(self) -> list[tuple[Request, Page]]:
        """Waits for the answer: what each request brought."""
        if self._thread is not None:
            self._thread.join()
        elif self._unsent is not None:
            unsent, self._unsent = self._unsent, None  # it holds the call before, and that the one before it
            unsent()
        for cursor in self.call.cursors:
            cursor.attempts += max(0, self._attempts.retries - self.retries_before)
        if self._error is not None:
            raise self._error
        body, self._body = self._body, b""
        pages = reply.batch_reply(body, self._ids, sets=self.call.sets)
        return [(request, pages[key]) for request, key in zip(self.call.requests, self._ids, strict=True)]


def _started(target: Callable[[], None]) -> threading.Thread | None:
    """A thread that runs ``target``; None where this machine allows no more threads."""
    thread = threading.Thread(target=target, name="call", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
