"""Evaluates the pages of one batch call: events to deliver, cursors to read on or retry, points that cannot be read."""

from __future__ import annotations

import logging

from pi_datasource.errors import SHOWN_FAILURES, PointFailure, ServerFailed
from pi_datasource.model import Point, ReadTask, iso_utc
from pi_datasource.recorded.calls import Call, Cursor, Request
from pi_datasource.recorded.decode import PointEvents
from pi_datasource.recorded.events import ticks_at
from pi_datasource.recorded.paging import Span, advance
from pi_datasource.recorded.reply import Page
from pi_datasource.recorded.sizing import Sizes
from pi_datasource.recorded.window_parts import REQUEST_TIMEOUT, TOO_LONG, LearnedLength
from pi_datasource.recorded.windows import Windows
from pi_datasource.webapi import envelope
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.outage import Outage
from pi_datasource.webapi.retry import RETRIED, TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

_NOT_ITS_404 = " (not PI Web API's answer for a tag: check 'url', and the proxies before it)"
_MOST_SETS_REFUSED = 2  # before the server is asked for single streams only


class TaskState:
    """What the answers to one task have shown so far, and the points that cannot be read."""

    def __init__(self, client: PIClient, task: ReadTask) -> None:
        self.client = client
        span = Span(ticks_at(task.window.start), ticks_at(task.window.end))
        self.windows = Windows(span, iso_utc(task.window.end), client.server_state(LearnedLength))
        self.sizes = Sizes.of(task)
        self.outage = Outage(client.patience_s)
        self.sets = task.read_mode != "streams"
        self.sets_refused = 0
        self.retried = 0  # requests
        self.failures: list[tuple[Point, PointFailure]] = []

    def give_up(self, point: Point, status: int | None, message: str, *, not_found: bool = False) -> None:
        """Records a point that cannot be read; ``not_found`` if PI Web API itself says that it does not exist."""
        self.failures.append((point, PointFailure(point.name, point.web_id, status, message, not_found)))


