"""At most so many requests in any second: what keeps a read from disturbing the server that runs a plant."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pacer:
    """Makes its caller wait before each call, by how many requests the call counts for.

    In no span of one second are more than ``rate`` requests let through, whatever the calls weigh, as long as none
    weighs more than half of ``rate``. With ``m`` the heaviest so far a call of weight ``w`` keeps ``w / (rate - m)`` seconds
    for itself: all calls of a second but the last then weigh less than ``rate - m``, and the last at most ``m``. A call
    that is heavier than all before it waits for a second without any. The seconds begin when the answer is there: then
    the server has seen the call, however slow the way to it was, and its own log shows the rate kept.
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
        self._free_at = clock()
        self._sent_at = self._free_at - 1.0
        self._heaviest = self._last_weight = 1
        self.waited_s = 0.0  # how long callers have been made to wait so far

    def set(self, rate: float | None) -> None:
        """Changes the rate; None lets everything through.

        The next call waits for a second, in which another process may have used up what it was allowed.
        """
        self._rate = rate
        self._free_at = self._clock() + 1.0

    def wait(self, weight: int) -> None:
        """Returns when a call that counts for ``weight`` requests may be sent."""
        self._last_weight = weight
        if self._rate is None:
            return
        now = self._clock()
        free_at = self._free_at
        if weight > self._heaviest:
            self._heaviest = weight
            free_at = max(free_at, self._sent_at + 1.0)
        if free_at > now:
            self._sleep(free_at - now)
            self.waited_s += free_at - now
            now = free_at
        self._begin(now)

    def answered(self) -> None:
        """Tells that the last call is over: its time begins now."""
        if self._rate is not None:
            self._begin(self._clock())

    def wait_again(self) -> None:
        """Returns when the last call, which failed, may be sent once more."""
        self.answered()
        self.wait(self._last_weight)

    def _begin(self, now: float) -> None:
        rate = self._rate or 1.0
        self._sent_at = now
        self._free_at = now + self._last_weight / max(rate - self._heaviest, rate / 2)
