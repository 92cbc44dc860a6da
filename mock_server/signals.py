"""What the instruments recorded: a pure function of (seed, point, time slot) with random access.

Time is cut into slots of one nominal period per point, anchored at 1970. What happens inside a slot depends
on the slot's number alone: whether anything was recorded, when, how often, and with what value. So any window
of any point can be made on its own, nothing is remembered, and every way of cutting a window gives the same
events. Values use only + - * / and comparisons, which give the same bits on every machine; sine and
exponential are replaced by arithmetic that looks like them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server import ticks
from mock_server.catalog import Point
from mock_server.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED, Block, Kind, offsets
from mock_server.hashing import F64, U64, salted, scatter, splitmix64, unit
from mock_server.sensors import CODE_OF, FAULT_CODES, GRADES, SENSORS

# Odds of 65,536: slots without an event, with 2 to 4 on one timestamp, with 2 inside one microsecond.
_EMPTY, _SHARED, _TWIN = 5_243, 983, 328
# Odds of 65,536 that an event is a system state, or carries a flag.
_FAULT, _QUESTIONABLE, _SUBSTITUTED, _ANNOTATED = 328, 655, 328, 328

_KIND = {"Digital": Kind.DIGITAL, "String": Kind.STRING, "Timestamp": Kind.TIMESTAMP}
_COUNTER_RESET_S = 30 * 86_400
_FAULTS = np.array(FAULT_CODES, dtype=np.int64)
_GRADE = CODE_OF["GRADE"]


@dataclass(frozen=True)
class Instruments:
    """The constants of some points, one array element each; times in ticks unless named otherwise."""

    points: Sequence[Point]
    key: U64
    sensor: I64
    period: I64
    middle: F64
    daily: F64
    steps: F64
    noise: F64
    phase: F64
    step_s: F64
    rate: F64


class Rows(NamedTuple):
    """For each event its stream, its slot, its place in the slot, its time in ticks and the slot's bits."""

    stream: I64
    slot: I64
    ordinal: I64
    times: I64
    slot_bits: U64


def instruments(seed: int, points: Sequence[Point]) -> Instruments:
    """The constants the seed gives to these points."""
    index = np.fromiter((point.index for point in points), dtype=np.int64, count=len(points))
    sensor = np.fromiter((CODE_OF[point.sensor.name] for point in points), dtype=np.int64, count=len(points))
    key = scatter(np.full(len(points), seed % 2**64, dtype=np.uint64), index)
    draws = [unit(salted(key, salt)) for salt in range(1, 6)]
    low, high = _PERIOD_S[sensor].T
    span = _SPAN[sensor]
    return Instruments(
        points=points,
        key=key,
        sensor=sensor,
        period=(low + (draws[0] * (high - low + 1)).astype(np.int64)) * ticks.PER_SECOND,
        middle=_ZERO[sensor] + span * (0.35 + 0.3 * draws[1]),
        daily=span * _DAILY[sensor],
        steps=span * _STEPS[sensor],
        noise=span * _NOISE[sensor],
        phase=draws[2],
        step_s=np.floor(7_200.0 + 21_600.0 * draws[3]),
        rate=0.4 + 2.0 * draws[4],
    )


def generate(made_by: Instruments, first_slot: I64, end_slot: I64) -> Block:
    """Every event of slots `first_slot` up to, not including, `end_slot` of each instrument, in time order."""
    lengths = np.maximum(end_slot - first_slot, 0)
    stream = np.repeat(np.arange(len(lengths)), lengths)
    slot = np.arange(len(stream)) + np.repeat(first_slot - offsets(lengths)[:-1], lengths)
    bits = scatter(made_by.key[stream], slot)
    chance = bits & np.uint64(0xFFFF)
    count = _events_in_slot(bits, chance)
    start = slot * made_by.period[stream] + _offset_in_slot(bits, chance, made_by.period[stream])

    row = np.repeat(np.arange(len(slot)), count)
    ordinal = np.arange(len(row)) - np.repeat(offsets(count)[:-1], count)
    times = start[row] + ordinal * _twin_distance(bits, chance)[row]
    bounds = offsets(count)[offsets(lengths)]
    return _with_values(made_by, bounds, Rows(stream[row], slot[row], ordinal, times, bits[row]))


