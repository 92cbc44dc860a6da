"""One task → RecordBatches: batch calls, paging of what was cut, re-sending of what failed.

The one seam between planning and the wire: Spark, the command line and the tests all call ``run``.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import pyarrow as pa

from pi_datasource import decode, reply, schema
from pi_datasource.calls import Call, Cursor, Request
from pi_datasource.client import PIClient
from pi_datasource.decode import Rows
from pi_datasource.errors import PointFailure, ReadFailed, ServerError, ServerFailed, UnexpectedReply
from pi_datasource.events import Events, ticks_at
from pi_datasource.gone import apart
from pi_datasource.model import Point, ReadTask, iso_utc
from pi_datasource.outage import Outage
from pi_datasource.paging import Span, advance
from pi_datasource.parts import REQUEST_TIMEOUT, TOO_LONG
from pi_datasource.reply import Page
from pi_datasource.retry import RETRIED, TOO_MANY_REQUESTS, Attempts
from pi_datasource.sizing import Sizes
from pi_datasource.windows import Windows, is_slow

log = logging.getLogger(__name__)

ROWS_PER_BATCH = (
    50_000  # what Spark takes best; it does not cut batches itself (performance notes, section 6.2)
)
_NOT_ITS_404 = " (not PI Web API's answer for a tag: check 'url', and the proxies before it)"
_SETS_REFUSED = 2  # stream sets that a server refuses before it is asked for single streams instead
_NEEDS_PAUSE = re.compile(rb'"Status(?:Code)?"\s*:\s*(?:429|50[0234])\b')  # in a body, without reading it all
_ALLOWED = re.compile(r"greater than the maximum allowed\D*(\d+)")


def run(
    client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Every event of the task's points with ``start <= timestamp < end``, once, each point's in server order.

    ``schema`` is the table's or a choice of its columns; fields that no column needs are not asked for. Memory holds
    two answers: while one is decoded the next is on its way. The same task on an unchanged server gives the same rows.
    A window that the archive refuses or is too slow for is read in shorter parts, down to a minute.

    Raises:
        ReadFailed: with ``on_error="fail"``, after everything readable was read: it names every failed point.
        ServerError: a whole call failed.
    """
    return _Run(client, task, schema, pattern).batches()


class _Flight:
    """One call under way, in a thread of its own that does not outlive the process.

    It is sent when the answer of the call ``before`` it is there: a task has one request at a time under way. Where that
    answer failed or holds failures that pass, it waits for ``settle``, because a pause may come first. Where no thread can
    be started it is sent when its answer is asked for, and so are those after it.
    """

    def __init__(self, client: PIClient, call: Call, urls: dict[str, str], before: _Flight | None) -> None:
        self.call, self._ids = call, list(urls)
        self._body = b""
        self._error: BaseException | None = None
        self.retries_before = max(cursor.attempts for cursor in call.cursors)
        self._attempts = Attempts(client.max_retries, self.retries_before)
        self._settled, self._abandoned = threading.Event(), False
        send = partial(self._send, client, urls, before)
        self._thread: threading.Thread | None = None
        if before is None or before._thread is not None:
            self._thread = _started(send)
        self._unsent = send if self._thread is None else None

    def _send(self, client: PIClient, urls: dict[str, str], before: _Flight | None) -> None:
        if before is not None:
            before._settled.wait()
            if before._abandoned:
                return
        try:
            self._body = client.batch(urls, self._attempts)
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


