"""What a condition admits, which times it spans, and which names it asks for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_server.plant.wildcards import wildcard_pattern
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import FALSE, TRUE, All, Either, Match, Predicate, Span

NORTH, FLOW = Match("plant", "in", ("NORTH",)), Match("sensor_type", "in", ("FLOW",))
GROUPS = ("plant", "sensor_type")


@pytest.mark.parametrize(
    ("test", "text", "holds"),
    [
        (Match("c", "in", ("a", "b")), "b", True),
        (Match("c", "in", ("a", "b")), "B", False),
        (Match("c", "in", ("a",)), None, False),
        (Match("c", "not in", ("a",)), "b", True),
        (Match("c", "not in", ("a",)), "a", False),
        (Match("c", "not in", ("a",)), None, False),
        (Match("c", "<", ("b",)), "a", True),
        (Match("c", "<", ("b",)), "b", False),
        (Match("c", "<=", ("b",)), "b", True),
        (Match("c", ">", ("b",)), "b", False),
        (Match("c", ">", ("b",)), "ba", True),
        (Match("c", ">=", ("b",)), "b", True),
        (Match("c", ">=", ("b",)), None, False),
        (Match("c", "null"), None, True),
        (Match("c", "null"), "", False),
        (Match("c", "not null"), None, False),
        (Match("c", "not null"), "", True),
        (Match("c", "like", ("a%c",)), "a\nbc", True),
        (Match("c", "like", ("a%c",)), "xabc", False),
        (Match("c", "like", ("a_c",)), "abc", True),
        (Match("c", "like", ("a_c",)), "ac", False),
        (Match("c", "like", (r"a\_c\%\\",)), "a_c%\\", True),
        (Match("c", "like", (r"a\_c",)), "abc", False),
        (Match("c", "like", ("a.c",)), "abc", False),
        (Match("c", "not like", ("a%",)), "b", True),
        (Match("c", "not like", ("a%",)), "ab", False),
        (Match("c", "not like", ("a%",)), None, False),
    ],
    ids=str,
)
def test_a_match_holds_as_in_sql(test: Match, text: str | None, holds: bool) -> None:
    assert predicates.admits(test, {"c": text}) is holds
    assert predicates.admits(test, {"d": "z"}) is True  # nothing is known of the column


def test_parts_are_joined_as_they_say() -> None:
    labels: dict[str, str | None] = {"plant": "NORTH", "sensor_type": "TEMP"}
    assert predicates.admits(Either((NORTH, FLOW)), labels)
    assert not predicates.admits(All((NORTH, FLOW)), labels)
    assert predicates.admits(All((NORTH, Span(1, 2))), labels)
    assert (predicates.admits(TRUE, labels), predicates.admits(FALSE, labels)) == (True, False)


@pytest.mark.parametrize(
    ("given_condition", "expected"),
    [
        (Span(3, None), (3, math.inf)),
        (All((Span(3, None), Span(None, 9), Span(1, 7), NORTH)), (3, 7)),
        (Either((Span(3, 4), Span(8, 9))), (3, 9)),
        (Either((Span(3, 4), NORTH)), (-math.inf, math.inf)),
        (Either((Span(3, 4), All((Span(6, None), Span(None, 5))))), (3, 4)),  # the second part is never true
        (TRUE, (-math.inf, math.inf)),
        (FALSE, (math.inf, -math.inf)),
    ],
)
def test_bounds_are_the_hull_of_all_times_that_may_be(
    given_condition: Predicate, expected: tuple[float, float]
) -> None:
    assert predicates.bounds(given_condition) == expected


@pytest.mark.parametrize(
    ("op", "admitted"),
    [("=", {5}), ("<", {4}), ("<=", {4, 5}), (">", {6}), (">=", {5, 6}), ("<>", {4, 5, 6})],
)
def test_a_comparison_with_a_time_spans_whole_microseconds(op: str, admitted: set[int]) -> None:
    low, high = predicates.bounds(predicates.compare_time(op, 5))
    assert {micros for micros in (4, 5, 6) if low <= micros < high} == admitted


@pytest.mark.parametrize(
    ("given_condition", "expected"),
    [
        (Match("tag_name", "in", ("A.PV", "B")), ("A.PV", "B")),
        (Match("tag_name", "in", ("A*[1]\\?",)), ("A??1???",)),
        (Match("tag_name", "in", ("A", "")), None),
        (Match("tag_name", "like", ("F%_1",)), ("F*?1",)),
        (Match("tag_name", "like", (r"F\_1*",)), ("F_1?",)),
        (Match("tag_name", "like", ("%",)), None),
        (Match("tag_name", "not in", ("A",)), None),
        (NORTH, ("*NORTH*",)),
        (Match("plant", "like", ("NO%",)), ("*NO*",)),
        (Match("value_kind", "in", ("number",)), None),
        (All((NORTH, FLOW)), ("*NORTH*",)),  # one lookup, and the longer word is the rarer one
        (All((NORTH, Match("tag_name", "in", ("A",)))), ("A",)),
        (All((NORTH, Span(1, 2))), ("*NORTH*",)),
        (Either((NORTH, FLOW)), ("*NORTH*", "*FLOW*")),
        (Either((NORTH, Span(1, 2))), None),
        (TRUE, None),
        (FALSE, ()),
    ],
    ids=str,
)
def test_names_are_asked_for_in_pis_syntax(
    given_condition: Predicate, expected: tuple[str, ...] | None
) -> None:
    assert predicates.patterns(given_condition, GROUPS) == expected


def test_many_names_are_asked_for_by_what_they_share() -> None:
    many = Match("tag_name", "in", tuple(f"P1.TI{i}" for i in range(predicates.MOST_LOOKUPS + 1)))
    assert predicates.patterns(many, GROUPS) == ("P1.TI*",)
    mixed = Either((many, Match("tag_name", "like", ("P1.%",))))
    assert predicates.patterns(mixed, GROUPS) == ("P1.*",)
    assert predicates.patterns(Either((many, Match("tag_name", "in", ("Q",)))), GROUPS) is None


@given(st.text("ab*?[]\\%_.", max_size=8), st.text("ab%_", max_size=6))
def test_what_is_asked_for_matches_every_name_that_is_meant(name: str, pattern: str) -> None:
    for test in (Match("tag_name", "in", (name,)), Match("tag_name", "like", (pattern,))):
        for asked in predicates.patterns(test, ()) or ():
            if predicates.admits(test, {"tag_name": name}):
                assert wildcard_pattern(asked).match(name), asked
    assert predicates.admits(Match("c", "like", (predicates.escaped(name),)), {"c": name})


def test_a_condition_travels_as_json() -> None:
    whole = All((Either((NORTH, Match("tag_name", "null"))), Span(None, 2**60), Span(-5, None), FALSE))
    assert predicates.loads(predicates.dumps(whole)) == whole
    for text in ("", "{}", '{"type":"match","column":"a","op":"~","values":[]}', "[" * 100_000):
        with pytest.raises(ValueError, match=r"^is not a predicate; leave it to pi_datasource\.read"):
            predicates.loads(text)
