"""The events themselves: a pure function of seed, tag and time that looks like a plant."""

import functools
import operator
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import TAG_PATTERN, Event, Plant, State
from mock_server.plant import signals, ticks
from mock_server.plant.events import Block
from mock_server.plant.history import History
from mock_server.plant.instruments import Recipe
from mock_server.plant.point import Point

DAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
CREATED = datetime(2024, 4, 30, 12, 0, 0, 123_457, tzinfo=timezone.utc)
SMALL = Plant(seed=3, tags=32, plants=1, history_start=CREATED)
POINTS = SMALL.points
PER_SECOND = ticks.PER_SECOND
FIRST = ticks.from_datetime(CREATED)

instants = st.integers(FIRST - 3_600 * PER_SECOND, FIRST + 2 * ticks.PER_DAY)
some_points = st.lists(st.sampled_from(POINTS), min_size=1, max_size=4, unique=True)


def rows(block: Block) -> list[list[tuple[object, ...]]]:
    """The streams of a block as lists of tuples."""
    columns = (block.ticks, block.kind, block.number, block.code, block.flags)
    flat = list(zip(*(column.tolist() for column in columns), strict=True))
    return [flat[first:after] for first, after in pairwise(block.bounds.tolist())]


def window(points: list[Point], low: int, high: int, **how: object) -> list[list[tuple[object, ...]]]:
    return rows(History(Recipe(3)).window(points, low, high, **how))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, database=None)
@given(some_points, st.lists(instants, min_size=2, max_size=6))
def test_any_partition_of_a_window_gives_the_events_of_the_whole(
    points: list[Point], cuts: list[int]
) -> None:
    cuts.sort()
    whole = window(points, cuts[0], cuts[-1] - 1)
    parts = [window(points, low, high - 1) for low, high in pairwise(cuts)]
    assert [functools.reduce(operator.iadd, pieces, []) for pieces in zip(*parts, strict=True)] == whole


@settings(max_examples=60, deadline=None, database=None)
@given(some_points, instants, instants)
def test_a_point_has_the_same_events_alone_and_among_others(points: list[Point], low: int, high: int) -> None:
    together = window(points, low, high)
    assert together == [window([point], low, high)[0] for point in points]


@settings(max_examples=60, deadline=None, database=None)
@given(some_points, instants, instants, st.integers(1, 60), instants)
def test_limits_and_directions_cut_the_same_list(
    points: list[Point], low: int, high: int, limit: int, now: int
) -> None:
    whole = window(points, low, high, now=now)
    assert all(row[0] <= now for stream in whole for row in stream)  # type: ignore[operator]
    assert window(points, low, high, now=now, limit=limit) == [stream[:limit] for stream in whole]
    backward = window(points, low, high, now=now, newest_first=True)
    assert backward == [stream[::-1] for stream in whole]
    newest = window(points, low, high, now=now, newest_first=True, limit=limit)
    assert newest == [stream[::-1][:limit] for stream in whole]


def test_a_limit_is_met_even_where_many_slots_are_empty() -> None:
    point = next(point for point in POINTS if point.sensor_type == "FLOW")
    far = FIRST + 400 * ticks.PER_DAY
    assert len(window([point], far - 300 * ticks.PER_DAY, far, limit=50_000)[0]) == 50_000


def test_a_limit_is_met_even_where_most_slots_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_EMPTY", 60_000)
    point = next(point for point in POINTS if point.sensor_type == "FLOW")
    low, high = FIRST + ticks.PER_DAY, FIRST + 3 * ticks.PER_DAY
    whole = window([point], low, high)[0]
    assert len(whole) > 100
    assert window([point], low, high, limit=100)[0] == whole[:100]
    assert window([point], low, high, limit=100, newest_first=True)[0] == whole[::-1][:100]


def test_no_event_shares_the_instant_of_the_creation() -> None:
    found = SMALL.oracle(POINTS[0].name, DAY, DAY + timedelta(hours=1))
    exact = next(event.ticks for event in found if event.ticks % ticks.PER_SECOND == 0)
    later = Plant(seed=3, tags=32, plants=1, history_start=ticks.to_datetime(exact))
    first, second = later.oracle(POINTS[0].name, DAY, DAY + timedelta(hours=2))[:2]
    assert first == Event(exact, State("Pt Created", 253, True), False, False, False, False)
    assert second.ticks > exact


