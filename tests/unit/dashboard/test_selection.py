"""The reader's choice: checked, snapped to whole bars, the same for a while."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.dashboard.selection import EPOCH, HOUR_US, RANGES, Selection
from pi_datasource.errors import InvalidOption

NOW = datetime(2026, 3, 1, 6, 7, 8, 123456, tzinfo=timezone.utc)


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def test_nothing_chosen_is_the_last_day_of_everything() -> None:
    chosen = Selection.parse([], NOW)
    assert (chosen.range, chosen.plants, chosen.sensor_types, chosen.by) == ("24h", (), (), "plant")
    assert chosen.start_us == _us(datetime(2026, 2, 28, 6, 0, tzinfo=timezone.utc))
    assert chosen.end_us == _us(datetime(2026, 3, 1, 6, 15, tzinfo=timezone.utc))
    assert chosen.grain_us == 900 * 1_000_000
    assert not chosen.hourly


@pytest.mark.parametrize(
    ("name", "grain_s"),
    [("1h", 60), ("6h", 300), ("24h", 900), ("7d", 3600), ("30d", 6 * 3600), ("1y", 7 * 86400)],
)
def test_a_range_has_bars_of_a_fitting_width(name: str, grain_s: int) -> None:
    chosen = Selection.parse([("range", name)], NOW)
    assert chosen.grain_us == grain_s * 1_000_000
    assert chosen.hourly == (grain_s >= 3600)


@given(
    st.integers(86400, 2**31).map(
        lambda seconds: EPOCH + timedelta(seconds=seconds, microseconds=seconds % 999_983)
    ),
    st.timedeltas(timedelta(seconds=1), timedelta(days=3650)),
)
def test_a_range_holds_what_was_asked_for_in_whole_bars(start: datetime, span: timedelta) -> None:
    end = start + span
    chosen = Selection.parse([("from", start.isoformat()), ("to", end.isoformat())], NOW)
    assert chosen.start_us <= _us(start) < chosen.start_us + chosen.grain_us
    assert chosen.end_us - chosen.grain_us < _us(end) <= chosen.end_us
    assert chosen.start_us % chosen.grain_us == chosen.end_us % chosen.grain_us == 0
    assert chosen.hourly == (chosen.start_us % HOUR_US == 0 and chosen.grain_us >= HOUR_US)


@pytest.mark.parametrize("text", ["2026-03-01T06:00+02:99", "2026-03-01T06:00+15:00", "2026-02-30", "soon"])
def test_a_time_that_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"parameter 'from': '.*' is not a time such as 2026-03-01T06:00"):
        Selection.parse([("from", text)], NOW)


def test_the_order_of_choices_does_not_matter() -> None:
    one = Selection.parse([("plant", "B"), ("plant", "A"), ("plant", "")], NOW)
    other = Selection.parse([("plant", "A"), ("plant", "B"), ("plant", "A")], NOW)
    assert one == other
    assert one.plants == ("A", "B")


def test_the_choice_stays_the_same_while_a_bar_lasts() -> None:
    assert Selection.parse([], NOW) == Selection.parse([], NOW + timedelta(minutes=7))
    assert Selection.parse([], NOW) != Selection.parse([], NOW + timedelta(minutes=8))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ([("range", "2h")], "parameter 'range': '2h' is not one of " + ", ".join(RANGES)),
        ([("by", "tag_name")], "parameter 'by': 'tag_name' is not one of plant, sensor_type"),
        (
            [("from", "yesterday")],
            "parameter 'from': 'yesterday' is not a time such as 2026-03-01T06:00 (UTC)",
        ),
        ([("to", "2026-03-01")], "parameter 'to' needs 'from' as well"),
        ([("from", "2026-03-02"), ("to", "2026-03-01")], "the range is empty"),
        ([("from", "1999-01-01"), ("to", "2026-03-01")], "longer than ten years"),
        ([("from", "0001-01-01T00:00+05:00")], "parameter 'from'"),
        ([("drop", "x")], "there is no parameter 'drop'; there are by, from, plant"),
        ([("plant", str(n)) for n in range(51)], "parameter 'plant' is given 51 times; 50 at most"),
        ([("q", "x" * 401)], "parameter 'q': longer than 400 characters"),
        ([("tag", "a\0b")], "parameter 'tag'"),
    ],
)
def test_what_cannot_be_used_is_named(query: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Selection.parse(query, NOW)
    assert words in str(caught.value)