class Outcome:
    """The events of one call, the cursors that are not at their end, and the pauses that the answer asks for."""

    def __init__(self, state: TaskState, call: Call) -> None:
        self.state, self.call = state, call
        self.events: list[PointEvents] = []
        self.unfinished: list[Cursor] = []
        self.pauses: list[tuple[int, int, float]] = []  # (status, attempt, seconds that the server asked for)

    def add(self, request: Request, page: Page) -> None:
        """Evaluates the page of one request."""
        if page.unrecognized and self._retry_differently(request):
            return
        if not page.ok:
            self._handle_failure(request, page)
            return
        self.state.outage.over()
        if self.call.sets:
            self._read_set(request, page)
        else:
            self._read_stream(request.cursors[0], page, request.size)

    def _retry_differently(self, request: Request) -> bool:
        """Retries the streams of a set alone, and a stream without ``selectedFields``; returns False if that was done."""
        if self.call.sets:
            self._retry_as_streams(request)
            return True
        (cursor,) = request.cursors
        if cursor.all_fields:
            return False
        cursor.all_fields = True
        self.unfinished.append(cursor)
        return True

    def _retry_as_streams(self, request: Request) -> None:
        self._count_refused_set()
        for cursor in request.cursors:
            self._retry_alone(cursor)

    def _retry_alone(self, cursor: Cursor) -> None:
        cursor.alone, cursor.attempts = True, 0
        self.unfinished.append(cursor)

    def _count_refused_set(self) -> None:
        self.state.sets_refused += 1
        if self.state.sets_refused >= _MOST_SETS_REFUSED:
            self.state.sets = False

    def _read_stream(self, cursor: Cursor, page: Page, size: int, *, full: bool = False) -> None:
        if not page.in_order:
            self._retry_disordered(cursor)
            return
        windows, sizes, alone = self.state.windows, self.state.sizes, not self.call.sets
        truncated = full or page.events.size >= size
        span, limit = windows.wanted_span(cursor), sizes.server_limit
        step = advance(
            cursor, page.events, size, truncated=truncated, span=span, server_limit=limit, alone=alone
        )
        windows.record_success(cursor)
        self.events.append(PointEvents(cursor.point, step.events, page.units, cursor.counter))
        sizes.record_page(page.events, span, truncated)
        if step.failure is not None:
            self.state.give_up(cursor.point, None, step.failure)
        elif not step.finished:
            cursor.alone = True
            self.unfinished.append(cursor)
        elif windows.advance(cursor):
            self.unfinished.append(cursor)

    def _retry_disordered(self, cursor: Cursor) -> None:
        """Retries once: a page whose events are out of order may lack any of them."""
        if self.call.sets:
            self._retry_alone(cursor)
        elif cursor.attempts < min(1, self.state.client.max_retries):
            cursor.attempts += 1
            self.unfinished.append(cursor)
        else:
            message = "the server sent the events out of order, which would lose some of them"
            self.state.give_up(cursor.point, None, message)

    def _read_set(self, request: Request, page: Page) -> None:
        """Reads the streams of a set, and retries alone those that are missing, failed or possibly truncated.

        Whether ``maxCount`` applies to each stream or to all of them together is not known of every server (reference:
        limits), so any stream of a set that is full as a whole may be truncated. A set with a stream that was not requested
        is the answer to another request.
        """
        if page.streams.keys() - {cursor.point.web_id for cursor in request.cursors}:
            self._retry_as_streams(request)
            return
        total = sum(stream.events.size + stream.dropped for stream in page.streams.values())
        full = len(request.cursors) > 1 and total == request.size
        for cursor in request.cursors:
            stream = page.streams.get(cursor.point.web_id)
            if stream is None or not stream.ok:
                self._retry_alone(cursor)
            else:
                self._read_stream(cursor, stream, request.size, full=full)
        if not page.streams:
            self._count_refused_set()

    def _handle_failure(self, request: Request, page: Page) -> None:
        """Retries the request, in smaller parts or alone, where that may help; otherwise gives up the point."""
        if page.status == 400 and (limit := envelope.items_limit(page.message)) and request.size > 1:
            self.state.sizes.apply_server_limit(limit, request)
            for cursor in request.cursors:
                cursor.page_size = min(cursor.page_size, self.state.sizes.page)
            self.unfinished += request.cursors
        elif self._is_retryable(request, page):
            self._retry(request, page)
        elif self.state.windows.shorten(request, page.status, page.message, sets=self.call.sets):
            self.unfinished += request.cursors
        elif self.call.sets:
            self._retry_as_streams(request)
        else:
            message = (page.message or "no reason given") + self._hint(request.cursors[0], page)
            not_found = page.status == 404 and bool(page.errors)
            self.state.give_up(request.cursors[0].point, page.status, message, not_found=not_found)

    def _hint(self, cursor: Cursor, page: Page) -> str:
        if page.status in TOO_LONG:
            return self.state.windows.failure_hint(cursor)
        if page.status != 404:
            return ""
        return " (deleted, or this account may not read it)" if page.errors else _NOT_ITS_404

    def _is_retryable(self, request: Request, page: Page) -> bool:
        """Whether the status may pass and retries are left, or ``wait_for_server`` allows to wait for a rate limit."""
        if page.status not in RETRIED and page.status != REQUEST_TIMEOUT:
            return False
        cursor = request.cursors[0]
        most = self.state.client.max_retries
        if cursor.attempts < cursor.parts.retries(page.status, cursor.start_ticks, cursor.end_ticks, most):
            return True
        refusal = ServerFailed(f"POST batch: HTTP {page.status} {page.message}", page.status)
        return page.status == TOO_MANY_REQUESTS and self.state.outage.should_wait(refusal)

    def _retry(self, request: Request, page: Page) -> None:
        if page.status == TOO_MANY_REQUESTS:
            self.state.sizes.halve_requests(self.call)
        names = ", ".join(cursor.point.name for cursor in request.cursors[:3])
        more = f" and {len(request.cursors) - 3} more" if len(request.cursors) > 3 else ""
        reason = page.message or "without a reason"
        self.state.retried += 1
        level = logging.WARNING if self.state.retried <= SHOWN_FAILURES else logging.DEBUG
        log.log(level, "%s%s: HTTP %s %s; retrying", names, more, page.status, reason)
        if self.state.retried == SHOWN_FAILURES:
            log.warning("further retries of this task are logged at level DEBUG")
        for cursor in request.cursors:
            cursor.attempts += 1
        self.pauses.append((page.status or 0, request.cursors[0].attempts - 1, page.retry_after_s or 0.0))
        self.unfinished += request.cursors