def test_equal_plants_hold_equal_events_and_other_seeds_others() -> None:
    name = POINTS[0].name
    again = Plant(seed=3, tags=32, plants=1, history_start=CREATED)
    other = Plant(seed=4, tags=32, plants=1, history_start=CREATED)
    end = DAY + timedelta(hours=1)
    assert SMALL.oracle(name, DAY, end) == again.oracle(name, DAY, end) != other.oracle(name, DAY, end)


def test_the_first_event_is_pt_created_at_the_creation_and_nothing_is_before() -> None:
    for point in POINTS:
        found = SMALL.oracle(point.name, CREATED - timedelta(days=400), CREATED + timedelta(hours=12))
        assert found[0] == Event(FIRST, State("Pt Created", 253, True), False, False, False, False)
        assert [event.ticks for event in found[1:]] == sorted(event.ticks for event in found[1:])
        assert all(event.ticks > FIRST for event in found[1:])


def test_a_day_of_the_default_plant_is_about_three_thousand_events_per_tag() -> None:
    table = Plant().oracle_table(None, DAY, DAY + timedelta(days=1))
    assert 300_000 <= table.num_rows <= 400_000
    assert table["number"].null_count < 10_000
    counts = Counter(table["kind"].to_pylist())
    assert set(counts) == {"number", "digital", "system", "string", "timestamp"}
    for flag, low, high in [
        ("good", 0.993, 0.997),
        ("questionable", 0.008, 0.012),
        ("substituted", 0.004, 0.006),
    ]:
        assert low < np.mean(table[flag].to_numpy(zero_copy_only=False)) < high


def test_timestamps_repeat_differ_within_a_microsecond_and_have_mixed_precision() -> None:
    plant = Plant()
    flows = [point for point in plant.points if point.sensor_type == "FLOW"]
    shared = twins = 0
    digits: Counter[int] = Counter()
    for point in flows[:8]:
        found = plant.oracle(point.name, DAY, DAY + timedelta(hours=12))
        steps = [after.ticks - before.ticks for before, after in pairwise(found)]
        assert min(steps) >= 0
        shared += steps.count(0)
        twins += sum(
            1 for one, two in pairwise(found) if one.ticks < two.ticks and one.ticks // 10 == two.ticks // 10
        )
        digits.update(len(ticks.to_iso(event.ticks).partition(".")[2].rstrip("Z")) for event in found)
    total = sum(digits.values())
    assert 0.01 < shared / total < 0.05
    assert 0.002 < twins / total < 0.01
    assert digits[0] > 0.2 * total
    assert digits[3] > 0.15 * total
    assert digits[7] > 0.3 * total


def test_values_are_finite_typed_and_inside_their_instrument() -> None:
    for point in SMALL.points:
        for event in SMALL.oracle(point.name, DAY, DAY + timedelta(days=1)):
            if isinstance(event.value, State) and event.value.is_system:
                assert not event.good
            else:
                assert event.good
                _check_value(point, event.value)


def _check_value(point: Point, value: object) -> None:
    low, high = point.sensor.zero - 0.2 * point.sensor.span, point.sensor.zero + 1.2 * point.sensor.span
    if point.point_type in ("Float32", "Float64"):
        assert type(value) is float
        assert low <= value <= high
    elif point.point_type == "Int32":
        assert type(value) is int
        assert 0 <= value < 2**31
    elif point.point_type == "Digital":
        assert isinstance(value, State)
        assert SMALL.catalog.digital_sets[point.digital_set_name].states[value.code] == value.name
    else:
        assert type(value) is str


def test_system_states_come_on_points_of_every_type() -> None:
    plant = Plant()
    struck = set()
    for days in (1, 30):  # most report often enough for a day
        for point in plant.points:
            if point.point_type in struck:
                continue
            found = plant.oracle(point.name, DAY, DAY + timedelta(days=days))
            if any(isinstance(event.value, State) and event.value.is_system for event in found):
                struck.add(point.point_type)
    assert struck == {"Float32", "Float64", "Int32", "Digital", "String", "Timestamp"}


