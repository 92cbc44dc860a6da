"""PI time strings into exact moments, given ``now`` and a time zone (PI Web API reference: time strings).

A time is a date part, an offset, or both: ``*``, ``*-1d``, ``t+8h``, ``y``, ``monday``, ``2024-05-01T06:00:00Z``,
``1-jan-2024 08:00``. Offsets take one sign, one number and one unit of ``s m h d w mo y``; ``m`` is a minute and
``mo`` a month. Text without a zone is read in the zone given. Nothing here looks at a clock.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC = timezone.utc
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)  # PI's own epoch: no archive holds anything older

ACCEPTED = "'*', '*-1d', 't+8h', 'y', 'latest', 'earliest', '2024-05-01T06:00:00Z' or '1-jan-2024 08:00'"

_OFFSET = re.compile(r"(?P<sign>[+-])\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>mo|[smhdwy])\s*$", re.IGNORECASE)
_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw])$", re.IGNORECASE)
_ISO = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})(?:[T ](?P<clock>\d{2}:\d{2}(?::\d{2})?)(?:\.(?P<fraction>\d{1,9}))?"
    r"\s*(?P<zone>Z|[+-]\d{2}:?\d{2})?)?$",
    re.IGNORECASE,
)
_WRITTEN = re.compile(
    r"(?P<day>\d{1,2})-(?P<month>[a-z]{3,9})-(?P<year>\d{4})(?:\s+(?P<clock>\d{1,2}:\d{2}(?::\d{2})?))?$",
    re.IGNORECASE,
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_WEEKDAYS = [name.lower() for name in calendar.day_name]
_MONTHS = [name.lower() for name in calendar.month_name][1:]


def zone_named(name: str) -> tzinfo:
    """The time zone of an IANA name; raises ValueError for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        message = f"{name!r} is no time zone; use an IANA name such as 'Europe/Berlin' or 'UTC'"
        raise ValueError(message) from cause


def resolve(text: str, now: datetime, zone: tzinfo = UTC) -> datetime:
    """The moment that ``text`` means, in UTC, cut (never rounded) to microseconds.

    Raises:
        ValueError: the text is no PI time string; the message shows accepted forms.
    """
    try:
        moment = _resolve(text.strip(), now, zone)
    except (ValueError, OverflowError) as cause:
        message = f"{text!r} is no time: {cause}"
        raise ValueError(message) from cause
    if moment is None:
        message = f"{text!r} is no time; use {ACCEPTED}"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _resolve(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    if absolute := _iso(text, zone):
        return absolute
    if text.lower() == "earliest":
        return EARLIEST
    offset = _OFFSET.search(text)
    base_text = text[: offset.start()].strip().lower() if offset else text.lower()
    base = _base(base_text, now.astimezone(zone), zone)
    return _shift(base, offset) if base and offset else base


def is_relative(text: str) -> bool:
    """Whether the moment that ``text`` means depends on when it is read."""
    stripped = text.strip()
    return not (_ISO.fullmatch(stripped) or _WRITTEN.fullmatch(stripped) or stripped.lower() == "earliest")


def duration(text: str) -> timedelta:
    """The length of time that ``text`` means: a number and a unit of ``s m h d w``, such as ``30s`` or ``1.5h``.

    Raises:
        ValueError: the text is no such length.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        message = (
            f"{text!r} is no length of time; use a number and one of s, m, h, d, w, such as '30s' or '15m'"
        )
        raise ValueError(message)
    try:
        return timedelta(seconds=float(match["number"]) * _SECONDS[match["unit"].lower()])
    except OverflowError as cause:
        message = f"{text!r} is too long a time"
        raise ValueError(message) from cause


def parse_wire(text: str) -> datetime:
    """The moment of a timestamp as PI Web API writes it: ISO, UTC, 0 to 7 fraction digits; cut to microseconds."""
    try:
        moment = _iso(text, UTC)
    except (ValueError, OverflowError) as cause:
        message = f"{text!r} is no time: {cause}"
        raise ValueError(message) from cause
    if moment is None:
        message = f"{text!r} is no ISO 8601 time"
        raise ValueError(message)
    return moment


def _iso(text: str, zone: tzinfo) -> datetime | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    clock = match["clock"] or "00:00"
    micros = (match["fraction"] or "").ljust(6, "0")[:6]
    naive = datetime.fromisoformat(f"{match['date']}T{clock}")  # ValueError for a 13th month or a 25th hour
    exact = naive.replace(microsecond=int(micros))
    return exact.replace(tzinfo=_offset_zone(match["zone"]) or zone).astimezone(UTC)


def _offset_zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _base(text: str, now: datetime, zone: tzinfo) -> datetime | None:
    if text in ("", "*", "latest", "now"):
        return now
    if (day := _named_day(text, now.date())) is not None:
        return datetime.combine(day, time(), tzinfo=zone)
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    month = _prefix_index(_MONTHS, match["month"])
    if month is None:
        return None
    clock = time.fromisoformat((match["clock"] or "00:00").zfill(5))
    return datetime.combine(date(int(match["year"]), month + 1, int(match["day"])), clock, tzinfo=zone)


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
    unit, number = offset["unit"].lower(), float(offset["number"])
    sign = 1 if offset["sign"] == "+" else -1
    if unit in ("mo", "y"):
        if number != int(number):
            message = f"{offset.group()!r}: months and years must be whole numbers"
            raise ValueError(message)
        months = base.year * 12 + base.month - 1 + sign * int(number) * (12 if unit == "y" else 1)
        day = _in_month(months // 12, months % 12 + 1, base.day)
        return base.replace(year=day.year, month=day.month, day=day.day)
    if unit in ("d", "w"):  # calendar days: the same wall clock time across a change of summer time
        return base + sign * timedelta(seconds=number * _SECONDS[unit])
    shifted = base.astimezone(UTC) + sign * timedelta(seconds=number * _SECONDS[unit])
    return shifted.astimezone(base.tzinfo)
