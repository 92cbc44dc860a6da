"""The one retry policy: what is sent again, how often for all reasons together, and after which pause."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from pi_datasource.errors import ServerFailed
from pi_datasource.webapi import retry
from pi_datasource.webapi.retry import Attempts, Failed, Failure

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def pauses(*kinds: Failure, max_retries: int = 5) -> list[float | None]:
    attempts = Attempts(max_retries, jitter=lambda: 0.0)
    return [attempts.next_pause_s(kind) for kind in kinds]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Failure.NOT_CONNECTED, [0.2, 0.6, 1.8, None, None]),
        (Failure.DROPPED, [0, 0.6, 1.8, 5.4, None]),
        (Failure.SILENT, [0, None, None, None, None]),
        (Failure.BROKEN, [0.2, 0.6, 1.8, 5.4, None]),
        (Failure.UNREADABLE, [0.2, 0.6, None, None, None]),
        (Failure.UNAVAILABLE, [0.2, 0.6, 1.8, 5.4, None]),
        (Failure.RATE_LIMITED, [1, 2, 4, 8, None]),
    ],
)
def test_each_reason_has_its_pauses_and_its_bound(kind: Failure, expected: list[float | None]) -> None:
    assert pauses(*[kind] * 5, max_retries=4) == pytest.approx(expected)


def test_all_reasons_share_one_budget() -> None:
    mixed = (Failure.NOT_CONNECTED, Failure.BROKEN, Failure.UNAVAILABLE, Failure.RATE_LIMITED)
    assert pauses(*mixed, max_retries=3) == pytest.approx([0.2, 0.6, 1.8, None])
    assert pauses(*mixed, max_retries=0) == [None] * 4


def test_retries_that_a_caller_has_used_before_count() -> None:
    attempts = Attempts(3, 2)
    assert attempts.next_pause_s(Failure.BROKEN) is not None
    assert (attempts.next_pause_s(Failure.BROKEN), attempts.retries) == (None, 3)
    attempts.start_over()
    assert attempts.next_pause_s(Failure.BROKEN) is not None


def test_what_would_fail_again_is_not_sent_again() -> None:
    assert Attempts(5).next_pause_s(None) is None


@pytest.mark.parametrize(("asked_s", "paused_s"), [(7.0, 7.0), (0.0, 0.2), (86_400.0, 300.0), (1e30, 300.0)])
def test_the_servers_pause_is_kept_up_to_a_bound(asked_s: float, paused_s: float) -> None:
    assert Attempts(5, jitter=lambda: 0.0).next_pause_s(Failure.UNAVAILABLE, asked_s) == pytest.approx(
        paused_s
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7), ("0", 0), (" 3 ", 3), ("1.5", 1.5), ("2.", 2), (7, 7), ("9" * 30, float("9" * 30)), ("9" * 999, float("inf")),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=90), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", (datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc) - NOW).total_seconds()),
        ("-5", None), ("soon", None), ("", None), ("1e3", None), ("nan", None), ("٣", None), ("7, 9", None),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None), ("1 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2026 00:00:00 +9999999999", None), (None, None), ([7], None), ({}, None), (True, None),
    ],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date_and_anything_else_is_ignored(
    header: object, seconds: float | None
) -> None:
    assert retry.retry_after_s(header, NOW.timestamp) == (None if seconds is None else pytest.approx(seconds))


def test_a_long_pause_is_logged_with_its_length_its_reason_and_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failed = Failed(ServerFailed("GET dataservers: HTTP 503", 503), Failure.UNAVAILABLE, 3600.0)
    outcomes = [failed, "an answer"]
    slept: list[float] = []
    with caplog.at_level(logging.WARNING):
        assert retry.send(lambda: outcomes.pop(0), Attempts(2), slept.append) == "an answer"
    assert slept == [300.0]
    assert caplog.messages == [
        "GET dataservers: HTTP 503; sending it again in 300.0 s (retry 1 of 2); the server asks for 3600 s, more than the "
        "300 s that are waited at most"
    ]


def test_a_short_pause_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = [Failed(ServerFailed("GET x: HTTP 503", 503), Failure.UNAVAILABLE, 10.0), "an answer"]
    with caplog.at_level(logging.INFO):
        retry.send(lambda: outcomes.pop(0), Attempts(2), lambda _: None)
    assert [record.levelname for record in caplog.records] == ["INFO"]
