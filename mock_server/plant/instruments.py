"""The constants of each instrument, which follow from the seed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import ticks
from mock_server.plant.events import I64
from mock_server.plant.hashing import F64, U64, salted, scatter, unit
from mock_server.plant.point import Point
from mock_server.plant.sensors import CODE_OF, SENSORS

_LEAST_PERIOD_S, _GREATEST_PERIOD_S = 0.1, 86_400.0
_SLOTS_IN_EPISODE = 32


@dataclass(frozen=True)
class Recipe:
    """The parameters that determine all events.

    `rate` multiplies the reporting frequency of each kind of instrument, between 10 times a second and once a day;
    `period_s` is one nominal period for all of them instead. `changes` is the share of events that arrive late, and
    of those that are edited, deleted, or dropped by compression.
    """

    seed: int
    rate: float = 1.0
    period_s: float | None = None
    changes: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.changes <= 1.0:
            msg = f"changes is a share between 0 and 1, not {self.changes}"
            raise ValueError(msg)
        if not 0.0 < self.rate < float("inf"):
            msg = f"rate is a positive factor, not {self.rate}"
            raise ValueError(msg)
        if self.period_s is not None and not _LEAST_PERIOD_S <= self.period_s <= _GREATEST_PERIOD_S:
            msg = f"period is between 0.1 s (10 Hz) and 86400 s (once a day), not {self.period_s}"
            raise ValueError(msg)


@dataclass(frozen=True)
class Instruments:
    """The constants of some points, one array element each; times in ticks unless named otherwise."""

    points: Sequence[Point]
    key: U64
    episode_key: U64
    machine_key: U64
    sensor: I64
    created: I64
    period: I64
    episode: I64
    middle: F64
    daily: F64
    steps: F64
    noise: F64
    phase: F64
    pace: F64
    cyclic: NDArray[np.bool_]
    rate: F64
    change_odds: int

    def of(self, places: I64) -> "Instruments":
        """The same constants of the points at `places`."""
        columns = {
            each.name: getattr(self, each.name)[places]
            for each in fields(self)
            if each.name not in ("points", "change_odds")
        }
        return replace(self, points=[self.points[place] for place in places.tolist()], **columns)


def instruments(recipe: Recipe, points: Sequence[Point]) -> Instruments:
    """The constants of these points under the recipe."""
    facts = np.array(
        [(point.index, point.machine, CODE_OF[point.sensor.name], point.created_ticks) for point in points],
        dtype=np.int64,
    ).reshape(-1, 4)
    index, machine, sensor, created = facts.T
    seed = np.full(len(points), recipe.seed % 2**64, dtype=np.uint64)
    key = scatter(seed, index)
    machine_key = scatter(salted(seed, 11), machine)
    draws = [unit(salted(key, salt)) for salt in range(1, 5)]
    span = _SPAN[sensor]
    period = _periods(recipe, sensor, draws[0])
    return Instruments(
        points=points,
        key=key,
        episode_key=salted(key, 6),
        machine_key=machine_key,
        sensor=sensor,
        created=created,
        period=period,
        episode=_episodes(recipe, machine_key),
        middle=_ZERO[sensor] + span * (0.35 + 0.3 * draws[1]),
        daily=span * _DAILY[sensor],
        steps=span * _STEPS[sensor],
        noise=span * _NOISE[sensor],
        phase=draws[2],
        pace=np.where(_CYCLIC[sensor], 6.0, 25.0),
        cyclic=_CYCLIC[sensor],
        rate=0.4 + 2.0 * draws[3],
        change_odds=round(recipe.changes * 65_536),
    )


def _periods(recipe: Recipe, sensor: I64, draw: F64) -> I64:
    """The nominal ticks between two events, whole milliseconds."""
    low, high = _PERIOD_S[sensor].T
    seconds = low + np.floor(draw * (high - low + 1))
    if recipe.period_s is not None:
        seconds = np.full(len(sensor), recipe.period_s)
    elif recipe.rate != 1.0:
        seconds = seconds / recipe.rate
    millis = np.floor(np.clip(seconds, _LEAST_PERIOD_S, _GREATEST_PERIOD_S) * 1000.0 + 0.5)
    whole: I64 = millis.astype(np.int64) * ticks.PER_MILLISECOND
    return whole


def _episodes(recipe: Recipe, machine_key: U64) -> I64:
    """The length of an area's episodes: 2 to 8 hours, longer where instruments report seldom."""
    seconds = np.floor(7_200.0 + 21_600.0 * unit(salted(machine_key, 1)))
    if recipe.period_s is not None:
        seconds = np.maximum(seconds, np.ceil(recipe.period_s) * _SLOTS_IN_EPISODE)
    elif recipe.rate < 1.0:
        seconds = np.minimum(np.floor(seconds / recipe.rate), 86_400.0 * _SLOTS_IN_EPISODE)
    return seconds.astype(np.int64) * ticks.PER_SECOND


_PERIOD_S = np.array([sensor.period_s for sensor in SENSORS], dtype=np.int64)
_ZERO, _SPAN, _DAILY, _STEPS, _NOISE = np.array(
    [(each.zero, each.span, each.daily, each.steps, each.noise) for each in SENSORS]
).T
_CYCLIC = np.array([each.cyclic for each in SENSORS])
