"""Spark's filters → a condition; all of them go back to Spark."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import datasource as spark
from pyspark.sql.datasource import CaseInsensitiveDict, DataSourceReader
from pyspark.sql.types import StructType

from pi_datasource.errors import InvalidOption
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import FALSE, TRUE, Either, Match, Predicate, Span
from pi_datasource.planning.pruning import Pruning
from pi_datasource.spark import pushdown
from pi_datasource.spark.batch_reader import PIReader
from pi_datasource.spark.datasource import PIDataSource
from pi_datasource.spark.pushdown import PIPushdownReader, of_filter

COLUMNS = frozenset({"tag_name", "plant"})
AT = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
T = int(AT.timestamp()) * 1_000_000
TAG, TIME = ("tag_name",), ("timestamp",)
MOMENT = timedelta(microseconds=1)


def match(op: Any, *values: str) -> Match:
    return Match("tag_name", op, values)


@pytest.mark.parametrize(
    ("given", "expected", "negated"),
    [
        (spark.EqualTo(TAG, "a"), match("in", "a"), match("not in", "a")),
        (spark.EqualNullSafe(TAG, "a"), match("in", "a"), TRUE),
        (spark.EqualNullSafe(TAG, None), TRUE, TRUE),
        (spark.LessThan(TAG, "a"), match("<", "a"), match(">=", "a")),
        (spark.LessThanOrEqual(TAG, "a"), match("<=", "a"), match(">", "a")),
        (spark.GreaterThan(TAG, "a"), match(">", "a"), match("<=", "a")),
        (spark.GreaterThanOrEqual(TAG, "a"), match(">=", "a"), match("<", "a")),
        (spark.In(TAG, ("a", "b")), match("in", "a", "b"), match("not in", "a", "b")),
        (spark.In(TAG, ["a", None]), match("in", "a"), match("not in", "a")),  # type: ignore[arg-type]
        (spark.In(TAG, (None,)), FALSE, match("not in")),
        (spark.IsNull(TAG), match("null"), match("not null")),
        (spark.IsNotNull(TAG), match("not null"), match("null")),
        (spark.StringStartsWith(TAG, "a_"), match("like", r"a\_%"), match("not like", r"a\_%")),
        (spark.StringEndsWith(TAG, "%a"), match("like", r"%\%a"), match("not like", r"%\%a")),
        (spark.StringContains(TAG, "a\\"), match("like", "%a\\\\%"), match("not like", "%a\\\\%")),
        (spark.EqualTo(TAG, 5), TRUE, TRUE),
        (spark.EqualTo(("value",), 5.0), TRUE, TRUE),
        (spark.EqualTo(("units",), "m"), TRUE, TRUE),
        (spark.EqualTo(("tag_name", "x"), "a"), TRUE, TRUE),
        (spark.EqualTo(("good",), True), TRUE, TRUE),
        (spark.EqualTo(TIME, AT), Span(T, T + 1), TRUE),
        (spark.LessThan(TIME, AT), Span(None, T), Span(T, None)),
        (spark.LessThanOrEqual(TIME, AT + MOMENT), Span(None, T + 2), Span(T + 2, None)),
        (spark.GreaterThan(TIME, AT), Span(T + 1, None), Span(None, T + 1)),
        (spark.GreaterThanOrEqual(TIME, AT), Span(T, None), Span(None, T)),
        (spark.In(TIME, (AT, None)), Either((Span(T, T + 1),)), TRUE),
        (spark.IsNotNull(TIME), TRUE, TRUE),
        (spark.LessThan(TIME, AT.replace(tzinfo=None)), TRUE, TRUE),
        (NotImplemented, TRUE, TRUE),  # whatever a later Spark may hand over
    ],
    ids=str,
)
def test_filters_become_conditions(given: Any, expected: Predicate, negated: Predicate) -> None:
    assert of_filter(given, COLUMNS) == expected
    assert of_filter(spark.Not(given), COLUMNS) == negated
    assert of_filter(spark.Not(spark.Not(given)), COLUMNS) == expected


def source(**given: str) -> PIDataSource:
    return PIDataSource(CaseInsensitiveDict({"url": "h", **given}))


def test_only_the_option_brings_the_reader_that_takes_filters() -> None:
    """Spark fails every query of a reader with ``pushFilters`` while its own setting is off."""
    plain = source().reader(source().schema())
    assert type(plain) is PIReader
    assert type(plain).pushFilters is DataSourceReader.pushFilters
    assert type(source(pushdown="true").reader(source().schema())) is PIPushdownReader


def test_filters_narrow_and_go_back_to_spark_as_they_are() -> None:
    found = source(pushdown="true", start_time="2026-01-01", end_time="2026-01-02")
    reader = found.reader(found.schema())
    assert isinstance(reader, PIPushdownReader)
    filters = [
        spark.IsNotNull(TIME),
        spark.GreaterThan(TIME, AT),
        spark.EqualTo(TAG, "a"),
        spark.EqualTo(("value",), 1),
    ]

    returned = list(reader.pushFilters(filters))

    assert [id(each) for each in returned] == [id(each) for each in filters]
    pruning = Pruning(reader.options, pushed=reader.pushed)
    assert pruning.tags() == ("a",)
    assert pruning.window(AT).start == AT + MOMENT


def test_filters_on_columns_that_the_reader_lacks_do_not_narrow() -> None:
    found = source(pushdown="true")
    reader = found.reader(StructType(found.schema().fields[2:3]))
    assert isinstance(reader, PIPushdownReader)
    reader.pushFilters([spark.EqualTo(TAG, "a")])
    assert predicates.patterns(reader.pushed, ()) is None


def test_an_older_spark_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spark40:
        """A reader without push-down."""

    monkeypatch.setattr(pushdown, "DataSourceReader", Spark40)
    with pytest.raises(InvalidOption) as caught:
        source(pushdown="true").reader(source().schema())
    assert str(caught.value) == (
        "option 'pushdown' needs Spark 4.1 or later: leave it out, or use pi_datasource.read(where=…)"
    )


@pytest.mark.parametrize(("name", "value"), [("pushdown", "true"), ("narrow", predicates.dumps(FALSE))])
def test_a_stream_refuses_what_only_narrows_a_read(name: str, value: str) -> None:
    found = source(**{name: value})
    with pytest.raises(InvalidOption) as caught:
        found.streamReader(found.schema())
    assert (
        str(caught.value) == f"option {name!r} has no meaning for a stream: leave it out, or use spark.read"
    )
