"""Sorts out the answers of one batch call: events, cursors to go on with, failures."""

from __future__ import annotations

import logging
import re

from pi_datasource.errors import SHOWN_FAILURES, PointFailure, ServerFailed
from pi_datasource.model import Point, ReadTask, iso_utc
from pi_datasource.recorded.calls import Call, Cursor, Request
from pi_datasource.recorded.decode import PointEvents
from pi_datasource.recorded.events import ticks_at
from pi_datasource.recorded.paging import Span, advance
from pi_datasource.recorded.reply import Page
from pi_datasource.recorded.sizing import Sizes
from pi_datasource.recorded.window_parts import REQUEST_TIMEOUT, TOO_LONG, Memory
from pi_datasource.recorded.windows import Windows
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.outage import Outage
from pi_datasource.webapi.retry import RETRIED, TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

_NOT_ITS_404 = " (not PI Web API's answer for a tag: check 'url', and the proxies before it)"
_SETS_REFUSED = 2  # stream sets that a server refuses before it is asked for single streams instead
_ALLOWED = re.compile(r"greater than the maximum allowed\D*(\d+)")


class TaskState:
    """What the answers to one task have shown so far, and the points that could not be read."""

    def __init__(self, client: PIClient, task: ReadTask) -> None:
        self.client = client
        span = Span(ticks_at(task.window.start), ticks_at(task.window.end))
        self.windows = Windows(span, iso_utc(task.window.end), client.server_state(Memory))
        self.sizes = Sizes.of(task)
        self.outage = Outage(client.patience_s)
        self.sets = task.read_mode != "streams"
        self.sets_refused = 0
        self.repeated = 0  # requests that were asked for again
        self.failures: list[tuple[Point, PointFailure]] = []

    def give_up(self, point: Point, status: int | None, message: str, *, not_found: bool = False) -> None:
        """Notes that the point cannot be read; ``not_found`` if PI Web API itself says that it does not exist."""
        self.failures.append((point, PointFailure(point.name, point.web_id, status, message, not_found)))


