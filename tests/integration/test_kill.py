"""``kill -9`` at any moment and another run: nothing is lost, nothing is doubled. ``scripts/soak`` is the long version."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak_pipeline import VICTIMS, soak

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]
KILLS = 20  # each takes half a minute: every third kills the driver and costs a start of Spark


def test_kills_of_driver_workers_and_simulator_lose_and_double_nothing(tmp_path: Path) -> None:
    result = soak(tmp_path, kills=KILLS, seed=7, tags=16)
    assert result.kills() == KILLS
    assert all(result.kills(victim) for victim in VICTIMS)
    assert "bronze equals the oracle" in result.proof
