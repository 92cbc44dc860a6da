"""PI time strings into exact moments."""

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource import time_strings
from pi_datasource.model import iso_utc

UTC = timezone.utc
BERLIN = time_strings.zone_named("Europe/Berlin")
NOW = datetime(2024, 5, 15, 12, 34, 56, 789_012, tzinfo=UTC)  # a Wednesday; 14:34 in Berlin


@pytest.mark.parametrize(
    ("text", "zone", "wanted"),
    [
        ("*", UTC, "2024-05-15T12:34:56.789012Z"),
        ("", UTC, "2024-05-15T12:34:56.789012Z"),
        ("latest", UTC, "2024-05-15T12:34:56.789012Z"),
        ("NOW", UTC, "2024-05-15T12:34:56.789012Z"),
        ("earliest", UTC, "1970-01-01T00:00:00Z"),
        ("*-1d", UTC, "2024-05-14T12:34:56.789012Z"),
        ("  *  -  10 S ", UTC, "2024-05-15T12:34:46.789012Z"),
        ("-10s", UTC, "2024-05-15T12:34:46.789012Z"),
        ("*-5m", UTC, "2024-05-15T12:29:56.789012Z"),
        ("*-5mo", UTC, "2023-12-15T12:34:56.789012Z"),
        ("*+1.5h", UTC, "2024-05-15T14:04:56.789012Z"),
        ("*-2w", UTC, "2024-05-01T12:34:56.789012Z"),
        ("*-1y", UTC, "2023-05-15T12:34:56.789012Z"),
        ("t", UTC, "2024-05-15T00:00:00Z"),
        ("T+8h", UTC, "2024-05-15T08:00:00Z"),
        ("today", BERLIN, "2024-05-14T22:00:00Z"),
        ("y", UTC, "2024-05-14T00:00:00Z"),
        ("yesterday-1d", UTC, "2024-05-13T00:00:00Z"),
        ("wednesday", UTC, "2024-05-15T00:00:00Z"),
        ("thu", UTC, "2024-05-09T00:00:00Z"),
        ("tue", UTC, "2024-05-14T00:00:00Z"),
        ("march", UTC, "2024-03-15T00:00:00Z"),
        ("7", UTC, "2024-05-07T00:00:00Z"),
        ("31", UTC, "2024-05-31T00:00:00Z"),
        ("2023", UTC, "2023-05-15T00:00:00Z"),
        ("1-jan-2024", UTC, "2024-01-01T00:00:00Z"),
        ("1-January-2024 8:05", BERLIN, "2024-01-01T07:05:00Z"),
        ("01-JUL-2024 08:00:30", BERLIN, "2024-07-01T06:00:30Z"),
        ("1-jan-2024 08:00 + 1h", UTC, "2024-01-01T09:00:00Z"),
        ("01-JUL-2024 08:00:30.1234567", BERLIN, "2024-07-01T06:00:30.123456Z"),
        ("'1-jan-2024 08:00'", UTC, "2024-01-01T08:00:00Z"),
        ('"2024-05-01" - 1d', UTC, "2024-04-30T00:00:00Z"),
        ("8:00", UTC, "2024-05-15T08:00:00Z"),
        ("08:00:30.5", BERLIN, "2024-05-15T06:00:30.500Z"),
        ("17:00 - 1d", BERLIN, "2024-05-14T15:00:00Z"),
        ("*-1 day", UTC, "2024-05-14T12:34:56.789012Z"),
        ("*-90 Seconds", UTC, "2024-05-15T12:33:26.789012Z"),
        ("*-2months", UTC, "2024-03-15T12:34:56.789012Z"),
        ("*-2minutes", UTC, "2024-05-15T12:32:56.789012Z"),
        ("t + 1 year", UTC, "2025-05-15T00:00:00Z"),
        ("*-1.5d", UTC, "2024-05-14T00:34:56.789012Z"),
        ("*-0.1s", UTC, "2024-05-15T12:34:56.689012Z"),
        ("t+0.0000019s", UTC, "2024-05-15T00:00:00.000001Z"),
        ("monday+8h", UTC, "2024-05-13T08:00:00Z"),
        ("7-1d", UTC, "2024-05-06T00:00:00Z"),
        ("2024-05-01-1d", UTC, "2024-04-30T00:00:00Z"),
        ("2024-05-01T06:00:00Z+1h", BERLIN, "2024-05-01T07:00:00Z"),
        ("2024-05-01 06:00-30m", BERLIN, "2024-05-01T03:30:00Z"),
        ("2024-05-01T06:00:00+02:00-1mo", UTC, "2024-04-01T04:00:00Z"),
        ("2024-05-01", BERLIN, "2024-04-30T22:00:00Z"),
        ("2024-05-01T06:00", UTC, "2024-05-01T06:00:00Z"),
        ("2024-05-01 06:00:00", BERLIN, "2024-05-01T04:00:00Z"),
        ("2024-05-01T06:00:00Z", BERLIN, "2024-05-01T06:00:00Z"),
        ("2024-05-01t06:00:00z", BERLIN, "2024-05-01T06:00:00Z"),
        ("2024-05-01T06:00:00+05:30", BERLIN, "2024-05-01T00:30:00Z"),
        ("2024-05-01T06:00:00-0500", BERLIN, "2024-05-01T11:00:00Z"),
    ],
)
def test_a_pi_time_string_means_this_moment(text: str, zone: timezone, wanted: str) -> None:
    assert iso_utc(time_strings.resolve(text, NOW, zone)) == wanted


