"""Tasks into batches against a PI Web API in memory: every event once, in order, whatever the pages."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_datasource import schema
from pi_datasource.errors import (
    PointFailure,
    ReadFailed,
    RequestRefused,
    ServerTimeout,
    ServerUnreachable,
)
from pi_datasource.model import Point, ReadTask
from pi_datasource.recorded import fetch, sizing
from tests.unit.fakes import BASE, SECOND, FakePI, expected_rows, moment, point, window, wire

SCHEMA = schema.timeseries()
FOREVER = 3600 * SECOND


def task(
    *points: Point,
    start: int = 0,
    end: int = FOREVER,
    page_size: int = 1000,
    batch_size: int = 100,
    on_error: Literal["fail", "report"] = "fail",
    read_mode: Literal["auto", "streamsets", "streams"] = "streams",
) -> ReadTask:
    return ReadTask(
        "pi_timeseries",
        window(start, end),
        points or (point(),),
        BASE,
        page_size,
        batch_size,
        on_error,
        read_mode,
    )


def read(server: FakePI, asked: ReadTask) -> dict[str, list[tuple[Any, ...]]]:
    """(timestamp, sequence, value) of each tag in the order delivered."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for batch in fetch.run(server, asked, SCHEMA):  # type: ignore[arg-type]
        assert batch.schema.equals(SCHEMA)
        assert batch.num_rows
        columns = (batch.column(name).to_pylist() for name in ("tag_name", "timestamp", "sequence", "value"))
        for name, *row in zip(*columns, strict=True):
            rows.setdefault(name, []).append(tuple(row))
    return rows


def steady(count: int, step: int = SECOND) -> list[tuple[int, float]]:
    return [(i * step, float(i)) for i in range(count)]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, float]]:
    """Events close together: many share a timestamp, many a microsecond."""
    steps = draw(st.lists(st.sampled_from([0, 0, 0, 1, 3, 10, 10, 25, SECOND]), max_size=40))
    ticks = draw(st.sampled_from([0, 0, 7, 100]))
    events = []
    for i, step in enumerate(steps):
        ticks += step
        events.append((ticks, float(i)))
    return events


@settings(max_examples=120)
@given(
    histories=st.lists(histories(), min_size=1, max_size=4),
    page_size=st.integers(1, 9) | st.integers(10, 60),
    batch_size=st.integers(1, 5),
    start=st.integers(0, 30),
    length=st.integers(0, 40) | st.just(60 * SECOND // 10),
    limit=st.sampled_from([45, 150_000]),
    flaky=st.booleans(),
)
def test_every_event_of_the_window_comes_once_in_order_with_its_number(  # noqa: PLR0917 - drawn by name
    histories: list[list[tuple[int, float]]],
    page_size: int,
    batch_size: int,
    start: int,
    length: int,
    limit: int,
    flaky: bool,
) -> None:
    points = [point(f"T{i}") for i in range(len(histories))]
    server = FakePI({p.web_id: events for p, events in zip(points, histories, strict=True)}, limit)
    server.most_calls = 2000
    if flaky:
        server.failures = {p.web_id: [(503, "busy")] * 2 for p in points}
    begin, end = start * 10, (start + length) * 10
    asked = task(*points, start=begin, end=end, page_size=page_size, batch_size=batch_size)
    wanted = {p.name: expected_rows(h, begin, end) for p, h in zip(points, histories, strict=True)}
    assert read(server, asked) == {name: rows for name, rows in wanted.items() if rows}
    assert all(len(call) <= batch_size for call in server.calls)


@settings(max_examples=120)
@given(
    histories=st.lists(histories(), min_size=1, max_size=12),
    page_size=st.integers(1, 9) | st.integers(10, 60),
    batch_size=st.integers(1, 12),
    tags_per_set=st.integers(1, 5),
    limit=st.sampled_from([45, 150_000]),
    kind=st.sampled_from(["each", "shared", "refused", "one bad", "busy"]),
)
def test_stream_sets_bring_the_same_whatever_the_server_makes_of_them(  # noqa: PLR0917 - drawn by name
    histories: list[list[tuple[int, float]]],
    page_size: int,
    batch_size: int,
    tags_per_set: int,
    limit: int,
    kind: str,
) -> None:
    points = [point(f"T{i}") for i in range(len(histories))]
    server = FakePI({p.web_id: events for p, events in zip(points, histories, strict=True)}, limit)
    server.most_calls = 3000
    server.sets_share_the_count = kind == "shared"
    server.refuses_sets = (404, "No HTTP resource was found") if kind == "refused" else None
    server.failures = {points[0].web_id: [(400, "Bad")]} if kind == "one bad" else {}
    server.failures = {p.web_id: [(429, "Rate limit was reached")] for p in points} if kind == "busy" else {}
    asked = task(*points, page_size=page_size, batch_size=batch_size, read_mode="auto")
    wanted = {p.name: expected_rows(h, 0, FOREVER) for p, h in zip(points, histories, strict=True)}
    limits = sizing.Sizes.of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizing.Sizes, "of", lambda each: replace(limits(each), tags_per_set=tags_per_set))
        rows = read(server, asked)
    assert rows == {name: found for name, found in wanted.items() if found}
    assert all(len(call) <= batch_size for call in server.calls)


