"""Metrics of requests: calls, retries, throttled seconds."""

from __future__ import annotations

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class RequestMetrics:
    """``calls`` are HTTP requests, including retries; ``retries`` are calls and sub-requests that were sent again.

    ``throttled_seconds`` is the time waited because of ``requests_per_second`` or an answer 429.
    """

    calls: int = 0
    retries: int = 0
    throttled_seconds: float = 0.0

    def __add__(self, other: RequestMetrics) -> RequestMetrics:
        return RequestMetrics(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: RequestMetrics) -> RequestMetrics:
        return RequestMetrics(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))


NONE = RequestMetrics()