def test_the_table_holds_the_events_of_the_oracle() -> None:
    end = DAY + timedelta(hours=6)
    names = [
        point.name for point in POINTS if point.sensor_type in ("TEMP", "VALVE", "BATCH", "CAL", "COUNT")
    ]
    table = SMALL.oracle_table(names[::-1], DAY, end).to_pylist()
    listed = [
        (point.name, event)
        for point in POINTS
        if point.name in names
        for event in SMALL.oracle(point.name, DAY, end)
    ]
    assert [(row["tag_name"], row["ticks"], row["good"]) for row in table] == [
        (name, event.ticks, event.good) for name, event in listed
    ]
    for row, (_, event) in zip(table, listed, strict=True):
        if isinstance(event.value, State):
            assert (row["text"], row["state_code"], row["is_system"], row["number"]) == (*event.value, None)
        elif isinstance(event.value, str):
            assert (row["text"], row["state_code"], row["number"], row["is_system"]) == (
                event.value,
                None,
                None,
                False,
            )
        else:
            assert (row["number"], row["text"], row["kind"]) == (float(event.value), None, "number")


def test_bounds_are_half_open_and_as_of_hides_what_comes_later() -> None:
    name = POINTS[0].name
    found = SMALL.oracle(name, DAY, DAY + timedelta(hours=1))
    exact = next(event for event in found if event.ticks % 10 == 0 and event.ticks > found[0].ticks)
    moment = ticks.to_datetime(exact.ticks)
    assert all(event.ticks < exact.ticks for event in SMALL.oracle(name, DAY, moment))
    assert SMALL.oracle(name, moment, moment + timedelta(microseconds=1))[0] == exact
    seen = SMALL.oracle(name, DAY, DAY + timedelta(hours=1), as_of=moment)
    assert seen == [event for event in found if event.ticks <= exact.ticks]


def test_unknown_tags_and_naive_times_are_refused() -> None:
    with pytest.raises(KeyError, match="NOPE"):
        SMALL.oracle("NOPE", DAY, DAY)
    with pytest.raises(ValueError, match="time zone"):
        SMALL.oracle(POINTS[0].name, datetime(2024, 5, 1), DAY)  # noqa: DTZ001 - naive on purpose


def test_names_split_into_plant_area_and_sensor_type() -> None:
    plant = Plant(tags=300, plants=15)
    names = {point.name for point in plant.points}
    assert len(names) == 300
    for point in plant.points:
        match = re.match(TAG_PATTERN, point.name)
        assert match is not None
        assert match.groupdict() == {
            "plant": point.plant,
            "area": point.area,
            "sensor_type": point.sensor_type,
        }
        assert plant.catalog.by_name(point.name.lower()) == point
        assert plant.catalog.by_id(point.point_id) == point


def test_added_points_follow_the_seed_and_begin_when_they_were_added() -> None:
    at = datetime(2024, 6, 1, 1, 2, 3, 456_789, tzinfo=timezone.utc)
    plant, again = Plant(tags=10, plants=3), Plant(tags=10, plants=3)
    added = plant.add_points(4, at)
    assert added == again.add_points(4, at)
    assert [point.index for point in added] == [10, 11, 12, 13]
    assert {point.created for point in added} == {at}
    assert plant.points[10:] == added
    assert plant.points[:10] == Plant(tags=10, plants=3).points
    assert plant.add_points(2, at + timedelta(days=1))[0].created == at + timedelta(days=1)
    assert plant.oracle(added[0].name, at - timedelta(days=1), at) == []


def test_a_million_points_cost_nothing_until_asked_for() -> None:
    plant = Plant(tags=1_000_000, plants=4)
    last = plant.catalog.point(999_999)
    assert plant.catalog.by_name(last.name) == last
    assert len(plant.oracle(last.name, DAY, DAY + timedelta(days=30))) > 0
