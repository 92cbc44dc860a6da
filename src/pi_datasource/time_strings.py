"""Parses PI time strings, given ``now`` and a time zone (PI Web API reference: time strings).

A time is a date part, an offset, or both: ``*``, ``*-1d``, ``t+8h``, ``y``, ``monday``, ``8:00``,
``2024-05-01T06:00:00Z``, ``1-jan-2024 08:00``. Offsets take one sign, one number and one unit of ``s m h d w mo y``, or
its name in full; ``m`` is a minute and ``mo`` a month. A date may be quoted. Text without a zone is read in the given one.
Nothing here reads a clock, and text of any other form is an error.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from fractions import Fraction
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

UTC = timezone.utc
_UTC_NAMES = ("UTC", "Etc/UTC")
_MAX_OFFSET = timedelta(hours=14)  # the largest in use, and the largest that PI Web API accepts
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # PI's own epoch: no archive holds anything older

ACCEPTED = "'*', '*-1d', 't+8h', 'y', 'latest', 'earliest', '2024-05-01T06:00:00Z' or '1-jan-2024 08:00'"

_NAMED = r"(?:second|minute|hour|day|week|month|year)s?"
_OFFSET = re.compile(
    rf"(?P<sign>[+-])\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>{_NAMED}|mo|[smhdwy])\s*$",
    re.ASCII | re.IGNORECASE,
)
_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw])$", re.ASCII | re.IGNORECASE)
_CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2})?)(?:(?<=:\d\d:\d\d)\.(?P<fraction>\d{1,9}))?"
_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<clock>\d{2}:\d{2}(?::\d{2})?)(?:\.(?P<fraction>\d{1,9}))?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$",
    re.ASCII | re.IGNORECASE,
)
_WRITTEN = re.compile(
    rf"(?P<day>\d{{1,2}})-(?P<month>[a-z]{{3,9}})-(?P<year>\d{{4}})(?:\s+{_CLOCK})?$",
    re.ASCII | re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(rf"{_CLOCK}$", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WEEKDAYS = [name.lower() for name in calendar.day_name]
_MONTHS = [name.lower() for name in calendar.month_name][1:]


def zone_named(name: str) -> tzinfo:
    """The time zone of an IANA name; UTC needs no time zone data.

    Raises:
        ValueError: there is no such time zone, or this machine has no time zone data; the message says which.
    """
    if name in _UTC_NAMES:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        message = f"there is no time zone {name!r}; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        if not available_timezones():
            message = (
                f"time zone {name!r} cannot be looked up: this machine has no time zone data; "
                "pip install tzdata, or use 'UTC'"
            )
        raise ValueError(message) from cause


def resolve(text: str, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The moment that ``text`` means, in UTC, truncated to microseconds.

    Raises:
        ValueError: the text is not a PI time string; the message shows accepted forms.
    """
    try:
        moment = _resolve(text.strip(), now, zone)
    except (ValueError, OverflowError) as cause:
        message = f"{text!r} is not a valid time: {cause}"
        raise ValueError(message) from cause
    if moment is None:
        message = f"{text!r} is not a valid time; use {ACCEPTED}"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _resolve(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    base_text, offset = _parts(text)
    if base_text.lower() == "earliest":
        return EARLIEST if offset is None else None  # nothing lies before it
    base = _base(base_text, now.astimezone(zone), zone)
    return _shift(base.astimezone(zone), offset) if base and offset else base


def is_relative(text: str) -> bool:
    """Whether the moment that ``text`` means depends on when it is read."""
    base, _ = _parts(text.strip())
    return not (_ISO.fullmatch(base) or _WRITTEN.fullmatch(base) or base.lower() == "earliest")


def _parts(text: str) -> tuple[str, re.Match[str] | None]:
    """The date part, without quotes around it, and the offset."""
    offset = None if _ISO.fullmatch(text) else _OFFSET.search(text)
    base = text[: offset.start()].strip() if offset else text
    if len(base) > 1 and base[0] == base[-1] and base[0] in "'\"":
        base = base[1:-1].strip()
    return base, offset


def duration(text: str) -> timedelta:
    """The duration that ``text`` means: a number and a unit of ``s m h d w``, such as ``30s`` or ``1.5h``.

    Raises:
        ValueError: the text is not a duration.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        message = (
            f"{text!r} is not a valid duration; use a number and one of s, m, h, d, w, such as '30s' or '15m'"
        )
        raise ValueError(message)
    try:
        return _length(match["number"], match["unit"].lower())
    except OverflowError as cause:
        message = f"{text!r} is too long a duration"
        raise ValueError(message) from cause


def parse_wire(text: str) -> datetime:
    """The moment of a timestamp as PI Web API writes it: ISO, UTC, 0 to 7 fraction digits; truncated to microseconds."""
    try:
        moment = _iso(text, UTC)
    except (ValueError, OverflowError) as cause:
        message = f"{text!r} is not a valid time: {cause}"
        raise ValueError(message) from cause
    if moment is None:
        message = f"{text!r} is not an ISO 8601 time"
        raise ValueError(message)
    return moment


def _iso(text: str, zone: tzinfo) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    clock = match["clock"] or "00:00"
    naive = datetime.fromisoformat(f"{match['date']}T{clock}")  # ValueError for a 13th month or a 25th hour
    exact = naive.replace(microsecond=_micros(match))
    return exact.replace(tzinfo=_offset_zone(match["zone"]) or zone).astimezone(UTC)


def _offset_zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or offset > _MAX_OFFSET:
        message = f"{text!r} is not a valid offset from UTC; use -14:00 to +14:00, with minutes up to 59"
        raise ValueError(message)
    return timezone(offset if text[0] == "+" else -offset)


def _base(given: str, now: datetime, zone: tzinfo) -> datetime | None:
    if absolute := _iso(given, zone):
        return absolute
    text = given.lower()
    if text in ("", "*", "latest", "now"):
        return now
    if (day := _named_day(text, now.date())) is not None:
        return datetime.combine(day, time(), tzinfo=zone)
    if match := _TIME_OF_DAY.fullmatch(text):
        return datetime.combine(now.date(), _clock(match), tzinfo=zone)
    match = _WRITTEN.fullmatch(text)
    if match is None or (month := _prefix_index(_MONTHS, match["month"])) is None:
        return None
    day = date(int(match["year"]), month + 1, int(match["day"]))
    return datetime.combine(day, _clock(match), tzinfo=zone)


def _clock(match: re.Match[str]) -> time:
    hour, *rest = (match["clock"] or "00:00").split(":")
    return time.fromisoformat(":".join([hour.zfill(2), *rest])).replace(microsecond=_micros(match))


def _micros(match: re.Match[str]) -> int:
    return int((match["fraction"] or "").ljust(6, "0")[:6])


def _named_day(text: str, today: date) -> date | None:
    if text in ("t", "today"):
        return today
    if text in ("y", "yesterday"):
        return today - timedelta(days=1)
    if (weekday := _prefix_index(_WEEKDAYS, text)) is not None:
        return today - timedelta(days=(today.weekday() - weekday) % 7)
    if (month := _prefix_index(_MONTHS, text)) is not None:
        return _in_month(today.year, month + 1, today.day)
    if text.isdecimal() and 1 <= int(text) <= 31:
        return _in_month(today.year, today.month, int(text))
    if text.isdecimal() and 1970 <= int(text) <= 9999:
        return _in_month(int(text), today.month, today.day)
    return None


def _prefix_index(names: list[str], text: str) -> int | None:
    if len(text) < 3:
        return None
    return next((index for index, name in enumerate(names) if name.startswith(text)), None)


def _in_month(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def _shift(base: datetime, offset: re.Match[str]) -> datetime:
    name = offset["unit"].lower()
    unit = "mo" if name.startswith("mo") else name[0]
    sign = 1 if offset["sign"] == "+" else -1
    if unit in ("mo", "y"):
        if "." in offset["number"]:
            message = f"{offset.group()!r}: months and years must be whole numbers"
            raise ValueError(message)
        months = base.year * 12 + base.month - 1 + sign * int(offset["number"]) * (12 if unit == "y" else 1)
        day = _in_month(months // 12, months % 12 + 1, base.day)
        return base.replace(year=day.year, month=day.month, day=day.day)
    length = sign * _length(offset["number"], unit)
    if unit in ("d", "w"):  # calendar days: the same wall clock time across a change of summer time
        return base + length
    return (base.astimezone(UTC) + length).astimezone(base.tzinfo)


def _length(number: str, unit: str) -> timedelta:
    """Exact, and truncated to microseconds: a float would round."""
    return timedelta(microseconds=int(Fraction(number) * _SECONDS[unit] * 1_000_000))
