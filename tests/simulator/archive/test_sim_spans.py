"""AF time spans and the grids they make, also across clock changes."""

import contextlib
import itertools
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server.archive import spans
from mock_server.archive.spans import BadSpan, Span
from mock_server.plant import ticks

BERLIN = ZoneInfo("Europe/Berlin")
S = ticks.PER_SECOND


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10m", Span(0, 0, 600 * S)),
        ("1.5h", Span(0, 0, 5_400 * S)),
        (".5s", Span(0, 0, S // 2)),
        ("250ms", Span(0, 0, S // 4)),
        ("30", Span(0, 0, 30 * S)),
        ("1d", Span(0, 1, 0)),
        ("2w", Span(0, 14, 0)),
        ("1mo", Span(1, 0, 0)),
        ("1y2mo", Span(14, 0, 0)),
        ("1h 30m", Span(0, 0, 5_400 * S)),
        ("00:10", Span(0, 0, 600 * S)),
        ("01:00:00.5", Span(0, 0, 3_600 * S + S // 2)),
        ("3 Days", Span(0, 3, 0)),
    ],
)
def test_a_span_is_read(text: str, span: Span) -> None:
    assert spans.parse(text) == span


@pytest.mark.parametrize(
    "text", ["", "m", "0m", "-1h", "1x", "1.5d", "1h-1m", "*", "ten minutes", "00:00", "9999999999s", "1e3s"]
)
def test_what_is_no_positive_span_is_refused(text: str) -> None:
    with pytest.raises(BadSpan):
        spans.parse(text)


def local(*parts: int) -> int:
    return ticks.from_datetime(datetime(*parts, tzinfo=BERLIN))


def test_days_and_months_follow_the_wall_clock_and_hours_do_not() -> None:
    start, end = local(2024, 3, 29, 12), local(2024, 4, 2, 12)
    days = spans.grid(start, end, spans.parse("1d"), BERLIN).tolist()
    assert days == [local(2024, 3, 29 + n, 12) if n < 3 else local(2024, 4, n - 2, 12) for n in range(5)]
    assert days[2] - days[1] == 23 * 3_600 * S, "the day the clock goes forward"
    hours = spans.grid(start, end, spans.parse("24h"), BERLIN).tolist()
    assert {b - a for a, b in itertools.pairwise(hours)} == {86_400 * S}
    months = spans.grid(local(2024, 1, 31), local(2024, 5, 1), spans.parse("1mo"), BERLIN).tolist()
    assert months == [local(2024, 1, 31), local(2024, 2, 29), local(2024, 3, 31), local(2024, 4, 30)]
    assert spans.grid(end, start, spans.parse("1d"), BERLIN).tolist() == days[::-1]


steps = st.sampled_from(["7s", "10m", "1h", "1d", "2w", "1mo", "1mo3d", "1y"])
starts = st.integers(0, 9_999).map(  # `integers` over a huge range would prefer its beginning
    lambda part: datetime(1950, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=part * 410_123)
)


@settings(max_examples=30, deadline=None, database=None)
@given(starts, st.integers(-400, 400), st.sampled_from(["1d", "1mo", "6h"]))
def test_a_grid_starts_at_its_start_and_ends_before_its_end(start: datetime, days: int, step: str) -> None:
    low, high = ticks.from_datetime(start), ticks.from_datetime(start + timedelta(days=days))
    span = spans.parse(step)
    instants = spans.grid(low, high, span, BERLIN).tolist()
    direction = 1 if days >= 0 else -1
    assert instants[0] == low
    assert all((high - each) * direction >= 0 for each in instants)
    assert (span.after(low, len(instants) * direction, BERLIN) - high) * direction > 0


@settings(max_examples=30, deadline=None, database=None)
@given(starts, starts, st.integers(0, 40), steps, st.booleans())
def test_a_synced_grid_holds_the_same_instants_whatever_the_window(
    start: datetime, sync: datetime, units: int, step: str, outside: bool
) -> None:
    span = spans.parse(step)
    low, anchor = ticks.from_datetime(start), ticks.from_datetime(sync)
    high = low + units * span.typical // 3
    instants = spans.synced_grid(low, high, span, anchor, BERLIN, outside=outside).tolist()
    around = (low - anchor) // span.typical
    wide = [span.after(anchor, around + n, BERLIN) for n in range(-60, 100)]
    if not min(wide) <= low <= high <= max(wide):
        return
    inside = sorted({each for each in wide if low <= each <= high})
    before = max(each for each in wide if each <= low)
    after = min(each for each in wide if each >= high)
    expected = sorted({*inside, before, after}) if outside else inside
    assert instants == expected


@settings(max_examples=60, deadline=None, database=None)
@given(st.text(alphabet="0123456789.: smhdwyo-", max_size=12))
def test_any_text_is_a_span_or_refused(text: str) -> None:
    with contextlib.suppress(BadSpan):
        span = spans.parse(text)
        assert span.least > 0
        for start in (ticks.FIRST, 0, ticks.LAST):
            for times in (-3, 3, 10**6):
                assert ticks.FIRST - 1 <= span.after(start, times, BERLIN) <= ticks.LAST + 1
