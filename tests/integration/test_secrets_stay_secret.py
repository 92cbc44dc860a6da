"""A secret is in nothing that Spark keeps or shows: event log, pages, plans, progress, checkpoint and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mock_server import Plant, running
from tests.integration.support import canary
from tests.integration.support.clock import NOW, Clock

pytestmark = pytest.mark.integration
SIGNING = [
    {"username": canary.USER, "password": canary.PASSWORD},
    {"username": canary.USER, "password": "env:PI_TEST_PASSWORD"},
    {"token": canary.TOKEN},
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All that one Spark program has told, by the name of the file or channel."""
    folder = tmp_path_factory.mktemp("told")
    site = Plant(seed=1, tags=8, plants=1)
    signing = {"user": canary.USER, "password": canary.PASSWORD, "token": canary.TOKEN}
    options = [{**each, "start_time": "*-10m"} for each in SIGNING]
    with running(site, clock=Clock(NOW), **signing) as url:
        child = subprocess.run(
            [sys.executable, "-m", "tests.integration.support.canary_child", str(folder), url, json.dumps(options)],
            env={**os.environ, **canary.ENVIRONMENT, "PYSPARK_PYTHON": sys.executable},
            capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
    assert child.returncode == 0, child.stderr[-4000:]
    files = [file for file in folder.rglob("*") if file.is_file()]
    texts = {str(file.relative_to(folder)): file.read_bytes().decode(errors="replace") for file in files}
    return {**texts, "stdout": child.stdout, "stderr": child.stderr}


def test_the_program_did_read_and_was_looked_at(told: dict[str, str]) -> None:
    rows = json.loads(told["rows.json"])
    assert rows[0] > 0
    assert rows == [rows[0]] * len(SIGNING)
    assert told["plans.txt"].count("BatchScan pi") == len(SIGNING)
    events = "".join(text for name, text in told.items() if Path(name).parts[0] == "events")
    assert "BatchScan pi" in events
    assert "SparkListenerTaskEnd" in events
    assert "NoTagMatches" in events or "NoTagMatches" in told["stderr"]
    assert "numInputRows" in told["progress.txt"]
    pages = [text for name, text in told.items() if name.startswith("page-")]
    assert len(pages) >= 8
    assert any("BatchScan pi" in page for page in pages)
    assert [name for name in told if name.startswith("checkpoint/offsets/")]
    assert "INFO" in told["stderr"]


def test_nothing_holds_a_secret(told: dict[str, str]) -> None:
    assert {name: canary.leaks(text) for name, text in told.items() if canary.leaks(text)} == {}