def test_a_set_is_one_request_for_many_tags_and_what_is_cut_goes_on_alone() -> None:
    server = FakePI({"W_A": steady(25), "W_B": steady(3), "W_C": steady(4)})
    read(server, task(*(point(name) for name in "ABC"), page_size=10, read_mode="auto"))
    assert [[web_id for web_id, _, _ in call] for call in server.calls] == [
        ["W_A", "W_B", "W_C"],
        ["W_A"],
        ["W_A"],
    ]
    assert server.shapes == [[3], [1], [1]]


def test_a_server_that_refuses_two_sets_is_asked_for_no_more() -> None:
    server = FakePI({f"W_T{i}": steady(2) for i in range(9)})
    server.refuses_sets = (403, "disabled")
    rows = read(server, task(*(point(f"T{i}") for i in range(9)), batch_size=2, read_mode="auto"))
    assert len(rows) == 9
    assert sum(len(call) for call in server.calls) <= 9 + 2 * 3
    assert server.shapes[-1] == [1] or set(server.shapes[-1]) == {1}


def test_a_stream_with_nothing_but_errors_in_a_set_is_asked_for_alone_and_named() -> None:
    class Broken(FakePI):
        """A set hides the failure of a stream in values; the stream alone tells it."""

        def _set(self, web_ids: list[str], asked: dict[str, str]) -> dict[str, Any]:
            assert asked["webIdType"] == "IDOnly"
            items = [
                {
                    "WebId": web_id,
                    "Items": [{"Timestamp": wire(0), "Errors": [{"FieldName": "Value", "Message": ["off"]}]}],
                }
                for web_id in web_ids
            ]
            return {"Status": 200, "Headers": {}, "Content": {"Items": items}}

    server = Broken({"W_A": steady(3)})
    server.always_fails = {"W_B": (404, "gone")}
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A"), point("B"), read_mode="auto"))
    assert [failure.point for failure in caught.value.failures] == ["B"]


def test_the_pause_that_the_server_asks_for_is_kept() -> None:
    server = FakePI({"W_A": steady(3)})
    server.failures = {"W_A": [(429, "Rate limit was reached")]}
    server.headers = {"Retry-After": "7"}
    read(server, task(point("A")))
    assert (server.pauses, server.least_pauses_s) == ([0], [7.0])


@pytest.mark.parametrize(
    ("columns", "fields"),
    [
        (["tag_name", "timestamp", "value"], "Timestamp Value Errors"),
        (["timestamp", "good", "annotated"], "Timestamp Good Annotated Errors"),
        (["tag_webid"], "Timestamp Errors"),
        (SCHEMA.names, "Timestamp Value Good Questionable Substituted Annotated Errors"),
    ],
)
def test_only_the_fields_that_the_columns_need_are_asked_for(columns: list[str], fields: str) -> None:
    server = FakePI({"W_A": steady(3)})
    wanted = pa.schema([SCHEMA.field(name) for name in columns])
    for mode in ("streams", "auto"):
        full = pa.Table.from_batches(fetch.run(server, task(point("A"), read_mode=mode), SCHEMA))  # type: ignore[arg-type]
        narrow = pa.Table.from_batches(fetch.run(server, task(point("A"), read_mode=mode), wanted))  # type: ignore[arg-type]
        assert narrow.equals(full.select(columns))
        prefix = "Items." if mode == "streams" else "Items.Items."
        asked = [name for name in server.selected[-1].split(";") if name.startswith(prefix)]
        assert asked == [prefix + name for name in fields.split()]


