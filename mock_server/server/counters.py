"""Counters of what a server has answered."""

import threading
from collections import Counter
from typing import Any

from mock_server.webapi.messages import Response


class Counters:
    """Counts responses by status and by fault, and the requests within batches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Set all counters to zero."""
        with self._lock:
            self._requests = self._sub_requests = self._bytes = 0
            self._statuses: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()

    def count(self, response: Response) -> None:
        """Count a response; status 0 is one that was never sent."""
        with self._lock:
            self._requests += 1
            self._sub_requests += response.sub_requests
            self._bytes += len(response.body)
            self._statuses[str(response.status)] += 1
            if response.fault:
                self._faults[response.fault] += 1

    def count_member_fault(self, response: Response) -> None:
        """Count the fault of a request within a batch, if it has one."""
        if response.fault:
            with self._lock:
                self._faults[response.fault] += 1

    def snapshot(self) -> dict[str, Any]:
        """The counts as JSON."""
        with self._lock:
            return {
                "requests": self._requests,
                "sub_requests": self._sub_requests,
                "bytes": self._bytes,
                "statuses": dict(sorted(self._statuses.items())),
                "faults": dict(sorted(self._faults.items())),
            }
