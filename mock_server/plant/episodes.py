"""Episodes of some hours in the life of an instrument: setpoints, stops, outages, stuck sensors and flat signals.

All instruments of an area have episodes of the same length. An episode depends on its number alone, so that each can
be computed on its own; instruments of one area share the stops of their machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mock_server.plant import ticks
from mock_server.plant.events import I64, spans
from mock_server.plant.hashing import F64, U64, salt_of, salted, scatter, splitmix64, unit
from mock_server.plant.instruments import Instruments

Span = tuple[I64, I64]


class _Rule(NamedTuple):
    """A span that an episode has with probability `odds`; `begin` and `size` are fractions (least, range) of its length."""

    salt: int
    odds: float
    begin: tuple[float, float]
    size: tuple[float, float]


_STOP = _Rule(1, 0.6, begin=(0.1, 0.3), size=(0.05, 0.3))
_OUTAGE = _Rule(2, 0.03, begin=(0.1, 0.6), size=(0.02, 0.1))
_STUCK = _Rule(3, 0.05, begin=(0.1, 0.6), size=(0.05, 0.2))
_FLAT = _Rule(4, 0.5, begin=(0.4, 0.2), size=(0.1, 0.1))
_SLOTS_FOR_OUTAGE = 32  # an instrument that reports less often than this per episode has no outages
_DAY_S = 86_400.0
_COUNTER_RESET_S = 30.0 * _DAY_S


@dataclass(frozen=True)
class Episodes:
    """One array element for each episode of each stream; spans are ticks after `start`, empty ones are (0, 0).

    The value starts at `level`, moves by `slope` per second, and adds `swing`, which decays at `pace` per second.
    """

    stream: I64
    start: I64
    slots: I64
    level: F64
    slope: F64
    swing: F64
    pace: F64
    stop: Span
    stop_code: I64
    outage: Span
    stuck: Span
    flat: Span
    counted: F64
    draw: U64


def episodes_of(devices: Instruments, first_slot: I64, end_slot: I64) -> Episodes:
    """The episodes in which the slots from `first_slot` up to, not including, `end_slot` begin.

    `slots` counts the slots that begin in each.
    """
    length, period = devices.episode, devices.period
    busy = end_slot > first_slot
    first = first_slot * period // length
    counts = np.where(busy, (end_slot - 1) * period // length - first + 1, 0)
    stream = np.repeat(np.arange(len(counts)), counts)
    number = spans(first, counts)
    length, period = length[stream], period[stream]
    start = number * length
    begin = np.maximum(-(-start // period), first_slot[stream])
    end = np.minimum(-(-(start + length) // period), end_slot[stream])
    return _described(devices, stream, number, start, np.maximum(end - begin, 0))


def _described(devices: Instruments, stream: I64, number: I64, start: I64, slots: I64) -> Episodes:
    numbers = np.stack((number, number - 1))
    draws = scatter(devices.episode_key[stream], numbers)
    own, machine = draws[0], scatter(devices.machine_key[stream], number)
    length = devices.episode[stream]
    seconds = length / float(ticks.PER_SECOND)
    begins = start / float(ticks.PER_SECOND) / _DAY_S + devices.phase[stream]
    low, high = devices.daily[stream] * _wave(np.stack((begins, begins + seconds / _DAY_S)))
    here, before = _setpoints(devices, stream, numbers, draws)
    stop, outage, stuck, flat = _spans((_STOP, _OUTAGE, _STUCK, _FLAT), (machine, own, own, own), length)
    return Episodes(
        stream=stream,
        start=start,
        slots=slots,
        level=devices.middle[stream] + low + here,
        slope=(high - low) / seconds,
        swing=before - here,
        pace=devices.pace[stream] / seconds,
        stop=stop,
        stop_code=np.array([0, 0, 0, 2], dtype=np.int64)[(machine & np.uint64(3)).astype(np.int64)],
        outage=_if_frequent(outage, length, devices.period[stream]),
        stuck=stuck,
        flat=flat,
        counted=_counted(number, seconds),
        draw=own,
    )


def quiet_slots(devices: Instruments, edge: I64, reach: int, *, backwards: bool) -> tuple[I64, I64]:
    """An estimate of the flat and lost slots in a stretch that begins within `reach` slots of the edge (ticks).

    It looks at one episode only and decides how far to read, not what is there.
    """
    number = (edge - 1 if backwards else edge) // devices.episode
    own = scatter(devices.episode_key, number)
    flat, outage = _spans((_FLAT, _OUTAGE), (own, own), devices.episode)
    at = edge - number * devices.episode
    near = reach * devices.period

    def count(span: Span) -> I64:
        first, end = (span[0], np.minimum(span[1], at)) if backwards else (np.maximum(span[0], at), span[1])
        begins = at - end if backwards else first - at
        return np.where((end > first) & (begins < near), (end - first) // devices.period + 1, 0)

    return count(flat), count(_if_frequent(outage, devices.episode, devices.period))


def _if_frequent(outage: Span, length: I64, period: I64) -> Span:
    """The outages, without those of instruments that report too seldom to have any."""
    frequent = period * _SLOTS_FOR_OUTAGE <= length
    return outage[0] * frequent, outage[1] * frequent


def _setpoints(devices: Instruments, stream: I64, numbers: I64, draws: U64) -> F64:
    """The distance of each episode's setpoint from the middle; cyclic instruments fill and drain in turn."""
    height = unit(salted(draws, 1))
    turns = np.where(numbers % 2 == 0, 1.0, -1.0) * (0.7 + 0.3 * height)
    free = height * 2.0 - 1.0
    return devices.steps[stream] * np.where(devices.cyclic[stream], turns, free)


