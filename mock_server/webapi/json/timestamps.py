"""Timestamps in PI Web API's format, as text columns."""

from functools import lru_cache

import numpy as np
import pyarrow as pa

from mock_server.plant import ticks
from mock_server.plant.events import I64
from mock_server.webapi.json.text_columns import Column, table

# Where each part of a timestamp begins in its table.
_MINUTE, _SECOND, _MILLI, _SHORT_MILLI, _REST, _DAY = 0, 1_440, 1_500, 2_500, 3_500, 13_500


def timestamp_columns(instants: I64, opening: bytes, closing: bytes) -> list[Column]:
    """The columns of timestamps preceded by `opening`, without their `Z`, with which `closing` begins."""
    second = instants // ticks.PER_SECOND
    in_second = (instants - second * ticks.PER_SECOND).astype(np.int32)
    day = second // 86_400
    in_day = (second - day * 86_400).astype(np.int32)
    minute = in_day // 60
    milli = in_second // ticks.PER_MILLISECOND
    rest = in_second - milli * ticks.PER_MILLISECOND
    days, clock = _days(day, opening, closing)
    return [
        days,
        Column(clock, minute + _MINUTE),
        Column(clock, in_day - minute * 60 + _SECOND),
        Column(clock, milli + np.where(rest == 0, _SHORT_MILLI, _MILLI)),
        Column(clock, rest + _REST),
    ]


@lru_cache(maxsize=16)
def _clock(closing: bytes) -> pa.Array:
    """Minutes `12:34:`, seconds `56`, milliseconds `.123`, the same without trailing zeros, and ticks `4567` with `closing`."""
    minutes = [b"%02d:%02d:" % divmod(each, 60) for each in range(1_440)]
    seconds = [b"%02d" % each for each in range(60)]
    millis = [b".%03d" % each for each in range(1_000)]
    short = [b"", *(text.rstrip(b"0") for text in millis[1:])]
    rests = [closing, *((b"%04d" % each).rstrip(b"0") + closing for each in range(1, 10_000))]
    return table([*minutes, *seconds, *millis, *short, *rests])


def _days(day: I64, opening: bytes, closing: bytes) -> tuple[Column, pa.Array]:
    """The column of days, and the table with the parts of the time of day: one table, so that it is not built twice."""
    first = int(day.min())
    many = int(day.max()) - first + 1
    if many > 2_000:  # few events over many years: only the days that occur
        days, place = np.unique(day, return_inverse=True)
        return Column(table([_day(each, opening) for each in days.tolist()]), place), _clock(closing)
    calendar = _calendar(first // 64, (first + many - 1) // 64, opening, closing)
    return Column(calendar, day + (_DAY - first // 64 * 64)), calendar


@lru_cache(maxsize=32)
def _calendar(first: int, last: int, opening: bytes, closing: bytes) -> pa.Array:
    """The parts of the time of day, and the days of the spans of 64 days from `first` to `last`."""
    days = [_day(each, opening) for each in range(first * 64, (last + 1) * 64)]
    return pa.concat_arrays([_clock(closing), table(days)])


def _day(day: int, opening: bytes) -> bytes:
    if not ticks.FIRST <= day * ticks.PER_DAY <= ticks.LAST:
        return b""
    return opening + ticks.to_iso(day * ticks.PER_DAY)[:11].encode()
