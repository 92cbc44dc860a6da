"""How much the next call asks for: from what was planned, what earlier pages showed, and what the server refused.

What is learnt holds for the rest of the task. A wrong guess costs a call, never an event: a page that comes back full is
read on.
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

ROWS_PER_CALL = 50_000  # bounds memory whatever the window; as fast as twice as many (docs/benchmarks.md)
FEWEST_ROWS_PER_CALL = 1_000
_WEIGHT = 0.05  # of the newest page in the running mean of events per tag
_FIRST_TAGS = 25  # before anything is known about how many events a tag has: 2,000 of each then fit
_WORTH_OVERLAPPING = (
    8  # tags: so many are split into two calls, so that one is on its way while one is decoded
)


@dataclass
class Sizes:
    """The limits in force; only ever lowered, but for the guess of how many events a tag has."""

    page: int
    tags_per_call: int
    requests_per_call: int
    rows_per_call: int = ROWS_PER_CALL
    tags_per_set: int = WEB_IDS_PER_URL
    server_limit: int | None = None  # MaxReturnedItemsPerCall, once the server has refused more
    events_per_tag: float | None = None

    @classmethod
    def of(cls, task: ReadTask) -> Sizes:
        """The limits that a task begins with."""
        paced = task.requests_per_second
        most = requests_per_call(paced) if paced else task.batch_size
        return cls(task.page_size, task.batch_size, most)

    def next_call(self, waiting: deque[Cursor], sets: bool, idle: bool) -> Call:
        """Takes from the front of ``waiting`` what the next call shall ask for; ``idle`` if none is under way."""
        as_sets = sets and not waiting[0].alone
        most = self._most_tags(as_sets)
        alike = _alike(waiting, most + 1, sets)
        tags = min(alike, most)
        if idle and tags == alike >= _WORTH_OVERLAPPING:
            tags = (tags + 1) // 2
        taken = [waiting.popleft() for _ in range(tags)]
        size = max(1, min(self.page, self.rows_per_call // tags))
        if not as_sets:
            return Call([Request([cursor], cursor.page_size or size) for cursor in taken], sets=False)
        step = max(1, self.tags_per_set)
        return Call([Request(taken[i : i + step], size) for i in range(0, tags, step)], sets=True)

    def _most_tags(self, as_sets: bool) -> int:
        guess = _FIRST_TAGS
        if self.events_per_tag is not None:
            guess = int(self.rows_per_call / (self.events_per_tag * 1.25 + 16))
        requests = self.requests_per_call * (self.tags_per_set if as_sets else 1)
        return max(1, min(self.tags_per_call, requests, guess))

    def saw(self, page: Events, span: Span, cut: bool) -> None:
        """Remembers about how many events a tag has in ``span``, the window or part asked for, from one page of it."""
        count = float(page.size)
        if cut and count:  # as dense behind the page as in it
            count *= (span.end - span.start) / max(1, page.ticks.item(-1) - page.ticks.item(0))
        before = self.events_per_tag
        self.events_per_tag = count if before is None else before + (count - before) * _WEIGHT

    def limit(self, allowed: int, request: Request) -> None:
        """The server returns no more than ``allowed`` items in one call; it refused ``request``."""
        if allowed >= request.size and len(request.cursors) > 1:  # it counts the streams of a set together
            self.tags_per_set = max(1, min(len(request.cursors) - 1, allowed // request.size))
            return
        self.server_limit = max(1, min(allowed, request.size - 1))
        self.page = min(self.page, self.server_limit)

    def too_large(self, call: Call) -> bool:
        """Asks for fewer tags from now on; False if ``call`` asked for one only."""
        tags = len(call.cursors)
        self.tags_per_call = max(1, tags // 2)
        return tags > 1

    def too_many(self, call: Call) -> None:
        """The server limits its request rate: fewer requests in a call from now on."""
        self.requests_per_call = max(1, len(call.requests) // 2)

    def too_slow(self) -> bool:
        """Asks for fewer events from now on; False if they are few already."""
        if self.rows_per_call // 4 < FEWEST_ROWS_PER_CALL:
            return False
        self.rows_per_call //= 4
        return True


def _alike(waiting: deque[Cursor], most: int, sets: bool) -> int:
    """How many cursors at the front can share a call with the first; counted up to ``most``."""
    first = waiting[0]

    def like(cursor: Cursor) -> bool:
        if cursor.group != first.group:
            return False
        together = cursor.start == first.start and cursor.parts.length == first.parts.length
        return not sets or (cursor.alone == first.alone and (cursor.alone or together))

    return sum(1 for _ in takewhile(like, islice(waiting, most)))
