"""``kill -9`` at any moment and another run: nothing is lost, nothing is doubled. ``scripts/soak`` is the long version."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak_pipeline import DRIVER_SHARE, VICTIMS, soak

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]
RUNS, LAKES = 50, 5


def test_kills_of_driver_workers_and_simulator_lose_and_double_nothing(tmp_path: Path) -> None:
    result = soak(tmp_path, runs=RUNS, seed=7, tags=16, lakes=LAKES)
    assert result.runs_met >= RUNS
    assert all(result.kills[victim] for victim in VICTIMS)
    assert result.met["driver"] >= RUNS * DRIVER_SHARE
    assert len(result.proofs) == LAKES
    assert all("bronze equals the oracle" in proof for proof in result.proofs)