class _Run:
    def __init__(self, client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None) -> None:
        self.client, self.task, self.schema, self.pattern = client, task, schema, pattern
        self.span = Span(ticks_at(task.window.start), ticks_at(task.window.end))
        self.windows = Windows(self.span, iso_utc(task.window.end), client.windows)
        self.sizes = Sizes.of(task)
        self.sets = task.read_mode != "streams"
        self.sets_refused = 0
        self.answered = False
        self.outage = Outage(client.patience_s)
        self.effort = client.effort  # of earlier tasks: the client is this worker's
        self.waiting: deque[Cursor] = deque()
        self.failures: list[tuple[Point, PointFailure]] = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        points = self.task.points
        starts = self.task.starts or (self.task.window.start,) * len(points)
        moments = {start: (iso_utc(start), ticks_at(start)) for start in set(starts)}
        self.waiting.extend(
            Cursor(point, *moments[start]) for point, start in zip(points, starts, strict=True)
        )
        if self.task.requests_per_second is not None:
            self.client.pace(self.task.requests_per_second)
        flying = self._launch(None)
        while flying:
            following = self._launch(flying)
            yield from self._rows(self._landed(flying))
            flying = following or self._launch(None)
        yield from self._report()
        if self.task.report_effort:
            told = json.dumps(asdict(self.client.effort - self.effort))
            yield self._told([(self.task.points[0], told)], schema.READ_EFFORT)

    def _launch(self, before: _Flight | None) -> _Flight | None:
        if not self.waiting:
            return None
        call = self.sizes.next_call(self.waiting, self.sets, idle=before is None)
        self.windows.aim(call.cursors)
        urls = call.urls(self.client.resource, self.schema.names)
        return _Flight(self.client, call, urls, before)

    def _landed(self, flight: _Flight) -> list[Rows]:
        """What one call brought, after the pause that it asks for; only then the next call is sent, if there was one."""
        abandoned = True
        try:
            groups = self._sorted_out(flight)
            abandoned = False
        finally:
            flight.settle(abandoned=abandoned)
        return groups

    def _sorted_out(self, flight: _Flight) -> list[Rows]:
        """The new events of one call; cursors that are not at their end go back to the front of the queue."""
        try:
            answers = flight.answers()
        except ServerError as error:
            if not (self._smaller(flight.call, error) or self._unread(flight.call, error)):
                self._exhausted(flight, error)
            left = [cursor for cursor in flight.call.cursors if not cursor.given_up]
            self.waiting.extendleft(reversed(left))
            return []
        self.answered = True
        outcome = _Outcome(self, flight.call)
        for request, page in answers:
            outcome.take(request, page)
        # Cursors in the middle of their window come first: memory of how far they are is then short-lived.
        unfinished = sorted(outcome.unfinished, key=lambda cursor: not cursor.alone)  # sets stay together
        self.waiting.extendleft(reversed(unfinished))
        if outcome.pauses:
            statuses, attempts, least_s = zip(*outcome.pauses, strict=True)
            refused = TOO_MANY_REQUESTS in statuses
            self.client.pause(max(attempts), max(least_s), requests=len(statuses), refused=refused)
        return outcome.groups

    def _exhausted(self, flight: _Flight, error: ServerError) -> None:
        """Gives up the points whose own retries left none for the call, so that the others can be asked for again.

        Raises:
            ServerError: there is none; the call failed after all retries, or would fail again.
        """
        spent = [cursor for cursor in flight.call.cursors if cursor.attempts >= self.client.max_retries]
        unreadable = isinstance(error, UnexpectedReply) and len(spent) == len(flight.call.cursors)
        if unreadable or not flight.retries_before or not spent:
            hint = self.windows.hint(flight.call.cursors[0]) if is_slow(error) else ""
            message = f"{error}{hint} (while reading {self.task})"
            raise type(error)(message, error.status, error.errors) from error
        for cursor in spent:
            cursor.given_up = True
            failure = PointFailure(cursor.point.name, cursor.point.web_id, error.status, str(error))
            self.failures.append((cursor.point, failure))

    def _smaller(self, call: Call, error: ServerError) -> bool:
        """Whether smaller calls may help: this one was too large, or a server that does answer was too slow."""
        if error.status == 413:
            return self.sizes.too_large(call)
        if not is_slow(error):
            return False
        longer = any(cursor.parts.doubled for cursor in call.cursors)  # likelier the cause than the rows
        if not longer and self.answered and self.sizes.too_slow():
            return True
        return self.windows.shorten_all(call, error)

    def _unread(self, call: Call, error: ServerError) -> bool:
        """Whether an answer that timed out or could not be read may be better when it is asked for again, after a pause.

        A server in trouble cuts its JSON or writes a ``WebException`` into it, and a proxy puts a page in its place.
        """
        redirected = error.status is not None and 300 <= error.status < 400
        in_time = error.status != REQUEST_TIMEOUT or call.cursors[0].parts.unproven
        if (in_time and not isinstance(error, UnexpectedReply)) or redirected:
            return False
        attempts = max(cursor.attempts for cursor in call.cursors)
        if attempts >= self.client.max_retries:
            return False
        for cursor in call.cursors:
            cursor.attempts += 1
        log.warning("%s; asking again", error)
        self.client.pause(attempts)
        return True

    def _rows(self, groups: list[Rows]) -> Iterator[pa.RecordBatch]:
        filled = [group for group in groups if group.events.size]
        if not filled:
            return
        batch = decode.to_batch(filled, self.schema, self.task.ingestion_time, self.pattern)
        for first in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.slice(first, ROWS_PER_BATCH)

    def _report(self) -> Iterator[pa.RecordBatch]:
        if self.task.ends_gone and self.task.on_error == "fail":
            self.failures, gone = apart(self.client, self.failures, str(self.task.window))
            if gone and self.task.report_effort:
                yield self._told([(point, "") for point in gone], schema.READ_GONE)
        if not self.failures:
            return
        if self.task.on_error == "fail":
            raise ReadFailed.of([failure for _, failure in self.failures], str(self.task.window))
        window_end = iso_utc(self.task.window.end)
        texts = [
            (
                point,
                json.dumps(
                    {
                        "window_end": window_end,
                        "status": failure.status,
                        "message": failure.message,
                        "not_found": failure.not_found,
                    }
                ),
            )
            for point, failure in self.failures
        ]
        yield self._told(texts, schema.READ_FAILURE)

    def _told(self, texts: list[tuple[Point, str]], kind: str) -> pa.RecordBatch:
        """Rows that are no events, at the window's start."""
        task = self.task
        return decode.told_rows(
            texts, kind, task.window.start, self.schema, task.ingestion_time, self.pattern
        )


