"""The values of instruments, which resemble those of a process and its machines.

They are computed with + - * / and comparisons only, which give the same bits on every machine; sine and exponential
are approximated.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import ticks
from mock_server.plant.changes import NEVER
from mock_server.plant.episodes import Episodes
from mock_server.plant.events import ANNOTATED, BAD, I64, QUESTIONABLE, SUBSTITUTED, Block, Kind
from mock_server.plant.hashing import F64, U64, salted, splitmix64, unit
from mock_server.plant.instruments import Instruments
from mock_server.plant.point import Point
from mock_server.plant.sensors import CODE_OF, FAULT_CODES, GRADES, IO_TIMEOUT, SENSORS

# Odds of 65,536 that an event is a system state, or carries a flag.
_FAULT, _QUESTIONABLE, _SUBSTITUTED, _ANNOTATED = 328, 655, 328, 328
# One event in so many is a spike; a flat signal has this share of its noise.
_SPIKE, _QUIET = 2_048, 0.05
# Seconds of a machine's first-order lag, and of a valve's travel.
_LAG_S, _TRAVEL_S = 40.0, 45.0

_KIND = {"Digital": Kind.DIGITAL, "String": Kind.STRING, "Timestamp": Kind.TIMESTAMP}
_FAULTS = np.array(FAULT_CODES, dtype=np.int64)
_GRADE, _VALVE = CODE_OF["GRADE"], CODE_OF["VALVE"]
_RUNNING, _TRAVELLING = 1, 2

Mask = NDArray[np.bool_]


class Rows(NamedTuple):
    """For each event its episode, slot, ordinal in the slot, time in ticks and the slot's bits.

    Stream `i` owns rows `bounds[i]` up to `bounds[i + 1]`. `lost` marks the rows at which an outage begins.
    """

    episodes: Episodes
    bounds: I64
    episode: I64
    slot: I64
    ordinal: I64
    times: I64
    bits: U64
    lost: Mask

    def take(self, places: I64, bounds: I64) -> "Rows":
        """The rows at `places`, divided among the same streams by `bounds`."""
        return Rows(self.episodes, bounds, *(column[places] for column in self[2:]))  # type: ignore[arg-type]


def with_values(devices: Instruments, rows: Rows, edited: Mask | None) -> Block:
    """The rows with values and flags; those with `edited` hold the value an operator corrected them to."""
    bits = splitmix64(rows.bits + rows.ordinal.astype(np.uint64))
    # Half of the slots with several events repeat their first value, the others change it.
    repeats = (rows.bits >> np.uint64(23)) & np.uint64(1)
    value_bits = salted(rows.bits + rows.ordinal.astype(np.uint64) * repeats, 1)
    sensor = devices.sensor[rows.episodes.stream][rows.episode]
    kind = _KINDS[sensor]
    number = _numbers(devices, rows, value_bits)
    code = np.zeros(len(sensor), dtype=np.int64)
    others = np.flatnonzero(kind != Kind.NUMBER)
    if len(others):
        code[others] = _codes(rows, sensor, others, value_bits)
    fault = (bits & np.uint64(0xFFFF)) < _FAULT
    fault |= rows.lost
    if edited is not None:
        fault &= ~edited
        _correct(sensor, np.flatnonzero(edited), number, code)
    faults = np.flatnonzero(fault)
    code[faults] = _FAULTS[((bits[faults] >> np.uint64(16)) & np.uint64(7)).astype(np.int64)]
    code[rows.lost] = IO_TIMEOUT
    kind[faults] = Kind.SYSTEM
    number[faults] = 0.0
    number[others] = 0.0
    flags = _flags(bits, fault)
    if edited is not None:
        flags |= np.where(edited, SUBSTITUTED, 0).astype(np.uint8)
    return Block(devices.points, rows.bounds, rows.times, kind, number, code, flags)


def text_of(point: Point, code: int) -> str:
    """The text of a String point's event with that code."""
    if point.sensor.texts:
        return point.sensor.texts[code]
    if CODE_OF[point.sensor.name] == _GRADE:
        return GRADES[code % len(GRADES)]
    return f"{point.plant[:3]}-{code:07d}"


def _flags(bits: U64, fault: Mask) -> NDArray[np.uint8]:
    flags: NDArray[np.uint8] = fault * np.uint8(BAD)
    odds = ((QUESTIONABLE, _QUESTIONABLE), (SUBSTITUTED, _SUBSTITUTED), (ANNOTATED, _ANNOTATED))
    further = salted(bits, 2)
    for place, (flag, odd) in enumerate(odds):
        chance = (further >> np.uint64(16 * place)) & np.uint64(0xFFFF)
        flags[chance < odd] |= np.uint8(flag)
    return flags


def _numbers(devices: Instruments, rows: Rows, bits: U64) -> F64:
    """The process value: a daily wave, setpoint steps that the process follows with a lag, stops, and noise."""
    episodes, episode = rows.episodes, rows.episode
    after = rows.times - episodes.start[episode]
    noise = unit(bits) + unit(salted(bits, 3)) - 1.0
    _quieten(rows, after, noise)
    stream = episodes.stream
    seconds = after / float(ticks.PER_SECOND)
    value = (
        episodes.level[episode]
        + episodes.slope[episode] * seconds
        + episodes.swing[episode] * _decay(seconds * episodes.pace[episode])
    )
    value += devices.noise[stream][episode] * noise
    sensor = devices.sensor[stream]
    _stop(rows, sensor, after, value)
    spikes = np.flatnonzero(bits % np.uint64(_SPIKE) == 0)
    value[spikes] += _SPANS[sensor][episode[spikes]] * (unit(salted(bits[spikes], 4)) - 0.5)
    value = np.clip(value, _LEAST[sensor][episode], _MOST[sensor][episode])
    counters = np.flatnonzero(_IS_COUNTER[sensor][episode])
    if len(counters):
        value[counters] = _counts(devices, rows, counters)
    return value


