"""What the signals look like: machines and what they drive agree, and instruments fail the way real ones do."""

from collections import Counter
from datetime import datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mock_server import Event, Plant, State
from mock_server.plant import ticks
from mock_server.plant.events import BAD, Kind
from mock_server.plant.sensors import IO_TIMEOUT

DAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
PLANT = Plant(seed=1, tags=128, plants=4)
SECOND = ticks.PER_SECOND


def events(point: Any, days: float = 4.0, plant: Plant = PLANT) -> list[Event]:
    return plant.oracle(point.name, DAY, DAY + timedelta(days=days))


@cache
def numbers(point: Any, days: float = 4.0) -> tuple[Any, Any]:
    """Seconds and values of the good numbers."""
    good = [event for event in events(point, days) if not isinstance(event.value, State)]
    return np.array([event.ticks / SECOND for event in good]), np.array([event.value for event in good])


def of(sensor_type: str, machine: int | None = None) -> list[Any]:
    return [
        point
        for point in PLANT.points
        if point.sensor_type == sensor_type and machine in (None, point.machine)
    ]


def at(times: Any, values: Any, instant: float) -> float:
    """The last value at an instant."""
    return float(values[max(int(np.searchsorted(times, instant, side="right")) - 1, 0)])


@pytest.mark.parametrize("state_of", ["PUMP", "VALVE"])
def test_what_a_machine_drives_follows_its_state(state_of: str) -> None:
    seen: Counter[str] = Counter()
    for machine in of(state_of):
        flows = [(numbers(flow), flow) for flow in of("FLOW", machine.machine)]
        assert flows
        for event in events(machine):
            if not isinstance(event.value, State) or event.value.is_system:
                continue
            for (times, values), flow in flows:
                share = at(times, values, event.ticks / SECOND) / flow.sensor.span
                seen[
                    f"{event.value.name} {'flows' if share > 0.15 else 'rests' if share < 0.02 else 'moves'}"
                ] += 1
    running, resting = ("RUN", "STOP") if state_of == "PUMP" else ("OPEN", "CLOSED")
    for state, agreeing in ((running, "flows"), (resting, "rests")):
        total = sum(count for key, count in seen.items() if key.startswith(state))
        assert total > 50
        assert seen[f"{state} {agreeing}"] > 0.93 * total, (
            seen
        )  # the rest are run-downs, spikes, stuck sensors


def test_instruments_of_another_machine_do_not_follow() -> None:
    pump = of("PUMP")[0]
    stops = [event.ticks / SECOND for event in events(pump) if event.value == State("STOP", 0, False)]
    times, values = numbers(next(flow for flow in of("FLOW") if flow.machine != pump.machine))
    assert np.mean([at(times, values, stop) > 0.15 * 400 for stop in stops]) > 0.5


def test_a_stopped_machine_lets_the_flow_fade_not_fall() -> None:
    flow = of("FLOW", of("PUMP")[0].machine)[0]
    times, values = numbers(flow, 14.0)
    fading = [
        (before, after)
        for (start, before), (end, after) in pairwise(zip(times, values, strict=True))
        if 0.03 * 400 < after < 0.9 * before < 0.9 * 400 and end - start < 30
    ]
    assert len(fading) > 20


def test_an_outage_begins_with_io_timeout_and_leaves_a_gap() -> None:
    found = 0
    start = ticks.from_datetime(DAY)
    for flow in of("FLOW")[:12]:
        shown = PLANT.history.window([flow], start, start + 14 * ticks.PER_DAY)
        before = np.flatnonzero(np.diff(shown.ticks) > 400 * SECOND)
        assert (shown.kind[before] == Kind.SYSTEM).all()
        assert (shown.code[before] == IO_TIMEOUT).all()
        assert (shown.flags[before] == BAD).all()
        found += len(before)
    assert found > 5


def test_a_stuck_sensor_repeats_one_value_for_minutes() -> None:
    runs = 0
    for level in of("LEVEL"):
        _, values = numbers(level, 14.0)
        same = np.flatnonzero(np.diff(values) != 0)
        runs += int((np.diff(same) > 5).sum())
    assert runs > 5


def test_spikes_stand_out_from_their_neighbours() -> None:
    spikes = total = 0
    for flow in of("FLOW")[:8]:
        _, values = numbers(flow)
        alone = np.minimum(abs(values[1:-1] - values[:-2]), abs(values[1:-1] - values[2:]))
        close = abs(values[:-2] - values[2:]) < 0.03 * 400
        spikes += int(((alone > 0.08 * 400) & close).sum())
        total += len(values)
    assert 1 / 5_000 < spikes / total < 1 / 1_500


def test_a_quiet_signal_is_archived_seldom_and_a_moving_one_at_every_slot() -> None:
    spacing: Counter[bool] = Counter()
    for flow in of("FLOW")[:6]:
        times, values = numbers(flow)
        steps = abs(np.diff(values))
        far = np.diff(times) > 60
        spacing[True] += int((far & (steps < 0.02 * 400)).sum())
        spacing[False] += int((far & (steps >= 0.02 * 400)).sum())
    assert spacing[True] > 100
    assert spacing[False] < 0.15 * spacing[True]


def test_a_counter_never_falls_but_at_its_reset_and_stands_with_its_machine() -> None:
    counter = of("COUNT")[0]
    _, values = numbers(counter, 60.0)
    falls = np.flatnonzero(np.diff(values) < 0)
    assert 1 <= len(falls) <= 3
    assert all(values[fall + 1] < 0.01 * values[fall] for fall in falls)
    assert (np.diff(values) == 0).mean() > 0.02


def test_a_level_fills_and_drains_in_turns() -> None:
    for level in of("LEVEL")[:4]:
        _, values = numbers(level, 3.0)
        assert values.max() - values.min() > 25
        high = values > (values.max() + values.min()) / 2
        assert 4 <= int(np.count_nonzero(np.diff(high.astype(int)))) <= 300


@pytest.mark.parametrize(
    ("how", "low", "high"),
    [
        ({"period_s": 0.1}, 30_000, 40_000),
        ({"rate": 1000.0}, 30_000, 40_000),
        ({"period_s": 1.0}, 3_000, 4_000),
        ({"rate": 0.001}, 0, 2),
    ],
)
def test_instruments_report_as_often_as_asked(how: Any, low: int, high: int) -> None:
    plant = Plant(seed=1, tags=8, plants=1, **how)
    counts = [len(events(point, 1 / 24, plant)) for point in plant.points[:2]]
    assert all(low <= count <= high for count in counts), counts


def test_once_a_day_is_the_slowest() -> None:
    plant = Plant(seed=1, tags=32, plants=1, rate=1e-9)
    for point in plant.points:
        assert 280 < len(events(point, 365.0, plant)) < 420


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rate": 0.0}, "rate is a positive factor, not 0.0"),
        ({"rate": float("inf")}, "rate is a positive factor"),
        ({"period_s": 0.01}, "between 0.1 s"),
        ({"period_s": 90_000.0}, "86400 s"),
    ],
)
def test_what_no_instrument_can_do_is_refused(how: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plant(**how)