@pytest.mark.parametrize(
    ("now", "text", "wanted"),
    [
        ("2024-03-31", "*-1mo", "2024-02-29T00:00:00Z"),
        ("2023-03-31", "*-1mo", "2023-02-28T00:00:00Z"),
        ("2024-02-29", "*-1y", "2023-02-28T00:00:00Z"),
        ("2024-01-31", "*+1mo", "2024-02-29T00:00:00Z"),
        ("2024-01-15", "*-1mo", "2023-12-15T00:00:00Z"),
        ("2024-12-15", "*+1mo", "2025-01-15T00:00:00Z"),
        ("2024-01-31", "feb", "2024-02-29T00:00:00Z"),
        ("2024-02-10", "31", "2024-02-29T00:00:00Z"),
        ("2024-02-29", "2023", "2023-02-28T00:00:00Z"),
    ],
)
def test_a_day_that_a_month_lacks_becomes_its_last(now: str, text: str, wanted: str) -> None:
    assert iso_utc(time_strings.resolve(text, datetime.fromisoformat(now + "T00:00:00+00:00"))) == wanted


@pytest.mark.parametrize(
    ("now", "text", "wanted"),
    [
        # Berlin goes from UTC+1 to UTC+2 on 2024-03-31 at 01:00 UTC and back on 2024-10-27.
        ("2024-03-31T10:00:00+00:00", "*-1d", "2024-03-30T11:00:00Z"),
        ("2024-03-31T10:00:00+00:00", "*-24h", "2024-03-30T10:00:00Z"),
        ("2024-03-31T10:00:00+00:00", "t", "2024-03-30T23:00:00Z"),
        ("2024-03-31T10:00:00+00:00", "t+8h", "2024-03-31T07:00:00Z"),
        ("2024-10-27T10:00:00+00:00", "y", "2024-10-25T22:00:00Z"),
        ("2024-10-27T10:00:00+00:00", "*-1w", "2024-10-20T09:00:00Z"),
        ("2024-04-30T10:00:00+00:00", "*-1mo", "2024-03-30T11:00:00Z"),
        ("2024-06-01T10:00:00+00:00", "2024-03-31T12:00+02:00-1d", "2024-03-30T11:00:00Z"),
        ("2024-06-01T10:00:00+00:00", "31-mar-2024 01:30+1h", "2024-03-31T01:30:00Z"),
    ],
)
def test_days_follow_the_wall_clock_and_hours_the_true_time_over_a_change_of_summer_time(
    now: str, text: str, wanted: str
) -> None:
    assert iso_utc(time_strings.resolve(text, datetime.fromisoformat(now), BERLIN)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "yesterday-ish", "*-1d+2h", "*-", "*-1", "*-1x", "*-1.5mo", "*-0.5y", "t8h", "32", "1969", "0", "ja", "mo",
        "2024-13-01", "2024-02-30", "2024-05-01T25:00", "2024-05-01T06:00:60Z", "2024-5-1", "30-feb-2024",
        "1-jan-24", "1-foo-2024", "1-jan-2024 25:00", "*-99999y", "*-" + "9" * 30 + "s", "*+" + "9" * 400 + "mo",
        "earliest-1d", "24:00", "8:0", "8:00:61", "'", "''*", "'t", "8:00.5", "*-1 weekday", "*-1 sec", "t 8:00",
        "5/1/2024", "1-jan-2024T08:00", "*-1e3s", "*-٣h", "2024-05-01T06:00:00+99:00", "*; drop", "\N{ARABIC-INDIC DIGIT ONE}x",
    ],
)  # fmt: skip
def test_text_that_is_no_time_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid time") as caught:
        time_strings.resolve(text, NOW)
    assert str(caught.value).startswith(repr(text))


def test_the_refusal_shows_what_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"is not a valid time") as caught:
        time_strings.resolve("soon", NOW)
    assert str(caught.value) == (
        "'soon' is not a valid time; use '*', '*-1d', 't+8h', 'y', 'latest', 'earliest', '2024-05-01T06:00:00Z' or "
        "'1-jan-2024 08:00'"
    )


@pytest.mark.parametrize(
    ("fraction", "micros"),
    [("", 0), (".1", 100_000), (".12", 120_000), (".123", 123_000), (".1234", 123_400), (".12345", 123_450),
     (".123456", 123_456), (".1234567", 123_456), (".9999999", 999_999), (".0000009", 0)],
)  # fmt: skip
def test_fraction_digits_are_cut_and_never_rounded(fraction: str, micros: int) -> None:
    wanted = datetime(2024, 5, 1, 6, 0, 0, micros, tzinfo=UTC)
    assert time_strings.parse_wire(f"2024-05-01T06:00:00{fraction}Z") == wanted
    assert time_strings.resolve(f"2024-05-01T06:00:00{fraction}Z", NOW, BERLIN) == wanted


