"""Faults as real clients meet them: over sockets, each once, and then the right answer."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from mock_server import Faults, Plant, running
from mock_server.server import fault_kinds
from mock_server.server.fault_kinds import KINDS

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
PLANT = Plant(seed=3, tags=8, plants=1)
PATH = f"/streams/{PLANT.points[0].web_id()}/recorded?startTime=*-30m"
Ask = Callable[[], requests.Response]


@pytest.fixture(scope="module")
def right() -> Any:
    with running(PLANT, clock=lambda: NOW) as url:
        return requests.get(url + PATH, timeout=10).json()


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def status(code: int, kind: str, pattern: str, **headers: str) -> Callable[[Ask, Any], None]:
    """The answer has this status, kind of body, and headers."""

    def check(ask: Ask, _: Any) -> None:
        answer = ask()
        assert answer.status_code == code
        assert answer.headers["Content-Type"].startswith(kind)
        assert re.search(pattern, answer.text)
        for name, value in headers.items():
            assert answer.headers[name.replace("_", "-")] == value

    return check


def broken(words: str) -> Callable[[Ask, Any], None]:
    """The client sees a broken connection and says so."""

    def check(ask: Ask, _: Any) -> None:
        with pytest.raises(requests.RequestException, match=words):
            ask()

    return check


def is_right(ask: Ask, right: Any) -> None:
    assert ask().json() == right


def is_silent(ask: Ask, _: Any) -> None:
    with pytest.raises(requests.ReadTimeout):
        ask()


def is_no_json(ask: Ask, _: Any) -> None:
    answer = ask()
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"]) > 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def is_empty(ask: Ask, _: Any) -> None:
    answer = ask()
    assert (answer.status_code, answer.content) == (200, b"")


def has_exception(ask: Ask, right: Any) -> None:
    answer = ask().json()
    assert answer["WebException"]["StatusCode"] == 500
    assert answer["Items"] == right["Items"][: len(right["Items"]) // 2]


def has_value_errors(ask: Ask, right: Any) -> None:
    answer = ask().json()["Items"]
    assert [each["Timestamp"] for each in answer] == [each["Timestamp"] for each in right["Items"]]
    assert sum("Errors" in each for each in answer) == 1


def has_a_date(ask: Ask, _: Any) -> None:
    answer = ask()
    assert answer.status_code == 503
    after = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(
        answer.headers["Date"]
    )
    assert timedelta(seconds=0) <= after <= timedelta(seconds=2)


def has_a_reason(ask: Ask, _: Any) -> None:
    answer = ask()
    assert (answer.status_code, answer.reason, answer.content) == (429, "Rate limit was reached", b"")


DENIED = "Authorization has been denied"
SEEN: dict[str, Callable[[Ask, Any], None]] = {
    "slow": is_right,
    "hang": is_silent,
    "trickle": broken("Incomplete|timed out|broken"),
    "reset": broken("[Rr]eset"),
    "close": broken("without response"),
    "cut": broken("IncompleteRead"),
    "cut-chunked": broken("ended prematurely|IncompleteRead"),
    "malformed": is_no_json,
    "empty": is_empty,
    "portal": status(200, "text/html", "Sign in"),
    "401": status(401, "application/json", DENIED, WWW_Authenticate="Bearer"),
    "401-expired": status(
        401,
        "application/json",
        DENIED,
        WWW_Authenticate='Bearer error="invalid_token", error_description="The token expired"',
    ),
    "403": status(403, "application/json", '"Errors"'),
    "404": status(404, "application/json", '"Errors"'),
    "404-message": status(404, "application/json", '"Message"'),
    "409-text": status(409, "text/plain", "ParentIds"),
    "429": status(429, "application/json", "Rate limit was reached"),
    "429-reason": has_a_reason,
    "500": status(500, "application/json", '"Errors"'),
    "500-text": status(500, "text/plain", "An error"),
    "502": status(502, "text/html", "502 Bad Gateway.*nginx|502 Bad Gateway"),
    "503": status(503, "application/json", '"Errors"'),
    "503-page": status(503, "text/html", "HTTP Error 503"),
    "503-seconds": status(503, "text/html", "503", Retry_After="1"),
    "503-date": has_a_date,
    "504": status(504, "text/html", "504 Gateway"),
    "web-exception": has_exception,
    "value-errors": has_value_errors,
}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults that take a minute take a moment."""
    monkeypatch.setattr(fault_kinds, "HANG_S", 0.2)
    monkeypatch.setattr(fault_kinds, "SLOW_S", 0.05)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("fault", SEEN)
def test_a_client_sees_the_fault_and_then_the_right_answer(
    http: requests.Session, right: Any, fault: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    faults = Faults(1, {fault: 1.0}, tries=1)
    with running(PLANT, clock=lambda: NOW, faults=faults, access_log=log) as url:
        SEEN[fault](lambda: http.get(url + PATH, timeout=0.5 if fault == "hang" else 10), right)
        is_right(lambda: http.get(url + PATH, timeout=10), right)
    assert [line.split()[6] for line in log.read_text().splitlines()] == [fault, "-"]


def test_every_fault_is_seen() -> None:
    assert set(SEEN) == set(KINDS)


def test_hanging_clients_keep_nobody_else_waiting(http: requests.Session) -> None:
    with running(PLANT, faults=Faults(1, {"hang": 1.0}, tries=1), admin=True) as url:
        host, port = url.split("/")[2].split(":")
        hanging = [socket.create_connection((host, int(port))) for _ in range(100)]
        try:
            for number, each in enumerate(hanging):
                each.sendall(b"GET /piwebapi/system?%d HTTP/1.1\r\nHost: h\r\n\r\n" % number)
            counters = url.replace("/piwebapi", "/admin/counters")
            for _ in range(500):
                met = http.get(counters, timeout=10).json()["faults"]
                if met == {"hang": 100}:
                    break
                time.sleep(0.01)
            assert met == {"hang": 100}
            with ThreadPoolExecutor(8) as pool:
                answers = pool.map(lambda _: requests.get(counters, timeout=10).status_code, range(50))
            assert {*answers} == {200}
        finally:
            for each in hanging:
                each.close()


def test_faults_are_spread_over_a_real_session(http: requests.Session) -> None:
    """Whoever asks again often enough gets every answer, whatever happens in between."""
    faults = Faults.parse("11:reset=0.2,cut=0.2,500=0.2,malformed=0.1", tries=2)
    with running(PLANT, clock=lambda: NOW, faults=faults) as url, running(PLANT, clock=lambda: NOW) as good:
        failures = 0
        for point in PLANT.points:
            path = f"/streams/{point.web_id()}/recorded?startTime=*-30m"
            wanted = http.get(good + path, timeout=10).json()["Items"]
            for _ in range(3):
                try:
                    answer = http.get(url + path, timeout=10)
                    answer.raise_for_status()
                    got = answer.json()["Items"]
                    break
                except requests.RequestException:
                    failures += 1
            assert got == wanted
    assert failures >= 3
