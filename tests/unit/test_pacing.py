"""A rate is kept in every second, whatever the calls weigh."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.pacing import Pacer


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
    shares=st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 2.0)), min_size=2, max_size=40),
)
def test_no_second_sees_more_than_the_rate(rate: float, shares: list[tuple[float, float]]) -> None:
    clock = FakeClock()
    pacer = Pacer(rate, clock=clock, sleep=clock.sleep)
    sent = []
    for share, delay in shares:
        weight = max(1, int(rate / 2 * share))
        pacer.wait(weight)
        sent.append((clock.now + delay, weight))  # when the server sees it
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
    pacer.wait_again()
    assert clock.now > 101.0
