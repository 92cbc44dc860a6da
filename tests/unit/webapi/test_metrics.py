"""What a read has cost the server is counted: requests, repetitions, and waits that a rate limit made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pyarrow as pa
import pytest

from pi_datasource import schema
from pi_datasource.model import ReadTask
from pi_datasource.recorded import fetch
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.metrics import RequestMetrics
from tests.unit.fakes import BASE, SECOND, FakePI, WebServer, cut, point, reply, says, window

Connect = Callable[..., PIClient]
GOOD = {"0": {"Status": 200, "Content": {"Items": []}}}


def task(*names: str, report_metrics: bool) -> ReadTask:
    points = tuple(point(name) for name in names)
    return ReadTask(
        "pi_timeseries",
        window(0, 100 * SECOND),
        points,
        BASE,
        page_size=10,
        batch_size=100,
        report_metrics=report_metrics,
    )


def told(server: FakePI, asked: ReadTask) -> list[dict[str, float]]:
    """The contents of all rows that tell of metrics."""
    target = schema.timeseries((), include_metadata=False)
    rows = pa.Table.from_batches(fetch.run(server, asked, target), target).to_pylist()  # type: ignore[arg-type]
    return [json.loads(row["value_string"]) for row in rows if row["value_kind"] == schema.READ_METRICS]


def test_a_call_that_works_is_one_call(web: WebServer, connect: Connect) -> None:
    web.answers(says(GOOD))
    api = connect()
    api.batch({"0": "http://h/x"})
    assert api.metrics == RequestMetrics(calls=1)


@pytest.mark.parametrize(("status", "held_back_s"), [(429, 3.0), (503, 0.0)])
def test_what_is_asked_again_is_a_call_and_a_retry(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, status: int, held_back_s: float
) -> None:
    clock = [100.0]
    monkeypatch.setattr("pi_datasource.webapi.deadline_adapter.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda s: clock.__setitem__(0, clock[0] + s))
    web.answers(reply(status, Retry_After="3"), says(GOOD))
    api = connect()
    api.batch({"0": "http://h/x"})
    assert api.metrics == RequestMetrics(calls=2, retries=1, throttled_seconds=held_back_s)
    assert len(web.asked) == 2


def test_a_body_that_was_cut_is_a_retry_without_throttling(web: WebServer, connect: Connect) -> None:
    web.answers(cut(b"{}" * 50, 3), says(GOOD))
    api = connect()
    api.batch({"0": "http://h/x"})
    assert api.metrics == RequestMetrics(calls=2, retries=1)


def test_the_waits_of_a_rate_are_counted(web: WebServer, connect: Connect, naps: list[float]) -> None:
    web.answers(says(GOOD))
    api = connect(requests_per_second="4")
    for _ in range(3):
        api.batch({"0": "http://h/x"})
    assert naps
    assert api.metrics.throttled_seconds == pytest.approx(sum(naps))
    assert api.metrics.calls == 3


def test_a_task_tells_its_own_effort_and_not_that_of_the_task_before() -> None:
    server = FakePI({f"W_{name}": [(i * SECOND, float(i)) for i in range(3)] for name in "AB"})
    server.metrics = RequestMetrics(70, 7, 7.0)  # of an earlier task in the same process
    server.failures = {"W_B": [(503, "busy"), (429, "Rate limit was reached")]}
    (row,) = told(server, task("A", "B", report_metrics=True))
    assert row == asdict(RequestMetrics(calls=len(server.calls), retries=2, throttled_seconds=1.0))


def test_a_task_tells_where_its_micro_batch_ends_without_any_point_as_well() -> None:
    ends = {"version": 2, "to": "2024-05-01T00:01:40Z"}
    for names, calls in ((("A",), 1), ((), 0)):
        server = FakePI({"W_A": [(SECOND, 1.0)]})
        (row,) = told(server, replace(task(*names, report_metrics=True), offset=json.dumps(ends)))
        assert row == {**asdict(RequestMetrics(calls=calls)), "offset": ends}


def test_a_task_that_is_not_asked_tells_nothing() -> None:
    assert told(FakePI({"W_A": [(SECOND, 1.0)]}), task("A", report_metrics=False)) == []
