"""Answers are found once, kept for a while, waited for with patience, and never lost to an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from pi_datasource.dashboard.cache import Answers, Busy, Failed, Ready, Waiting
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


def got(answers: Answers, key: Hashable, ask: Callable[[], dict[str, Any]]) -> Any:
    return asyncio.run(answers.get(key, ask))


@pytest.fixture
def answers(clock: Clock) -> Iterator[Answers]:
    made = Answers(fresh_s=30, patience_s=20, clock=clock)
    yield made
    made.close()


class Counting:
    """A question that counts how often it is asked."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        outcome = self.outcomes[min(self.asked, len(self.outcomes)) - 1]
        if isinstance(outcome, BaseException):
            raise outcome
        return {"n": outcome}


def test_a_fresh_answer_is_not_asked_for_again(answers: Answers, clock: Clock) -> None:
    ask = Counting(1, 2)
    assert got(answers, "key", ask) == Ready({"n": 1}, 0.0)
    clock.now += 29.9
    told = got(answers, "key", ask)
    assert isinstance(told, Ready)
    assert (told.data, round(told.age_s, 1), ask.asked) == ({"n": 1}, 29.9, 1)
    clock.now += 0.2
    assert got(answers, "key", ask) == Ready({"n": 2}, 0.0)


def test_other_questions_have_other_answers(answers: Answers) -> None:
    assert got(answers, "one", Counting(1)) == Ready({"n": 1}, 0.0)
    assert got(answers, "two", Counting(2)) == Ready({"n": 2}, 0.0)


def test_many_readers_at_once_are_one_question(answers: Answers) -> None:
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
        told.append(got(answers, "key", slow))

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
    answers = Answers(fresh_s=30, patience_s=0, clock=clock)
    go = Event()

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 1}

    got(answers, "key", slow)
    clock.now += 12
    assert got(answers, "key", slow) == Waiting(12.0)
    go.set()
    assert _until(lambda: got(answers, "key", slow), Ready).data == {"n": 1}
    answers.close()


def test_the_old_answer_is_shown_while_a_new_one_takes_its_time(clock: Clock) -> None:
    answers = Answers(fresh_s=30, patience_s=0, clock=clock)
    go = Event()
    _until(lambda: got(answers, "key", Counting(1)), Ready)
    clock.now += 40

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 2}

    assert got(answers, "key", slow) == Ready({"n": 1}, 40.0)
    go.set()
    answers.close()


def test_a_question_too_many_is_not_taken_and_an_old_answer_is_better_than_none(clock: Clock) -> None:
    answers = Answers(fresh_s=30, patience_s=0, workers=1, most_waiting=1, clock=clock)
    _until(lambda: got(answers, "known", Counting(1)), Ready)
    go = Event()

    def slow() -> dict[str, Any]:
        go.wait(10)
        return {"n": 2}

    clock.now += 40
    assert [got(answers, key, slow) for key in ("running", "waiting")] == [Waiting(0.0)] * 2
    full = Busy("2 questions to the tables are under way; ask again in a moment")
    assert got(answers, "too many", slow) == full
    assert got(answers, "known", slow) == Ready({"n": 1}, 40.0)
    go.set()
    for key in ("running", "waiting", "too many", "known"):
        assert _until(lambda key=key: got(answers, key, slow), Ready)  # type: ignore[misc]


def test_whoever_waits_when_it_is_closed_waits_no_longer(clock: Clock) -> None:
    answers = Answers(fresh_s=30, patience_s=1000, clock=clock)
    asked, go = Event(), Event()

    def slow() -> dict[str, Any]:
        asked.set()
        go.wait(10)
        return {"n": 1}

    async def closed_meanwhile() -> Any:
        waiting = asyncio.create_task(answers.get("key", slow))
        await asyncio.to_thread(asked.wait, 10)
        answers.close()
        return await waiting

    assert asyncio.run(closed_meanwhile()) == Waiting(0.0)
    assert got(answers, "other", slow) == Failed("the dashboard is stopping")
    go.set()


def test_a_thread_that_cannot_start_is_told(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: Thread) -> None:
        message = "can't start new thread"
        raise RuntimeError(message)

    monkeypatch.setattr(Thread, "start", start)
    told = got(answers, "key", Counting(1))
    assert told == Busy(
        "this machine lets the dashboard start no thread (can't start new thread); ask again in a moment"
    )
    monkeypatch.undo()
    assert got(answers, "key", Counting(1)) == Ready({"n": 1}, 0.0)


def test_a_failure_is_told_and_soon_tried_again(answers: Answers, clock: Clock) -> None:
    ask = Counting(TablesUnavailable("the warehouse is on holiday"), 2)
    assert got(answers, "key", ask) == Failed("the warehouse is on holiday")
    assert got(answers, "key", ask) == Failed("the warehouse is on holiday")
    assert ask.asked == 1
    clock.now += 4
    assert got(answers, "key", ask) == Ready({"n": 2}, 0.0)


def test_an_unexpected_error_is_logged_and_does_not_show_its_text(
    answers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    told = got(answers, "key", Counting(RuntimeError("internal detail")))
    assert told == Failed("an unexpected error (RuntimeError); the log of pi-datasource dashboard has it")
    assert "internal detail" in caplog.text


def test_the_number_of_answers_kept_is_bounded(answers: Answers) -> None:
    ask = Counting(1)
    for number in range(600):
        got(answers, number, ask)
    assert ask.asked == 600
    got(answers, 599, ask)
    assert ask.asked == 600
    got(answers, 0, ask)
    assert ask.asked == 601


def _until(get: Callable[[], Any], kind: type[Any]) -> Any:
    for _ in range(10_000):
        told = get()
        if isinstance(told, kind):
            return told
        Event().wait(0.001)
    pytest.fail("it never came")
