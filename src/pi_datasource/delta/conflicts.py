"""Several writers of one table: Delta lets one of two that collide commit, and the other tries again."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
)

log = logging.getLogger(__name__)

ATTEMPTS = 12
LONGEST_PAUSE_S = 8.0
LOST = (  # in Python they have no common ancestor of their own, unlike in Scala
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
)
_Result = TypeVar("_Result")


def retried(commit: Callable[[], _Result], pause: Callable[[float], None] = time.sleep) -> _Result:
    """What ``commit`` returns, run again whenever another writer was faster; it must be safe to run again.

    Raises:
        PySparkException: one of ``LOST``; another one was faster ``ATTEMPTS`` times.
    """
    for attempt in range(1, ATTEMPTS):
        try:
            return commit()
        except LOST as lost:  # noqa: PERF203 - it is why there is a loop
            log.info(
                "another writer was faster (%s); attempt %s of %s", type(lost).__name__, attempt, ATTEMPTS
            )
            # Two that wait equally long would meet again.
            pause(random.uniform(0.1, 0.5) * min(LONGEST_PAUSE_S, 2.0**attempt))
    return commit()
