"""One task → RecordBatches: batch calls, paging of what was cut, re-sending of what failed.

The one seam between planning and the wire: Spark, the command line and the tests all call ``run``.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import PointFailure, ReadFailed, ServerError, UnexpectedReply
from pi_datasource.model import NO_POINT, Point, ReadTask, iso_utc
from pi_datasource.points.deleted_points import split_deleted
from pi_datasource.recorded import decode
from pi_datasource.recorded.calls import Call, Cursor
from pi_datasource.recorded.decode import PointEvents
from pi_datasource.recorded.events import ticks_at
from pi_datasource.recorded.isolation import Isolation, Verdict
from pi_datasource.recorded.outcome import Outcome, TaskState
from pi_datasource.recorded.prefetch import PendingCall
from pi_datasource.recorded.window_parts import REQUEST_TIMEOUT
from pi_datasource.recorded.windows import is_slow
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.retry import TOO_MANY_REQUESTS

log = logging.getLogger(__name__)

ROWS_PER_BATCH = (
    50_000  # what Spark takes best; it does not cut batches itself (performance notes, section 6.2)
)


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


class _Run(TaskState):
    def __init__(self, client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None) -> None:
        super().__init__(client, task)
        self.task, self.schema, self.pattern = task, schema, pattern
        self.isolation = Isolation(client.max_retries)
        self.answered = False
        self.metrics = client.metrics  # of earlier tasks: the client is this worker's
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
        pending = self._launch(None)
        while pending:
            prefetched = self._launch(pending)
            yield from self._rows(self._landed(pending))
            pending = prefetched or self._launch(None)
        yield from self._report()
        if self.task.report_metrics:
            told = asdict(self.client.metrics - self.metrics)
            if self.task.offset is not None:
                told["offset"] = json.loads(self.task.offset)
            yield self._status_rows([((*points, NO_POINT)[0], json.dumps(told))], schema.READ_METRICS)

    def _launch(self, previous: PendingCall | None) -> PendingCall | None:
        if not self.waiting:
            return None
        call = self.sizes.next_call(self.waiting, self.sets, idle=previous is None)
        self.windows.aim(call.cursors)
        urls = call.urls(self.client.resource, self.schema.names)
        return PendingCall(self.client, call, urls, previous)

    def _landed(self, pending: PendingCall) -> list[PointEvents]:
        """What one call brought, after the pause that it asks for; only then the next call is sent, if there was one."""
        cancel = True
        try:
            groups = self._sorted_out(pending)
            cancel = False
        finally:
            pending.release(cancel=cancel)
        return groups

    def _sorted_out(self, pending: PendingCall) -> list[PointEvents]:
        """The new events of one call; cursors that are not at their end go back to the front of the queue."""
        try:
            answers = pending.pages()
        except ServerError as error:
            if self._unread(pending, error):
                return []
            if not (self._smaller(pending.call, error) or self._waited_for(pending.call, error)):
                self._exhausted(pending, error)
            left = [cursor for cursor in pending.call.cursors if not cursor.given_up]
            self.waiting.extendleft(reversed(left))
            return []
        self.answered = True
        self.isolation.readable()
        outcome = Outcome(self, pending.call)
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

    def _exhausted(self, pending: PendingCall, error: ServerError) -> None:
        """Gives up the points whose own retries left none for the call, so that the others can be asked for again.

        Raises:
            ServerError: there is none; the call failed after all retries, or would fail again.
        """
        spent = [cursor for cursor in pending.call.cursors if cursor.attempts >= self.client.max_retries]
        unreadable = isinstance(error, UnexpectedReply)  # the server is to blame
        if unreadable or not pending.retries_before or not spent:
            hint = self.windows.hint(pending.call.cursors[0]) if is_slow(error) else ""
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

    def _unread(self, pending: PendingCall, error: ServerError) -> bool:
        """Whether an answer that could not be read is dealt with: asked for again, or blamed on the one tag of the call.

        A server in trouble cuts its JSON or writes a ``WebException`` into it, a proxy puts a page or another call's answer in
        its place, and one value may be written as no parser reads it.
        """
        redirected = error.status is not None and 300 <= error.status < 400
        if not isinstance(error, UnexpectedReply) or redirected:
            return False
        self.client.drop_connections()  # what arrives on them may belong to another call
        call = pending.call
        verdict = self.isolation.unreadable(call, is_json=pending.error is None)
        if verdict is Verdict.SERVER:
            return False
        if verdict is Verdict.TAG:
            self.give_up(call.cursors[0].point, error.status, str(error))
            return True
        log.warning("%s; asking again", error)
        self.waiting.extend(call.cursors)
        if (attempt := self.isolation.pause()) is not None:
            self.client.pause(attempt)
        return True

    def _waited_for(self, call: Call, error: ServerError) -> bool:
        """Whether a call that timed out though its windows are as short as they can be is sent again, after a pause."""
        if error.status != REQUEST_TIMEOUT or call.cursors[0].parts.unproven:
            return False
        attempts = max(cursor.attempts for cursor in call.cursors)
        if attempts >= self.client.max_retries:
            return False
        for cursor in call.cursors:
            cursor.attempts += 1
        log.warning("%s; asking again", error)
        self.client.pause(attempts)
        return True

    def _rows(self, groups: list[PointEvents]) -> Iterator[pa.RecordBatch]:
        filled = [group for group in groups if group.events.size]
        if not filled:
            return
        batch = decode.to_batch(filled, self.schema, self.task.ingestion_time, self.pattern)
        for first in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.slice(first, ROWS_PER_BATCH)

    def _report(self) -> Iterator[pa.RecordBatch]:
        if self.task.skip_deleted and self.task.on_error == "fail":
            self.failures, gone = split_deleted(self.client, self.failures, str(self.task.window))
            if gone and self.task.report_metrics:
                yield self._status_rows([(point, "") for point in gone], schema.DELETED_POINT)
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
        yield self._status_rows(texts, schema.READ_FAILURE)

    def _status_rows(self, texts: list[tuple[Point, str]], kind: str) -> pa.RecordBatch:
        """Rows that are no events, at the window's start."""
        task = self.task
        return decode.status_rows(
            texts, kind, task.window.start, self.schema, task.ingestion_time, self.pattern
        )