def slots_of(made_by: Instruments, low: I64, high: I64) -> tuple[I64, I64]:
    """The first slot and the end slot that hold every event with low <= ticks <= high."""
    return low // made_by.period, high // made_by.period + 1


def text_of(point: Point, code: int) -> str:
    """The text a String point shows for an event's code."""
    if CODE_OF[point.sensor.name] == _GRADE:
        return GRADES[code % len(GRADES)]
    return f"{point.plant[:3]}-{code:07d}"


def _events_in_slot(bits: U64, chance: U64) -> I64:
    shared = 2 + ((bits >> np.uint64(16)) & np.uint64(7)).astype(np.int64) % 3
    count: I64 = np.where(chance < _EMPTY + _SHARED, shared, np.where(_is_twin(chance), 2, 1))
    count[chance < _EMPTY] = 0
    return count


def _offset_in_slot(bits: U64, chance: U64, period: I64) -> I64:
    """Ticks from the slot's start to its first event, at the precision this instrument stamped it with."""
    precision = _PRECISION[((bits >> np.uint64(19)) & np.uint64(7)).astype(np.int64)]
    precision = np.where(_is_twin(chance), ticks.PER_MICROSECOND, precision)
    precision = np.where(period % precision == 0, precision, 1)
    offset = ((bits >> np.uint64(24)).astype(np.float64) * 2.0**-40 * period).astype(np.int64)
    rounded: I64 = offset - offset % precision
    return rounded


def _is_twin(chance: U64) -> NDArray[np.bool_]:
    return (chance >= _EMPTY + _SHARED) & (chance < _EMPTY + _SHARED + _TWIN)


def _twin_distance(bits: U64, chance: U64) -> I64:
    """Ticks between the events of a slot: 0 on one timestamp, 1 to 9 within one microsecond."""
    return np.where(_is_twin(chance), 1 + ((bits >> np.uint64(16)) % np.uint64(9)).astype(np.int64), 0)


def _with_values(made_by: Instruments, bounds: I64, rows: Rows) -> Block:
    stream, slot, ordinal, times, slot_bits = rows
    bits = splitmix64(slot_bits + ordinal.astype(np.uint64))
    # Half of the slots with several events repeat their first value, the others change it.
    repeats = (slot_bits >> np.uint64(23)) & np.uint64(1)
    value_bits = salted(slot_bits + ordinal.astype(np.uint64) * repeats, 1)
    sensor = made_by.sensor[stream]
    kind = _KINDS[sensor]
    number = _numbers(made_by, stream, sensor, times, value_bits)
    code = _codes(sensor, kind, slot * 4 + ordinal, times, value_bits)

    fault = (bits & np.uint64(0xFFFF)) < _FAULT
    code = np.where(fault, _FAULTS[((bits >> np.uint64(16)) & np.uint64(7)).astype(np.int64)], code)
    kind = np.where(fault, Kind.SYSTEM, kind).astype(np.uint8)
    number = np.where(kind == Kind.NUMBER, number, 0.0)
    return Block(made_by.points, bounds, times, kind, number, code, _flags(bits, fault))


def _flags(bits: U64, fault: NDArray[np.bool_]) -> NDArray[np.uint8]:
    flags = np.where(fault, BAD, 0)
    odds = ((QUESTIONABLE, _QUESTIONABLE), (SUBSTITUTED, _SUBSTITUTED), (ANNOTATED, _ANNOTATED))
    further = salted(bits, 2)
    for place, (flag, odd) in enumerate(odds):
        flags |= np.where((further >> np.uint64(16 * place)) & np.uint64(0xFFFF) < odd, flag, 0)
    return flags.astype(np.uint8)


