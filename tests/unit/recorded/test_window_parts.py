"""The length of the parts of a window: halved until it works, doubled after a while, never below a minute."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.recorded.window_parts import SHORTEST, LearnedLength, Parts

SECOND = 10_000_000
DAY = 86_400 * SECOND


def test_a_window_is_asked_for_whole_until_it_is_refused() -> None:
    assert Parts().end(5, 400 * DAY) == 400 * DAY
    assert not Parts().record_success()


@given(
    start=st.integers(0, 3 * SECOND),
    window=st.integers(1, 1500 * DAY),
    limit=st.integers(SHORTEST, 1500 * DAY),
)
def test_parts_tile_the_window_whatever_length_the_server_allows(start: int, window: int, limit: int) -> None:
    parts, at, end = Parts(), start, start + window
    refused, answered = 0, 0
    while at < end:
        border = parts.end(at, end)
        assert at < border <= end
        assert border == end or border % SECOND == 0
        if border - at > limit:
            assert parts.shorten(at, border, "HTTP 504")
            refused += 1
        else:
            parts.record_success()
            at, answered = border, answered + 1
    levels = math.log2(window / limit) if window > limit else 0
    assert refused <= 2 * levels + 2 + math.log2(answered + 1)
    assert answered <= 4 * (window / limit) + 8


def test_a_server_that_refuses_everything_is_asked_a_few_times_only() -> None:
    parts, length, tries = Parts(), 1461 * DAY, 1
    while parts.shorten(0, length, "HTTP 500"):
        length, tries = parts.end(0, 1461 * DAY), tries + 1
    assert (length, tries) == (SHORTEST, 22)


def test_parts_grow_again_behind_what_was_refused() -> None:
    parts = Parts()
    parts.shorten(0, 64 * DAY, "HTTP 500 dense")
    assert (parts.length, parts.unproven, parts.refusal) == (
        32 * DAY,
        True,
        "a window of 64 days, 0:00:00 failed (HTTP 500 dense)",
    )
    assert parts.record_success()
    assert [parts.record_success() for _ in range(3)] == [False, False, False]
    assert (parts.length, parts.proven, parts.doubled) == (64 * DAY, 32 * DAY, True)
    parts.shorten(0, 64 * DAY, "HTTP 500")  # not dense, but too long: the next try comes later
    assert (parts.length, parts.unproven) == (32 * DAY, False)
    for _ in range(7):
        parts.record_success()
    assert parts.length == 32 * DAY
    parts.record_success()
    assert parts.length == 64 * DAY


@pytest.mark.parametrize(
    ("status", "length", "retries"),
    [(500, DAY, 5), (503, DAY, 5), (504, DAY, 1), (408, DAY, 1), (504, SHORTEST, 5), (408, SHORTEST, 5)],
)
def test_what_costs_a_time_out_is_asked_for_once_more_only(status: int, length: int, retries: int) -> None:
    assert Parts().retries(status, 0, length, 5) == retries
    assert Parts().retries(status, 0, length, 0) == 0


def test_a_shorter_part_is_itself_the_next_try() -> None:
    parts = Parts()
    parts.shorten(0, DAY, "HTTP 500")
    assert (parts.retries(500, 0, DAY // 2, 5), parts.retries(503, 0, DAY // 2, 5)) == (0, 5)
    parts.record_success()
    assert parts.retries(500, DAY // 2, DAY, 5) == 1  # what was refused before is likely to be so again
    assert parts.retries(500, DAY, 2 * DAY, 5) == 5


def test_what_worked_for_one_window_is_the_beginning_of_the_next() -> None:
    learned, first = LearnedLength(), Parts()
    learned.apply_to(first)
    learned.learn_from(first)
    assert (first.length, learned.length) == (None, None)
    first.shorten(0, DAY, "HTTP 504")
    first.record_success()
    learned.learn_from(first)
    for _ in range(64):
        following = Parts()
        learned.apply_to(following)
        assert following.length == DAY // 2
        following.record_success()
        learned.learn_from(following)
    assert learned.length == DAY  # a server that was slow for a while is not asked for short windows for ever
