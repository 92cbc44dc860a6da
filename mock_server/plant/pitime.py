"""PI time strings: `*`, `t+8h`, `yesterday`, `1-jan-2024 08:00`, ISO 8601 with up to seven digits.

A string is an optional date part and an optional interval. A string without an offset is read in the given zone; a
real server uses its own, the simulator UTC.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from mock_server.plant import ticks

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
UNIT_TICKS = {
    "s": ticks.PER_SECOND,
    "m": 60 * ticks.PER_SECOND,
    "h": 3_600 * ticks.PER_SECOND,
    "d": ticks.PER_DAY,
    "w": 7 * ticks.PER_DAY,
}
UNIT_NAMES = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
    **dict.fromkeys(("mo", "mon", "month", "months"), "mo"),
    **dict.fromkeys(("y", "yr", "year", "years"), "y"),
}
_INTERVAL = re.compile(r"\s*([+-])\s*(\d{1,9}|\d{0,9}\.\d{1,9})\s*([a-z]+)\Z")
_TIME_OF_DAY = (
    r"(?:[t ]\s*(\d{1,2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,7}))?)?)?\s*(am|pm)?)?\s*(z|[+-]\d{2}:?\d{2})?\Z"
)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})" + _TIME_OF_DAY)
_NAMED = re.compile(r"(\d{1,2})[- ]([a-z]{3,9})[- ](\d{4}|\d{2})" + _TIME_OF_DAY)
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})" + _TIME_OF_DAY)


class BadTime(ValueError):
    """The text is not a PI time."""


def parse(text: str, now: int, zone: tzinfo) -> int:
    """The instant in ticks that `text` denotes at `now`, naive parts read in `zone`.

    Raises:
        BadTime: when it is not a PI time, or is outside the years 1 to 9999.
    """
    cleaned = text.strip().lower()
    try:
        instant = _absolute(cleaned, zone)
        if instant is None:
            instant = _relative(cleaned, now, zone)
    except (ValueError, OverflowError) as error:
        raise BadTime(text) from error
    if not ticks.FIRST <= instant <= ticks.LAST:
        raise BadTime(text)
    return instant


def _absolute(text: str, zone: tzinfo) -> int | None:
    if match := _ISO.match(text):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
    elif match := _NAMED.match(text):
        year, month, day = _year(match[3]), _month(match[2]), int(match[1])
    elif match := _SLASHED.match(text):  # the invariant culture of .NET: month first
        year, month, day = int(match[3]), int(match[1]), int(match[2])
    else:
        return None
    _, _, _, hour, minute, second, fraction, half, offset = match.groups()
    moment = datetime(year, month, day, _hour(hour, half), int(minute or 0), int(second or 0), tzinfo=zone)
    whole = ticks.from_datetime(moment)
    if offset:
        whole = ticks.from_datetime(moment.replace(tzinfo=ticks.EPOCH.tzinfo)) - _offset(offset)
    return whole + int((fraction or "").ljust(7, "0"))


def _hour(hour: str | None, half: str | None) -> int:
    number = int(hour or 0)
    if half is None:
        return number
    if not 1 <= number <= 12:
        raise ValueError(hour)
    return number % 12 + (12 if half == "pm" else 0)


def _offset(text: str) -> int:
    if text == "z":
        return 0
    hours, minutes = int(text[1:3]), int(text[-2:])
    if hours > 14 or minutes > 59:
        raise ValueError(text)
    return (-1 if text[0] == "-" else 1) * (hours * 60 + minutes) * UNIT_TICKS["m"]


def _relative(text: str, now: int, zone: tzinfo) -> int:
    interval = _INTERVAL.search(text)
    date = text[: interval.start()].strip() if interval else text
    start = _date_part(date, now, zone)
    return start if interval is None else _shifted(start, interval[1] + interval[2], interval[3], zone)


def _date_part(text: str, now: int, zone: tzinfo) -> int:
    if text in ("", "*"):
        return now
    if (absolute := _absolute(text, zone)) is not None:
        return absolute
    midnight = ticks.to_datetime(now).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for read in _DATE_WORDS:
        found = read(text, midnight)
        if found is not None:
            return ticks.from_datetime(found)
    raise ValueError(text)


def _day_word(text: str, midnight: datetime) -> datetime | None:
    if text in ("t", "today"):
        return midnight
    return midnight - timedelta(days=1) if text in ("y", "yesterday") else None


def _weekday(text: str, midnight: datetime) -> datetime | None:
    number = _among(text, _WEEKDAYS)
    return None if number is None else midnight - timedelta(days=(midnight.weekday() - number) % 7)


def _month_word(text: str, midnight: datetime) -> datetime | None:
    number = _among(text, _MONTHS)
    return None if number is None else midnight.replace(month=number + 1)


def _number(text: str, midnight: datetime) -> datetime | None:
    if not re.fullmatch(r"\d{1,2}|\d{4}", text):
        return None
    if len(text) < 3:
        return midnight.replace(day=int(text))
    if int(text) < 1970:
        raise ValueError(text)
    return midnight.replace(year=int(text))


_DATE_WORDS: tuple[Callable[[str, datetime], datetime | None], ...] = (
    _day_word,
    _weekday,
    _month_word,
    _number,
)


def _among(text: str, names: tuple[str, ...]) -> int | None:
    if len(text) < 3:
        return None
    return next((place for place, name in enumerate(names) if text in (name, name[:3])), None)


def _month(text: str) -> int:
    number = _among(text, _MONTHS)
    if number is None:
        raise ValueError(text)
    return number + 1


def _year(text: str) -> int:
    """Two digits mean 1930 to 2029, as .NET reads them."""
    number = int(text)
    return number if len(text) == 4 else number + (2000 if number < 30 else 1900)


def _shifted(start: int, amount: str, unit_name: str, zone: tzinfo) -> int:
    unit = UNIT_NAMES.get(unit_name, "")
    if unit in ("s", "m", "h"):
        whole, _, fraction = amount.partition(".")
        sign = -1 if amount.startswith("-") else 1
        size = UNIT_TICKS[unit]
        parts = int(fraction.ljust(9, "0")) * size // 10**9
        return start + sign * (int(whole.lstrip("+-") or 0) * size + parts)
    if not unit or "." in amount:
        raise ValueError(amount + unit_name)
    local = ticks.to_datetime(start).astimezone(zone)
    return ticks.from_datetime(_calendar_shift(local, int(amount), unit)) + start % ticks.PER_MICROSECOND


def _calendar_shift(local: datetime, amount: int, unit: str) -> datetime:
    """Days, weeks, months and years keep the local time of day."""
    if unit in ("d", "w"):
        return local + timedelta(days=amount * (7 if unit == "w" else 1))
    return shifted_by_months(local, amount * (12 if unit == "y" else 1))


def shifted_by_months(local: datetime, amount: int) -> datetime:
    """The same day and time of day that many months later, or the month's last day if it is shorter.

    Raises:
        ValueError: when that is outside the years 1 to 9999.
    """
    year, month = divmod(local.year * 12 + local.month - 1 + amount, 12)
    if not 1 <= year <= 9999:
        raise ValueError(year)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day)
