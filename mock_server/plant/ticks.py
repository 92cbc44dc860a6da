"""PI timestamps as integers: multiples of 100 ns since 1970-01-01 UTC.

Neither a double nor a `datetime` holds seven fraction digits, so both appear only at the edges of the simulator.
"""

from datetime import datetime, timedelta, timezone

PER_SECOND = 10_000_000
PER_MILLISECOND = 10_000
PER_MICROSECOND = 10
PER_DAY = 86_400 * PER_SECOND

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIRST = -62_135_596_800 * PER_SECOND  # 0001-01-01, where .NET's DateTime begins
LAST = 253_402_300_800 * PER_SECOND - 1  # the last tick of the year 9999


def from_datetime(moment: datetime) -> int:
    """The ticks of an aware datetime, exactly."""
    if moment.tzinfo is None:
        msg = "an instant needs a time zone; give an aware datetime"
        raise ValueError(msg)
    return (moment - EPOCH) // timedelta(microseconds=1) * PER_MICROSECOND


def to_datetime(ticks: int) -> datetime:
    """The aware UTC datetime at or just before `ticks` (a datetime ends at microseconds)."""
    return EPOCH + timedelta(microseconds=ticks // PER_MICROSECOND)


def to_iso(ticks: int) -> str:
    """`2024-05-01T06:00:00.1234567Z`: UTC, 0 to 7 fraction digits, trailing zeros dropped as .NET does."""
    seconds, rest = divmod(ticks, PER_SECOND)
    text = (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:07d}".rstrip("0") if rest else ""
    return f"{text.zfill(19)}{fraction}Z"
