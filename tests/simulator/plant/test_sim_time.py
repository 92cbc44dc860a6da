"""PI time strings and the printed form of instants."""

import contextlib
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.plant import pitime, ticks

NOW = datetime(2024, 5, 15, 13, 30, 15, 123_456, tzinfo=timezone.utc)  # a Wednesday
UTC = timezone.utc


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def parse(text: str, zone: "timezone | ZoneInfo" = UTC) -> int:
    return pitime.parse(text, ticks.from_datetime(NOW), zone)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", NOW),
        ("*", NOW),
        ("*-1d", NOW - timedelta(days=1)),
        ("* - 1d", NOW - timedelta(days=1)),
        ("-1d", NOW - timedelta(days=1)),
        ("*+8h", NOW + timedelta(hours=8)),
        ("*-1.5h", NOW - timedelta(minutes=90)),
        ("*-.5m", NOW - timedelta(seconds=30)),
        ("*-10s", NOW - timedelta(seconds=10)),
        ("*-10m", NOW - timedelta(minutes=10)),
        ("*-1w", NOW - timedelta(weeks=1)),
        ("*-1mo", NOW.replace(month=4)),
        ("*-3mo", NOW.replace(month=2)),
        ("*-1y", NOW.replace(year=2023)),
        ("*-2 days", NOW - timedelta(days=2)),
        ("t", at(2024, 5, 15)),
        ("T+8h", at(2024, 5, 15, 8)),
        ("today", at(2024, 5, 15)),
        ("y", at(2024, 5, 14)),
        ("Yesterday+1h", at(2024, 5, 14, 1)),
        ("monday", at(2024, 5, 13)),
        ("wed", at(2024, 5, 15)),
        ("thursday", at(2024, 5, 9)),
        ("january", at(2024, 1, 15)),
        ("3", at(2024, 5, 3)),
        ("2020", at(2020, 5, 15)),
        ("1-jan-2024", at(2024, 1, 1)),
        ("1-Jan-2024 08:00", at(2024, 1, 1, 8)),
        ("1-jan-2024 +1d", at(2024, 1, 2)),
        ("01-May-24 06:00:00", at(2024, 5, 1, 6)),
        ("1-jan-29", at(2029, 1, 1)),
        ("1-jan-30", at(1930, 1, 1)),
        ("1 january 2024", at(2024, 1, 1)),
        ("5/1/2024 1:30 PM", at(2024, 5, 1, 13, 30)),
        ("2024-05-01", at(2024, 5, 1)),
        ("2024-05-01 06:07:08", at(2024, 5, 1, 6, 7, 8)),
        ("2024-05-01T06:00:00Z", at(2024, 5, 1, 6)),
        ("2024-05-01T06:00:00.25+02:00", at(2024, 5, 1, 4, 0, 0, 250_000)),
        ("2024-05-01T06:00:00-0530", at(2024, 5, 1, 11, 30)),
    ],
)
def test_time_strings_mean_what_pi_says(text: str, meant: datetime) -> None:
    assert parse(text) == ticks.from_datetime(meant)


def test_the_seventh_digit_is_kept() -> None:
    assert parse("2024-05-01T06:00:00.1234567Z") % ticks.PER_SECOND == 1_234_567


def test_the_last_day_of_a_month_stays_in_its_month() -> None:
    now = ticks.from_datetime(at(2024, 3, 31, 10))
    assert pitime.parse("*-1mo", now, UTC) == ticks.from_datetime(at(2024, 2, 29, 10))


def test_naive_strings_are_read_in_the_zone_given_and_days_keep_its_clock() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert parse("2024-05-01T06:00:00", berlin) == ticks.from_datetime(at(2024, 5, 1, 4))
    assert parse("t", berlin) == ticks.from_datetime(at(2024, 5, 14, 22))
    assert parse("31-mar-2024 12:00 -1d", berlin) == ticks.from_datetime(at(2024, 3, 30, 11))


@pytest.mark.parametrize(
    "text",
    [
        "yesterday-ish",
        "*-",
        "*-1",
        "*-1x",
        "*-1d+2h",
        "*-1.5d",
        "2024-13-01",
        "2024-05-01T25:00:00Z",
        "2024-05-01T06:00:00.12345678Z",
        "2024-05-01T06:00:00 02:00",
        "31-feb-2024",
        "32",
        "1969",
        "*-999999999y",
        "0000-01-01",
        "\x00",
    ],
)
def test_other_strings_are_refused(text: str) -> None:
    with pytest.raises(pitime.BadTime):
        parse(text)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("2024-05-01T06:00:00Z", 0), ("2024-05-01T06:00:00.1Z", 1_000_000), ("2024-05-01T06:00:00.0000001Z", 1)],
)
def test_instants_print_without_trailing_zeros(text: str, fraction: int) -> None:
    assert ticks.to_iso(ticks.from_datetime(at(2024, 5, 1, 6)) + fraction) == text


@settings(max_examples=200, deadline=None, database=None)
@given(st.integers(ticks.FIRST, ticks.LAST))
def test_printed_instants_read_back_exactly(instant: int) -> None:
    assert parse(ticks.to_iso(instant)) == instant


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(alphabet="*-+tyTZ0123456789.:/ dhmowsjanfebmy", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(pitime.BadTime):
        assert ticks.FIRST <= parse(text) <= ticks.LAST
