"""Events that come late, are edited, deleted or dropped by compression: known as of any instant."""

import functools
import operator
import tracemalloc
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant
from mock_server.plant import ticks
from mock_server.plant.change_feed import Action, Feed
from mock_server.plant.changes import horizon
from mock_server.plant.events import QUESTIONABLE, SUBSTITUTED, Block
from mock_server.plant.instruments import instruments

CREATED = datetime(2024, 4, 30, 12, tzinfo=timezone.utc)
DAY = datetime(2024, 5, 1, tzinfo=timezone.utc)
FIRST = ticks.from_datetime(CREATED)
PLANT = Plant(seed=3, tags=32, plants=1, history_start=CREATED, changes=0.1)
UNCHANGED = Plant(seed=3, tags=32, plants=1, history_start=CREATED)
POINTS = PLANT.points
FLOW = POINTS[0]

instants = st.integers(FIRST - ticks.PER_DAY // 24, FIRST + ticks.PER_DAY)
spans = st.integers(0, 3 * ticks.PER_DAY // 24)
some_points = st.lists(st.sampled_from(POINTS), min_size=1, max_size=4, unique=True)
Row = tuple[Any, ...]


def rows(block: Block) -> list[list[Row]]:
    columns = (block.ticks, block.kind, block.number, block.code, block.flags)
    flat = list(zip(*(column.tolist() for column in columns), strict=True))
    return [flat[first:after] for first, after in pairwise(block.bounds.tolist())]


def window(points: list[Any], low: int, high: int, **how: Any) -> list[list[Row]]:
    return rows(PLANT.history.window(points, low, high, **how))


@settings(max_examples=60, deadline=None, database=None)
@given(some_points, st.lists(instants, min_size=2, max_size=5), spans)
def test_any_partition_gives_the_whole_as_of_any_instant(points: Any, cuts: list[int], later: int) -> None:
    cuts.sort()
    now = cuts[-1] - ticks.PER_DAY // 24 + later
    whole = window(points, cuts[0], cuts[-1] - 1, now=now)
    parts = [window(points, low, high - 1, now=now) for low, high in pairwise(cuts)]
    assert [functools.reduce(operator.iadd, pieces, []) for pieces in zip(*parts, strict=True)] == whole


@settings(max_examples=60, deadline=None, database=None)
@given(some_points, instants, spans, spans, st.integers(1, 60))
def test_limits_and_directions_cut_the_same_list(
    points: Any, low: int, length: int, later: int, limit: int
) -> None:
    high, now = low + length, low + later
    whole = window(points, low, high, now=now)
    assert window(points, low, high, now=now, limit=limit) == [stream[:limit] for stream in whole]
    newest = window(points, low, high, now=now, newest_first=True, limit=limit)
    assert newest == [stream[::-1][:limit] for stream in whole]


@settings(max_examples=80, deadline=None, database=None)
@given(st.sampled_from(POINTS), instants, spans, st.integers(0, 3))
def test_what_was_known_and_what_was_done_since_is_what_is_known(
    point: Any, before: int, length: int, hops: int
) -> None:
    known = window([point], ticks.FIRST, ticks.LAST, now=before)[0]
    steps = [before + length * hop // (hops + 1) for hop in range(hops + 2)]
    for after, until in pairwise(steps):
        apply(known, PLANT.history.changes(point, after, until))
    assert known == window([point], ticks.FIRST, ticks.LAST, now=before + length)[0]


def apply(known: list[Row], news: Feed) -> None:
    """Follow a feed the way its documentation says: append, replace or insert, delete."""
    for action, dropped, row in zip(
        news.action.tolist(), news.dropped.tolist(), rows(news.block)[0], strict=True
    ):
        assert action != Action.REFRESH
        at = [place for place, each in enumerate(known) if each[0] == row[0]]
        if dropped:
            known.pop()
        if action == Action.ADD:
            assert not known or known[-1][0] <= row[0]
            known.append(row)
            continue
        for place in at[::-1]:
            del known[place]
        if action == Action.UPDATE:
            known.append(row)
            known.sort(key=lambda each: each[0])


def test_each_kind_of_change_happens_about_as_often_as_asked() -> None:
    start, end = ticks.from_datetime(DAY), ticks.from_datetime(DAY + timedelta(days=1))
    done: Counter[Any] = Counter()
    for point in POINTS[:16]:
        news = PLANT.history.changes(point, start, end)
        done.update(Action(each).name for each in news.action.tolist())
        done["dropped"] += int(news.dropped.sum())
        edits = (news.action == Action.UPDATE) & (news.block.flags & SUBSTITUTED > 0)
        done["edited"] += int(edits.sum())
    total = sum(stream.count for stream in map(_Count, window(POINTS[:16], start, end)))
    for kind in ("edited", "DELETE", "dropped"):
        assert 0.06 < done[kind] / total < 0.13, (kind, done, total)
    assert 0.03 < (done["UPDATE"] - done["edited"]) / total < 0.1  # some late ones still come last


class _Count:
    def __init__(self, stream: list[Row]) -> None:
        self.count = len(stream)


def test_late_events_appear_below_newer_ones_with_their_own_time() -> None:
    low, now = ticks.from_datetime(DAY), ticks.from_datetime(DAY + timedelta(hours=1))
    early = window([FLOW], low, now, now=now)[0]
    later = window([FLOW], low, now, now=now + ticks.PER_DAY)[0]
    newest = early[-1][0]
    came = [row for row in later if row[0] not in {each[0] for each in early}]
    assert sum(row[0] < newest for row in came) >= 5


def test_an_edited_event_has_the_old_value_before_and_a_substituted_one_after() -> None:
    start = ticks.from_datetime(DAY)
    news = PLANT.history.changes(FLOW, start, start + ticks.PER_DAY // 32)
    checked = 0
    for action, at, row in zip(news.action.tolist(), news.at.tolist(), rows(news.block)[0], strict=True):
        was = window([FLOW], row[0], row[0], now=at - 1)[0]
        if action != Action.UPDATE or not was:
            continue
        assert window([FLOW], row[0], row[0], now=at)[0] == [row]
        assert row[4] & SUBSTITUTED
        assert (was[0][2], was[0][3]) != (row[2], row[3])
        assert was[0][4] & QUESTIONABLE == row[4] & QUESTIONABLE
        checked += 1
    assert checked > 8


def test_a_dropped_snapshot_is_the_newest_until_the_next_event_comes() -> None:
    start = ticks.from_datetime(DAY)
    news = PLANT.history.changes(FLOW, start, start + ticks.PER_DAY // 12)
    checked = 0
    for dropped, at in zip(news.dropped.tolist(), news.at.tolist(), strict=True):
        if dropped:
            shown = rows(PLANT.history.snapshot([FLOW], now=at - 1))[0][0]
            assert window([FLOW], shown[0], shown[0], now=at)[0] == []
            assert rows(PLANT.history.snapshot([FLOW], now=at))[0][0][0] == at
            checked += 1
    assert checked > 20


def test_nothing_changes_after_the_horizon() -> None:
    for point in POINTS[:16]:
        limit = int(horizon(instruments(PLANT.history.recipe, [point]).period)[0])
        low, high = FIRST, FIRST + ticks.PER_DAY // 4
        assert window([point], low, high, now=high + limit) == window([point], low, high)


def test_without_changes_events_never_change() -> None:
    low, high = FIRST, FIRST + ticks.PER_DAY
    settled = rows(UNCHANGED.history.window(POINTS, low, high))
    assert rows(UNCHANGED.history.window(POINTS, low, high, now=high)) == settled
    untouched = {row[:4] for row in settled[0]}
    assert len({row[:4] for row in window(POINTS[:1], low, high)[0]} & untouched) > 0.75 * len(untouched)


def test_the_oracle_knows_the_archive_as_of_any_instant() -> None:
    end = DAY + timedelta(hours=2)
    early = PLANT.oracle(FLOW.name, DAY, end, as_of=end)
    final = PLANT.oracle(FLOW.name, DAY, end)
    assert early != final
    assert PLANT.oracle(FLOW.name, DAY, end, as_of=end + timedelta(days=3)) == final
    table = PLANT.oracle_table([FLOW.name], DAY, end, as_of=end)
    assert table["ticks"].to_pylist() == [event.ticks for event in early]
    assert table["substituted"].to_pylist() == [event.substituted for event in early]


def test_a_feed_too_long_to_hold_asks_to_read_again() -> None:
    news = PLANT.history.changes(FLOW, FIRST, FIRST + 900 * ticks.PER_DAY)
    assert [Action(each) for each in news.action.tolist()] == [Action.REFRESH]
    assert news.block.ticks.tolist() == [FIRST]


@pytest.mark.parametrize("changes", [-0.1, 1.1, float("nan")])
def test_changes_are_a_share(changes: float) -> None:
    with pytest.raises(ValueError, match="share between 0 and 1"):
        Plant(changes=changes)


@pytest.mark.parametrize("newest_first", [False, True])
def test_memory_grows_with_what_is_returned_not_with_the_window(newest_first: bool) -> None:
    peaks = []
    end = FIRST + 2_000 * ticks.PER_DAY
    window([FLOW], FIRST, end, now=end, limit=500)  # tables that are made once
    for days in (2, 2_000):
        tracemalloc.start()
        found = window([FLOW], end - days * ticks.PER_DAY, end, now=end, limit=500, newest_first=newest_first)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(found[0]) == 500
    assert peaks[1] < 1.5 * peaks[0]