def test_a_slow_server_that_has_answered_before_is_asked_for_less() -> None:
    class Slow(FakePI):
        """Answers small calls only, once it has answered at all."""

        def batch(self, urls: dict[str, str], *_: Any) -> bytes:
            body = super().batch(urls)
            if len(self.calls) > 1 and sum(size for _, _, size in self.calls[-1]) > 30_000:
                message = "POST batch: no complete answer"
                raise ServerTimeout(message)
            return body

    server = Slow({"W_A": steady(3), "W_B": steady(4)})
    asked = task(point("A"), point("B"), page_size=100_000, batch_size=1)
    assert {name: len(rows) for name, rows in read(server, asked).items()} == {"A": 3, "B": 4}
    assert [size for call in server.calls for _, _, size in call] == [50_000, 50_000, 12_500]


def test_a_server_that_never_answered_is_not_asked_twice_for_a_short_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = FakePI({"W_A": steady(3)})

    def late(*_: Any) -> Any:
        server.calls.append([])
        message = "POST batch: no complete answer"
        raise ServerTimeout(message)

    monkeypatch.setattr(server, "batch", late)
    with pytest.raises(ServerTimeout, match="while reading"):
        read(server, task(point("A"), end=60 * SECOND))
    assert len(server.calls) == 1


def test_a_paced_task_sends_small_calls_and_tells_the_client_its_share() -> None:
    server = FakePI({f"W_T{i}": steady(2) for i in range(20)})
    asked = replace(task(*(point(f"T{i}") for i in range(20))), requests_per_second=8.0)
    assert len(read(server, asked)) == 20
    assert server.paced == 8.0
    assert max(len(shape) for shape in server.shapes) <= 4


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 10, 11])
def test_a_window_cut_anywhere_has_no_gap_and_no_overlap(page_size: int) -> None:
    events = steady(10, 7)  # 0.7 µs apart: pages and windows end within microseconds
    server = FakePI({"W_A": events})
    parts = [task(point("A"), start=a, end=b, page_size=page_size) for a, b in ((0, 30), (30, 40), (40, 100))]
    assert [row for part in parts for row in read(server, part).get("A", [])] == expected_rows(events, 0, 100)


@pytest.mark.parametrize(("count", "calls"), [(999, 1), (1000, 2), (1001, 2)])
def test_a_full_page_is_the_only_sign_of_a_cut_answer(count: int, calls: int) -> None:
    server = FakePI({"W_A": steady(count)})
    assert read(server, task(point("A"))) == {"A": expected_rows(steady(count), 0, FOREVER)}
    assert len(server.calls) == calls


def test_the_next_page_starts_at_the_last_timestamp_with_all_its_digits() -> None:
    server = FakePI({"W_A": [(0, 0.0), (12_345_678, 1.0), (12_345_679, 2.0)]})
    read(server, task(point("A"), page_size=2))
    assert server.calls[:2] == [
        [("W_A", "2024-05-01T00:00:00Z", 2)],
        [("W_A", "2024-05-01T00:00:01.2345678Z", 2)],
    ]


def test_a_point_that_is_complete_is_not_asked_again() -> None:
    server = FakePI({"W_A": steady(25), "W_B": steady(3)})
    read(server, task(point("A"), point("B"), page_size=10))
    assert [[web_id for web_id, _, _ in call] for call in server.calls] == [["W_A", "W_B"], ["W_A"], ["W_A"]]


def test_points_in_the_middle_of_their_window_are_read_on_before_others_begin() -> None:
    server = FakePI({f"W_{name}": steady(15) for name in "ABC"})
    read(server, task(*(point(name) for name in "ABC"), page_size=10, batch_size=1))
    assert [call[0][0] for call in server.calls] == ["W_A", "W_B", "W_A", "W_B", "W_C", "W_C"]


def test_the_events_of_one_call_are_bounded_whatever_the_page_size() -> None:
    server = FakePI({})
    read(server, task(*(point(f"T{i}") for i in range(100)), page_size=1_000_000))
    assert len(server.calls) > 1
    assert {sum(size for _, _, size in call) for call in server.calls} == {sizing.ROWS_PER_CALL}


