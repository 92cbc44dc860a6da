"""``pi_datasource.read``: what it asks of Spark. Real sessions are in the integration tests."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.errors import AnalysisException

import pi_datasource
from pi_datasource.errors import InvalidOption, UnknownOption
from pi_datasource.planning import predicates
from pi_datasource.planning.predicates import All, Match, Span
from pi_datasource.spark import carried_predicate

T = 1_767_225_600_000_000


class Session:
    """As much of a Spark session as ``read`` touches; remembers what it was asked for."""

    def __init__(self, settings: dict[str, str] | None = None, moment: int | None = T) -> None:
        self.read = self.conf = self
        self.settings, self.moment = settings or {}, moment
        self.options_given: dict[str, str] = {}
        self.steps: list[tuple[Any, ...]] = []

    def get(self, name: str, default: str) -> str:
        return self.settings.get(name, default)

    def sql(self, text: str) -> Session:
        self.steps.append(("sql", text))
        if self.moment is None:
            message = "no"
            raise AnalysisException(message)
        return self

    def first(self) -> tuple[int | None, ...]:
        return (self.moment,) * self.steps[-1][1].count(" AS c")

    def format(self, name: str) -> Session:
        assert name == "pi"
        return self

    def options(self, **given: str) -> Session:
        self.options_given = given
        return self

    def load(self) -> Session:
        self.steps.append(("load",))
        return self

    def where(self, text: str) -> Session:
        self.steps.append(("where", text))
        return self

    def select(self, *names: str) -> Session:
        self.steps.append(("select", *names))
        return self


def read(session: Session, where: str | None = None, **options: Any) -> dict[str, str]:
    assert pi_datasource.read(session, where, url="h", **options) is session  # type: ignore[arg-type, comparison-overlap]
    return session.options_given


def narrow_of(given: dict[str, str]) -> Any:
    return predicates.loads(given[carried_predicate.KEY])


def test_without_a_predicate_it_is_a_plain_load() -> None:
    session = Session()
    assert read(session) == {"url": "h"}
    assert session.steps == [("load",)]


def test_two_spellings_of_an_option_with_different_values_are_refused() -> None:
    with pytest.raises(InvalidOption, match=r"options 'startTime' and 'start_time' are two spellings"):
        read(Session(), startTime="*-7d", start_time="*-1d")
    assert read(Session(), startTime="*-7d", start_time="*-7d")["start_time"] == "*-7d"


def test_options_may_be_given_as_what_they_are() -> None:
    given = read(
        Session(), startTime=datetime(2026, 1, 1, tzinfo=timezone.utc), timeout=timedelta(minutes=2), tags=["a,b", "c"],
        include_metadata=True, page_size=5, tag_filter=None,
    )  # fmt: skip
    assert given == {
        "url": "h", "start_time": "2026-01-01T00:00:00+00:00", "timeout": "120.0s", "tags": '["a,b", "c"]',
        "include_metadata": "true", "page_size": "5",
    }  # fmt: skip


def test_options_are_checked_before_spark_is_asked() -> None:
    session = Session()
    with pytest.raises(UnknownOption, match="did you mean 'tags'"):
        read(session, "tag_name = 'a'", tgs="x")
    with pytest.raises(InvalidOption, match="option 'columns': there is no column 'x'"):
        read(session, "tag_name = 'a'", columns="x")
    assert session.steps == []


def test_the_whole_predicate_filters_and_what_is_understood_narrows() -> None:
    session = Session()
    text = "tag_name = 'a' AND value > 3 AND timestamp >= '2026-01-01'"
    given = read(session, text)
    assert narrow_of(given) == All((Match("tag_name", "in", ("a",)), predicates.TRUE, Span(T, None)))
    assert session.steps == [
        ("sql", "SELECT unix_micros(TRY_CAST(('2026-01-01') AS TIMESTAMP_LTZ)) AS c0"),
        ("load",),
        ("where", text),
    ]


def test_a_condition_that_is_given_holds_too() -> None:
    given = read(Session(), "tag_name = 'a'", narrow=predicates.dumps(Span(1, 2)))
    assert narrow_of(given) == All((Span(1, 2), Match("tag_name", "in", ("a",))))


def test_groups_of_the_tag_pattern_are_columns() -> None:
    assert narrow_of(read(Session(), "Plant = 'N'", tag_pattern="(?P<plant>.)")) == Match(
        "plant", "in", ("N",)
    )
    assert narrow_of(read(Session(), "plant = 'N'")) == predicates.TRUE


def test_columns_that_only_the_predicate_needs_are_read_and_left_out() -> None:
    session = Session()
    given = read(session, "VALUE > 3 AND tag_name = 'a'", columns=["timestamp", "tag_name"])
    assert json.loads(given["columns"]) == ["timestamp", "tag_name", "value"]
    assert session.steps[-1] == ("select", "`timestamp`", "`tag_name`")


def test_quotes_that_may_enclose_a_column_do_not_narrow() -> None:
    text = 'tag_name = "value_string"'
    assert narrow_of(read(Session(), text)) != predicates.TRUE
    session = Session({"spark.sql.ansi.doubleQuotedIdentifiers": "true"})
    assert narrow_of(read(session, text)) == predicates.TRUE
    assert narrow_of(read(session, "tag_name = 'value_string'")) != predicates.TRUE


NO_START = (
    "where: the predicate uses timestamp, but has no lower bound that is known before reading; add one, such "
    "as timestamp >= '2026-01-01', or the option 'start_time' (its default is '*-1d')"
)


@pytest.mark.parametrize(
    "text",
    [
        "timestamp < '2026-01-01'",
        "hour(timestamp) = 3",
        "timestamp > '2026-01-01' OR value > 3",
        "((timestamp > ",
    ],
)
def test_a_start_that_cannot_be_told_is_asked_for(text: str) -> None:
    """Otherwise the default would cut the result in silence."""
    with pytest.raises(InvalidOption) as caught:
        read(Session(), text)
    assert str(caught.value) == NO_START
    assert "start_time" in read(Session(), text, start_time="*-2d")


def test_a_time_that_spark_refuses_is_no_lower_bound() -> None:
    with pytest.raises(InvalidOption, match="has no lower bound"):
        read(Session(moment=None), "timestamp > 'x'")
