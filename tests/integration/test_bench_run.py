"""The benchmarks of reading and of the pipeline run from end to end: servers, Spark, proof, figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]


def test_a_quick_run_proves_its_rows_and_writes_its_figures(tmp_path: Path) -> None:
    chosen = ["--only", "stream to Parquet", "--only", "pure", "--warmups", "1"]
    command = [sys.executable, "-m", "benchmarks.reading", "--quick", *chosen, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "reading.json").read_text())
    assert [pure["rows"] for pure in results["pure"]] == [100_000]
    assert [case["name"] for case in results["spark"]] == ["stream to Parquet"]
    for case in results["spark"]:
        [run] = case["runs"]
        assert run["rows"] == case["rows"] == 100_000
        assert run["cpu_s"]["worker"] > 0
        assert run["cpu_s"]["jvm"] > 0
        assert run["peak_mb"]["worker"] > 50
        assert run["asked"]["calls"] > 0
    page = (tmp_path / "reading.md").read_text()
    assert "| stream to Parquet (stream, parquet, local[2]) | 100,000 |" in page
    assert "## Failed" not in page


def test_a_quick_run_of_the_pipeline_compares_its_tables_and_writes_its_figures(tmp_path: Path) -> None:
    chosen = ["--only", "first load of 1 M", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.pipeline", "--quick", *chosen]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    [case] = json.loads((tmp_path / "pipeline.json").read_text())["cases"].values()
    [found] = case["rounds"]
    assert found["wrong"] == ""
    assert found["rows"] == 10_000
    assert case["heap_mb"] <= 1024
    for way in ("pipeline", "plain"):
        assert found[way]["cpu_s"]["jvm"] > 0
        assert found[way]["peak_mb"]["worker"] > 50
        assert found[way]["jobs"] > 0
        assert found["stored"][way]["bytes"] > 10_000
    assert found["pipeline"]["commits"]["pi_timeseries"] >= 1
    page = (tmp_path / "pipeline.md").read_text()
    assert "| first load of 1 M | pipeline | 10,000 |" in page
    assert "## Failed" not in page