def test_a_long_answer_leaves_as_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ROWS_PER_BATCH", 4)
    batches = list(fetch.run(FakePI({"W_A": steady(10)}), task(point("A")), SCHEMA))  # type: ignore[arg-type]
    assert [batch.num_rows for batch in batches] == [4, 4, 2]
    assert pa.Table.from_batches(batches).column("value").to_pylist() == [float(i) for i in range(10)]


def test_an_event_at_the_end_belongs_to_the_next_window() -> None:
    server = FakePI({"W_A": steady(5)})
    assert [row[2] for row in read(server, task(point("A"), start=SECOND, end=3 * SECOND))["A"]] == [1.0, 2.0]


def test_events_on_one_timestamp_beyond_the_page_raise_the_page_size_for_that_point_only() -> None:
    crowd = [(SECOND, float(i)) for i in range(250)] + [(2 * SECOND, -1.0)]
    server = FakePI({"W_A": crowd, "W_B": steady(3)})
    rows = read(server, task(point("A"), point("B"), page_size=10))
    assert rows == {"A": expected_rows(crowd, 0, FOREVER), "B": expected_rows(steady(3), 0, FOREVER)}
    assert [[(web_id, size) for web_id, _, size in call] for call in server.calls] == [
        [("W_A", 10), ("W_B", 10)],
        [("W_A", 100)],
        [("W_A", 1000)],
    ]


def test_more_events_on_one_timestamp_than_the_server_returns_fail_naming_point_and_time() -> None:
    crowd = [(0, -1.0)] + [(SECOND, float(i)) for i in range(60)]
    server = FakePI({"W_A": crowd, "W_B": steady(3)}, limit=50)
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A"), point("B"), page_size=10))
    message = (
        "at least 50 events share the timestamp 2024-05-01T00:00:01Z, and the server returns no more in one call; "
        "raise its MaxReturnedItemsPerCall"
    )
    assert caught.value.failures == (PointFailure("A", "W_A", None, message),)


def test_a_server_whose_limit_was_raised_delivers_the_events_that_needed_it() -> None:
    count = 150_001  # one more than a server returns as installed
    server = FakePI({"W_A": [(SECOND, float(i)) for i in range(count)]}, limit=1_000_000)
    asked = task(point("A"), page_size=100_000)
    table = pa.Table.from_batches(fetch.run(server, asked, SCHEMA))  # type: ignore[arg-type]
    assert table.column("sequence").to_pylist() == list(range(count))


def test_a_crowd_at_the_excluded_end_of_the_window_is_no_failure() -> None:
    server = FakePI({"W_A": [(SECOND, float(i)) for i in range(60)]}, limit=50)
    assert read(server, task(point("A"), end=SECOND, page_size=10)) == {}


def test_the_limit_is_learnt_from_the_servers_refusal_and_kept() -> None:
    server = FakePI({"W_A": steady(120), "W_B": steady(120)}, limit=50)
    rows = read(server, task(point("A"), point("B"), page_size=1000, batch_size=1))
    assert rows == {name: expected_rows(steady(120), 0, FOREVER) for name in "AB"}
    assert [size for call in server.calls for _, _, size in call] == [1000, 1000, *[50] * 6]
    assert server.pauses == []


def test_a_limit_without_a_number_fails_naming_the_point() -> None:
    server = FakePI({"W_A": steady(10)}, limit=5)
    server.limit_text = "the parameter is greater than the maximum allowed"
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A")))
    assert caught.value.failures == (PointFailure("A", "W_A", 400, server.limit_text),)


def test_failing_sub_requests_are_sent_again_alone_after_a_pause() -> None:
    server = FakePI({f"W_{name}": steady(3) for name in "ABC"})
    server.failures = {"W_B": [(503, "busy"), (429, "Rate limit was reached")]}
    rows = read(server, task(*(point(name) for name in "ABC")))
    assert rows == {name: expected_rows(steady(3), 0, FOREVER) for name in "ABC"}
    assert [[web_id for web_id, _, _ in call] for call in server.calls] == [
        ["W_A", "W_B", "W_C"],
        ["W_B"],
        ["W_B"],
    ]
    assert server.pauses == [0, 1]