class _Outcome:
    """Sorts out the answers of one call: events, cursors to go on with, failures."""

    def __init__(self, run: _Run, call: Call) -> None:
        self.run, self.call = run, call
        self.groups: list[Rows] = []
        self.unfinished: list[Cursor] = []
        self.pauses: list[tuple[int, int, float]] = []  # (status, attempt, seconds that the server asked for)

    def take(self, request: Request, page: Page) -> None:
        """Takes in what one request brought."""
        if not page.ok:
            self._failed(request, page)
            return
        self.run.outage.over()
        if self.call.sets:
            self._set(request, page)
        else:
            self._stream(request.cursors[0], page, request.size, cut=page.events.size >= request.size)

    def _stream(self, cursor: Cursor, page: Page, size: int, *, cut: bool) -> None:
        limit = self.run.sizes.server_limit
        span = self.run.windows.asked(cursor)
        step = advance(cursor, page.events, size, cut=cut, span=span, server_limit=limit)
        self.run.windows.worked(cursor)
        self.groups.append(Rows(cursor.point, step.events, page.units, cursor.numbering))
        self.run.sizes.saw(page.events, span, cut)
        if step.failure is not None:
            self._give_up(cursor.point, None, step.failure)
        elif not step.finished:
            cursor.alone = True
            self.unfinished.append(cursor)
        elif self.run.windows.advance(cursor):
            self.unfinished.append(cursor)

    def _set(self, request: Request, page: Page) -> None:
        """The streams of a set; what is doubtful in it is asked for alone.

        Whether ``maxCount`` holds for a stream or for all of them is not known of every server (reference: limits), so
        an answer that is full as a whole may have been cut anywhere.
        """
        total = sum(stream.events.size for stream in page.streams.values())
        full = len(request.cursors) > 1 and total == request.size
        for cursor in request.cursors:
            stream = page.streams.get(cursor.point.web_id)
            if stream is None or _only_errors(stream.events):
                self._alone(cursor)
            else:
                cut = full or stream.events.size >= request.size
                self._stream(cursor, stream, request.size, cut=cut)
        if not page.streams:
            self._refused_set()

    def _failed(self, request: Request, page: Page) -> None:
        """Asks again, in smaller parts or alone, where that may help; else gives the point up."""
        if page.status == 400 and (limit := _ALLOWED.search(page.message)) and request.size > 1:
            self.run.sizes.limit(int(limit[1]), request)
            for cursor in request.cursors:
                cursor.page_size = min(cursor.page_size, self.run.sizes.page)
            self.unfinished += request.cursors
        elif self._may_pass(request, page):
            self._again(request, page)
        elif self.run.windows.shorten(request, page.status, page.message, sets=self.call.sets):
            self.unfinished += request.cursors
        elif self.call.sets:
            self._refused_set()
            for cursor in request.cursors:
                self._alone(cursor)
        else:
            message = (page.message or "no reason given") + self._hint(request.cursors[0], page)
            not_found = page.status == 404 and bool(page.errors)
            self._give_up(request.cursors[0].point, page.status, message, not_found=not_found)

    def _hint(self, cursor: Cursor, page: Page) -> str:
        if page.status in TOO_LONG:
            return self.run.windows.hint(cursor)
        if page.status != 404:
            return ""
        return " (deleted, or this account may not read it)" if page.errors else _NOT_ITS_404

    def _may_pass(self, request: Request, page: Page) -> bool:
        """Whether it is worth asking again: a few times, or as long as ``wait_for_server`` says where the rate is limited."""
        if page.status not in RETRIED and page.status != REQUEST_TIMEOUT:
            return False
        cursor = request.cursors[0]
        most = self.run.client.max_retries
        if cursor.attempts < cursor.parts.retries(page.status, cursor.start_ticks, cursor.end_ticks, most):
            return True
        refusal = ServerFailed(f"POST batch: HTTP {page.status} {page.message}", page.status)
        return page.status == TOO_MANY_REQUESTS and self.run.outage.bears(refusal)

    def _again(self, request: Request, page: Page) -> None:
        if page.status == TOO_MANY_REQUESTS:
            self.run.sizes.too_many(self.call)
        names = ", ".join(cursor.point.name for cursor in request.cursors[:3])
        more = f" and {len(request.cursors) - 3} more" if len(request.cursors) > 3 else ""
        log.warning("%s%s: HTTP %s %s, asking again", names, more, page.status, page.message)
        for cursor in request.cursors:
            cursor.attempts += 1
        self.pauses.append((page.status or 0, request.cursors[0].attempts - 1, page.retry_after_s or 0.0))
        self.unfinished += request.cursors

    def _alone(self, cursor: Cursor) -> None:
        cursor.alone, cursor.attempts = True, 0
        self.unfinished.append(cursor)

    def _refused_set(self) -> None:
        self.run.sets_refused += 1
        if self.run.sets_refused >= _SETS_REFUSED:
            self.run.sets = False

    def _give_up(self, point: Point, status: int | None, message: str, *, not_found: bool = False) -> None:
        failure = PointFailure(point.name, point.web_id, status, message, not_found)
        self.run.failures.append((point, failure))


def _only_errors(events: Events) -> bool:
    """A stream that fails at data time stands in a set with nothing but ``Errors`` (reference: errors)."""
    if not events.size or not len(events.columns.odd):
        return False
    own = events.own()
    return len(own.odd) == events.size and all(own.odd_items[code].Errors for code in own.odd_codes.tolist())
