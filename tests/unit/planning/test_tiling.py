"""Windows and tasks tile what was asked for."""

import itertools
import pickle
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.model import MICROSECOND, Point, ReadTask, Window, iso_utc
from pi_datasource.options.declaration import Options
from pi_datasource.planning.tiling import plan
from tests.unit.fakes import BASE, moment, point

UTC = timezone.utc
EAST = timezone(timedelta(hours=5, minutes=30))
OPTIONS = Options.parse({"url": "h", "page_size": "77", "batch_size": "5", "on_error": "report"})


def sized(num_partitions: int) -> Options:
    return Options.parse({"url": "h", "num_partitions": str(num_partitions)})


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (datetime(2024, 5, 1, tzinfo=UTC), "2024-05-01T00:00:00Z"),
        (datetime(2024, 5, 1, 5, 30, tzinfo=EAST), "2024-05-01T00:00:00Z"),
        (datetime(2024, 5, 1, 0, 0, 0, 120_000, tzinfo=UTC), "2024-05-01T00:00:00.120Z"),
        (datetime(2024, 5, 1, 0, 0, 0, 1, tzinfo=UTC), "2024-05-01T00:00:00.000001Z"),
    ],
)
def test_a_moment_is_written_in_utc_with_the_digits_it_needs(when: datetime, text: str) -> None:
    assert iso_utc(when) == text


def test_a_window_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="window cannot end") as caught:
        Window(BASE, BASE - MICROSECOND)
    assert str(caught.value) == (
        "a window cannot end (2024-04-30T23:59:59.999999Z) before it starts (2024-05-01T00:00:00Z)"
    )


def test_a_window_shows_that_its_end_is_outside() -> None:
    assert str(Window(BASE, moment(10))) == "[2024-05-01T00:00:00Z, 2024-05-01T00:00:00.000001Z)"


