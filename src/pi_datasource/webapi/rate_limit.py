"""A limit on requests per second, so that a read does not disturb a server that runs a plant."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

SECOND = 1.0
_WELL_USED = 0.9  # of a rate


class Pacer:
    """Delays calls so that at most ``rate`` requests are sent in any second; a call may count for several requests.

    A sliding window: a call counts from when it is sent until a second after its answer, because the server may see it at
    any time in between, and at most ``rate`` requests count at any time. A call that alone exceeds ``rate`` is sent when no
    other counts, and counts for as many seconds as the rate needs for it.

    Until ``set`` gives this pacer a share of its own, others may use the rate while it is idle: then the first call after an
    idle second waits for one second, in which what others have sent stops counting.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._rate = rate
        self._shared = True
        self._free_at = self._used_at = clock() - SECOND
        self._counting: deque[tuple[float, int]] = deque()  # (until when, requests), oldest first
        self._last_weight = 1
        self.waited_s = 0.0  # in total, by all callers

    def set(self, rate: float | None) -> None:
        """Gives this pacer a rate of its own; None removes the limit.

        The next call waits for a second, because another process may have used up the rate.
        """
        self._rate, self._shared = rate, False
        self._free_at = self._clock() + SECOND

    def wait(self, weight: int) -> None:
        """Returns when a call that counts for ``weight`` requests may be sent."""
        self._last_weight = weight
        if self._rate is None:
            return
        now = self._clock()
        if self._shared and now - self._used_at >= SECOND:
            self._free_at = now + SECOND
        free_at = max(now, self._free_at)
        counting = sum(requests for until, requests in self._counting if until > free_at)
        while self._counting and counting + weight > self._rate:
            until, requests = self._counting.popleft()
            if until > free_at:
                free_at, counting = until, counting - requests
        if free_at > now:
            self._sleep(free_at - now)
            self.waited_s += free_at - now
            now = free_at
        self._count(now)

    def answered(self) -> None:
        """Records the answer to the last call, which counts for a second from now."""
        if self._rate is not None and self._counting:
            self._counting.pop()
            self._count(self._clock())

    def _count(self, now: float) -> None:
        weight = self._last_weight
        self._used_at = now
        self._counting.append((now + max(SECOND, weight / (self._rate or weight)), weight))


def requests_per_call(rate: float) -> int:
    """The largest number of requests per call with which a reader reaches 90 % of ``rate``, in two or more calls a second."""
    whole = int(rate)
    fit = (size for size in range(whole // 2, 1, -1) if whole // size * size >= _WELL_USED * whole)
    return next(fit, 1)
