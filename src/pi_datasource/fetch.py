"""One task → RecordBatches: batch calls, paging of what was cut, re-sending of what failed.

The one seam between planning and the wire: Spark, the command line and the tests all call ``run``.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pi_datasource import decode
from pi_datasource.client import PIClient
from pi_datasource.decode import Numbering, Rows
from pi_datasource.errors import PointFailure, ReadFailed, ServerError, UnexpectedReply
from pi_datasource.model import Point, ReadTask, Window, iso_utc
from pi_datasource.reply import Page, TimedValue, moment
from pi_datasource.transport import RETRIED

log = logging.getLogger(__name__)

ROWS_PER_CALL = (
    100_000  # bounds memory whatever the window; near the best speed (performance notes, section 3)
)
ROWS_PER_BATCH = 50_000
_FIELDS = "Items.Timestamp;Items.Value;Items.Good;Items.Questionable;Items.Substituted;Items.Annotated;Items.Errors;"
_ALLOWED = re.compile(r"greater than the maximum allowed\D*(\d+)")


@dataclass
class _Cursor:
    """How far one point has been read."""

    point: Point
    start: str  # PI's own text of the timestamp to go on from, never a rounded one
    numbering: Numbering = field(default_factory=Numbering)
    attempts: int = 0
    page_size: int = 0  # above the task's where one timestamp has filled a whole page


def run(
    client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None = None
) -> Iterator[pa.RecordBatch]:
    """Every event of the task's points with ``start <= timestamp < end``, once, each point's in server order.

    Memory holds one answer at a time. The same task on an unchanged server gives the same rows.

    Raises:
        ReadFailed: with ``on_error="fail"``, after everything readable was read: it names every failed point.
        ServerError: a whole call failed.
    """
    return _Run(client, task, schema, pattern).batches()


class _Run:
    def __init__(self, client: PIClient, task: ReadTask, schema: pa.Schema, pattern: str | None) -> None:
        self.client, self.task, self.schema, self.pattern = client, task, schema, pattern
        self.end_text = iso_utc(task.window.end)
        self.max_page = task.page_size  # lowered for good once the server has named a limit
        self.server_limit: int | None = None  # MaxReturnedItemsPerCall, once the server has refused more
        self.batch_size = task.batch_size
        self.failures: list[tuple[Point, PointFailure]] = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        start = iso_utc(self.task.window.start)
        waiting = [_Cursor(point, start) for point in self.task.points]
        while waiting:
            # Cursors in the middle of their window come first: memory of how far they are is then short-lived.
            now, waiting = waiting[: self.batch_size], waiting[self.batch_size :]
            unfinished: list[_Cursor] = []
            groups = self._call(now, unfinished)
            yield from self._rows(groups)
            waiting = unfinished + waiting
        yield from self._report()

    def _call(self, cursors: list[_Cursor], unfinished: list[_Cursor]) -> list[Rows]:
        """The new events of one batch call; cursors that are not at their end go to ``unfinished``."""
        share = max(1, ROWS_PER_CALL // len(cursors))
        sizes = [cursor.page_size or min(self.max_page, share) for cursor in cursors]
        urls = {str(i): self._url(c, size) for i, (c, size) in enumerate(zip(cursors, sizes, strict=True))}
        try:
            pages = self.client.batch(urls)
        except ServerError as error:
            if error.status != 413 or len(cursors) == 1:
                message = f"{error} (while reading {self.task})"
                raise type(error)(message, error.status) from error
            self.batch_size = len(cursors) // 2
            unfinished.extend(cursors)
            return []
        groups: list[Rows] = []
        retried = 0
        for i, (cursor, size) in enumerate(zip(cursors, sizes, strict=True)):
            page = pages[str(i)]
            if page.ok:
                groups.append(self._advance(cursor, page, size, unfinished))
            else:
                retried = max(retried, self._failed(cursor, page, size, unfinished))
        if retried:
            self.client.pause(retried - 1)
        return groups

    def _url(self, cursor: _Cursor, size: int) -> str:
        return self.client.resource(
            f"streams/{cursor.point.web_id}/recorded",
            {
                "startTime": cursor.start,
                "endTime": self.end_text,
                "boundaryType": "Inside",
                "maxCount": size,
                "selectedFields": _FIELDS + "UnitsAbbreviation",
            },
        )

    def _advance(self, cursor: _Cursor, page: Page, size: int, unfinished: list[_Cursor]) -> Rows:
        cursor.attempts = 0
        items = page.items
        # A full page is the only sign of a cut answer (reference: truncation); one that reaches the end is not cut.
        if len(items) >= size and moment(items[-1].Timestamp) < self.task.window.end:
            items = self._hold_back(cursor, items, size, unfinished)
        return Rows(cursor.point, _within(items, self.task.window), page.units, cursor.numbering)

    def _hold_back(
        self, cursor: _Cursor, items: list[TimedValue], size: int, unfinished: list[_Cursor]
    ) -> list[TimedValue]:
        """A full page without the rows at its last timestamp: the next page starts there and brings them whole."""
        last = items[-1].Timestamp
        keep = len(items)
        while keep and items[keep - 1].Timestamp == last:
            keep -= 1
        if keep:
            if last == cursor.start or moment(last) < moment(cursor.start):
                message = (
                    f"the server's pages of {cursor.point.name} do not advance: {last} after {cursor.start}"
                )
                raise UnexpectedReply(message)
            cursor.start, cursor.page_size = last, 0
        elif self.server_limit is None or size < self.server_limit:
            cursor.start, cursor.page_size = last, min(size * 10, self.server_limit or size * 10)
        else:
            self._give_up(
                cursor.point,
                None,
                f"at least {size} events share the timestamp {last}, and the server returns no more in one call; "
                "raise its MaxReturnedItemsPerCall",
            )
            return []
        unfinished.append(cursor)
        return items[:keep]

    def _failed(self, cursor: _Cursor, page: Page, size: int, unfinished: list[_Cursor]) -> int:
        """Sorts out one failed sub-request; returns how often it has been tried when it shall be tried again."""
        if page.status == 400 and (limit := _ALLOWED.search(page.message)) and size > 1:
            self.server_limit = max(1, min(int(limit[1]), size - 1))
            self.max_page = min(self.max_page, self.server_limit)
            cursor.page_size = min(cursor.page_size, self.server_limit)
            unfinished.append(cursor)
            return 0
        cursor.attempts += 1
        if page.status in RETRIED and cursor.attempts <= self.client.max_retries:
            log.warning("%s: HTTP %s %s, asking again", cursor.point.name, page.status, page.message)
            unfinished.append(cursor)
            return cursor.attempts
        hint = "" if page.status != 404 else " (deleted, or this account may not read it)"
        self._give_up(cursor.point, page.status, (page.message or "no reason given") + hint)
        return 0

    def _give_up(self, point: Point, status: int | None, message: str) -> None:
        self.failures.append((point, PointFailure(point.name, point.web_id, status, message)))

    def _rows(self, groups: list[Rows]) -> Iterator[pa.RecordBatch]:
        filled = [group for group in groups if group.items]
        if not filled:
            return
        batch = decode.to_batch(filled, self.schema, self.task.ingestion_time, self.pattern)
        for first in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.slice(first, ROWS_PER_BATCH)

    def _report(self) -> Iterator[pa.RecordBatch]:
        if not self.failures:
            return
        if self.task.on_error == "fail":
            raise ReadFailed.of([failure for _, failure in self.failures], str(self.task.window))
        window_end = iso_utc(self.task.window.end)
        texts = [
            (
                point,
                json.dumps({"window_end": window_end, "status": failure.status, "message": failure.message}),
            )
            for point, failure in self.failures
        ]
        yield decode.failure_rows(
            texts, self.task.window.start, self.schema, self.task.ingestion_time, self.pattern
        )


def _within(items: list[TimedValue], window: Window) -> list[TimedValue]:
    """The items in ``[start, end)``: PI's windows include their end, ours do not."""
    first, last = 0, len(items)
    while last and moment(items[last - 1].Timestamp) >= window.end:
        last -= 1
    while first < last and moment(items[first].Timestamp) < window.start:
        first += 1
    return items if last - first == len(items) else items[first:last]