@pytest.mark.parametrize("text", ["", "*", "6", "2024-05-01T06:00:00.Z", "2024-05-01T06Z", "01.05.2024"])
def test_a_wire_time_must_be_iso(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an ISO 8601 time"):
        time_strings.parse_wire(text)


@pytest.mark.parametrize(
    ("text", "relative"),
    [("*", True), ("t", True), ("*-1d", True), ("monday", True), ("7", True), ("latest", True),
     ("8:00", True), ("t+8h", True), ("2024-05-01 + 8h", False), ("'1-jan-2024' - 1d", False),
     ("earliest", False), (" 2024-05-01 ", False), ("2024-05-01T06:00:00Z", False), ("1-jan-2024 08:00", False)],
)  # fmt: skip
def test_a_time_is_relative_when_it_depends_on_when_it_is_read(text: str, relative: bool) -> None:
    assert time_strings.is_relative(text) is relative
    there = {time_strings.resolve(text, NOW + timedelta(days=400 * i)) for i in range(2)}
    assert (len(there) == 2) is relative


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1.5h", 5400), (" 2 M ", 120), ("1d", 86_400), ("2w", 1_209_600), ("0s", 0)],
)
def test_a_length_of_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert time_strings.duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-5s", "1mo", "1y", "1h30m", "1e3s", "PT5S"])
def test_text_that_is_no_length_of_time_is_refused_with_the_units(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a valid duration") as caught:
        time_strings.duration(text)
    assert str(caught.value) == (
        f"{text!r} is not a valid duration; use a number and one of s, m, h, d, w, such as '30s' or '15m'"
    )


def test_a_length_beyond_all_calendars_is_refused_as_a_value() -> None:
    with pytest.raises(ValueError, match="9w"):
        time_strings.duration("9" * 30 + "w")


def test_a_wire_time_before_the_calendar_is_refused_as_a_value() -> None:
    with pytest.raises(ValueError, match="0001"):
        time_strings.parse_wire("0001-01-01T00:00:00+05:00")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe", "a\0b"])
def test_a_name_that_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"there is no time zone '.*'; use an IANA name such as 'Europe/Berlin' or 'UTC'"
    ):
        time_strings.zone_named(name)


NO_ZONE_DATA = """
import sys, types, zoneinfo
sys.modules["tzdata"] = None
zoneinfo.reset_tzpath(to=())
from pi_datasource import time_strings
"""


def test_utc_needs_no_time_zone_data() -> None:
    code = "print(time_strings.zone_named('UTC'), time_strings.zone_named('Etc/UTC'))"
    assert _without_zone_data(code) == "UTC UTC"


def test_a_machine_without_time_zone_data_is_told_apart_from_a_wrong_name() -> None:
    code = "try: time_strings.zone_named('Europe/Berlin')\nexcept ValueError as error: print(error)"
    assert _without_zone_data(code) == (
        "time zone 'Europe/Berlin' cannot be looked up: this machine has no time zone data; "
        "pip install tzdata, or use 'UTC'"
    )


def _without_zone_data(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", NO_ZONE_DATA + code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize("offset", ["+02:99", "+02:60", "-0260", "+14:01", "-15:00", "+24:00"])
def test_an_offset_that_no_clock_has_is_refused(offset: str) -> None:
    words = re.escape(
        f"{offset!r} is not a valid offset from UTC; use -14:00 to +14:00, with minutes up to 59"
    )
    for read in (lambda text: time_strings.resolve(text, NOW), time_strings.parse_wire):
        with pytest.raises(ValueError, match=words):
            read(f"2024-05-01T06:00:00{offset}")


@pytest.mark.parametrize(("offset", "hour"), [("+14:00", -14), ("-1400", 14), ("-00:59", 0)])
def test_the_largest_offsets_are_read(offset: str, hour: int) -> None:
    moment = time_strings.parse_wire(f"2024-05-01T00:00:00{offset}")
    assert moment == datetime(2024, 5, 1, tzinfo=UTC) + timedelta(hours=hour, minutes=59 * (hour == 0))


@given(st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_iso_text_comes_back_as_the_same_moment(moment: datetime) -> None:
    text = iso_utc(moment)
    assert time_strings.parse_wire(text) == moment.astimezone(UTC)
    assert time_strings.resolve(text, NOW, BERLIN) == moment.astimezone(UTC)
    assert iso_utc(time_strings.parse_wire(text)) == text


@given(st.text(max_size=30) | st.from_regex(r"[*ty]?\s*[+-]\s*[0-9.]{1,12}\s*(mo|[smhdwy])", fullmatch=True))
def test_any_text_is_a_moment_in_utc_or_a_value_error(text: str) -> None:
    try:
        found = time_strings.resolve(text, NOW, BERLIN)
    except ValueError:
        return
    assert found.tzinfo is UTC
