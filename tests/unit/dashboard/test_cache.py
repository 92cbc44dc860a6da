"""Results are queried once, cached for a while, waited for, and never lost to an error."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Hashable, Iterator
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from pi_datasource.dashboard.cache import Busy, Failed, Ready, ResultCache, Waiting
from pi_datasource.errors import TablesUnavailable


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def got(cache: ResultCache, key: Hashable, query: Callable[[], dict[str, Any]]) -> Any:
    return asyncio.run(cache.get(key, query))


@pytest.fixture
def cache(clock: Clock) -> Iterator[ResultCache]:
    made = ResultCache(ttl_s=30, wait_s=20, clock=clock)
    yield made
    made.close()


class Counting:
    """A query that counts its calls."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    def __call__(self) -> dict[str, Any]:
        self.calls += 1
        outcome = self.outcomes[min(self.calls, len(self.outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return {"n": outcome}


def test_a_fresh_answer_is_not_asked_for_again(cache: ResultCache, clock: Clock) -> None:
    query = Counting(1, 2)
    assert got(cache, "key", query) == Ready({"n": 1}, 0.0)
    clock.now += 29.9
    told = got(cache, "key", query)
    assert isinstance(told, Ready)
    assert (told.data, round(told.age_s, 1), query.calls) == ({"n": 1}, 29.9, 1)
    clock.now += 0.2
    assert got(cache, "key", query) == Ready({"n": 2}, 0.0)


def test_other_questions_have_other_answers(cache: ResultCache) -> None:
    assert got(cache, "one", Counting(1)) == Ready({"n": 1}, 0.0)
    assert got(cache, "two", Counting(2)) == Ready({"n": 2}, 0.0)


def test_many_readers_at_once_are_one_question(cache: ResultCache) -> None:
    start, go = Barrier(9), Event()

    def slow() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        go.wait(10)
        return {"n": asked}

    asked = 0
    told: list[Any] = []

    def read() -> None:
        start.wait(10)
        told.append(got(cache, "key", slow))

    readers = [Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    start.wait(10)
    go.set()
    for reader in readers:
        reader.join(10)
    assert asked == 1
    assert [one.data for one in told] == [{"n": 1}] * 8


def test_a_slow_answer_is_waited_for_and_then_there(clock: Clock) -> None:
    cache = ResultCache(ttl_s=30, wait_s=0, clock=clock)
    go = Event()

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 1}

    got(cache, "key", slow)
    clock.now += 12
    assert got(cache, "key", slow) == Waiting(12.0)
    go.set()
    assert _until(lambda: got(cache, "key", slow), Ready).data == {"n": 1}
    cache.close()


def test_the_old_answer_is_shown_while_a_new_one_takes_its_time(clock: Clock) -> None:
    cache = ResultCache(ttl_s=30, wait_s=0, clock=clock)
    go = Event()
    _until(lambda: got(cache, "key", Counting(1)), Ready)
    clock.now += 40

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 2}

    assert got(cache, "key", slow) == Ready({"n": 1}, 40.0)
    go.set()
    cache.close()


def test_a_question_too_many_is_not_taken_and_an_old_answer_is_better_than_none(clock: Clock) -> None:
    cache = ResultCache(ttl_s=30, wait_s=0, workers=1, max_waiting=1, clock=clock)
    _until(lambda: got(cache, "known", Counting(1)), Ready)
    go = Event()

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 2}

    clock.now += 40
    assert [got(cache, key, slow) for key in ("running", "waiting")] == [Waiting(0.0)] * 2
    full = Busy("2 queries are already running or waiting; try again in a moment")
    assert got(cache, "too many", slow) == full
    assert got(cache, "known", slow) == Ready({"n": 1}, 40.0)
    go.set()
    for key in ("running", "waiting", "too many", "known"):
        assert _until(lambda key=key: got(cache, key, slow), Ready)  # type: ignore[misc]


def test_whoever_waits_when_it_is_closed_waits_no_longer(clock: Clock) -> None:
    cache = ResultCache(ttl_s=30, wait_s=1000, clock=clock)
    asked, go = Event(), Event()

    def slow() -> dict[str, Any]:
        asked.set()
        go.wait(10)
        return {"n": 1}

    async def closed_meanwhile() -> Any:
        waiting = asyncio.create_task(cache.get("key", slow))
        await asyncio.to_thread(asked.wait, 10)
        cache.close()
        return await waiting

    assert asyncio.run(closed_meanwhile()) == Waiting(0.0)
    assert got(cache, "other", slow) == Failed("the dashboard is stopping")
    go.set()


@pytest.mark.parametrize("allowed", [0, 2])
def test_without_enough_threads_there_is_no_cache_and_no_thread_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    started: list[Thread] = []
    start = Thread.start

    def limited(thread: Thread) -> None:
        if len(started) == allowed:
            message = "can't start new thread"
            raise RuntimeError(message)
        started.append(thread)
        start(thread)

    monkeypatch.setattr(Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        ResultCache(ttl_s=30)
    monkeypatch.undo()
    gc.collect()
    for thread in started:
        thread.join(10)
    assert [thread.is_alive() for thread in started] == [False] * allowed


def test_queries_start_no_further_thread(cache: ResultCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(Thread, "start", refuse)
    assert [got(cache, key, Counting(1)) for key in range(9)] == [Ready({"n": 1}, 0.0)] * 9


def test_a_failure_is_told_and_soon_tried_again(cache: ResultCache, clock: Clock) -> None:
    query = Counting(TablesUnavailable("the warehouse is on holiday"), 2)
    assert got(cache, "key", query) == Failed("the warehouse is on holiday")
    assert got(cache, "key", query) == Failed("the warehouse is on holiday")
    assert query.calls == 1
    clock.now += 4
    assert got(cache, "key", query) == Ready({"n": 2}, 0.0)


def test_an_unexpected_error_is_logged_and_does_not_show_its_text(
    cache: ResultCache, caplog: pytest.LogCaptureFixture
) -> None:
    told = got(cache, "key", Counting(RuntimeError("internal detail")))
    assert told == Failed("an unexpected error (RuntimeError); the log of pi-datasource dashboard has it")
    assert "internal detail" in caplog.text


def test_the_number_of_answers_kept_is_bounded(cache: ResultCache) -> None:
    query = Counting(1)
    for number in range(600):
        got(cache, number, query)
    assert query.calls == 600
    got(cache, 599, query)
    assert query.calls == 600
    got(cache, 0, query)
    assert query.calls == 601


def _until(get: Callable[[], Any], kind: type[Any]) -> Any:
    for _ in range(10_000):
        told = get()
        if isinstance(told, kind):
            return told
        Event().wait(0.001)
    pytest.fail("it never came")