def test_attempts_are_counted_anew_for_every_page() -> None:
    class Flaky(FakePI):
        """Fails twice before every page."""

        def _content(self, web_id: str, asked: dict[str, str]) -> Any:
            self.turn = getattr(self, "turn", 0) + 1
            if self.turn % 3:
                self.failures = {web_id: [(500, "off")]}
            return super()._content(web_id, asked)

    assert read(Flaky({"W_A": steady(25)}), task(point("A"), page_size=10)) == {
        "A": expected_rows(steady(25), 0, FOREVER)
    }


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failure_that_stays_is_given_up_after_the_retries(status: int) -> None:
    server = FakePI({"W_A": steady(3)})
    server.always_fails = {"W_B": (status, "off")}
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A"), point("B"), end=60 * SECOND))
    assert caught.value.failures == (PointFailure("B", "W_B", status, "off"),)
    assert len(server.calls) == 1 + server.max_retries


@pytest.mark.parametrize("status", [400, 403, 404, 409, 501])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    server = FakePI({"W_A": steady(3)})
    server.always_fails = {"W_B": (status, "no")}
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A"), point("B")))
    not_found = status == 404
    message = "no (deleted, or this account may not read it)" if not_found else "no"
    assert caught.value.failures == (PointFailure("B", "W_B", status, message, not_found),)
    assert (len(server.calls), server.pauses) == (1, [])


def test_all_failed_points_are_named_after_everything_else_was_read() -> None:
    server = FakePI({f"W_T{i}": steady(3) for i in range(6)})
    server.always_fails = {"W_T1": (404, "gone"), "W_T4": (403, "no")}
    batches = fetch.run(server, task(*(point(f"T{i}") for i in range(6)), batch_size=2), SCHEMA)  # type: ignore[arg-type]
    rows = [next(batches) for _ in range(3)]
    assert sum(batch.num_rows for batch in rows) == 4 * 3
    with pytest.raises(ReadFailed) as caught:
        next(batches)
    assert str(caught.value) == (
        "2 point(s) could not be read in [2024-05-01T00:00:00Z, 2024-05-01T01:00:00Z): T1 (HTTP 404): gone (deleted, "
        "or this account may not read it); T4 (HTTP 403): no. Nothing of this window counts as read; set "
        'on_error="report" to get such points as rows instead.'
    )


def test_failed_points_become_rows_under_report() -> None:
    server = FakePI({"W_A": steady(2), "W_C": steady(0)})
    server.always_fails = {"W_B": (404, "gone"), "W_C": (503, "busy")}
    asked = task(point("A"), point("B"), point("C"), start=0, on_error="report")
    *_, last = fetch.run(server, asked, SCHEMA)  # type: ignore[arg-type]
    assert last.schema.equals(SCHEMA)
    columns = ("tag_name", "timestamp", "sequence", "value", "value_kind", "good", "ingestion_timestamp")
    assert list(zip(*(last.column(name).to_pylist() for name in columns), strict=True)) == [
        (name, moment(0), 0, None, "read_failure", None, BASE) for name in "BC"
    ]
    assert [json.loads(text) for text in last.column("value_string").to_pylist()] == [
        {"window_end": "2024-05-01T01:00:00Z", "status": 404,
         "message": "gone (deleted, or this account may not read it)", "not_found": True},
        {"window_end": "2024-05-01T01:00:00Z", "status": 503, "message": "busy", "not_found": False},
    ]  # fmt: skip


def test_a_batch_that_is_too_large_is_halved_for_good() -> None:
    server = FakePI({f"W_T{i}": steady(2) for i in range(8)})
    server.largest_batch = 3
    rows = read(server, task(*(point(f"T{i}") for i in range(8))))
    assert rows == {f"T{i}": expected_rows(steady(2), 0, FOREVER) for i in range(8)}
    assert [len(call) for call in server.calls] == [4, 4, 2, 2, 2, 2]


def test_one_point_that_is_too_large_fails_naming_the_task() -> None:
    server = FakePI({})
    server.largest_batch = 0
    with pytest.raises(RequestRefused) as caught:
        read(server, task(point("A"), end=10))
    assert str(caught.value) == (
        "POST batch: HTTP 413 (while reading pi_timeseries: 1 point(s) (A) in [2024-05-01T00:00:00Z, "
        "2024-05-01T00:00:00.000001Z))"
    )


def test_a_whole_call_that_fails_keeps_its_class_and_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        message = "POST batch: cannot reach it"
        raise ServerUnreachable(message)

    server = FakePI({})
    monkeypatch.setattr(server, "batch", fails)
    with pytest.raises(
        ServerUnreachable, match=r"^POST batch: cannot reach it \(while reading pi_timeseries: 1 point"
    ):
        read(server, task(point("A")))