def _quieten(rows: Rows, after: I64, noise: F64) -> None:
    """Freeze a stuck sensor at its value, and reduce the noise of a flat signal."""
    episodes, episode = rows.episodes, rows.episode
    flat = np.flatnonzero((after < episodes.flat[1][episode]) & (after >= episodes.flat[0][episode]))
    noise[flat] *= _QUIET
    stuck = np.flatnonzero((after < episodes.stuck[1][episode]) & (after >= episodes.stuck[0][episode]))
    after[stuck] = episodes.stuck[0][episode[stuck]]
    noise[stuck] = 0.0


def _stop(rows: Rows, sensor: I64, after: I64, value: F64) -> None:
    """Let the value decay when the machine stops and rise again when it starts."""
    episodes, episode = rows.episodes, rows.episode
    begin, end = episodes.stop
    from_stop = np.where(_IDLE[sensor] >= 0.0, np.where(end > 0, begin, NEVER), NEVER)
    hit = np.flatnonzero(after >= from_stop[episode])
    if not len(hit):
        return
    which = episode[hit]
    stopped = after[hit] < end[which]
    since = (after[hit] - np.where(stopped, begin[which], end[which])) / float(ticks.PER_SECOND)
    fading = _decay(since / _LAG_S)
    share = np.where(stopped, fading, 1.0 - fading)
    kind = sensor[which]
    idle = _ZERO[kind] + _IDLE[kind] * _SPANS[kind]
    value[hit] = idle + (value[hit] - idle) * share


def _counts(devices: Instruments, rows: Rows, places: I64) -> F64:
    """Pieces since the last reset: constant while the machine is stopped, the same number in every episode."""
    episodes, episode = rows.episodes, rows.episode[places]
    begin, end = episodes.stop
    stream = episodes.stream[episode]
    after = rows.times[places] - episodes.start[episode]
    length = devices.episode[stream]
    running = np.minimum(after, begin[episode]) + np.maximum(after - end[episode], 0)
    running = np.where(end[episode] > 0, running, after)
    share = length / (length - (end[episode] - begin[episode])).astype(np.float64)
    seconds = running / float(ticks.PER_SECOND) * share
    return np.floor((episodes.counted[episode] + seconds) * devices.rate[stream])


def _decay(x: F64) -> F64:
    """exp(-x) for x >= 0, as (1 + x/64) ** -64: six squarings."""
    power = 1.0 / (1.0 + x / 64.0)
    for _ in range(6):
        power *= power
    return power


def _codes(rows: Rows, sensor: I64, places: I64, bits: U64) -> I64:
    """State codes of digitals, text codes of strings, ticks of timestamps, for the rows at `places`."""
    sensor, episode, times = sensor[places], rows.episode[places], rows.times[places]
    kind = _KINDS[sensor]
    code = np.where(kind == Kind.DIGITAL, _states(rows, episode, sensor, times), 0)
    grade = (rows.episodes.draw[episode] >> np.uint64(32)).astype(np.int64) % len(GRADES)
    text = np.where(sensor == _GRADE, grade, rows.slot[places] * 4 + rows.ordinal[places])
    code = np.where(kind == Kind.STRING, text, code)
    draw = (bits[places] >> np.uint64(8)).astype(np.int64)
    precision = np.where(draw % 2 == 0, ticks.PER_SECOND, 1)
    calibrated = times - draw % (30 * ticks.PER_DAY)
    return np.where(kind == Kind.TIMESTAMP, calibrated - calibrated % precision, code)


def _states(rows: Rows, episode: I64, sensor: I64, times: I64) -> I64:
    """Running or open; stopped, tripped or closed while the machine is stopped; a valve travels in between."""
    episodes = rows.episodes
    begin, end = episodes.stop[0][episode], episodes.stop[1][episode]
    after = times - episodes.start[episode]
    stopped = (after >= begin) & (after < end)
    is_valve = sensor == _VALVE
    state = np.where(stopped, np.where(is_valve, 0, episodes.stop_code[episode]), _RUNNING)
    since = after - np.where(after >= end, end, begin)
    moving = is_valve & (end > 0) & (since >= 0) & (since < _TRAVEL_S * ticks.PER_SECOND)
    return np.where(moving, _TRAVELLING, state)


def _correct(sensor: I64, places: I64, number: F64, code: I64) -> None:
    """Replace the values of the edited rows by others of the same kind."""
    kind, sensor = _KINDS[sensor[places]], sensor[places]
    number[places] += np.where(_IS_COUNTER[sensor], 1.0, _SPANS[sensor] / 32.0)
    states = np.where(kind == Kind.DIGITAL, 3, len(GRADES))
    other = np.where(
        (kind == Kind.STRING) & (sensor != _GRADE), code[places] + 2, (code[places] + 1) % states
    )
    code[places] = np.where(kind == Kind.TIMESTAMP, code[places] - ticks.PER_DAY, other)


_ZERO = np.array([each.zero for each in SENSORS])
_SPANS = np.array([each.span for each in SENSORS])
_LEAST, _MOST = _ZERO - 0.1 * _SPANS, _ZERO + 1.1 * _SPANS
_IDLE = np.array([each.idle for each in SENSORS])
_KINDS = np.array([_KIND.get(sensor.point_type, Kind.NUMBER) for sensor in SENSORS], dtype=np.uint8)
_IS_COUNTER = np.array([sensor.point_type == "Int32" for sensor in SENSORS])