@given(total=st.integers(0, 10**13), parts=st.integers(-1, 500))
def test_split_windows_tile_the_window_at_whole_microseconds(total: int, parts: int) -> None:
    whole = Window(BASE, BASE + total * MICROSECOND)
    pieces = whole.split(parts)
    assert (pieces[0].start, pieces[-1].end) == (whole.start, whole.end)
    assert all(a.end == b.start for a, b in itertools.pairwise(pieces))
    assert len(pieces) == max(1, min(parts, total))
    lengths = [(piece.end - piece.start) // MICROSECOND for piece in pieces]
    assert max(lengths) - min(lengths) <= 1


@given(
    count=st.integers(1, 60),
    num_partitions=st.integers(1, 300),
    total=st.integers(1, 50) | st.integers(1, 10**12),
)
def test_tasks_tile_points_by_window_exactly(count: int, num_partitions: int, total: int) -> None:
    points = [point(f"T{i}") for i in range(count)]
    window = Window(BASE, BASE + total * MICROSECOND)
    tasks = plan(points, window, sized(num_partitions), BASE)
    spans: dict[Point, list[Window]] = {}
    for task in tasks:
        for one in task.points:
            spans.setdefault(one, []).append(task.window)
    assert set(spans) == set(points)
    for covered in spans.values():
        edges = sorted((w.start, w.end) for w in covered)
        assert (edges[0][0], edges[-1][1]) == (window.start, window.end)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
        assert all(a < b for a, b in edges)
    assert len(tasks) <= num_partitions
    assert plan(points, window, sized(num_partitions), BASE) == tasks


@pytest.mark.parametrize(
    ("points", "num_partitions", "tasks", "points_each"),
    [(128, 8, 8, {16}), (1, 8, 8, {1}), (3, 8, 6, {1}), (9, 8, 8, {1, 2}), (4, 1, 1, {4})],
)
def test_points_are_grouped_evenly_and_few_points_split_the_window(
    points: int, num_partitions: int, tasks: int, points_each: set[int]
) -> None:
    found = plan(
        [point(f"T{i}") for i in range(points)], Window(BASE, moment(10**9)), sized(num_partitions), BASE
    )
    assert (len(found), {len(task.points) for task in found}) == (tasks, points_each)


@pytest.mark.parametrize(("points", "end"), [([], 10), ([point()], 0), ([], 0)])
def test_nothing_to_read_is_no_task(points: list[Point], end: int) -> None:
    assert plan(points, Window(BASE, moment(end)), OPTIONS, BASE) == []


def test_a_task_holds_the_whole_request() -> None:
    a, b = point("A"), point("B")
    options = Options.parse(
        {"url": "h", "page_size": "77", "batch_size": "5", "on_error": "report", "num_partitions": "1"}
    )
    assert plan([a, b], Window(BASE, moment(20)), options, moment(30)) == [
        ReadTask("pi_timeseries", Window(BASE, moment(20)), (a, b), moment(30), 77, 5, "report")
    ]


def test_a_task_names_its_first_points_and_its_window() -> None:
    names = [point(name) for name in "ABCD"]
    (task,) = plan(names, Window(BASE, moment(20)), sized(1), BASE)
    assert str(task) == (
        "pi_timeseries: 4 point(s) (A, B, C, …) in [2024-05-01T00:00:00Z, 2024-05-01T00:00:00.000002Z)"
    )


def test_a_task_of_a_thousand_points_travels_in_few_bytes_and_comes_back_equal() -> None:
    (task,) = plan(
        [point(f"PLANT1.UNIT7.TI{i:04}") for i in range(1000)], Window(BASE, moment(20)), sized(1), BASE
    )
    packed = pickle.dumps(task)
    assert len(packed) < 150 * 1000
    assert pickle.loads(packed) == task
    assert hash(task) == hash(pickle.loads(packed))


def many(count: int) -> list[Point]:
    return [point(f"T{i}") for i in range(count)]


def planned(count: int, **given: str) -> list[ReadTask]:
    return plan(many(count), Window(BASE, moment(10**9)), Options.parse({"url": "h", **given}), BASE)


def test_a_pickled_task_is_small_and_the_same() -> None:
    (task, *_) = planned(1000, num_partitions="1")
    pickled = pickle.dumps(task)
    assert pickle.loads(pickled) == task
    assert len(pickled) < 30_000


def test_very_many_points_make_more_tasks_rather_than_larger_ones() -> None:
    tasks = planned(3_500, num_partitions="2")
    assert [len(task.points) for task in tasks] == [875] * 4
    assert len({p.web_id for task in tasks for p in task.points}) == 3_500


def test_a_bound_on_concurrency_bounds_the_tasks() -> None:
    assert len(planned(5_000, max_concurrent_requests="3")) == 3
    assert len(planned(5_000, max_concurrent_requests="30")) == 8


@given(rate=st.floats(0.1, 5000.0), count=st.integers(1, 40))
def test_the_shares_of_all_tasks_never_exceed_the_rate(rate: float, count: int) -> None:
    tasks = planned(count, requests_per_second=str(rate))
    shares = [task.requests_per_second or 0.0 for task in tasks]
    assert min(shares) > 0
    assert sum(shares) <= rate + 1e-6
    assert len(tasks) == 1 or min(shares) >= 1.0  # one request of each task in a second is within the rate


@pytest.mark.parametrize(
    ("rate", "shares"),
    [("3", [1, 1, 1]), ("3.9", [1, 1, 1]), ("10", [2, 2, 1, 1, 1, 1, 1, 1]), ("0.75", [0.75])],
)
def test_the_tasks_share_the_whole_rate_in_whole_requests(rate: str, shares: list[float]) -> None:
    assert [task.requests_per_second for task in planned(40, requests_per_second=rate)] == shares


@given(
    events=st.lists(st.floats(0.5, 1e6), min_size=1, max_size=60),
    num_partitions=st.integers(1, 64),
    bound=st.none() | st.integers(1, 20),
)
def test_tasks_by_events_tile_too_and_none_is_far_above_its_share(
    events: list[float], num_partitions: int, bound: int | None
) -> None:
    given_options = {"url": "h", "num_partitions": str(num_partitions)}
    if bound is not None:
        given_options["max_concurrent_requests"] = str(bound)
    points, span = many(len(events)), Window(BASE, moment(10**9))
    tasks = plan(points, span, Options.parse(given_options), BASE, events)
    wanted = min(num_partitions, bound or num_partitions)
    share = sum(events) / wanted
    assert len(tasks) <= wanted
    weight = dict(zip(points, events, strict=True))
    for one in points:
        parts = sorted((t.window.start, t.window.end) for t in tasks if one in t.points)
        assert (parts[0][0], parts[-1][1]) == (span.start, span.end)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(parts))
    for task in tasks:
        part = (task.window.end - task.window.start) / (span.end - span.start)
        assert sum(weight[one] for one in task.points) * part < 3 * share + 1e-6


def test_a_busy_tag_gets_tasks_of_its_own() -> None:
    tasks = plan(many(5), Window(BASE, moment(10**9)), sized(8), BASE, [1e6, 10.0, 10.0, 10.0, 10.0])
    busy = [task for task in tasks if task.points[0].name == "T0"]
    assert len(busy) == 7
    assert all(len(task.points) == 1 for task in busy)
    assert sorted(p.name for task in tasks for p in task.points if p.name != "T0") == ["T1", "T2", "T3", "T4"]


def test_very_many_events_make_more_tasks_rather_than_longer_ones() -> None:
    tasks = plan(many(40), Window(BASE, moment(10**9)), sized(2), BASE, [5e6] * 40)
    assert len(tasks) == 10
    bounded = Options.parse({"url": "h", "num_partitions": "2", "max_concurrent_requests": "2"})
    assert len(plan(many(40), Window(BASE, moment(10**9)), bounded, BASE, [5e6] * 40)) == 2


def test_no_task_holds_more_points_than_travel_well_however_uneven_they_are() -> None:
    events = [1e6] * 10 + [1.0] * 3_000
    tasks = plan(many(3_010), Window(BASE, moment(10**9)), sized(4), BASE, events)
    assert max(len(task.points) for task in tasks) <= 1000
    assert len({p.web_id for task in tasks for p in task.points}) == 3_010
