"""Sizes each call from the plan, the pages read so far and what the server has refused.

The limits apply to the rest of the task. A wrong estimate costs a call, never an event: a full page is followed by another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice, takewhile

from pi_datasource.model import ReadTask
from pi_datasource.recorded.calls import Call, Cursor, Request
from pi_datasource.recorded.events import Events
from pi_datasource.recorded.paging import Span
from pi_datasource.webapi.query import WEB_IDS_PER_URL
from pi_datasource.webapi.rate_limit import requests_per_call

ROWS_PER_CALL = 50_000  # bounds memory for any window; as fast as twice as many (docs/benchmarks.md)
FEWEST_ROWS_PER_CALL = 1_000
_MEAN_WEIGHT = 0.05  # of the newest page in the moving average of events per tag
_FIRST_TAGS = 25  # while the number of events per tag is unknown: 2,000 of each fit
_MIN_TAGS_TO_SPLIT = 8  # into two calls, so that one is sent while the other is decoded


@dataclass
class Sizes:
    """The current limits, which are only ever lowered, and the estimate of events per tag."""

    page: int
    tags_per_call: int
    requests_per_call: int
    rows_per_call: int = ROWS_PER_CALL
    tags_per_set: int = WEB_IDS_PER_URL
    server_limit: int | None = None  # MaxReturnedItemsPerCall, once the server has refused more
    events_per_tag: float | None = None

    @classmethod
    def of(cls, task: ReadTask) -> Sizes:
        """The initial limits of a task."""
        paced = task.requests_per_second
        most = requests_per_call(paced) if paced else task.batch_size
        return cls(task.page_size, task.batch_size, most)

    def next_call(self, waiting: deque[Cursor], sets: bool, idle: bool) -> Call:
        """Takes the cursors of the next call from the front of ``waiting``; ``idle`` if no call is under way."""
        as_sets = sets and not waiting[0].alone
        most = self._most_tags(as_sets)
        compatible = _count_compatible(waiting, most + 1, sets)
        tags = min(compatible, most)
        if idle and tags == compatible >= _MIN_TAGS_TO_SPLIT:
            tags = (tags + 1) // 2
        taken = [waiting.popleft() for _ in range(tags)]
        size = max(1, min(self.page, self.rows_per_call // tags))
        if not as_sets:
            return Call([Request([cursor], cursor.page_size or size) for cursor in taken], sets=False)
        step = max(1, self.tags_per_set)
        return Call([Request(taken[i : i + step], size) for i in range(0, tags, step)], sets=True)

    def _most_tags(self, as_sets: bool) -> int:
        estimate = _FIRST_TAGS
        if self.events_per_tag is not None:
            estimate = int(self.rows_per_call / (self.events_per_tag * 1.25 + 16))
        requests = self.requests_per_call * (self.tags_per_set if as_sets else 1)
        return max(1, min(self.tags_per_call, requests, estimate))

    def record_page(self, page: Events, span: Span, truncated: bool) -> None:
        """Updates the estimate of events per tag with a page of ``span``, the requested window or part."""
        count = float(page.size)
        if truncated and count:  # as dense after the page as in it
            count *= (span.end - span.start) / max(1, page.ticks.item(-1) - page.ticks.item(0))
        before = self.events_per_tag
        self.events_per_tag = count if before is None else before + (count - before) * _MEAN_WEIGHT

    def apply_server_limit(self, allowed: int, request: Request) -> None:
        """Lowers the sizes because the server refused ``request``: it returns at most ``allowed`` items per call."""
        if allowed >= request.size and len(request.cursors) > 1:  # it counts the streams of a set together
            self.tags_per_set = max(1, min(len(request.cursors) - 1, allowed // request.size))
            return
        self.server_limit = max(1, min(allowed, request.size - 1))
        self.page = min(self.page, self.server_limit)

    def halve_tags(self, call: Call) -> bool:
        """Halves the tags per call because ``call`` was too large; returns False if it had only one."""
        tags = len(call.cursors)
        self.tags_per_call = max(1, tags // 2)
        return tags > 1

    def halve_requests(self, call: Call) -> None:
        """Halves the requests per call because the server limits the request rate."""
        self.requests_per_call = max(1, len(call.requests) // 2)

    def reduce_rows(self) -> bool:
        """Lowers the rows per call because the server is too slow; returns False if they are few already."""
        if self.rows_per_call // 4 < FEWEST_ROWS_PER_CALL:
            return False
        self.rows_per_call //= 4
        return True


def _count_compatible(waiting: deque[Cursor], most: int, sets: bool) -> int:
    """How many cursors at the front, up to ``most``, can share a call with the first."""
    first = waiting[0]

    def compatible(cursor: Cursor) -> bool:
        if cursor.group != first.group:
            return False
        together = cursor.start == first.start and cursor.parts.length == first.parts.length
        return not sets or (cursor.alone == first.alone and (cursor.alone or together))

    return sum(1 for _ in takewhile(compatible, islice(waiting, most)))
