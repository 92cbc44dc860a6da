"""``pi-datasource dashboard``: what it needs, what it says, and that it listens only to this machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pi_datasource.cli.commands import app
from tests.unit.dashboard import lake
from tests.unit.dashboard.http_client import get


def test_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    lake.write(tmp_path)
    program = [sys.executable, "-c", "from pi_datasource.cli import main; main()"]
    command = [*program, "dashboard", "--lakehouse", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        try:
            told = process.stderr.readline() + process.stderr.readline()
            match = re.search(r"Dashboard: (http://127\.0\.0\.1:\d+)/ingestion", told)
            assert match is not None, told
            assert str(tmp_path) in told
            assert get(match[1], "/healthz").json()["status"] == "ok"
            assert get(match[1], "/ingestion/api/errors").json()["data"]["waiting"] == 1
        finally:
            process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.wait(30)
    assert "Traceback" not in rest
    assert "leaked" not in rest


SLOW = """
import sys, threading, urllib.request
from pi_datasource.dashboard.panels import pipeline
rows = "FROM range(100000000) AS a, range(100000) AS b, {errors} WHERE repaired_at IS NULL"
object.__setattr__(pipeline.WAITING, "sql", f"SELECT sum(a.range * b.range) AS waiting {rows}")
from pi_datasource.cli import main
main()
"""


def test_it_ends_at_once_while_a_question_is_under_way(tmp_path: Path) -> None:
    lake.write(tmp_path)
    command = [sys.executable, "-c", SLOW, "dashboard", "--lakehouse", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        try:
            match = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
            assert match is not None
            with ThreadPoolExecutor(1) as reader:
                told = reader.submit(get, match[0], "/ingestion/api/errors")
                with pytest.raises(FutureTimeout):  # the statement takes hours
                    told.result(0.8)
                process.send_signal(signal.SIGINT)
                process.wait(20)
                answer = told.result(20)
        finally:
            process.kill()
        rest = process.stderr.read()
    assert process.returncode == 130
    assert answer.status in (202, 503)
    assert "Traceback" not in rest
    assert "ERROR" not in rest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say where the tables are: --lakehouse FOLDER, or --warehouse ID for a Databricks catalog"),
        (["--lakehouse", "x", "--warehouse", "y"], "say where the tables are"),
        (["--lakehouse", __file__], "is a file; name the folder that pi-datasource ingest writes to"),
    ],
)
def test_what_it_needs_is_told(arguments: list[str], words: str) -> None:
    run = CliRunner().invoke(app, ["dashboard", *arguments])
    assert run.exit_code == 1
    assert words in run.stderr.replace("\n", " ")


def test_a_busy_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = CliRunner().invoke(app, ["dashboard", "--lakehouse", str(tmp_path), "--port", str(port)])
    assert run.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use); choose another --port" in run.stderr
