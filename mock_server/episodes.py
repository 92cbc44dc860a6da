"""What happens to an instrument and its machine over some hours: setpoints, stops, outages, stuck and quiet sensors.

Time is cut into episodes of a length that all instruments of an area share. What an episode holds depends on its
number alone, so it can be made on its own; instruments of one area read the same stops of the same machine.
"""

from dataclasses import dataclass

import numpy as np

from mock_server import ticks
from mock_server.events import I64, spans
from mock_server.hashing import F64, U64, salted, scatter, unit
from mock_server.instruments import Instruments

# Odds that an episode has one of these.
_STOP, _OUTAGE, _STUCK, _FLAT = 0.6, 0.03, 0.05, 0.5
_SLOTS_FOR_OUTAGE = 32  # an instrument that reports less often than this per episode has no outages
_DAY_S = 86_400.0
_COUNTER_RESET_S = 30.0 * _DAY_S


@dataclass(frozen=True)
class Episodes:
    """One array element for each episode of each stream; spans are ticks after `start`, empty ones are (0, 0).

    The value moves from `level` by `slope` for each second, plus `swing` which fades at `pace` for each second.
    """

    stream: I64
    start: I64
    slots: I64
    level: F64
    slope: F64
    swing: F64
    pace: F64
    stop: tuple[I64, I64]
    stop_code: I64
    outage: tuple[I64, I64]
    stuck: tuple[I64, I64]
    flat: tuple[I64, I64]
    counted: F64
    draw: U64


def episodes(made_by: Instruments, first_slot: I64, end_slot: I64) -> Episodes:
    """The episodes that the slots from `first_slot` up to, not including, `end_slot` begin in.

    `slots` counts how many of those slots begin in each; their sum is the number of slots.
    """
    length, period = made_by.episode, made_by.period
    busy = end_slot > first_slot
    first = first_slot * period // length
    counts = np.where(busy, (end_slot - 1) * period // length - first + 1, 0)
    stream = np.repeat(np.arange(len(counts)), counts)
    number = spans(first, counts)
    length, period = length[stream], period[stream]
    start = number * length
    begin = np.maximum(-(-start // period), first_slot[stream])
    end = np.minimum(-(-(start + length) // period), end_slot[stream])
    return _described(made_by, stream, number, start, np.maximum(end - begin, 0))


def _described(made_by: Instruments, stream: I64, number: I64, start: I64, slots: I64) -> Episodes:
    own = scatter(salted(made_by.key, 6)[stream], number)
    before = scatter(salted(made_by.key, 6)[stream], number - 1)
    machine = scatter(made_by.machine_key[stream], number)
    length = made_by.episode[stream]
    seconds = length / float(ticks.PER_SECOND)
    begins = start / float(ticks.PER_SECOND) / _DAY_S + made_by.phase[stream]
    daily = made_by.daily[stream]
    low, high = daily * _wave(begins), daily * _wave(begins + seconds / _DAY_S)
    here = _setpoint(made_by, stream, number, own)
    stop = _span(machine, 1, length, _STOP, begin=(0.1, 0.3), size=(0.05, 0.3))
    return Episodes(
        stream=stream,
        start=start,
        slots=slots,
        level=made_by.middle[stream] + low + here,
        slope=(high - low) / seconds,
        swing=_setpoint(made_by, stream, number - 1, before) - here,
        pace=made_by.pace[stream] / seconds,
        stop=stop,
        stop_code=np.array([0, 0, 0, 2], dtype=np.int64)[(machine & np.uint64(3)).astype(np.int64)],
        outage=_outage(own, length, made_by.period[stream]),
        stuck=_span(own, 3, length, _STUCK, begin=(0.1, 0.6), size=(0.05, 0.2)),
        flat=_flat(own, length),
        counted=_counted(number, seconds),
        draw=own,
    )


def quiet_slots(made_by: Instruments, edge: I64, reach: int, *, backwards: bool) -> tuple[I64, I64]:
    """How many slots are flat, and how many are lost, in a row that begins within `reach` slots of the edge (ticks).

    It is a guess that looks at one episode only: it says how far to read, not what is there.
    """
    number = (edge - 1 if backwards else edge) // made_by.episode
    own = scatter(salted(made_by.key, 6), number)
    at = edge - number * made_by.episode
    near = reach * made_by.period

    def count(span: tuple[I64, I64]) -> I64:
        first, end = (span[0], np.minimum(span[1], at)) if backwards else (np.maximum(span[0], at), span[1])
        begins = at - end if backwards else first - at
        return np.where((end > first) & (begins < near), (end - first) // made_by.period + 1, 0)

    return count(_flat(own, made_by.episode)), count(_outage(own, made_by.episode, made_by.period))


def _flat(draw: U64, length: I64) -> tuple[I64, I64]:
    return _span(draw, 4, length, _FLAT, begin=(0.4, 0.2), size=(0.1, 0.1))


def _outage(draw: U64, length: I64, period: I64) -> tuple[I64, I64]:
    odds = np.where(period * _SLOTS_FOR_OUTAGE <= length, _OUTAGE, 0.0)
    return _span(draw, 2, length, odds, begin=(0.1, 0.6), size=(0.02, 0.1))


def _setpoint(made_by: Instruments, stream: I64, number: I64, draw: U64) -> F64:
    """How far from its middle an episode drives the value; a cyclic one fills and drains in turns."""
    height = unit(salted(draw, 1))
    turns = np.where(number % 2 == 0, 1.0, -1.0) * (0.7 + 0.3 * height)
    free = height * 2.0 - 1.0
    return made_by.steps[stream] * np.where(made_by.cyclic[stream], turns, free)


def _counted(number: I64, seconds: F64) -> F64:
    """The seconds a counter has counted when the episode begins: since its last reset, at an episode's begin."""
    between_resets = np.maximum(_COUNTER_RESET_S // seconds, 1.0)
    counted: F64 = (number - between_resets * np.floor(number / between_resets)) * seconds
    return counted


def _span(
    draw: U64,
    salt: int,
    length: I64,
    odds: "float | F64",
    *,
    begin: tuple[float, float],
    size: tuple[float, float],
) -> tuple[I64, I64]:
    """A span inside each episode that has one, in whole milliseconds: fractions (least, range) of its length."""
    bits = salted(draw, 16 + salt)
    there = np.flatnonzero(_share(bits, 0) < odds)
    chosen, length = bits[there], length[there]
    start = np.floor((begin[0] + begin[1] * _share(chosen, 1)) * length / ticks.PER_MILLISECOND)
    lasting = np.floor((size[0] + size[1] * _share(chosen, 2)) * length / ticks.PER_MILLISECOND)
    first, end = np.zeros(len(draw), dtype=np.int64), np.zeros(len(draw), dtype=np.int64)
    first[there] = start.astype(np.int64) * ticks.PER_MILLISECOND
    end[there] = (start + lasting).astype(np.int64) * ticks.PER_MILLISECOND
    return first, end


def _share(bits: U64, place: int) -> F64:
    """One of three shares in [0, 1) that the same bits hold."""
    share: F64 = ((bits >> np.uint64(21 * place)) & np.uint64(0x1FFFFF)).astype(np.float64) * 2.0**-21
    return share


def _wave(turns: F64) -> F64:
    """A sine-like wave of period 1 made of two parabolas."""
    x = turns - np.floor(turns)
    half = np.where(x < 0.5, x, x - 0.5)
    arch = 16.0 * half * (0.5 - half)
    return np.where(x < 0.5, arch, -arch)
