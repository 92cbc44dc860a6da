"""Reads one task: batch calls, further pages of truncated streams, retries of what failed → record batches.

Spark, the command line and the tests all call ``run``. One call after another goes through these steps:

1. ``sizing`` takes cursors from the queue, ``windows`` sets the part of the window that each asks for, ``calls`` builds the
   sub-requests, and ``prefetch`` sends them while the previous answer is decoded.
2. ``reply`` reads the answer into pages, ``outcome`` evaluates them: cursors that are not at their end go back to the queue.
   A call that failed as a whole is retried, in smaller or shorter parts or by ``bisection``.
3. ``decode`` turns the events into record batches. At the end failed points are raised or become status rows.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import ReadFailed, ServerError, UnexpectedReply
from pi_datasource.model import NO_POINT, Point, ReadTask, iso_utc
from pi_datasource.points.deleted_points import split_deleted
from pi_datasource.recorded import decode
from pi_datasource.recorded.bisection import Bisection, Cause
from pi_datasource.recorded.calls import Call, Cursor
from pi_datasource.recorded.decode import PointEvents
from pi_datasource.recorded.events import ticks_at
from pi_datasource.recorded.outcome import Outcome, TaskState
from pi_datasource.recorded.prefetch import PendingCall
from pi_datasource.recorded.window_parts import REQUEST_TIMEOUT
from pi_datasource.recorded.windows import is_slow
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

ROWS_PER_BATCH = 50_000  # best for Spark, which does not split batches (performance notes, section 6.2)


def run(
    client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Every event of the task's points with ``start <= timestamp < end``, once, each point's in server order.

    ``schema`` is the table's or a selection of its columns; fields that no column needs are not requested. Memory holds two
    answers: while one is decoded the next is received. The same task on an unchanged server gives the same rows. A window
    that the archive refuses or is too slow for is read in shorter parts, down to a minute.

    Raises:
        ReadFailed: with ``on_error="fail"``, after everything readable was read: it names every failed point.
        ServerError: a whole call failed.
    """
    return _Run(client, task, schema, pattern).batches()


