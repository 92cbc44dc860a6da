"""``pi-datasource check``: what it finds of the simulator and of servers that something is wrong with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mock_server import Plant, running
from pi_datasource.cli import server_check
from pi_datasource.cli.server_check import Finding, ServerCheck
from pi_datasource.options.declaration import Options
from tests.unit.cli.conftest import NOW, Command
from tests.unit.fakes import Reply, WebServer, reply, says

NAMES = list(server_check.NAMES)
SERVERS = {"Items": [{"WebId": "S1", "Name": "SRV", "ServerTime": "2026-03-01T00:00:00Z"}]}
POINTS = {
    "Items": [
        {"WebId": "W1", "Name": "FIC1", "PointType": "Float32"},
        {"WebId": "W2", "Name": "FIC2", "PointType": "Float32"},
    ]
}
EVENTS = {"Status": 200, "Content": {"Items": [{"Timestamp": "2026-03-01T00:00:00Z", "Value": 1}]}}
TOO_MANY = {
    "Status": 400,
    "Content": {"Errors": ["Parameter maxCount is greater than the maximum allowed (150000)"]},
}
GOOD: dict[str, Any] = {
    "dataservers": SERVERS,
    "system": {"ProductTitle": "PI Web API", "ProductVersion": "1.19.0.1"},
    "dataservers/S1/points": POINTS,
    "batch": {"limit": TOO_MANY, "0": EVENTS, "1": EVENTS},
}

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def look(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Look:
    """The findings on a server that answers as ``GOOD`` says but for what is given; ours is the clock ``now``."""
    monkeypatch.setattr("time.sleep", lambda _: None)

    def run(answers: dict[str, Any] | None = None, now: datetime = NOW, **options: str) -> dict[str, Finding]:
        known = {**GOOD, **(answers or {})}

        def play(handler: Any) -> None:
            answer = known[handler.path.partition("?")[0].removeprefix("/piwebapi/")]
            played: Reply = answer if callable(answer) else says(answer)
            played(handler)

        web.answers(play)
        parsed = Options.parse({"url": web.url, "timeout": "5s", **options})
        return {finding.name: finding for finding in ServerCheck(parsed, lambda: now).run()}

    return run


def verdicts(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.verdict for name, finding in found.items() if finding.verdict != "ok"}


def skipped_after(name: str) -> dict[str, str]:
    return dict.fromkeys(NAMES[NAMES.index(name) + 1 :], "skipped")


PLAIN = {"encryption": "warning"}  # the scripted servers have no TLS


class TestAgainstTheSimulator:
    """All of it, over the command."""

    def test_a_good_server_is_told_as_such_in_four_requests(
        self, plant: Plant, command: Command, tmp_path: Path
    ) -> None:
        log = tmp_path / "access.log"
        with running(plant, user="PLANT\\reader", password="pw", access_log=log) as url:
            said = command("check", url, "--username", "PLANT\\reader", "--password", "pw", "--json")
        told = json.loads(said.stdout)
        found = {each["name"]: each for each in told["checks"]}
        assert list(found) == NAMES
        assert (told["url"], told["verdict"]) == (url, "warning")
        assert [name for name, each in found.items() if each["verdict"] != "ok"] == ["encryption"]
        assert found["sign-in"]["finding"] == "user name and password (Basic) are accepted"
        assert found["data servers"]["finding"] == plant.catalog.server.name
        assert found["tags"]["finding"].startswith(f"24 selected, such as {plant.points[0].name}, ")
        assert found["limits"]["finding"] == "at most 150,000 events in one response; 'page_size' is 10,000"
        assert len(log.read_text(encoding="utf-8").splitlines()) == 4

    def test_the_sample_is_what_the_tags_recorded_in_the_last_hour(
        self, plant: Plant, url: str, command: Command
    ) -> None:
        told = json.loads(command("check", "--url", url, "--json").stdout)
        hour = NOW - timedelta(hours=1)
        within = NOW + timedelta(microseconds=1)  # PI's windows include their end
        names = [point.name for point in plant.points[:10]]
        events = sum(min(1000, len(plant.oracle(name, hour, within, as_of=NOW))) for name in names)
        assert told["checks"][-1]["finding"].startswith(f"{events:,} events of 10 tags in ")

    def test_a_table_shows_each_check_with_its_advice(self, command: Command) -> None:
        said = command("check")
        assert [line.split("  ")[0] for line in said.stdout.splitlines() if line[0] != " "] == [
            "check",
            *NAMES,
        ]
        assert "→ use https" in said.stdout
        assert said.stderr == ""

    @pytest.mark.parametrize("form", [[], ["--json"]])
    def test_a_failure_is_exit_code_one_and_a_line_on_stderr(
        self, plant: Plant, command: Command, form: list[str]
    ) -> None:
        with running(plant, user="u", password="pw") as url:
            said = command(
                "check", "--url", url, "--username", "u", "--password", "CANARY", *form, exit_code=1
            )
        assert said.stderr.startswith("pi-datasource: GET dataservers: HTTP 401: ")
        assert len(said.stderr.splitlines()) == 1
        assert "failed" in said.stdout
        assert "CANARY" not in said.output

    def test_the_address_is_asked_for(self, command: Command) -> None:
        said = command("check", "--url", "", exit_code=1)
        assert said.stderr.startswith("pi-datasource: option 'url': is not a valid address")


class TestOneThingWrong:
    """Servers that are good but for one thing."""

    def test_nothing_is_wrong(self, look: Look, web: WebServer) -> None:
        assert verdicts(look()) == PLAIN
        assert [asked.method for asked in web.asked] == ["GET", "GET", "GET", "POST"]
        sent = json.loads(web.asked[-1].body)
        assert sorted(sent) == ["0", "1", "limit"]
        assert "maxCount=2147483647" in sent["limit"]["Resource"]

    @pytest.mark.parametrize(
        ("answer", "name", "text"),
        [
            (reply(401, WWW_Authenticate="Negotiate"), "sign-in", "it offers Negotiate"),
            (reply(404), "data servers", "check that 'url' ends in /piwebapi"),
            (reply(403), "data servers", "ask for the right to read"),
            (
                reply(200, b"<html>Sign in", kind="text/html"),
                "data servers",
                "check that 'url' is the address",
            ),
            (reply(302, Location="https://portal"), "data servers", "redirects to https://portal"),
            (says({"Items": []}), "data servers", "knows no data server"),
        ],
    )
    def test_a_server_that_does_not_let_us_in(self, look: Look, answer: Reply, name: str, text: str) -> None:
        found = look({"dataservers": answer})
        rest = dict.fromkeys(NAMES[2:], "skipped")
        assert verdicts(found) == {**PLAIN, **rest, name: "failed"}
        assert text in found[name].finding

    def test_a_server_that_is_not_there(self, web: WebServer) -> None:
        options = Options.parse({"url": "http://127.0.0.1:9", "max_retries": "0"})
        found = {each.name: each for each in ServerCheck(options, lambda: NOW).run()}
        assert verdicts(found) == {**dict.fromkeys(NAMES, "skipped"), "connection": "failed"}
        assert web.asked == []

    @pytest.mark.parametrize("status", [403, 404, 500])
    def test_a_version_that_is_not_told_is_no_failure(self, look: Look, web: WebServer, status: int) -> None:
        assert verdicts(look({"system": reply(status)})) == {**PLAIN, "version": "warning"}
        assert len(web.asked) == (5 if status == 500 else 4)  # asked once more at most

    def test_a_version_before_webids_that_stay_is_told(self, look: Look) -> None:
        old = {"ProductTitle": "PI Web API", "ProductVersion": "1.9.0.266"}
        found = look({"system": old})
        assert verdicts(found) == {**PLAIN, "version": "warning"}
        assert "2017 R2" in found["version"].advice
        assert (
            verdicts(look({"system": {"ProductTitle": "PI Web API", "ProductVersion": "1.10.0.1"}})) == PLAIN
        )

    @pytest.mark.parametrize(
        ("seconds", "verdict", "text"),
        [(1.9, "ok", "1.9 s behind"), (-1.9, "ok", "1.9 s ahead of"), (75, "warning", "75.0 s behind"),
         (-75, "warning", "75.0 s ahead of")],
    )  # fmt: skip
    def test_the_skew_of_the_clocks_is_measured(
        self, look: Look, seconds: float, verdict: str, text: str
    ) -> None:
        found = look(now=NOW + timedelta(seconds=seconds))["clock"]
        assert found.verdict == verdict
        assert found.finding == f"2026-03-01T00:00:00Z; {text} this machine (within 0.00 s)"

    def test_a_slow_answer_makes_the_skew_less_certain(self, web: WebServer) -> None:
        moments = iter([NOW, NOW + timedelta(seconds=8)])
        web.answers(says(SERVERS), says(GOOD["system"]), says(POINTS), says(GOOD["batch"]))
        checks = ServerCheck(Options.parse({"url": web.url}), lambda: next(moments)).run()
        (clock,) = [each for each in checks if each.name == "clock"]
        assert clock.finding.endswith("4.0 s behind this machine (within 4.00 s)")
        assert clock.verdict == "ok"

    def test_the_server_furthest_off_is_the_one_told(self, look: Look) -> None:
        others = [("A", "2026-03-01T00:00:01Z"), ("B", "2026-02-28T23:58:00Z")]
        listed = {"Items": [{"WebId": "S1", "Name": name, "ServerTime": at} for name, at in others]}
        assert "120.0 s behind" in look({"dataservers": listed})["clock"].finding

    def test_a_window_that_ends_before_it_starts(self, look: Look) -> None:
        found = look(start_time="*-1h", end_time="*-2h")
        assert verdicts(found) == {**PLAIN, "window": "failed"}
        assert look(start_time="t-1d")["window"].finding == "[2026-02-28T00:00:00Z, 2026-03-01T00:00:00Z)"

    def test_tags_that_do_not_exist_end_the_look(self, look: Look) -> None:
        found = look({"dataservers/S1/points": {"Items": []}}, tags="FIQ*")
        assert verdicts(found) == {**PLAIN, **skipped_after("tags"), "tags": "failed"}
        assert "'FIQ*'" in found["tags"].finding

    def test_a_page_that_may_not_be_all_is_told_as_such(self, look: Look) -> None:
        assert look()["tags"].finding == "2 selected, such as FIC1, FIC2"
        assert look(tags="FIC*,F*,*IC*")["tags"].finding == "2 selected, such as FIC1, FIC2"
        some = look(tags="FIC*,F*,*IC*,FI*")["tags"].finding
        assert some == "2 selected on the first pages alone, such as FIC1, FIC2"

    @pytest.mark.parametrize(
        "answer", [reply(400, b'{"Errors":["X-Requested-With"]}'), reply(403), says({"0": EVENTS}), says([])]
    )
    def test_a_batch_that_is_not_let_in(self, look: Look, answer: Reply) -> None:
        found = look({"batch": answer})
        assert verdicts(found) == {**PLAIN, **skipped_after("batch"), "batch": "failed"}
        assert found["batch"].advice

    @pytest.mark.parametrize(
        "answer", [{"limit": TOO_MANY, "0": EVENTS}, {**GOOD["batch"], "2": EVENTS}, "not an object"]
    )
    def test_an_answer_to_another_batch_is_a_proxys(self, look: Look, answer: Any) -> None:
        assert look({"batch": answer})["batch"].advice == "look for a proxy in between"

    @pytest.mark.parametrize(
        ("answer", "size", "verdict", "text"),
        [
            (TOO_MANY, "150000", "ok", "at most 150,000 events in one response; 'page_size' is 150,000"),
            (TOO_MANY, "150001", "warning", "at most 150,000 events in one response"),
            (EVENTS, "10000", "ok", "no limit on the events of one response"),
            (
                {"Status": 500, "Content": "No."},
                "10000",
                "warning",
                "the maximum is unknown (HTTP 500 No.)",
            ),
            (
                "odd",
                "10000",
                "warning",
                "the maximum is unknown (the answer cannot be read: Expected `object | null`, got `str`)",
            ),
            ({"Status": 503, "Content": None}, "10000", "warning", "the maximum is unknown (HTTP 503)"),
        ],
    )
    def test_the_limit_is_what_the_server_says(
        self, look: Look, answer: Any, size: str, verdict: str, text: str
    ) -> None:
        found = look({"batch": {**GOOD["batch"], "limit": answer}}, page_size=size)["limits"]
        assert (found.verdict, found.finding) == (verdict, text)

    @pytest.mark.parametrize(
        ("answers", "verdict", "text"),
        [
            ([EVENTS, {"Status": 403, "Content": {"Errors": ["No access."]}}], "warning",
             "1 of 2 tags cannot be read: FIC2 (HTTP 403) No access."),
            ([{"Status": 404, "Content": "gone"}] * 2, "failed", "2 of 2 tags cannot be read: FIC1 (HTTP 404) gone"),
            ([EVENTS, {"Status": 200, "Content": None}], "warning",
             "1 of 2 tags cannot be read: FIC2: HTTP 200 without data: null"),
            ([{"Status": 200, "Content": {}}] * 2, "warning", "no event of 2 tags in the last hour"),
        ],
    )  # fmt: skip
    def test_the_right_to_read_data_is_tried(
        self, look: Look, answers: list[Any], verdict: str, text: str
    ) -> None:
        found = look({"batch": {"limit": TOO_MANY, "0": answers[0], "1": answers[1]}})["data"]
        assert (found.verdict, found.finding) == (verdict, text)
        assert found.advice

    def test_a_certificate_that_is_not_checked_is_a_warning(self) -> None:
        def encryption(**given: str) -> Finding:
            return ServerCheck(Options.parse({"url": "https://h", **given}), lambda: NOW)._encryption()

        assert encryption(verify_tls="false").verdict == "warning"
        assert encryption(ca_bundle="/etc/pi.pem").finding == "the certificate is trusted by /etc/pi.pem"
        assert encryption().verdict == "ok"


def test_the_verdict_is_the_worst_of_all() -> None:
    def of(*verdicts: Any) -> str:
        return server_check.worst([Finding("x", verdict, "") for verdict in verdicts])

    assert [of(), of("ok", "skipped"), of("ok", "warning"), of("warning", "failed", "ok")] == [
        "ok", "ok", "warning", "failed",
    ]  # fmt: skip
