"""The server's present: real, elsewhere, faster, or standing still."""

import re
from datetime import datetime, timedelta, timezone

import pytest

from mock_server.plant.clock import Clock

NOON = datetime(2025, 6, 2, 12, tzinfo=timezone.utc)


class Timer:
    """Real seconds that pass when the test says so."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_clock_is_the_wall_clock_unless_told_otherwise() -> None:
    before = datetime.now(timezone.utc)
    shown = Clock()()
    assert before <= shown <= datetime.now(timezone.utc) + timedelta(seconds=1)
    assert shown.tzinfo is timezone.utc


@pytest.mark.parametrize(("speed", "passed_s"), [(1.0, 10.0), (60.0, 600.0), (0.5, 5.0), (0.0, 0.0)])
def test_time_passes_at_the_clocks_speed(speed: float, passed_s: float) -> None:
    timer = Timer()
    clock = Clock(NOON, speed, timer)
    timer.seconds += 10.0
    assert clock() == NOON + timedelta(seconds=passed_s)


def test_setting_the_time_or_the_speed_keeps_the_other() -> None:
    timer = Timer()
    clock = Clock(NOON, 60.0, timer)
    timer.seconds += 1.0
    assert clock.set(NOON - timedelta(days=1)) == NOON - timedelta(days=1)
    timer.seconds += 1.0
    assert clock() == NOON - timedelta(days=1) + timedelta(minutes=1)
    assert clock.set(speed=0.0) == clock()
    timer.seconds += 99.0
    assert clock() == NOON - timedelta(days=1) + timedelta(minutes=1)
    assert clock.speed == 0.0


def test_a_clock_that_runs_beyond_the_calendar_stays_at_its_end() -> None:
    timer = Timer()
    clock = Clock(NOON, 1e12, timer)
    timer.seconds += 1e9
    assert clock().year == 9999


def test_other_zones_are_turned_into_utc() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=2)))
    assert Clock(local, 0.0)().isoformat() == "2025-06-02T12:00:00+00:00"


def test_bad_settings_are_refused_and_change_nothing() -> None:
    clock = Clock(NOON, 0.0)
    with pytest.raises(ValueError, match="a time with a zone"):
        clock.set(datetime(2025, 6, 2))  # noqa: DTZ001 - naive on purpose
    for speed in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=re.escape(f"positive factor, not {speed}")):
            clock.set(NOON + timedelta(days=1), speed)
    assert clock() == NOON
