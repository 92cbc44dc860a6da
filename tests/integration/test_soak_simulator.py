"""The simulator's memory over thousands of requests; benchmarks/soak_simulator.py is the long version."""

from __future__ import annotations

import pytest

from benchmarks.soak_simulator import soak

pytestmark = pytest.mark.integration


def test_memory_stays_flat_over_thousands_of_requests() -> None:
    result = soak(requests=4000, warm_up=1000, measurements=4)
    assert result.growth_kb < 20_000
    assert set(result.statuses) == {200, 207, 400, 500}
    assert sum(result.statuses.values()) == 4000
