"""What reading costs the PI server: requests, repetitions, and the time for which requests are held back."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class RequestMetrics:
    """``calls`` are HTTP requests, repetitions included; ``retries`` are calls and sub-requests that were sent once more.

    ``throttled_seconds`` is how long was waited because of ``requests_per_second`` or of an answer 429.
    """

    calls: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0

    def __add__(self, other: RequestMetrics) -> RequestMetrics:
        """Both together."""
        return RequestMetrics(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: RequestMetrics) -> RequestMetrics:
        """What came after ``other``."""
        return RequestMetrics(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


NONE = RequestMetrics()
