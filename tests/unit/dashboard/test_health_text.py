"""What the page says of the ingestion, in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from pi_datasource.dashboard.health_text import Stream, Verdict, duration, headline, judge

S = 1_000_000
NOW_US = 1_800_000_000 * S


def _batches(*ages_s: float, failures: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "created_at": NOW_US - int(age * S),
            "window_start": NOW_US - int((age + 65) * S),
            "window_end": NOW_US - int((age + 5) * S),
            "read_failures": failures,
        }
        for age in ages_s
    ]


def _judge(*ages_s: float, failures: int = 0) -> Verdict:
    return judge(Stream.of("s", _batches(*ages_s, failures=failures)), NOW_US)


def test_a_stream_that_runs_as_usual_is_up_to_date() -> None:
    told = _judge(60, 960, 1860, 2760)
    assert (told.level, told.words) == ("ok", "up to date: behind by 65 s, the last run finished 60 s ago")
    assert told.next_run_us == NOW_US + 840 * S
    assert told.lag_s == 65


def test_a_run_that_is_overdue_is_told_with_how_many_are_missing() -> None:
    told = _judge(240, 300, 360, 420)
    assert told.level == "bad"
    assert told.words == (
        "behind by 4 min: no run has finished for 4 min, though one usually does every 60 s (4 are missing). "
        "It has stopped, or its runs fail: look at its log, or run pi-datasource ingest"
    )


def test_tags_that_could_not_be_read_are_told() -> None:
    told = _judge(10, 70, 130, failures=3)
    assert told.level == "warn"
    assert told.words == (
        "behind by 15 s: the last run could not read 3 tags; see the errors that wait for repair"
    )


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([503], "the PI server answered 503 for 3 min"),
        ([404, 503], "the PI server answered 404 and 503 for 3 min"),
        ([503, None], "the PI server answered 503 or gave no answer for 3 min"),
        ([None], "the PI server gave no answer for 3 min"),
    ],
)
def test_the_cause_is_told_with_how_long_it_lasts(statuses: list[int | None], words: str) -> None:
    batches = _batches(10, 70, 130, failures=3) + _batches(190, 250)
    told = judge(Stream.of("s", batches), NOW_US, statuses)
    assert told.level == "warn"
    assert told.words == (
        f"behind by 15 s: {words}, so that the last run could not read 3 tags; see the errors that wait for repair"
    )


@pytest.mark.parametrize(
    ("waited", "words"),
    [(40.0, "; the PI server throttled it for 40 s"), (0.2, ""), (None, "")],
)
def test_a_server_that_slows_the_run_down_is_told(waited: float | None, words: str) -> None:
    batches = _batches(60, 960, 1860, 2760)
    batches[0]["throttled_seconds"] = waited
    told = judge(Stream.of("s", batches), NOW_US)
    assert told.words == "up to date: behind by 65 s, the last run finished 60 s ago" + words


@pytest.mark.parametrize(("age", "level"), [(10, "ok"), (7200, "unknown")])
def test_a_first_run_has_no_usual_interval_yet(age: float, level: str) -> None:
    told = _judge(age)
    assert (told.level, told.next_run_us) == (level, None)
    assert "too few runs yet" in told.words


def test_micro_batches_of_one_run_are_not_an_interval() -> None:
    stream = Stream.of("s", _batches(10, 11, 12, 910, 911, 1810, 1811))
    assert stream.interval_s == 898.5
    assert Stream.of("s", _batches(10, 11, 12)).interval_s is None


def test_the_headline_is_the_worst_stream_that_still_matters() -> None:
    good = judge(Stream.of("good", _batches(60, 960, 1860, 2760)), NOW_US)
    late = judge(Stream.of("late", _batches(240, 300, 360, 420)), NOW_US)
    old = judge(Stream.of("old", _batches(9e6, 9e6 + 60, 9e6 + 120, 9e6 + 180)), NOW_US)
    assert old.forgotten
    assert headline([good, late, old]) == late
    assert headline([good, old]) == good
    assert headline([old]) == old
    assert headline([]).words == "no run yet: run pi-datasource ingest"


@pytest.mark.parametrize("job", ["backfill ab12 21600s", "history ab12 cd34 21600s", "repair ab12"])
def test_what_fills_in_the_past_is_never_behind(job: str) -> None:
    pieces = _batches(60, 65, 70, 75, failures=2)
    for piece in pieces:
        piece["window_start"] -= 400 * 86400 * S
        piece["window_end"] -= 400 * 86400 * S
    told = judge(Stream.of(job, pieces), NOW_US, [503])
    assert (told.level, told.lag_s, told.next_run_us) == ("ok", None, None)
    assert told.words == (
        "filling in the past: its last piece was written 60 s ago without 2 tags, which could not be read; "
        "see the errors that wait for repair"
    )
    good = judge(Stream.of("good", _batches(60, 960, 1860, 2760)), NOW_US)
    assert headline([told, good]) == good
    assert headline([told]).words == "no run yet: run pi-datasource ingest"


def test_a_clock_that_is_ahead_gives_no_negative_lag() -> None:
    told = judge(Stream.of("s", _batches(-30, -90, -150, -210)), NOW_US)
    assert (told.level, told.lag_s) == ("ok", 0.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (240, "4 min"),
        (5399, "90 min"),
        (12_000, "3 h 20 min"),
        (7200, "2 h"),
        (432_000, "5 days"),
    ],
)
def test_a_duration_reads_as_a_person_says_it(seconds: float, text: str) -> None:
    assert duration(seconds).replace("1 h 30 min", "90 min") == text
