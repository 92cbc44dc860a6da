"""A secret is in nothing that Spark keeps or shows: event log, pages, plans, progress, checkpoint and logs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mock_server import Plant, running
from mock_server.server.oidc import Oidc
from tests.integration.support import canary
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.gate import gate
from tests.unit.certificates import Authority

pytestmark = pytest.mark.integration
SIGNING = [
    {"username": canary.USER, "password": canary.PASSWORD},
    {"username": canary.USER, "password": "env:PI_TEST_PASSWORD"},
    {"token": canary.TOKEN},
    {"client_id": canary.CLIENT_ID, "client_secret": canary.CLIENT_SECRET},
]


def _through_gates(folder: Path, proxy: str) -> dict[str, str]:
    """Options that name every secret that gateways and proxies want, beside a sign-in."""
    certificate, key = Authority(folder).sign("gateway", canary.KEY_PASSWORD)
    return {
        "token": canary.TOKEN,
        "proxy": proxy,
        "proxy_username": canary.GATE_USER,
        "proxy_password": canary.GATE_PASSWORD,
        "client_cert": str(certificate),
        "client_key": str(key),
        "client_key_password": canary.KEY_PASSWORD,
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All that one Spark program has told, by the name of the file or channel."""
    folder = tmp_path_factory.mktemp("told")
    site = Plant(seed=1, tags=8, plants=1)
    signing = {"user": canary.USER, "password": canary.PASSWORD, "token": canary.TOKEN}
    oidc = Oidc(canary.CLIENT_ID, canary.CLIENT_SECRET)
    with (
        running(site, clock=Clock(NOW), oidc=oidc, **signing) as url,
        gate(url, canary.GATE_USER, canary.GATE_PASSWORD) as proxy,
    ):
        every = [*SIGNING, _through_gates(tmp_path_factory.mktemp("keys"), proxy)]
        options = json.dumps([{**each, "start_time": "*-10m"} for each in every])
        child = subprocess.run(
            [sys.executable, "-m", "tests.integration.support.canary_child", str(folder), url, f"{proxy}/piwebapi", options],
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
    assert rows == [rows[0]] * 2 * (len(SIGNING) + 1)  # as a batch read, and with tasks as the pipeline reads
    assert told["plans.txt"].count("BatchScan pi") == len(rows)
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


def test_a_server_that_repeats_credentials_ends_a_read_and_a_stream_without_them(
    told: dict[str, str],
) -> None:
    assert told["refused.txt"].count("StreamingQueryException") >= 1
    assert told["refused.txt"].count("HTTP 500: refused: Basic ***") >= 3
    assert told["stderr"].count("HTTP 500: refused: Basic ***") >= 1


def test_nothing_holds_a_secret(told: dict[str, str]) -> None:
    assert {name: canary.leaks(text) for name, text in told.items() if canary.leaks(text)} == {}
