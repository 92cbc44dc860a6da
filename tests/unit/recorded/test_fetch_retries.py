"""Parts of a batch that fail for the moment: how often they are sent, and what is sent before the pause that they ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_datasource.errors import PointFailure, ReadFailed, ServerFailed, ServerUnreachable
from pi_datasource.webapi.retry import Attempts
from tests.unit.fakes import FakePI, point
from tests.unit.recorded.test_fetch import read, steady, task


class Noted(FakePI):
    """Notes calls and pauses in their order."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.events_seen: list[str] = []

    def batch(self, urls: dict[str, str], attempts: Any = None) -> bytes:
        self.events_seen.append("call")
        return super().batch(urls, attempts)

    def pause(self, *args: Any, **settings: Any) -> None:
        self.events_seen.append("pause")
        super().pause(*args, **settings)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_call_that_was_prepared_before_a_refusal_is_not_sent_before_the_pause(status: int) -> None:
    names = [f"T{i}" for i in range(8)]
    server = Noted({f"W_{name}": steady(3) for name in names})
    server.failures = {"W_T0": [(status, "Rate limit was reached")]}
    rows = read(server, task(*map(point, names), batch_size=2))
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(names, 3)
    assert server.events_seen[:3] == ["call", "pause", "call"]


def test_the_words_of_a_refusal_in_a_value_hold_nothing_up() -> None:
    server = Noted({f"W_{name}": [(0, '"Status":429')] for name in "AB"})
    assert len(read(server, task(point("A", "String"), point("B", "String"), batch_size=1))) == 2
    assert server.events_seen == ["call", "call"]


def test_nothing_is_sent_after_a_call_that_fails_the_read() -> None:
    class Broken(Noted):
        """Fails each call as a whole."""

        def batch(self, urls: dict[str, str], attempts: Any = None) -> bytes:
            super().batch(urls, attempts)
            message = "POST batch: HTTP 503"
            raise ServerFailed(message, 503)

    server = Broken({f"W_{name}": steady(3) for name in "ABCD"})
    with pytest.raises(ServerFailed):
        read(server, task(*map(point, "ABCD"), batch_size=1))
    assert server.events_seen == ["call"]


def test_retries_of_the_call_count_for_each_of_its_parts() -> None:
    class Flaky(FakePI):
        """Needs a retry of the whole call, then fails in one part."""

        def batch(self, urls: dict[str, str], attempts: Attempts | None = None) -> bytes:
            assert attempts is not None
            sent.append(attempts.retries + 1)
            attempts.retries = min(attempts.retries + 1, attempts.max_retries)
            return super().batch(urls)

    sent: list[int] = []
    server = Flaky({"W_A": steady(3)})
    server.max_retries = 3
    server.always_fails = {"W_A": (503, "off")}
    with pytest.raises(ReadFailed) as caught:
        read(server, task(point("A")))
    assert caught.value.failures == (PointFailure("A", "W_A", 503, "off"),)
    assert sent == [1, 3]  # the first call took two attempts, the second two more


def test_a_point_without_retries_left_does_not_fail_the_others_with_it() -> None:
    class Dropping(FakePI):
        """Fails as a whole when it is asked for B the third time, as the call then has no attempt left."""

        def batch(self, urls: dict[str, str], attempts: Attempts | None = None) -> bytes:
            body = super().batch(urls)
            assert attempts is not None
            if attempts.retries == attempts.max_retries:
                message = "POST batch: cannot reach https://pi.example"
                raise ServerUnreachable(message)
            return body

    server = Dropping({f"W_{name}": steady(3) for name in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
    server.always_fails = {"W_B": (503, "off")}
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    rows: dict[str, Any] = {}
    with pytest.raises(ReadFailed) as caught:
        rows.update(read(server, task(*map(point, names), batch_size=4)))
    assert caught.value.failures == (
        PointFailure("B", "W_B", None, "POST batch: cannot reach https://pi.example"),
    )
    asked = {web_id for call in server.calls for web_id, _, _ in call}
    assert asked == {f"W_{name}" for name in names}


def test_a_rate_limit_that_lasts_is_waited_for_where_that_is_asked_for() -> None:
    server = FakePI({"W_A": steady(3)})
    server.failures = {"W_A": [(429, "Rate limit was reached")] * 9}
    server.patience_s = 3600.0
    assert len(read(server, task(point("A")))["A"]) == 3
    assert len(server.calls) == 10
    server.failures = {"W_A": [(503, "off")] * 9}
    with pytest.raises(ReadFailed):
        read(server, task(point("A")))


@pytest.mark.parametrize("header", ["-5", "soon", "", "nan", None, [7], {"a": 1}, True])
def test_a_retry_after_of_a_part_that_is_none_is_ignored(header: Any) -> None:
    server = FakePI({"W_A": steady(3)})
    server.failures = {"W_A": [(429, "Rate limit was reached")]}
    server.headers = json.loads(json.dumps({"Retry-After": header}))
    assert len(read(server, task(point("A")))["A"]) == 3
    assert server.least_pauses_s == [0.0]


@pytest.mark.parametrize(("header", "seconds"), [("1.5", 1.5), (7, 7.0), ("9" * 30, float("9" * 30))])
def test_a_retry_after_of_a_part_is_given_to_the_client_which_bounds_it(header: Any, seconds: float) -> None:
    server = FakePI({"W_A": steady(3)})
    server.failures = {"W_A": [(429, "Rate limit was reached")]}
    server.headers = {"Retry-After": header}
    read(server, task(point("A")))
    assert server.least_pauses_s == [seconds]