def _numbers(made_by: Instruments, stream: I64, sensor: I64, times: I64, bits: U64) -> F64:
    """The process value: a daily wave, setpoint steps that the process follows with a lag, and noise."""
    seconds = times / float(ticks.PER_SECOND)
    noise = unit(bits) + unit(salted(bits, 3)) - 1.0
    value = (
        made_by.middle[stream]
        + made_by.daily[stream] * _wave(seconds / 86_400.0 + made_by.phase[stream])
        + made_by.steps[stream] * _setpoint(made_by, stream, seconds)
        + made_by.noise[stream] * noise
    )
    counted = np.floor((seconds % _COUNTER_RESET_S) * made_by.rate[stream])
    return np.where(_IS_COUNTER[sensor], counted, value)


def _setpoint(made_by: Instruments, stream: I64, seconds: F64) -> F64:
    """Where the setpoint is, in [-1, 1]: it steps every few hours and the process follows exponentially."""
    step_s = made_by.step_s[stream]
    number = np.floor(seconds / step_s)
    key = salted(made_by.key, 6)[stream]
    here = unit(scatter(key, number.astype(np.int64))) * 2.0 - 1.0
    before = unit(scatter(key, number.astype(np.int64) - 1)) * 2.0 - 1.0
    return here + (before - here) * _decay((seconds - number * step_s) * (25.0 / step_s))


def _wave(turns: F64) -> F64:
    """A sine-like wave of period 1 made of two parabolas."""
    x = turns - np.floor(turns)
    half = np.where(x < 0.5, x, x - 0.5)
    arch = 16.0 * half * (0.5 - half)
    return np.where(x < 0.5, arch, -arch)


def _decay(x: F64) -> F64:
    """exp(-x) for x >= 0, as (1 + x/64) ** -64: six squarings."""
    power = 1.0 / (1.0 + x / 64.0)
    for _ in range(6):
        power = power * power
    return power


def _codes(sensor: I64, kind: NDArray[np.uint8], serial: I64, times: I64, bits: U64) -> I64:
    """State codes of digitals, text codes of strings, ticks of timestamps."""
    code = np.zeros(len(sensor), dtype=np.int64)
    if not (kind != Kind.NUMBER).any():
        return code
    draw = (bits >> np.uint64(8)).astype(np.int64)
    code = np.where(kind == Kind.DIGITAL, _STATE_OF_DRAW[sensor, draw % 16], code)
    text = np.where(sensor == _GRADE, draw % len(GRADES), serial)
    code = np.where(kind == Kind.STRING, text, code)
    precision = np.where(draw % 2 == 0, ticks.PER_SECOND, 1)
    calibrated = times - draw % (30 * ticks.PER_DAY)
    return np.where(kind == Kind.TIMESTAMP, calibrated - calibrated % precision, code)


def _states(weights: tuple[int, ...]) -> list[int]:
    """Sixteen draws that give each state its weight."""
    drawn = [state for state, weight in enumerate(weights) for _ in range(weight)]
    return (drawn + [0] * 16)[:16]


_PRECISION = np.array(
    [ticks.PER_SECOND, ticks.PER_SECOND, ticks.PER_MILLISECOND, ticks.PER_MILLISECOND, 1, 1, 1, 1]
)
_PERIOD_S = np.array([sensor.period_s for sensor in SENSORS], dtype=np.int64)
_ZERO, _SPAN, _DAILY, _STEPS, _NOISE = np.array(
    [(each.zero, each.span, each.daily, each.steps, each.noise) for each in SENSORS]
).T
_KINDS = np.array([_KIND.get(sensor.point_type, Kind.NUMBER) for sensor in SENSORS], dtype=np.uint8)
_IS_COUNTER = np.array([sensor.point_type == "Int32" for sensor in SENSORS])
_STATE_OF_DRAW = np.array([_states(sensor.weights) for sensor in SENSORS], dtype=np.int64)
