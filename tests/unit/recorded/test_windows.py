"""Archives that refuse long windows, or are too slow for them: the same rows, by shorter windows."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_datasource.errors import (
    PointFailure,
    ReadFailed,
    RequestRefused,
    ServerError,
    ServerFailed,
    ServerTimeout,
)
from pi_datasource.recorded import fetch
from tests.unit.fakes import SECOND, FakePI, expected_rows, point, ticks_of
from tests.unit.recorded.test_fetch import SCHEMA, histories, read, task

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
WORDS = "The archive query exceeded its maximum execution time."


class Limited(FakePI):
    """Refuses every window longer than ``longest``, and every one of ``broken`` that holds a damaged record."""

    def __init__(self, events: dict[str, list[tuple[int, Any]]], longest: int, status: int = 504) -> None:
        super().__init__(events)
        self.longest, self.status = longest, status
        self.broken: dict[str, int] = {}
        self.spans: list[tuple[str, int]] = []

    def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        start, end = ticks_of(asked["startTime"]), ticks_of(asked["endTime"])
        self.spans.append((web_id, end - start))
        if end - start > self.longest:
            return self.status, {"Errors": [WORDS]}
        if web_id in self.broken and start <= self.broken[web_id] < end:
            return 500, {"Errors": ["[-11002] Record Header Data Mismatch"]}
        return super()._content(web_id, asked)


class LimitedCalls(FakePI):
    """A whole call that holds a window longer than ``longest`` fails."""

    def __init__(self, events: dict[str, list[tuple[int, Any]]], longest: int, error: ServerError) -> None:
        super().__init__(events)
        self.longest, self.error = longest, error

    def batch(self, urls: Mapping[str, str], *_: object) -> bytes:
        answer = super().batch(dict(urls))
        for url in urls.values():
            _, asked = self._parse(url)
            if ticks_of(asked["endTime"]) - ticks_of(asked["startTime"]) > self.longest:
                raise self.error
        return answer


def rare(step: int, count: int) -> list[tuple[int, float]]:
    return [(i * step, float(i)) for i in range(count)]


MONTHS = rare(30 * DAY, 48)


@pytest.mark.parametrize("mode", ["streams", "auto"])
@pytest.mark.parametrize("status", [408, 500, 504])
def test_a_window_that_is_refused_is_read_in_shorter_ones(status: int, mode: Any) -> None:
    server = Limited({f"W_{name}": MONTHS for name in "ABC"}, 40 * DAY, status)
    asked = task(*(point(name) for name in "ABC"), end=1461 * DAY, read_mode=mode)
    assert read(server, asked) == {name: expected_rows(MONTHS, 0, 1461 * DAY) for name in "ABC"}
    parts = 1461 / (1461 / 64)
    assert len(server.spans) / 3 <= parts + math.log2(parts) + 2 * (1 + server.max_retries) + math.log2(
        1461 / 40
    )


@settings(max_examples=40)
@given(
    history=st.lists(histories(), min_size=1, max_size=4),
    stretch=st.sampled_from([1, 7, 600]),
    start=st.integers(0, 90),
    length=st.integers(1, 300),
    longest=st.integers(60, 3600) | st.just(24 * 3600),
    page_size=st.integers(1, 9),
    status=st.sampled_from([408, 500, 504]),
    mode=st.sampled_from(["auto", "streams"]),
)
def test_the_rows_are_those_of_one_whole_window(  # noqa: PLR0917 - drawn by name
    history: list[list[tuple[int, float]]],
    stretch: int,
    start: int,
    length: int,
    longest: int,
    page_size: int,
    status: int,
    mode: Any,
) -> None:
    """Many events share a timestamp; stretched, these lie at whole seconds, where parts meet, too."""
    spread = [
        [(ticks // SECOND * SECOND * stretch + ticks % SECOND, value) for ticks, value in h] for h in history
    ]
    begin, end = start * SECOND, (start + length * 60) * SECOND
    points = [point(f"T{i}") for i in range(len(history))]
    server = Limited({p.web_id: h for p, h in zip(points, spread, strict=True)}, longest * SECOND, status)
    server.max_retries = 1
    rows = read(server, task(*points, start=begin, end=end, page_size=page_size, read_mode=mode))
    wanted = {p.name: expected_rows(h, begin, end) for p, h in zip(points, spread, strict=True)}
    assert rows == {name: found for name, found in wanted.items() if found}


def test_events_of_one_timestamp_where_two_parts_meet_are_numbered_as_one_row_of_them() -> None:
    crowd = [(ticks, float(i)) for i, ticks in enumerate([30 * MINUTE] * 5 + [30 * MINUTE + 3] * 2)]
    server = Limited({"W_A": crowd}, 30 * MINUTE)
    rows = read(server, task(point("A"), end=HOUR, page_size=3))
    assert [number for _, number, _ in rows["A"]] == [0, 1, 2, 3, 4, 5, 6]
    assert rows == {"A": expected_rows(crowd, 0, HOUR)}


def test_what_worked_is_remembered_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    server = Limited({f"W_T{i}": MONTHS for i in range(6)}, 40 * DAY)
    names = [f"T{i}" for i in range(6)]
    read(server, task(*map(point, names), end=1461 * DAY, batch_size=2))
    first = len(server.spans)
    read(server, task(*map(point, names), end=1461 * DAY, batch_size=2))
    refused = sum(span > 40 * DAY for _, span in server.spans[first:])
    assert refused <= 6 * 4  # only where longer parts are tried again after a while
    assert max(span for _, span in server.spans[first:]) < 100 * DAY
    told = [line.getMessage() for line in caplog.records if "in parts of" in line.getMessage()]
    assert len(told) == 1
    assert told[0].endswith(
        f": a window of 1461 days, 0:00:00 failed (HTTP 504 {WORDS}); windows are now read in parts of 22 days, 19:52:30"
    )


def test_a_failure_for_the_moment_makes_no_window_shorter() -> None:
    server = Limited({"W_A": MONTHS}, 2000 * DAY)
    server.failures = {"W_A": [(500, "busy"), (500, "busy")]}
    read(server, task(point("A"), end=1461 * DAY))
    assert ([span for _, span in server.spans], server.windows.length) == ([1461 * DAY] * 3, None)


def test_a_tag_that_always_fails_is_given_up_after_a_few_tries_and_named() -> None:
    server = Limited({"W_A": MONTHS}, 2000 * DAY)
    server.always_fails = {"W_B": (500, "off")}
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A"), point("B"), end=1461 * DAY))
    message = (
        "off; this was [2024-05-01T00:00:00Z, 2024-05-01T00:01:00Z), and no shorter window was tried: leave it out by "
        "'start_time' and 'end_time', or leave out the tag"
    )
    assert caught.value.failures == (PointFailure("B", "W_B", 500, message),)
    assert sum(web_id == "W_B" for web_id, _ in server.spans) == server.max_retries + 22
    assert sum(web_id == "W_A" for web_id, _ in server.spans) == 1
    assert server.windows.length is None


def test_a_damaged_record_fails_its_tag_and_says_where() -> None:
    server = Limited({"W_A": MONTHS, "W_B": MONTHS}, 2000 * DAY)
    server.broken = {"W_B": 700 * DAY + 5 * SECOND}
    asked = replace(task(point("A"), point("B"), end=1461 * DAY), on_error="report")
    rows = [row for batch in fetch.run(server, asked, SCHEMA) for row in batch.to_pylist()]  # type: ignore[arg-type]
    assert sum(row["tag_name"] == "A" for row in rows) == 48
    (failure,) = (row["value_string"] for row in rows if row["value_kind"] == "read_failure")
    where = "[2026-03-31T23:59:19Z, 2026-04-01T00:00:19Z)"
    assert (
        f"[-11002] Record Header Data Mismatch; this was {where}, and no shorter window was tried" in failure
    )
    assert sum(web_id == "W_B" for web_id, _ in server.spans) < 4 * 22
    assert len(server.pauses) <= 2 + 22
    assert server.windows.length is None  # other tags are read as before


@pytest.mark.parametrize(
    "error",
    [
        ServerTimeout("POST batch: late"),
        ServerFailed("POST batch: HTTP 504", 504),
        RequestRefused("HTTP 408", 408),
    ],
    ids=["timeout", "504", "408"],
)
@pytest.mark.parametrize("mode", ["streams", "auto"])
def test_whole_calls_that_are_too_slow_ask_for_shorter_windows(error: ServerError, mode: Any) -> None:
    names = [f"T{i}" for i in range(12)]
    server = LimitedCalls({f"W_{name}": MONTHS for name in names}, 40 * DAY, error)
    rows = read(server, task(*map(point, names), end=1461 * DAY, read_mode=mode))
    assert rows == {name: expected_rows(MONTHS, 0, 1461 * DAY) for name in names}
    if mode == "auto":  # sets stay sets
        assert max(max(shape) for shape in server.shapes[-3:]) > 1


def test_a_server_that_is_too_slow_for_everything_is_asked_a_few_times_and_the_error_says_for_what() -> None:
    server = LimitedCalls({"W_A": MONTHS}, 0, ServerTimeout("POST batch: late"))
    with pytest.raises(ServerTimeout) as caught:
        read(server, task(point("A"), end=1461 * DAY))
    assert len(server.calls) == 12
    assert str(caught.value).startswith(
        "POST batch: late; this was [2024-05-01T00:00:00Z, 2024-05-01T00:01:00Z), and no shorter window was tried"
    )


def test_a_short_window_that_timed_out_is_asked_for_again() -> None:
    server = FakePI({"W_A": rare(SECOND, 3)})
    server.failures = {"W_A": [(408, "late")]}
    assert len(read(server, task(point("A"), end=MINUTE))["A"]) == 3
    assert server.pauses == [0]
