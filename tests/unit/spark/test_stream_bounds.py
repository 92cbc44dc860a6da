"""How far a micro-batch goes, in pure functions over known events."""

from __future__ import annotations

import bisect
import random
from datetime import datetime, timedelta

import pytest

from pi_datasource.errors import ServerError, ServerTimeout
from pi_datasource.model import Window
from pi_datasource.spark.batch_sizing import FIRST_SPAN, MOST_COUNTS, SHORTEST_SPAN, Budget, silent_end
from tests.unit.fakes import BASE

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Archive:
    """Counts events, and how often it was asked."""

    def __init__(self, moments: list[datetime]) -> None:
        self.moments, self.asked = sorted(moments), 0

    def __call__(self, window: Window) -> float:
        self.asked += 1
        return self.held(window)

    def held(self, window: Window) -> int:
        return bisect.bisect_left(self.moments, window.end) - bisect.bisect_left(self.moments, window.start)


def drained(archive: Archive, most: int, length: timedelta) -> list[Window]:
    """All windows from BASE on."""
    budget, position, windows = Budget(most), BASE, []
    while position < BASE + length:
        end = budget.end(position, BASE + length, archive)
        assert position < end <= BASE + length
        windows.append(Window(position, end))
        position = end
    return windows


def regular(every_s: float, count: int, first: timedelta = timedelta(0)) -> list[datetime]:
    return [BASE + first + timedelta(seconds=every_s * i) for i in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_events_no_window_holds_more_than_it_may(seed: int) -> None:
    chance = random.Random(seed)
    archive = Archive([BASE + 30 * DAY * chance.random() ** 4 for _ in range(20_000)])
    windows = drained(archive, 1000, 30 * DAY)
    assert max(map(archive.held, windows)) <= 1000
    assert len(windows) <= 60
    assert archive.asked <= 3 * len(windows) + MOST_COUNTS


def test_steady_events_cost_one_question_a_window() -> None:
    archive = Archive(regular(60, 43_200))
    windows = drained(archive, 1000, 30 * DAY)
    assert archive.asked <= len(windows) + 3
    assert 500 <= min(map(archive.held, windows[:-1])) <= max(map(archive.held, windows)) <= 1000


def test_silence_is_passed_in_long_strides_and_a_burst_behind_it_is_cut() -> None:
    archive = Archive(regular(0.1, 5_000, 20 * 365 * DAY))
    windows = drained(archive, 500, 21 * 365 * DAY)
    assert max(map(archive.held, windows)) <= 500
    assert len(windows) <= 25


def test_events_that_share_an_instant_stay_together_and_the_stream_advances() -> None:
    archive = Archive([BASE + HOUR] * 5_000)
    windows = drained(archive, 100, 2 * HOUR)
    assert sorted(map(archive.held, windows))[-1] == 5_000
    full = next(window for window in windows if archive.held(window))
    assert full.end - full.start <= 2 * SHORTEST_SPAN


def test_an_archive_without_events_is_one_window_or_two() -> None:
    assert len(drained(Archive([]), 100, 20 * 365 * DAY)) <= 2


@pytest.mark.parametrize("first", [timedelta(minutes=5), 5 * HOUR, 400 * DAY, 17_000 * DAY])
def test_where_events_begin_is_found_to_within_a_step(first: timedelta) -> None:
    archive = Archive([BASE + first])
    end = silent_end(BASE, BASE + 20_000 * DAY, 6 * HOUR, archive)
    assert BASE + first - 6 * HOUR <= end <= BASE + first
    assert archive.asked <= 30


def test_where_there_are_no_events_silence_ends_at_the_horizon() -> None:
    assert silent_end(BASE, BASE + 20_000 * DAY, HOUR, Archive([])) == BASE + 20_000 * DAY


class Slow(Archive):
    """Counts at most ``longest`` in time."""

    def __init__(self, moments: list[datetime], longest: timedelta) -> None:
        super().__init__(moments)
        self.longest = longest

    def __call__(self, window: Window) -> float:
        if window.end - window.start > self.longest:
            message = "POST batch: no complete answer"
            raise ServerTimeout(message)
        return super().__call__(window)


def test_a_time_that_the_server_is_too_slow_to_count_is_read_in_parts() -> None:
    archive = Slow(regular(3600, 24 * 30), 2 * DAY)
    windows = drained(archive, 1000, 30 * DAY)
    assert (windows[0].start, windows[-1].end) == (BASE, BASE + 30 * DAY)
    assert max(window.end - window.start for window in windows) <= 2 * DAY
    assert len(windows) <= 80


def test_a_span_that_fitted_before_and_is_not_counted_any_more_begins_anew() -> None:
    archive = Slow(regular(3600, 24 * 30), 30 * DAY)
    budget = Budget(1000)
    assert budget.end(BASE, BASE + 30 * DAY, archive) > BASE + 20 * DAY
    archive.longest = HOUR
    assert BASE < budget.end(BASE, BASE + 30 * DAY, archive) <= BASE + HOUR


def test_a_server_that_does_not_count_at_all_says_so() -> None:
    with pytest.raises(ServerError):
        Budget(1000).end(BASE, BASE + 30 * DAY, Slow([], FIRST_SPAN / 2))