class _Run(TaskState):
    def __init__(self, client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None) -> None:
        super().__init__(client, task)
        self.task, self.schema, self.pattern = task, schema, pattern
        self.bisection = Bisection(client.max_retries)
        self.answered = False
        self.earlier_metrics = client.metrics  # the worker's earlier tasks used the same client
        self.waiting: deque[Cursor] = deque()

    def batches(self) -> Iterator[pa.RecordBatch]:
        points = self.task.points
        starts = self.task.starts or (self.task.window.start,) * len(points)
        moments = {start: (iso_utc(start), ticks_at(start)) for start in set(starts)}
        self.waiting.extend(
            Cursor(point, *moments[start]) for point, start in zip(points, starts, strict=True)
        )
        if self.task.requests_per_second is not None:
            self.client.pace(self.task.requests_per_second)
        pending = self._start_call(None)
        while pending:
            prefetched = self._start_call(pending)
            yield from self._to_batches(pending)
            pending = prefetched or self._start_call(None)
        yield from self._report_failures()
        if self.task.report_metrics:
            metrics = asdict(self.client.metrics - self.earlier_metrics)
            if self.task.offset is not None:
                metrics["offset"] = json.loads(self.task.offset)
            yield self._status_rows([((*points, NO_POINT)[0], json.dumps(metrics))], schema.READ_METRICS)

    def _start_call(self, previous: PendingCall | None) -> PendingCall | None:
        """The next call, sent as soon as the ``previous`` one is answered; None if no cursor waits."""
        if not self.waiting:
            return None
        call = self.sizes.next_call(self.waiting, self.sets, idle=previous is None)
        self.windows.set_ends(call.cursors)
        return PendingCall(self.client, call, call.urls(self.client.resource, self.schema.names), previous)

    def _to_batches(self, pending: PendingCall) -> Iterator[pa.RecordBatch]:
        with pending:  # the next call is sent after the pause that this answer asks for
            filled = [group for group in self._receive(pending) if group.events.size]
        if not filled:
            return
        batch = decode.to_batch(filled, self.schema, self.task.ingestion_time, self.pattern)
        for first in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.slice(first, ROWS_PER_BATCH)

    def _receive(self, pending: PendingCall) -> list[PointEvents]:
        """The new events of a call; cursors that are not at their end go back to the front of the queue."""
        call = pending.call
        try:
            pages = pending.pages()
        except ServerError as error:
            if self._retry_unreadable(pending, error):
                return []
            if not (self._retry_smaller(call, error) or self._retry_timeout(call, error)):
                self._give_up_exhausted(pending, error)
            self.waiting.extendleft(cursor for cursor in reversed(call.cursors) if not cursor.given_up)
            return []
        self.answered = True
        self.bisection.record_readable()
        outcome = Outcome(self, call)
        for request, page in pages:
            outcome.add(request, page)
        # Truncated streams come first, so that few cursors are in the middle of their window; sets stay together.
        unfinished = sorted(outcome.unfinished, key=lambda cursor: not cursor.alone)
        self.waiting.extendleft(reversed(unfinished))
        if outcome.pauses:
            statuses, attempts, least_s = zip(*outcome.pauses, strict=True)
            refused = TOO_MANY_REQUESTS in statuses
            self.client.pause(max(attempts), max(least_s), requests=len(statuses), refused=refused)
        return outcome.events

    def _retry_unreadable(self, pending: PendingCall, error: ServerError) -> bool:
        """Retries a call whose answer cannot be read or gives up its only tag; returns False for any other error.

        A server in trouble truncates its JSON or writes a ``WebException`` into it, a proxy replaces it with a page or with
        the answer to another call, and a single value may be written in a way that no parser accepts.
        """
        redirected = error.status is not None and 300 <= error.status < 400
        if not isinstance(error, UnexpectedReply) or redirected:
            return False
        self.client.drop_connections()  # what arrives on them may belong to another call
        cause = self.bisection.diagnose(pending.call, is_json=pending.error is None)
        if cause is Cause.SERVER:
            return False
        if cause is Cause.TAG:
            self.give_up(pending.call.cursors[0].point, error.status, str(error))
            return True
        log.warning("%s; retrying", error)
        self.waiting.extend(pending.call.cursors)
        if (attempt := self.bisection.pause_attempt()) is not None:
            self.client.pause(attempt)
        return True

    def _retry_smaller(self, call: Call, error: ServerError) -> bool:
        """Reduces the calls if this one was too large, or too slow on a server that does answer; returns False if not."""
        if error.status == 413:
            return self.sizes.halve_tags(call)
        if not is_slow(error):
            return False
        longer = any(cursor.parts.doubled for cursor in call.cursors)  # a likelier cause than the rows
        if not longer and self.answered and self.sizes.reduce_rows():
            return True
        return self.windows.shorten_all(call, error)

    def _retry_timeout(self, call: Call, error: ServerError) -> bool:
        """Pauses to retry a call that timed out with the shortest windows; returns False if no retry is left."""
        if error.status != REQUEST_TIMEOUT or call.cursors[0].parts.unproven:
            return False
        attempts = max(cursor.attempts for cursor in call.cursors)
        if attempts >= self.client.max_retries:
            return False
        for cursor in call.cursors:
            cursor.attempts += 1
        log.warning("%s; retrying", error)
        self.client.pause(attempts)
        return True

    def _give_up_exhausted(self, pending: PendingCall, error: ServerError) -> None:
        """Gives up the points whose own retries left none for the call, so that the others can be retried.

        Raises:
            ServerError: there is no such point; the call failed after all retries, or would fail again.
        """
        cursors = pending.call.cursors
        exhausted = [cursor for cursor in cursors if cursor.attempts >= self.client.max_retries]
        unreadable = isinstance(error, UnexpectedReply)  # the server is the cause
        if unreadable or not pending.retries_before or not exhausted:
            hint = self.windows.failure_hint(cursors[0]) if is_slow(error) else ""
            longer = error.extended(f"{hint} (while reading {self.task})")
            raise longer from error
        for cursor in exhausted:
            cursor.given_up = True
            self.give_up(cursor.point, error.status, str(error))

    def _report_failures(self) -> Iterator[pa.RecordBatch]:
        """Status rows of the failed and the deleted points.

        Raises:
            ReadFailed: with ``on_error="fail"``.
        """
        if self.task.skip_deleted and self.task.on_error == "fail":
            self.failures, deleted = split_deleted(self.client, self.failures, str(self.task.window))
            if deleted and self.task.report_metrics:
                yield self._status_rows([(point, "") for point in deleted], schema.DELETED_POINT)
        if not self.failures:
            return
        if self.task.on_error == "fail":
            raise ReadFailed.of([failure for _, failure in self.failures], str(self.task.window))
        fields = ("status", "message", "not_found")
        end = {"window_end": iso_utc(self.task.window.end)}
        details = [
            (point, json.dumps(end | {name: getattr(failure, name) for name in fields}))
            for point, failure in self.failures
        ]
        yield self._status_rows(details, schema.READ_FAILURE)

    def _status_rows(self, details: list[tuple[Point, str]], kind: str) -> pa.RecordBatch:
        return decode.status_rows(details, kind, self.task, self.schema, self.pattern)
