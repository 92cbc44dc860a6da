"""What a page shows: a time range, plants, sensor types. It is parsed from the query string of the URL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pi_datasource import time_strings
from pi_datasource.errors import InvalidOption

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

RANGES: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "1y": timedelta(days=365),
}
DEFAULT_RANGE = "24h"
_GRAINS_S = (60, 300, 900, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)
_LOOKBACK_DAYS = 30
_MAX_BARS = 170
_MAX_CHOICES = 50
_MAX_TEXT = 400
_MAX_SPAN = timedelta(days=3660)
_BY = ("plant", "sensor_type")
PARAMETERS = ("by", "from", "plant", "q", "range", "sensor_type", "tag", "to", "width")


@dataclass(frozen=True)
class Selection:
    """A validated selection. ``start_us`` is included, ``end_us`` is not; both are multiples of ``grain_us``.

    A range that ends now ends with the grain in progress, so that the selection, which is part of cache keys, stays the
    same for a while and every bar but the last is complete. No plants or sensor types means all of them.
    """

    start_us: int
    end_us: int
    grain_us: int
    range: str | None = DEFAULT_RANGE
    plants: tuple[str, ...] = ()
    sensor_types: tuple[str, ...] = ()
    by: str = "plant"

    @property
    def hourly(self) -> bool:
        """Whether the range consists of whole hours, so that the hourly table gives exact results."""
        return self.grain_us % HOUR_US == 0

    @property
    def coarse(self) -> bool:
        """Whether the range is longer than a week, so that one tag is shown by hours instead of events."""
        return self.grain_us > HOUR_US

    @property
    def lookback_us(self) -> int:
        """The start of the range or of the 30 days before its end, whichever is earlier; a whole hour."""
        start = min(self.start_us, self.end_us - _LOOKBACK_DAYS * 24 * HOUR_US)
        return max(start, 0) // HOUR_US * HOUR_US

    @classmethod
    def parse(cls, query: Iterable[tuple[str, str]], now: datetime) -> Selection:
        """The selection in a query string; missing parameters have their defaults.

        Raises:
            InvalidOption: a parameter does not exist or has an invalid value; the message names it.
        """
        given: dict[str, list[str]] = {}
        for name, value in query:
            if name not in PARAMETERS:
                message = f"there is no parameter {name[:40]!r}; there are {', '.join(PARAMETERS)}"
                raise InvalidOption(message)
            given.setdefault(name, []).append(_text(name, value))
        start, end, named = _range(given, now)
        span = end - start
        grain = next((g for g in _GRAINS_S if span.total_seconds() <= g * _MAX_BARS), _GRAINS_S[-1])
        grain_us = grain * SECOND_US
        return cls(
            start_us=micros(start) // grain_us * grain_us,
            end_us=-(-micros(end) // grain_us) * grain_us,
            grain_us=grain_us,
            range=named,
            plants=_choices(given, "plant"),
            sensor_types=_choices(given, "sensor_type"),
            by=_one_of("by", given.get("by", ["plant"])[-1], _BY),
        )


def _text(name: str, value: str) -> str:
    if len(value) > _MAX_TEXT or "\x00" in value:
        message = f"parameter {name!r}: longer than {_MAX_TEXT} characters, or not text"
        raise InvalidOption(message)
    return value


def _range(given: Mapping[str, Sequence[str]], now: datetime) -> tuple[datetime, datetime, str | None]:
    if "from" not in given and "to" not in given:
        named = _one_of("range", given.get("range", [DEFAULT_RANGE])[-1], tuple(RANGES))
        return now - RANGES[named], now, named
    if "from" not in given:
        message = "parameter 'to' needs 'from' as well"
        raise InvalidOption(message)
    start = _moment("from", given["from"][-1])
    end = _moment("to", given["to"][-1]) if "to" in given else now
    if not start < end:
        message = (
            f"the range is empty: 'from' ({start:%Y-%m-%d %H:%M}) must be before 'to' ({end:%Y-%m-%d %H:%M})"
        )
        raise InvalidOption(message)
    if end - start > _MAX_SPAN:
        message = "the range is longer than ten years; choose a shorter one"
        raise InvalidOption(message)
    return start, end, None


def _moment(name: str, text: str) -> datetime:
    try:
        return max(time_strings.parse_wire(text), EPOCH)
    except ValueError as cause:
        message = f"parameter {name!r}: {text[:40]!r} is not a time such as 2026-03-01T06:00 (UTC)"
        raise InvalidOption(message) from cause


def _choices(given: Mapping[str, Sequence[str]], name: str) -> tuple[str, ...]:
    chosen = tuple(sorted({value for value in given.get(name, ()) if value}))
    if len(chosen) > _MAX_CHOICES:
        message = f"parameter {name!r} is given {len(chosen)} times; {_MAX_CHOICES} at most"
        raise InvalidOption(message)
    return chosen


def _one_of(name: str, value: str, accepted: Sequence[str]) -> str:
    if value not in accepted:
        message = f"parameter {name!r}: {value[:40]!r} is not one of {', '.join(accepted)}"
        raise InvalidOption(message)
    return value


def micros(moment: datetime) -> int:
    """``moment`` in microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
