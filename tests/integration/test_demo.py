"""The demo, run as a user runs it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_proves_that_bronze_equals_the_oracle(tmp_path: Path) -> None:
    run = _demo("--once", "--port", str(_free_port()), "--lakehouse", str(tmp_path / "lake"))
    assert run.returncode == 0, run.stdout + run.stderr
    proof = re.search(r"bronze equals the oracle: ([\d,]+) rows", run.stdout)
    assert proof is not None, run.stdout
    assert int(proof[1].replace(",", "")) > 300_000
    assert "16 tags added to the running server" in run.stdout


def test_a_busy_port_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = _demo("--once", "--port", str(port))
    assert run.returncode == 1
    assert f"Port {port} is in use. Try another: ./scripts/demo --port {port + 1}" in run.stdout


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [ROOT / "scripts" / "demo", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT.parent,
        env=environment,
        timeout=500,
        check=False,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
