"""SQL → condition: what is understood, and that nothing else narrows."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import pytest

from pi_datasource.errors import MissingPackage
from pi_datasource.planning import sql_predicate
from pi_datasource.planning.predicates import FALSE, TRUE, All, Either, Match, Predicate, Span

COLUMNS = ["tag_name", "Plant", "value_kind"]
T = 10**15  # what every expression of time is taken for
DAY, SLACK = 86_400_000_000, sql_predicate.ZONE_SLACK_US


def read(text: str, asked: list[str] | None = None) -> Predicate:
    def evaluate(expressions: Sequence[str]) -> list[int | None]:
        if asked is not None:
            asked.extend(expressions)
        return [T] * len(expressions)

    return sql_predicate.of_sql(text, COLUMNS, evaluate)


A, B = Match("tag_name", "in", ("a",)), Match("Plant", "in", ("b",))
NOT_A, NOT_B = Match("tag_name", "not in", ("a",)), Match("Plant", "not in", ("b",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag_name = 'a'", A),
        ("tag_name == 'a'", A),
        ('tag_name = "a"', A),
        ("`TAG_NAME` = 'a'", A),
        ("'a' = tag_name", A),
        ("tag_name <=> 'a'", A),
        ("PLANT = 'b'", B),
        ("tag_name <> 'a'", NOT_A),
        ("NOT tag_name = 'a'", NOT_A),
        ("!(tag_name != 'a')", A),
        ("tag_name > 'a'", Match("tag_name", ">", ("a",))),
        ("'a' > tag_name", Match("tag_name", "<", ("a",))),
        ("NOT tag_name >= 'a'", Match("tag_name", "<", ("a",))),
        ("tag_name IN ('a', 'c')", Match("tag_name", "in", ("a", "c"))),
        ("tag_name IN ('a', NULL)", A),
        ("tag_name NOT IN ('a')", NOT_A),
        ("tag_name IN (NULL)", FALSE),
        ("tag_name LIKE 'a%'", Match("tag_name", "like", ("a%",))),
        ("tag_name NOT LIKE 'a_'", Match("tag_name", "not like", ("a_",))),
        ("NOT tag_name NOT LIKE 'a_'", Match("tag_name", "like", ("a_",))),
        ("plant IS NULL", Match("Plant", "null")),
        ("plant IS NOT NULL", Match("Plant", "not null")),
        ("tag_name BETWEEN 'a' AND 'c'", All((Match("tag_name", ">=", ("a",)), Match("tag_name", "<=", ("c",))))),
        (
            "tag_name NOT BETWEEN 'a' AND 'c'",
            Either((Match("tag_name", "<", ("a",)), Match("tag_name", ">", ("c",)))),
        ),
        ("tag_name = 'a' AND plant = 'b'", All((A, B))),
        ("tag_name = 'a' OR plant = 'b'", Either((A, B))),
        ("NOT (tag_name = 'a' AND plant = 'b')", Either((NOT_A, NOT_B))),
        ("NOT (tag_name = 'a' OR plant = 'b')", All((NOT_A, NOT_B))),
        ("NOT tag_name = 'a' AND plant = 'b'", All((NOT_A, B))),
        ("tag_name = 'a' OR plant = 'b' AND tag_name = 'a'", Either((A, All((B, A))))),
        ("tag_name = 'a' /* or all */ AND value > 3 -- some", All((A, TRUE))),
        ("tag_name = 'a' OR value > 3", Either((A, TRUE))),
        ("value_kind = 'number'", Match("value_kind", "in", ("number",))),
    ],
)  # fmt: skip
def test_texts_are_understood(text: str, expected: Predicate) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "evaluated"),
    [
        ("timestamp >= '2026-01-01'", Span(T, None), ["'2026-01-01'"]),
        ("'2026-01-01' > timestamp", Span(None, T), ["'2026-01-01'"]),
        ("timestamp <= DATE '2026-01-01'", Span(None, T + 1), ["CAST('2026-01-01' AS DATE)"]),
        ("timestamp = TIMESTAMP '2026-01-01Z'", Span(T, T + 1), ["CAST('2026-01-01Z' AS TIMESTAMP)"]),
        ("NOT timestamp > '2026'", Span(None, T + 1), ["'2026'"]),
        ("timestamp <> '2026'", TRUE, ["'2026'"]),
        (
            "timestamp BETWEEN '2026' AND '2027' - INTERVAL 1 DAY",
            All((Span(T, None), Span(None, T + 1))),
            ["'2026'", "'2027' - INTERVAL '1' DAY"],
        ),
        ("timestamp IN ('2026')", Either((Span(T - DAY, T + DAY),)), ["'2026'"]),
        ("timestamp NOT IN ('2026')", TRUE, []),
        (
            "timestamp > current_timestamp() - INTERVAL 90 MINUTES",
            Span(T, None),
            ["CURRENT_TIMESTAMP() - INTERVAL '90' MINUTES"],
        ),
        ("timestamp > now() - INTERVAL '1' HOUR", Span(T, None), ["NOW() - INTERVAL '1' HOUR"]),
        ("timestamp > now() - INTERVAL 1 DAY", Span(T - SLACK, None), ["NOW() - INTERVAL '1' DAY"]),
        ("timestamp >= current_date() - 7", Span(T - SLACK, None), ["CURRENT_DATE - 7"]),
        ("timestamp >= date_trunc('HOUR', now())", Span(T - SLACK, None), ["DATE_TRUNC('HOUR', NOW())"]),
        ("NOT timestamp < now()", Span(T, None), ["NOW()"]),
    ],
)
def test_times_are_evaluated_and_span_whole_microseconds(
    text: str, expected: Predicate, evaluated: list[str]
) -> None:
    asked: list[str] = []
    assert read(text, asked) == expected
    assert asked == evaluated


@pytest.mark.parametrize(
    "text",
    [
        # the clock goes on between reading and filtering
        "timestamp <= now()", "timestamp = now()", "timestamp > now() - (now() - DATE '2026-01-01')",
        "timestamp > DATE '2026-01-01' - (now() - DATE '2026-01-02')", "timestamp IN (now())",
        # constants that depend on more than Spark's rules for timestamps, or are none
        "timestamp > rand()", "timestamp > 5", "timestamp > CAST('2026-01-01Z' AS TIMESTAMP_NTZ)",
        "timestamp > value", "timestamp > to_timestamp('2026-01-01Z')", "timestamp > upper('2026')",
        # literals that parsers read differently
        r"tag_name = 'a\_b'", "tag_name = 'It''s'", "tag_name = 'a' 'b'", "tag_name = '${x}'", "tag_name = r'a'",
        "tag_name = 'a' COLLATE UTF8_LCASE", "timestamp > '${x}'",
        # other columns, types and functions
        "value > 3", "good", "NOT good", "tag_name = 5", "tag_name IN ('a', 5)", "tag_name = value_kind",
        "e.tag_name = 'a'", "upper(tag_name) = 'A'", "tag_name || 'a' = 'b'", "units = 'a'", "plant IS TRUE",
        # kinds of syntax with more to them than their sides
        "tag_name LIKE 'a!%' ESCAPE '!'", "tag_name ILIKE 'a'", "tag_name RLIKE 'a'", "tag_name LIKE ANY ('a', 'b')",
        "timestamp BETWEEN SYMMETRIC '2027' AND '2026'", "NOT (tag_name <=> 'a')", "tag_name IS DISTINCT FROM 'a'",
        "tag_name IN (SELECT 'a')", "EXISTS (SELECT 1)", "true", "false", "tag_name = 'a' IS NULL",
        "tag_name = 'a' UNION SELECT 1", "tag_name = 'a'; DROP TABLE x", "((", "",
    ],
)  # fmt: skip
def test_what_is_not_understood_narrows_nothing(text: str) -> None:
    def admits_everything(found: Predicate) -> bool:
        if isinstance(found, All):
            return all(map(admits_everything, found.parts))
        return isinstance(found, Either) and any(map(admits_everything, found.parts))

    assert admits_everything(read(text)), read(text)
    assert read(f"tag_name = 'a' AND ({text})") in (All((A, read(text))), All((A, TRUE)), TRUE)


def test_what_spark_refuses_narrows_nothing() -> None:
    assert sql_predicate.of_sql(
        "timestamp > 'x' AND tag_name = 'a'", COLUMNS, lambda sql: [None] * len(sql)
    ) == All((TRUE, A))


def test_a_long_list_of_ors_is_read() -> None:
    text = " OR ".join(f"tag_name = 't{i}'" for i in range(3000))
    found = read(text)
    assert isinstance(found, Either)
    assert len(found.parts) == 3000


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("Tag_Name = 'x' AND hour(timestamp) > 3 OR `value` > 1", {"tag_name", "timestamp", "value"}),
        ("tag_name = 'timestamp'", {"tag_name"}),
        ("(( timestamp", {"timestamp"}),
    ],
)
def test_the_columns_of_a_predicate_are_found(text: str, columns: set[str]) -> None:
    assert sql_predicate.columns_of(text) == columns


def test_without_sqlglot_there_is_a_command_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingPackage) as caught:
        read("tag_name = 'a'")
    assert str(caught.value) == "where=… needs one more package: pip install 'pi-datasource[sql]'"