def _counted(number: I64, seconds: F64) -> F64:
    """The seconds a counter has counted at the start of the episode: since its last reset, at an episode's start."""
    between_resets = np.maximum(_COUNTER_RESET_S // seconds, 1.0)
    counted: F64 = (number - between_resets * np.floor(number / between_resets)) * seconds
    return counted


def _spans(rules: tuple[_Rule, ...], draws: Sequence[U64], length: I64) -> list[Span]:
    """For each rule the spans drawn from its bits, in whole milliseconds of episodes of that length."""
    salts, (odds, low, reach, least, most) = _figures(rules)
    bits = splitmix64(np.stack(draws) + salts)
    rule, at = np.nonzero(_share(bits, 0) < odds[:, None])
    chosen, length = bits[rule, at], length[at]
    start = np.floor((low[rule] + reach[rule] * _share(chosen, 1)) * length / ticks.PER_MILLISECOND)
    lasting = np.floor((least[rule] + most[rule] * _share(chosen, 2)) * length / ticks.PER_MILLISECOND)
    first, end = np.zeros(bits.shape, dtype=np.int64), np.zeros(bits.shape, dtype=np.int64)
    first[rule, at] = start.astype(np.int64) * ticks.PER_MILLISECOND
    end[rule, at] = (start + lasting).astype(np.int64) * ticks.PER_MILLISECOND
    return list(zip(first, end, strict=True))


@lru_cache(maxsize=8)
def _figures(rules: tuple[_Rule, ...]) -> tuple[U64, F64]:
    """The salts of the rules as a column; their odds and the fractions of begin and size."""
    salts = np.array([[salt_of(16 + rule.salt)] for rule in rules])
    return salts, np.array([(rule.odds, *rule.begin, *rule.size) for rule in rules]).T


def _share(bits: U64, place: int) -> F64:
    """One of the three fractions in [0, 1) that the bits contain."""
    share: F64 = ((bits >> np.uint64(21 * place)) & np.uint64(0x1FFFFF)).astype(np.float64) * 2.0**-21
    return share


def _wave(turns: F64) -> F64:
    """A sine-like wave of period 1 made of two parabolas."""
    x = turns - np.floor(turns)
    half = np.where(x < 0.5, x, x - 0.5)
    arch = 16.0 * half * (0.5 - half)
    return np.where(x < 0.5, arch, -arch)