@pytest.mark.parametrize("page_size", [1, 2, 5, 29])
def test_a_server_that_ignores_the_start_is_refused_and_never_asked_for_ever(page_size: int) -> None:
    server = FakePI({"W_A": steady(30)}, limit=20)
    server.ignores_start, server.most_calls = True, 50
    with pytest.raises(
        ReadFailed, match=r"A \(no status\): (the server's pages do not advance|at least 20 events)"
    ):
        read(server, task(point("A"), page_size=page_size))


def test_a_start_that_the_server_ignores_brings_no_event_twice() -> None:
    server = FakePI({"W_A": steady(30)})
    server.ignores_start = True
    begun = replace(task(point("A"), page_size=40), starts=(moment(10 * SECOND),))
    assert read(server, begun) == {"A": expected_rows(steady(30), 10 * SECOND, FOREVER)}


def test_events_before_the_window_are_never_delivered() -> None:
    server = FakePI({"W_A": steady(30)})
    server.ignores_start = True
    assert read(server, task(point("A"), start=10 * SECOND)) == {
        "A": expected_rows(steady(30), 10 * SECOND, FOREVER)
    }


def test_events_after_the_window_are_never_delivered_when_some_lie_within() -> None:
    server = FakePI({"W_A": steady(30)})
    server.ignores_end = True
    assert read(server, task(point("A"), end=5 * SECOND, page_size=10)) == {
        "A": expected_rows(steady(30), 0, 5 * SECOND)
    }


def test_events_after_the_window_are_never_delivered_when_none_lie_within() -> None:
    server = FakePI({"W_A": [(ticks + 10 * SECOND, value) for ticks, value in steady(30)]})
    server.ignores_end = True
    assert read(server, task(point("A"), end=5 * SECOND, page_size=10)) == {}


@pytest.mark.parametrize("text", ["", "never", "2024-13-01T00:00:00Z"])
def test_a_timestamp_that_cannot_be_read_is_a_named_error(text: str) -> None:
    class Odd(FakePI):
        """Writes one timestamp of its own kind."""

        def _content(self, web_id: str, asked: dict[str, str]) -> Any:
            status, content = super()._content(web_id, asked)
            content["Items"][-1]["Timestamp"] = text
            return status, content

    with pytest.raises(ReadFailed) as caught:
        read(Odd({"W_A": steady(3), "W_B": []}), task(point("A")))
    assert [(failure.point, text in failure.message) for failure in caught.value.failures] == [("A", True)]


def test_units_and_states_pass_through() -> None:
    state = {"Name": "Shutdown", "Value": 254, "IsSystem": True}
    server = FakePI({"W_A": [(0, state), (5, 1)]})
    (batch,) = fetch.run(server, task(point("A")), SCHEMA)  # type: ignore[arg-type]
    names = ("value", "value_string", "state_code", "value_kind", "units", "sequence")
    assert list(zip(*(batch.column(name).to_pylist() for name in names), strict=True)) == [
        (None, "Shutdown", 254, "system", "degC", 0),
        (1.0, None, None, "number", "degC", 1),
    ]


def test_the_same_task_on_an_unchanged_server_gives_the_same_rows() -> None:
    server = FakePI({"W_A": steady(50, 3)})
    asked = task(point("A"), page_size=7)
    first, second = (pa.Table.from_batches(fetch.run(server, asked, SCHEMA)) for _ in range(2))  # type: ignore[arg-type]
    assert first.equals(second)
    later = pa.Table.from_batches(fetch.run(server, replace(asked, page_size=11), SCHEMA))  # type: ignore[arg-type]
    assert later.equals(first)


def test_a_retry_is_logged_with_the_point_and_why(caplog: pytest.LogCaptureFixture) -> None:
    server = FakePI({"W_A": steady(1)})
    server.failures = {"W_A": [(503, "busy")]}
    with caplog.at_level(logging.WARNING):
        read(server, task(point("A")))
    assert [record.getMessage() for record in caplog.records] == ["A: HTTP 503 busy; retrying"]


def test_the_fakes_own_clock_is_right() -> None:
    assert [wire(t) for t in (0, 1, SECOND, 15_000_000)] == [
        "2024-05-01T00:00:00Z",
        "2024-05-01T00:00:00.0000001Z",
        "2024-05-01T00:00:01Z",
        "2024-05-01T00:00:01.5Z",
    ]
