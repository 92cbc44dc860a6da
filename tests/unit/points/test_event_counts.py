"""Counts of a small part say about how many events the whole has; without them nothing is lost but balance."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from pi_datasource.errors import ServerFailed
from pi_datasource.model import Point, Window
from pi_datasource.options.declaration import Options
from pi_datasource.points import event_counts
from pi_datasource.webapi.client import PIClient
from tests.unit.fakes import BASE, point

URL = "https://pi.example/piwebapi"
DAY = Window(BASE, BASE + timedelta(days=1))
COUNTS = {"W_A": 5, "W_B": 0, "W_C": 100}


def client() -> PIClient:
    return PIClient(Options.parse({"url": URL, "max_retries": "0"}))


def counted(request: Any) -> tuple[int, dict[str, str], str]:
    """A PI server that counts what it is asked for in ``COUNTS``."""
    answers = {}
    for key, asked in json.loads(request.body).items():
        query = parse_qs(urlsplit(asked["Resource"]).query)
        assert urlsplit(asked["Resource"]).path == "/piwebapi/streamsets/summary"
        assert query["summaryType"] == ["Count"]
        assert query["startTime"] == ["2024-05-01T23:00:00Z"]
        assert query["endTime"] == ["2024-05-02T00:00:00Z"]
        items = [
            {"WebId": web_id, "Items": [{"Type": "Count", "Value": {"Value": COUNTS[web_id]}}]}
            for web_id in query["webId"]
            if web_id in COUNTS
        ]
        answers[key] = {"Status": 200, "Headers": {}, "Content": {"Items": items}}
    return 207, {}, json.dumps(answers)


@responses.activate
def test_the_last_hour_of_a_day_stands_for_the_day() -> None:
    responses.add_callback("POST", f"{URL}/batch", counted)
    found = event_counts.per_point(client(), [point("A"), point("B"), point("C")], DAY, tasks=8)
    assert found == [5 * 24, 0.5 * 24, 100 * 24]


@responses.activate
def test_a_point_that_was_not_counted_gets_the_mean() -> None:
    responses.add_callback("POST", f"{URL}/batch", counted)
    assert event_counts.per_point(client(), [point("A"), point("Z"), point("C")], DAY, tasks=8) == [
        120,
        1260,
        2400,
    ]


@responses.activate
def test_a_count_that_the_rate_limit_refuses_is_asked_for_again() -> None:
    naps: list[float] = []
    refused = json.dumps({"0": {"Status": 429, "Headers": {}, "Content": {"Errors": ["busy"]}}})
    for _ in range(2):
        responses.add("POST", f"{URL}/batch", refused, status=207)
    responses.add_callback("POST", f"{URL}/batch", counted)
    patient = PIClient(Options.parse({"url": URL, "max_retries": "2"}), naps.append)
    part = Window(BASE + timedelta(hours=23), BASE + timedelta(hours=24))
    assert event_counts.counts(patient, [point("A")], part) == {"W_A": 5.0}
    assert naps == [1, 2]


@responses.activate
def test_a_rate_limit_that_outlasts_the_retries_is_an_error_unless_it_is_waited_for() -> None:
    def refused(request: Any) -> tuple[int, dict[str, str], str]:
        busy = {"Status": 429, "Headers": {}, "Content": {"Errors": ["busy"]}}
        return 207, {}, json.dumps(dict.fromkeys(json.loads(request.body), busy))

    for _ in range(4):
        responses.add_callback("POST", f"{URL}/batch", refused)
    responses.add_callback("POST", f"{URL}/batch", counted)
    part = Window(BASE + timedelta(hours=23), BASE + timedelta(hours=24))
    with pytest.raises(ServerFailed, match="HTTP 429"):
        event_counts.counts(client(), [point("A")], part)
    given = {"url": URL, "max_retries": "0", "wait_for_server": "1h"}
    patient = PIClient(Options.parse(given), lambda _: None)
    assert event_counts.counts(patient, [point("A")], part) == {"W_A": 5.0}


@responses.activate
def test_of_many_points_a_sample_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_counts, "COUNTED_POINTS", 2)
    monkeypatch.setattr(event_counts, "WEIGHED_POINTS", 3)
    responses.add_callback("POST", f"{URL}/batch", counted)
    points = [point(name) for name in ("A", "B", "C", "D")]
    assert event_counts.per_point(client(), points, DAY, tasks=8) == [52.5 * 24] * 4
    asked = json.loads(responses.calls[0].request.body or "")
    assert [parse_qs(urlsplit(one["Resource"]).query)["webId"] for one in asked.values()] == [["W_A", "W_C"]]


@pytest.mark.parametrize(
    ("points", "window", "tasks"),
    [
        ([], DAY, 8),
        ([point("A")], DAY, 1),
        ([point("A")], Window(BASE, BASE + timedelta(hours=5)), 8),
        ([point(f"T{i}") for i in range(65)], DAY, 8),
    ],
    ids=["no point", "one task", "a short window", "many points a task"],
)
@responses.activate
def test_nothing_is_asked_where_it_does_not_pay(points: list[Point], window: Window, tasks: int) -> None:
    assert event_counts.per_point(client(), points, window, tasks) is None
    assert len(responses.calls) == 0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "{}"),
        (500, "{}"),
        (207, '{"ID": {"Status": 403, "Content": {"Message": "no"}}}'),
        (207, '{"ID": {"Status": 200, "Content": "text"}}'),
        (207, '{"ID": {"Status": 200, "Content": {"Items": [{"WebId": 5}]}}}'),
        (207, '{"ID": {"Status": 200, "Content": {"Items": [{"WebId": "W_A", "Items": [{"Value": {}}]}]}}}'),
        (207, "{"),
        (207, "[]"),
    ],
)
@responses.activate
def test_a_server_that_does_not_count_is_read_all_the_same(status: int, body: str) -> None:
    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        return status, {}, body.replace("ID", next(iter(json.loads(request.body))))

    responses.add_callback("POST", f"{URL}/batch", answer)
    assert event_counts.per_point(client(), [point("A")], DAY, tasks=8) is None
    assert len(responses.calls) == 1


@responses.activate
def test_counts_of_points_that_were_not_asked_for_are_left_out() -> None:
    def counted_too_much(request: Any) -> tuple[int, dict[str, str], str]:
        status, headers, body = counted(request)
        return status, headers, body.replace('"W_A"', '"W_Z"')

    responses.add_callback("POST", f"{URL}/batch", counted_too_much)
    part = Window(BASE + timedelta(hours=23), BASE + timedelta(days=1))
    assert event_counts.counts(client(), [point("A"), point("C")], part) == {"W_C": 100.0}


@responses.activate
def test_counts_of_another_call_are_not_used() -> None:
    """A proxy answers with the answer before; the call is sent again."""
    last = ["{}"]

    def late(request: Any) -> tuple[int, dict[str, str], str]:
        status, headers, body = counted(request)
        if len(responses.calls) == 1:
            return status, headers, last[0]
        last[0] = body
        return status, headers, body

    responses.add_callback("POST", f"{URL}/batch", late)
    part = Window(BASE + timedelta(hours=23), BASE + timedelta(days=1))
    api = PIClient(Options.parse({"url": URL, "max_retries": "1"}), sleep=lambda _: None)
    assert event_counts.counts(api, [point("A")], part) == {"W_A": 5.0}
    assert event_counts.counts(api, [point("C")], part) == {"W_C": 100.0}
    assert len(responses.calls) == 3