class Outcome:
    """Sorts out the answers of one call: events, cursors to go on with, failures."""

    def __init__(self, state: TaskState, call: Call) -> None:
        self.state, self.call = state, call
        self.groups: list[PointEvents] = []
        self.unfinished: list[Cursor] = []
        self.pauses: list[tuple[int, int, float]] = []  # (status, attempt, seconds that the server asked for)

    def take(self, request: Request, page: Page) -> None:
        """Takes in what one request brought."""
        if page.unrecognized and self._in_another_way(request):
            return
        if not page.ok:
            self._failed(request, page)
            return
        self.state.outage.over()
        if self.call.sets:
            self._set(request, page)
        else:
            self._stream(request.cursors[0], page, request.size, cut=page.events.size >= request.size)

    def _in_another_way(self, request: Request) -> bool:
        """Asks for the streams of a set alone, and for a stream without ``selectedFields``; False if that was done before."""
        if self.call.sets:
            self._distrust(request)
            return True
        (cursor,) = request.cursors
        if cursor.all_fields:
            return False
        cursor.all_fields = True
        self.unfinished.append(cursor)
        return True

    def _distrust(self, request: Request) -> None:
        self._refused_set()
        for cursor in request.cursors:
            self._alone(cursor)

    def _stream(self, cursor: Cursor, page: Page, size: int, *, cut: bool) -> None:
        if not page.in_order:
            self._disordered(cursor)
            return
        span, limit = self.state.windows.asked(cursor), self.state.sizes.server_limit
        step = advance(
            cursor, page.events, size, cut=cut, span=span, server_limit=limit, alone=not self.call.sets
        )
        self.state.windows.worked(cursor)
        self.groups.append(PointEvents(cursor.point, step.events, page.units, cursor.counter))
        self.state.sizes.saw(page.events, span, cut)
        if step.failure is not None:
            self.state.give_up(cursor.point, None, step.failure)
        elif not step.finished:
            cursor.alone = True
            self.unfinished.append(cursor)
        elif self.state.windows.advance(cursor):
            self.unfinished.append(cursor)

    def _disordered(self, cursor: Cursor) -> None:
        """Asks once more: which events a page in disorder lacks, nobody knows."""
        if self.call.sets:
            self._alone(cursor)
        elif cursor.attempts < min(1, self.state.client.max_retries):
            cursor.attempts += 1
            self.unfinished.append(cursor)
        else:
            message = "the server sent the events out of order, which would lose some of them"
            self.state.give_up(cursor.point, None, message)

    def _set(self, request: Request, page: Page) -> None:
        """The streams of a set; what is doubtful in it is asked for alone.

        Whether ``maxCount`` holds for a stream or for all of them is not known of every server (reference: limits), so
        an answer that is full as a whole may have been cut anywhere. A set with a stream that was not asked for is another
        request's.
        """
        if page.streams.keys() - {cursor.point.web_id for cursor in request.cursors}:
            self._distrust(request)
            return
        total = sum(stream.events.size + stream.dropped for stream in page.streams.values())
        full = len(request.cursors) > 1 and total == request.size
        for cursor in request.cursors:
            stream = page.streams.get(cursor.point.web_id)
            if stream is None or not stream.ok:
                self._alone(cursor)
            else:
                cut = full or stream.events.size >= request.size
                self._stream(cursor, stream, request.size, cut=cut)
        if not page.streams:
            self._refused_set()

    def _failed(self, request: Request, page: Page) -> None:
        """Asks again, in smaller parts or alone, where that may help; else gives the point up."""
        if page.status == 400 and (limit := _ALLOWED.search(page.message)) and request.size > 1:
            self.state.sizes.limit(int(limit[1]), request)
            for cursor in request.cursors:
                cursor.page_size = min(cursor.page_size, self.state.sizes.page)
            self.unfinished += request.cursors
        elif self._may_pass(request, page):
            self._again(request, page)
        elif self.state.windows.shorten(request, page.status, page.message, sets=self.call.sets):
            self.unfinished += request.cursors
        elif self.call.sets:
            self._distrust(request)
        else:
            message = (page.message or "no reason given") + self._hint(request.cursors[0], page)
            not_found = page.status == 404 and bool(page.errors)
            self.state.give_up(request.cursors[0].point, page.status, message, not_found=not_found)

    def _hint(self, cursor: Cursor, page: Page) -> str:
        if page.status in TOO_LONG:
            return self.state.windows.hint(cursor)
        if page.status != 404:
            return ""
        return " (deleted, or this account may not read it)" if page.errors else _NOT_ITS_404

    def _may_pass(self, request: Request, page: Page) -> bool:
        """Whether it is worth asking again: a few times, or as long as ``wait_for_server`` says where the rate is limited."""
        if page.status not in RETRIED and page.status != REQUEST_TIMEOUT:
            return False
        cursor = request.cursors[0]
        most = self.state.client.max_retries
        if cursor.attempts < cursor.parts.retries(page.status, cursor.start_ticks, cursor.end_ticks, most):
            return True
        refusal = ServerFailed(f"POST batch: HTTP {page.status} {page.message}", page.status)
        return page.status == TOO_MANY_REQUESTS and self.state.outage.should_wait(refusal)

    def _again(self, request: Request, page: Page) -> None:
        if page.status == TOO_MANY_REQUESTS:
            self.state.sizes.too_many(self.call)
        names = ", ".join(cursor.point.name for cursor in request.cursors[:3])
        more = f" and {len(request.cursors) - 3} more" if len(request.cursors) > 3 else ""
        words = page.message or "without a reason"
        self.state.repeated += 1
        level = logging.WARNING if self.state.repeated <= SHOWN_FAILURES else logging.DEBUG
        log.log(level, "%s%s: HTTP %s %s, asking again", names, more, page.status, words)
        if self.state.repeated == SHOWN_FAILURES:
            log.warning("more requests of this task that are asked for again are logged at level DEBUG")
        for cursor in request.cursors:
            cursor.attempts += 1
        self.pauses.append((page.status or 0, request.cursors[0].attempts - 1, page.retry_after_s or 0.0))
        self.unfinished += request.cursors

    def _alone(self, cursor: Cursor) -> None:
        cursor.alone, cursor.attempts = True, 0
        self.unfinished.append(cursor)

    def _refused_set(self) -> None:
        self.state.sets_refused += 1
        if self.state.sets_refused >= _SETS_REFUSED:
            self.state.sets = False
