"""A rate is kept in every second, whatever the calls weigh."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.webapi.rate_limit import Pacer, requests_per_call


class FakeClock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@given(
    rate=st.floats(2.0, 500.0),
    shares=st.lists(
        st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 2.0), st.sampled_from([0.0, 0.5, 1.0])),
        min_size=2,
        max_size=40,
    ),
)
def test_no_second_sees_more_than_the_rate(rate: float, shares: list[tuple[float, float, float]]) -> None:
    clock = FakeClock()
    pacer = Pacer(rate, clock=clock, sleep=clock.sleep)
    sent = []
    for share, delay, seen in shares:
        weight = max(1, int(rate * share))
        pacer.wait(weight)
        sent.append((clock.now + delay * seen, weight))  # when the server sees it
        clock.now += delay
        pacer.answered()
    for begin, _ in sent:
        assert sum(weight for at, weight in sent if begin <= at < begin + 1.0) <= rate


def test_without_a_rate_nobody_waits() -> None:
    clock = FakeClock()
    pacer = Pacer(None, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        pacer.wait(1000)
    assert clock.now == 100.0


def test_a_new_rate_begins_with_an_empty_second() -> None:
    clock = FakeClock()
    pacer = Pacer(None, clock=clock, sleep=clock.sleep)
    pacer.set(10.0)
    pacer.wait(1)
    assert clock.now == 101.0


@pytest.mark.parametrize("latency_s", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("rate", [1.0, 3.0, 5.0, 7.0, 9.0, 40.0, 1000.0])
def test_a_rate_is_used_to_nine_tenths_and_never_exceeded(rate: float, latency_s: float) -> None:
    clock = FakeClock()
    pacer = Pacer(None, clock=clock, sleep=clock.sleep)
    pacer.set(rate)
    weight = requests_per_call(rate)
    sent = []
    while clock.now < 130.0:
        pacer.wait(weight)
        sent.append((clock.now, weight))
        clock.now += latency_s
        pacer.answered()
    assert sum(weight for _, weight in sent) >= 0.9 / (1 + latency_s) * rate * (130 - 101)
    for begin, _ in sent:
        assert sum(weight for at, weight in sent if begin <= at < begin + 1.0) <= rate


def test_below_one_request_a_second_the_requests_are_as_far_apart_as_that_says() -> None:
    clock = FakeClock()
    pacer = Pacer(None, clock=clock, sleep=clock.sleep)
    pacer.set(0.25)
    sent = []
    for _ in range(4):
        pacer.wait(1)
        sent.append(clock.now)
        pacer.answered()
    assert sent == [101.0, 105.0, 109.0, 113.0]


def test_a_call_heavier_than_the_rate_is_sent_alone_and_paid_for() -> None:
    clock = FakeClock()
    pacer = Pacer(None, clock=clock, sleep=clock.sleep)
    pacer.set(4.0)
    sent = []
    for weight in (2, 10, 1):
        pacer.wait(weight)
        sent.append(clock.now)
        pacer.answered()
    assert sent == [101.0, 102.0, 104.5]


def test_a_rate_that_others_may_have_used_meanwhile_is_left_alone_for_a_second_first() -> None:
    clock = FakeClock()
    pacer = Pacer(3.0, clock=clock, sleep=clock.sleep)
    sent = []
    for pause_s in (0.0, 0.5, 7.0, 0.1):
        clock.now += pause_s
        pacer.wait(1)
        sent.append(clock.now - 100.0)
        pacer.answered()
    assert sent == pytest.approx([1.0, 1.5, 9.5, 9.6])
