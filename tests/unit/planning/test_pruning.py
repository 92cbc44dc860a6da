"""The window and the tags that options and a condition leave."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pi_datasource.errors import InvalidOption
from pi_datasource.model import Point
from pi_datasource.options.declaration import Options
from pi_datasource.planning.predicates import FALSE, TRUE, All, Match, Predicate, Span
from pi_datasource.planning.pruning import Pruning

UTC = timezone.utc
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MICRO = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // MICRO


def between(start: datetime | None, end: datetime | None) -> Span:
    return Span(start and micros(start), end and micros(end))


def narrowing(asked: Predicate = TRUE, pushed: Predicate = TRUE, **given: str) -> Pruning:
    return Pruning(Options.parse({"url": "h", **given}), asked, pushed)


def window(found: Pruning) -> tuple[datetime, datetime]:
    result = found.window(NOW)
    return result.start, result.end


LAST_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        (TRUE, {}, (NOW - 24 * HOUR, NOW)),
        (between(LAST_YEAR, None), {}, (LAST_YEAR, NOW)),
        (between(LAST_YEAR, LAST_YEAR + HOUR), {}, (LAST_YEAR, LAST_YEAR + HOUR)),
        (between(NOW - HOUR, NOW + HOUR), {}, (NOW - HOUR, NOW + HOUR)),  # PI holds the future too
        (between(LAST_YEAR, None), {"start_time": "*-2h"}, (NOW - 2 * HOUR, NOW)),
        (between(NOW - HOUR, None), {"start_time": "*-2h"}, (NOW - HOUR, NOW)),
        (between(None, NOW - HOUR), {"start_time": "*-2h"}, (NOW - 2 * HOUR, NOW - HOUR)),
        (between(None, NOW + HOUR), {"start_time": "*-2h"}, (NOW - 2 * HOUR, NOW + HOUR)),
        (between(None, NOW), {"start_time": "*-2h", "end_time": "*-1h"}, (NOW - 2 * HOUR, NOW - HOUR)),
        (between(NOW - 90 * 60 * MICRO * 10**6, NOW), {"end_time": "*-1h"}, (NOW - 1.5 * HOUR, NOW - HOUR)),
        (between(NOW - HOUR, NOW), {"start_time": "1900-01-01"}, (NOW - HOUR, NOW)),
        (TRUE, {"start_time": "1900-01-01"}, (datetime(1900, 1, 1, tzinfo=UTC), NOW)),
    ],
)
def test_bounds_stand_in_for_defaults_and_cut_what_is_given(
    asked: Predicate, given: dict[str, str], expected: tuple[datetime, datetime]
) -> None:
    assert window(narrowing(asked, **given)) == expected


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (between(NOW + HOUR, None), {}),
        (FALSE, {}),
        (All((between(NOW, None), between(None, LAST_YEAR))), {}),
        (between(None, LAST_YEAR), {"start_time": "*-1d"}),
        (between(LAST_YEAR, None), {"end_time": "2024-01-01"}),
        (between(LAST_YEAR, LAST_YEAR + HOUR), {"start_time": "*-1d", "end_time": "*"}),
    ],
)
def test_nothing_in_common_is_an_empty_window(asked: Predicate, given: dict[str, str]) -> None:
    start, end = window(narrowing(asked, **given))
    assert start == end


def test_sparks_own_filters_only_take_away() -> None:
    assert window(narrowing(pushed=between(LAST_YEAR, None))) == (NOW - 24 * HOUR, NOW)
    assert window(narrowing(pushed=between(NOW - HOUR, NOW + HOUR))) == (NOW - HOUR, NOW)
    both = narrowing(between(LAST_YEAR, None), between(None, LAST_YEAR + HOUR))
    assert window(both) == (LAST_YEAR, LAST_YEAR + HOUR)


def test_an_end_before_the_start_is_an_error_where_the_options_alone_say_so() -> None:
    with pytest.raises(InvalidOption, match="lies before option 'start_time'"):
        narrowing(Match("plant", "in", ("A",)), start_time="*", end_time="*-1h").window(NOW)


def test_times_beyond_all_calendars_bound_nothing_and_break_nothing() -> None:
    start, end = window(narrowing(Span(-(2**62), 2**62)))
    assert start == datetime(1970, 1, 1, tzinfo=UTC)
    assert end.year == 9999


def test_tags_are_looked_up_by_the_condition_unless_the_user_has_chosen() -> None:
    asked = Match("tag_name", "in", ("A", "B"))
    assert narrowing(asked).tags() == ("A", "B")
    assert narrowing(asked, tags="*").tags() == ("A", "B")
    assert narrowing(asked, tags="C*").tags() is None
    assert narrowing(asked, tag_filter="C*").tags() is None
    assert narrowing().tags() is None
    assert narrowing(pushed=asked).tags() == ("A", "B")
    assert narrowing(Match("plant", "in", ("N",)), tag_pattern="(?P<plant>.)").tags() == ("*N*",)
    assert narrowing(Match("plant", "in", ("N",))).tags() is None


def point(name: str, point_type: str = "Float32") -> Point:
    return Point(f"W-{name}", name, point_type, None, "SRV", f"\\\\SRV\\{name}")


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (Match("plant", "in", ("N",)), "N.T1 N.S2"),
        (Match("plant", "null"), "odd"),
        (Match("point_type", "in", ("Digital",)), "N.S2"),
        (Match("tag_name", "in", ("n.t1",)), ""),
        (Match("tag_webid", "in", ("W-odd",)), "odd"),
        (Match("tag_path", "like", (r"\\\\SRV\\M%",)), "M.T1"),
        (Match("server_name", "not in", ("SRV",)), ""),
        (Match("units", "in", ("m",)), "N.T1 N.S2 M.T1 odd"),  # an answer may change them
        (TRUE, "N.T1 N.S2 M.T1 odd"),
    ],
    ids=str,
)
def test_points_are_kept_unless_all_their_rows_are_excluded(asked: Predicate, names: str) -> None:
    points = [point("N.T1"), point("N.S2", "Digital"), point("M.T1"), point("odd")]
    for found in (
        narrowing(asked, tag_pattern=r"(?P<plant>\w)\."),
        narrowing(pushed=asked, tag_pattern=r"(?P<plant>\w)\."),
    ):
        assert {each.name for each in found.points(points)} == set(names.split())
