"""The running program: sockets, sign-in, limits, adding points, starting and stopping."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

import mock_server
from mock_server import Plant, running
from mock_server.__main__ import main
from mock_server.server.fault_kinds import KINDS

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
HEADERS = {"X-Requested-With": "test"}


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def test_public_names_are_exactly_all() -> None:
    names = {"Event", "Faults", "Oidc", "Plant", "Point", "Server", "State", "TAG_PATTERN", "create_app"}
    names.add("running")
    assert set(mock_server.__all__) == names
    visible = {name for name in vars(mock_server) if not name.startswith("_")}
    modules = {name for name in visible if isinstance(getattr(mock_server, name), ModuleType)}
    assert visible - modules == names


def test_a_running_server_answers_and_then_is_gone(http: requests.Session) -> None:
    plant = Plant(tags=8, plants=2)
    with running(plant) as url:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/piwebapi", url)
        home = http.get(url, timeout=10)
        assert home.headers["content-type"] == "application/json; charset=utf-8"
        link = home.json()["Links"]["DataServers"]
        assert link == f"{url}/dataservers"
        points = http.get(http.get(link, timeout=10).json()["Items"][0]["Links"]["Points"], timeout=10).json()
        assert [item["Name"] for item in points["Items"]] == [point.name for point in plant.points]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(url.split(":")[2].split("/")[0]))) != 0


def test_the_injected_clock_is_the_present(http: requests.Session) -> None:
    plant = Plant(tags=8, plants=2)
    with running(plant, clock=lambda: NOW) as url:
        server = http.get(f"{url}/dataservers", timeout=10).json()["Items"][0]
        assert server["ServerTime"] == "2025-06-02T12:00:00.25Z"
        point = plant.points[0]
        answer = http.get(f"{url}/streams/{point.web_id()}/recorded?startTime=*-1h&maxCount=5000", timeout=10)
        truth = plant.oracle(point.name, NOW - timedelta(hours=1), NOW + timedelta(days=1), as_of=NOW)
        assert len(answer.json()["Items"]) == len(truth) > 100


def test_percent_encoding_survives_the_socket(http: requests.Session) -> None:
    plant = Plant(tags=8, plants=2)
    with running(plant) as url:
        answer = http.get(
            f"{url}/points", params={"path": f"\\\\PISIM01\\{plant.points[3].name}"}, timeout=10
        )
        assert answer.json()["Id"] == 4
        missing = http.get(f"{url}/points/%C3%A9%20%25", timeout=10)
        assert missing.status_code == 400


def test_basic_and_bearer_sign_in(http: requests.Session) -> None:
    with running(Plant(tags=4, plants=1), user="DOM\\pi", password="sé:cret", token="abc") as url:
        refused = http.get(url, timeout=10)
        assert refused.status_code == 401
        assert refused.json() == {"Message": "Authorization has been denied for this request."}
        assert "Basic" in refused.headers["WWW-Authenticate"]
        assert "Bearer" in refused.headers["WWW-Authenticate"]
        basic = (b"DOM\\pi", "sé:cret".encode())
        assert http.get(url, auth=basic, timeout=10).status_code == 200
        assert http.get(url, headers={"Authorization": "bearer abc"}, timeout=10).status_code == 200
        assert http.get(url, auth=("DOM\\pi", "wrong"), timeout=10).status_code == 401
        for value in (
            "Bearer abcd",
            "Bearer",
            "Basic",
            "Basic !!",
            "Basic YWJj",
            "Negotiate abc",
            "Basic w6k=",
        ):
            assert http.get(url, headers={"Authorization": value}, timeout=10).status_code == 401
        assert http.post(f"{url}/batch", data="{}", headers=HEADERS, timeout=10).status_code == 401
        assert http.get(url.removesuffix("/piwebapi"), timeout=10).status_code == 200


def test_a_basic_only_server_refuses_tokens(http: requests.Session) -> None:
    with running(Plant(tags=4, plants=1), user="pi", password="x") as url:
        answer = http.get(url, headers={"Authorization": "Bearer "}, timeout=10)
        assert answer.status_code == 401
        assert "Bearer" not in answer.headers["WWW-Authenticate"]


def test_batches_over_the_wire_keep_the_limit_of_four_megabytes(http: requests.Session) -> None:
    with running(Plant(tags=4, plants=1)) as url:
        answer = http.post(f"{url}/batch", data="{}" + " " * 5_000_000, headers=HEADERS, timeout=10)
        assert answer.status_code == 413
        member = {"1": {"Method": "GET", "Resource": f"{url}/system"}}
        answer = http.post(f"{url}/batch", json=member, headers=HEADERS, timeout=10)
        assert answer.status_code == 207
        assert answer.json()["1"]["Content"]["Links"]["Self"] == f"{url}/system"


def test_points_can_be_added_while_it_runs(http: requests.Session) -> None:
    plant = Plant(tags=8, plants=2)
    with running(plant, admin=True, clock=lambda: NOW) as url:
        admin = url.removesuffix("/piwebapi") + "/admin/points"
        created = http.post(admin, json={"count": 3}, timeout=10).json()["created"]
        assert [*created[0]] == ["name", "point_id", "point_type", "created"]
        assert {each["created"] for each in created} == {"2025-06-02T12:00:00.250000Z"}
        server = http.get(f"{url}/dataservers", timeout=10).json()["Items"][0]
        names = [item["Name"] for item in http.get(server["Links"]["Points"], timeout=10).json()["Items"]]
        assert names[8:] == [each["name"] for each in created] == [point.name for point in plant.points[8:]]
        value = http.get(f"{url}/streams/{plant.points[8].web_id()}/value", timeout=10).json()["Value"]
        assert value["Name"] == "Pt Created"
        for bad in ({}, {"count": 0}, {"count": "3"}, {"count": True}, [], None):
            assert http.post(admin, json=bad, timeout=10).status_code == 400
        assert http.get(admin, timeout=10).status_code == 405


def test_adding_needs_the_switch_and_the_sign_in(http: requests.Session) -> None:
    with running(Plant(tags=4, plants=1)) as url:
        admin = url.removesuffix("/piwebapi") + "/admin/points"
        assert http.post(admin, json={"count": 3}, timeout=10).status_code == 404
    with running(Plant(tags=4, plants=1), admin=True, user="u", password="p") as url:
        admin = url.removesuffix("/piwebapi") + "/admin/points"
        assert http.post(admin, json={"count": 3}, timeout=10).status_code == 401


def test_gzip_is_offered_only_when_switched_on(http: requests.Session) -> None:
    for gzip in (False, True):
        with running(Plant(tags=64, plants=1), gzip=gzip) as url:
            server = http.get(f"{url}/dataservers", timeout=10).json()["Items"][0]
            answer = http.get(server["Links"]["Points"], timeout=10)
            assert (answer.headers.get("content-encoding") == "gzip") is gzip
            assert len(answer.json()["Items"]) == 64


def test_several_clients_are_served_at_once() -> None:
    plant = Plant()
    with running(plant, clock=lambda: NOW) as url:

        def read(number: int) -> int:
            point = plant.points[number]
            answer = requests.get(f"{url}/streams/{point.web_id()}/recorded?startTime=*-2h", timeout=60)
            return len(answer.json()["Items"])

        with ThreadPoolExecutor(16) as pool:
            counts = list(pool.map(read, range(64)))
    truth = [
        len(plant.oracle(point.name, NOW - timedelta(hours=2), NOW + timedelta(seconds=1), as_of=NOW))
        for point in plant.points[:64]
    ]
    assert counts == [min(count, 1000) for count in truth]


def test_starting_and_stopping_raises_no_warning() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            with running(Plant(tags=4, plants=1)) as url, requests.Session() as session:
                session.get(url, timeout=10)
    assert [str(each.message) for each in seen] == []


@contextmanager
def program(*arguments: str) -> Iterator[Any]:
    """`python -m mock_server` and its first line of output."""
    command = [sys.executable, "-W", "error", "-m", "mock_server", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_program_says_where_it_is_and_stops_quietly(number: signal.Signals) -> None:
    with program("--port", "0", "--tags", "40", "--seed", "9") as (process, line):
        match = re.fullmatch(
            r"PI Web API simulator: (http://127\.0\.0\.1:\d+/piwebapi) \(40 points, seed 9\)\n", line
        )
        assert match is not None
        with requests.get(match[1], timeout=10) as answer:
            assert answer.status_code == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")


def test_a_busy_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with program("--port", str(port)) as (process, line):
            _, err = process.communicate(timeout=60)
            assert line == ""
            assert process.returncode == 1
            assert err.count("\n") == 1
            assert f"127.0.0.1:{port}" in err
            assert "--port" in err


def test_access_log_has_a_line_per_request(http: requests.Session, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    begun = datetime.now(timezone.utc)
    with running(Plant(tags=4, plants=1), access_log=log) as url:
        http.get(f"{url}/system?x=1", timeout=10)
        http.get(f"{url}/nope", timeout=10)
        member = {"Method": "GET", "Resource": f"{url}/system"}
        http.post(f"{url}/batch", json={"1": member, "2": member}, headers=HEADERS, timeout=10)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [(line[0], line[1], line[2]) for line in lines] == [
        ("GET", "/piwebapi/system?x=1", "200"),
        ("GET", "/piwebapi/nope", "404"),
        ("POST", "/piwebapi/batch", "207"),
    ]
    instants = [datetime.fromisoformat(line[4].replace("Z", "+00:00")) for line in lines]
    assert begun <= instants[0] <= instants[1] <= instants[2] <= datetime.now(timezone.utc)
    assert [(line[5], line[6]) for line in lines] == [("0", "-"), ("0", "-"), ("2", "-")]


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    flags = "port tags plants seed user token client-id auth tls max-items rate-limit max-url faults skew stale admin gzip"
    for flag in flags.split():
        assert f"--{flag}" in text
    for kind in KINDS.values():
        assert kind.about in text


def test_the_simulator_never_imports_the_client() -> None:
    code = "import mock_server, mock_server.__main__, sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not any(name.startswith("pi_datasource") for name in json.loads(result.stdout))
