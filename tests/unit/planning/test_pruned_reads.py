"""Whatever the predicate: what is narrowed away holds no row for which it is true.

Predicates are made from values that the simulator really has; DuckDB says which of the oracle's rows fulfil them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import TAG_PATTERN, Plant, running
from mock_server.plant import ticks
from mock_server.plant.wildcards import wildcard_pattern
from pi_datasource import schema
from pi_datasource.model import MICROSECOND, Point
from pi_datasource.options.declaration import Options
from pi_datasource.planning import predicates, sql_predicate
from pi_datasource.planning.predicates import Predicate
from pi_datasource.planning.pruning import Pruning
from pi_datasource.spark import partitions
from pi_datasource.webapi import client

UTC = timezone.utc
NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = NOW - timedelta(minutes=4)
PLANT = Plant(seed=3, tags=48, plants=3)
NAMES = [point.name for point in PLANT.points]
TYPES = {point.name: point.point_type for point in PLANT.points}
TEXTS = [
    field.name for field in schema.timeseries(("plant", "area", "sensor_type")) if field.type == pa.string()
]
GROUPS = {
    "plant": ["NORTH", "HARBOR", "MEADOW", "north", "RIVER"],
    "area": ["A1", "A2", "A9"],
    "sensor_type": sorted({point.sensor_type for point in PLANT.points}),
    "point_type": ["Float32", "Digital", "digital", "Int32"],
}


@functools.lru_cache
def truth() -> pa.Table:
    """Every event of the window with the columns of the data source that predicates speak of."""
    rows = PLANT.oracle_table(None, START, NOW)
    names = rows["tag_name"].to_pylist()
    parts = [re.search(TAG_PATTERN, name).groupdict() for name in names]  # type: ignore[union-attr]
    return pa.table(
        {
            "tag_name": rows["tag_name"],
            "timestamp": pa.array(
                [ticks.to_datetime(tick) for tick in rows["ticks"].to_pylist()], schema.TIMESTAMP
            ),
            "value": rows["number"],
            "value_string": rows["text"],
            "value_kind": rows["kind"],
            "good": rows["good"],
            "questionable": rows["questionable"],
            "point_type": [TYPES[name] for name in names],
            **{group: [part[group] for part in parts] for group in ("plant", "area", "sensor_type")},
        }
    )


def every_event() -> list[tuple[str, datetime]]:
    return list(zip(truth()["tag_name"].to_pylist(), truth()["timestamp"].to_pylist(), strict=True))


@functools.lru_cache
def moments() -> list[datetime]:
    return sorted(set(truth()["timestamp"].to_pylist()))


class Database:
    """DuckDB over the truth, in one session time zone."""

    def __init__(self, zone: str) -> None:
        self.connection = duckdb.connect()
        self.connection.execute(f"SET TimeZone = '{zone}'")
        self.connection.register("events", truth())

    def evaluate(self, expressions: Sequence[str]) -> list[int | None]:
        """Stands in for Spark."""
        columns = ", ".join(f"epoch_us(TRY_CAST(({sql}) AS TIMESTAMPTZ))" for sql in expressions)
        return list(self.connection.execute(f"SELECT {columns}").fetchone() or ())

    def fulfilling(self, predicate: str) -> set[tuple[str, datetime]]:
        """Tag and time of the rows for which ``predicate`` is true."""
        found = self.connection.execute(
            f"SELECT DISTINCT tag_name, epoch_us(timestamp) FROM events WHERE {predicate}"
        ).fetchall()
        return {(name, ticks.EPOCH + micros * MICROSECOND) for name, micros in found}

    def spans(self, predicate: str) -> dict[str, tuple[datetime, datetime]]:
        """Of every tag with rows for which ``predicate`` is true the times of the first and the last of them."""
        found = self.connection.execute(
            "SELECT tag_name, epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM events "
            f"WHERE {predicate} GROUP BY tag_name"
        ).fetchall()
        return {
            name: (ticks.EPOCH + first * MICROSECOND, ticks.EPOCH + last * MICROSECOND)
            for name, first, last in found
        }


ZONES = ("UTC", "America/New_York", "Asia/Kolkata")


@pytest.fixture(scope="module")
def databases() -> Iterator[dict[str, Database]]:
    """A database for every zone; they are closed, because an open one speaks at the interpreter's end."""
    made = {zone: Database(zone) for zone in ZONES}
    yield made
    for each in made.values():
        each.connection.close()
        del each.connection


def literal(moment: datetime, zone: str) -> str:
    """``moment`` as a session in ``zone`` writes it."""
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")


names = st.sampled_from(NAMES)
signs = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
times = st.builds(
    lambda near, off: near + off * MICROSECOND,
    st.sampled_from(moments()),
    st.sampled_from([-1, 0, 1, 60_000_000, -300_000_000]),
)


@st.composite
def like_patterns(draw: st.DrawFn, texts: st.SearchStrategy[str] = names) -> str:
    """A text with some of its runs replaced by wildcards."""
    text = draw(texts)
    first = draw(st.integers(0, len(text)))
    last = draw(st.integers(first, len(text)))
    pattern = text[:first] + draw(st.sampled_from(["%", "_", "__", "", "%%"])) + text[last:]
    return draw(st.sampled_from(["", "%"])) + pattern + draw(st.sampled_from(["", "%", "_"]))


def quoted(text: str) -> str:
    return f"'{text}'"


def comma_separated(texts: list[str]) -> str:
    return ", ".join(texts)


@st.composite
def leaves(draw: st.DrawFn, zone: str) -> str:
    negation = draw(st.sampled_from(["", "NOT "]))
    column, values = draw(
        st.one_of(
            st.tuples(st.just("tag_name"), st.one_of(names, names.map(str.lower), st.just("NOWHERE"))),
            st.sampled_from(sorted(GROUPS)).flatmap(
                lambda group: st.tuples(st.just(group), st.sampled_from(GROUPS[group]))
            ),
        ).map(lambda pair: (pair[0], st.just(pair[1]) if pair[0] != "tag_name" else names))
    )
    kind = draw(
        st.sampled_from(["text", "in", "like", "null", "time", "between", "time in", "value", "flag", "odd"])
    )
    if kind == "text":
        sides = [column, draw(signs), quoted(draw(values))]
        return " ".join(sides if draw(st.booleans()) else sides[::-1])
    if kind == "in":
        members = draw(st.lists(values.map(quoted), min_size=1, max_size=4))
        return f"{column} {negation}IN ({comma_separated(members + draw(st.sampled_from([[], ['NULL']])))})"
    if kind == "like":
        return f"{column} {negation}LIKE {quoted(draw(like_patterns(values)))}"
    if kind == "null":
        return f"{column} IS {negation}NULL"
    if kind in ("time", "between", "time in"):
        return draw(times_of(kind, zone, negation))
    if kind == "value":
        return f"value {draw(signs)} {draw(st.sampled_from(['0', '50', '1e3']))}"
    if kind == "flag":
        return draw(
            st.sampled_from(
                ["good", "questionable", "good = false", "value_kind = 'system'", "value IS NULL"]
            )
        )
    return draw(
        st.sampled_from(
            [
                "upper(tag_name) = 'X'", "tag_name = plant", "lower(plant) LIKE 'n%'", "tag_name || 'x' = 'y'",
                "hour(timestamp) >= 3", "tag_name = 'a' || 'b'", "true", "false", "plant = value_string",
            ]
        )
    )  # fmt: skip


@st.composite
def times_of(draw: st.DrawFn, kind: str, zone: str, negation: str) -> str:
    def constant() -> str:
        text = quoted(literal(draw(times), zone))
        forms = [text, f"TIMESTAMP {text}", f"CAST({text} AS TIMESTAMP)", f"TIMESTAMP {text} - INTERVAL '1' MINUTE",
                 "DATE '2026-03-01'", "DATE '2026-02-28'"]  # fmt: skip
        return draw(st.sampled_from(forms))

    if kind == "between":
        return f"timestamp {negation}BETWEEN {constant()} AND {constant()}"
    if kind == "time in":
        return f"timestamp {negation}IN ({comma_separated([quoted(literal(draw(times), zone)) for _ in range(2)])})"
    sides = ["timestamp", draw(signs), constant()]
    return " ".join(sides if draw(st.booleans()) else sides[::-1])


def predicate_texts(zone: str) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves(zone),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
                lambda t: f"({t[0]}) {t[1]} ({t[2]})"
            ),
            st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join),  # SQL's own precedence
            inner.map(lambda text: f"NOT ({text})"),
        ),
        max_leaves=6,
    )


zoned_predicates = st.sampled_from(ZONES).flatmap(
    lambda zone: st.tuples(st.just(zone), predicate_texts(zone))
)


def options_for(url: str) -> Options:
    return Options.parse(
        {"url": url, "tag_pattern": TAG_PATTERN, "start_time": START.isoformat(), "end_time": NOW.isoformat()}
    )


def asked_of(predicate: str, database: Database) -> Predicate:
    return sql_predicate.of_sql(predicate, TEXTS, database.evaluate)


POINTS = [Point(f"W{i}", p.name, p.point_type, None, "S", p.path) for i, p in enumerate(PLANT.points)]


@settings(max_examples=120)
@given(zoned_predicates)
def test_no_row_that_fulfils_a_predicate_is_narrowed_away(
    databases: dict[str, Database], case: tuple[str, str]
) -> None:
    zone, predicate = case
    pruning = Pruning(options_for("h"), asked_of(predicate, databases[zone]))
    window = pruning.window(NOW)
    read = {point.name for point in pruning.points(POINTS)}
    tags = pruning.tags()
    asked_for = {name for name in NAMES if tags is None or any(wildcard_pattern(t).match(name) for t in tags)}

    rows = databases[zone].spans(predicate)

    assert set(rows) <= read & asked_for
    assert all(window.start <= first <= last < window.end for first, last in rows.values())


@pytest.fixture(scope="module")
def pi_url() -> Iterator[str]:
    with running(PLANT, clock=lambda: NOW) as url:
        yield url


def rows_of(options: Options, columns: list[str], asked: Predicate = predicates.TRUE) -> list[dict[str, Any]]:
    """What a read with ``options`` brings, as Spark would get it."""
    target = pa.schema([schema.timeseries(options.pattern_columns).field(name) for name in columns])
    batches = [
        b
        for part in partitions.planned(Pruning(options, asked))
        for b in partitions.read_partition(options, target, part.value)
    ]
    return pa.Table.from_batches(batches, target).to_pylist()


@settings(max_examples=8)
@given(zoned_predicates)
def test_a_narrowed_read_brings_the_rows_of_a_full_one_that_fulfil_the_predicate(
    databases: dict[str, Database], pi_url: str, case: tuple[str, str]
) -> None:
    zone, predicate = case
    columns = ["tag_name", "timestamp", "sequence", "value", "value_string"]

    read = rows_of(options_for(pi_url), columns, asked_of(predicate, databases[zone]))
    client.shared.cache_clear()

    fulfilling = databases[zone].fulfilling(predicate)
    kept = [tuple(row.values()) for row in read if (row["tag_name"], row["timestamp"]) in fulfilling]
    assert sorted(kept, key=str) == sorted((r for r in full_read(pi_url) if r[:2] in fulfilling), key=str)


@functools.lru_cache
def full_read(url: str) -> list[tuple[Any, ...]]:
    options = Options.parse({"url": url, "start_time": START.isoformat(), "end_time": NOW.isoformat()})
    rows = rows_of(options, ["tag_name", "timestamp", "sequence", "value", "value_string"])
    assert sorted((row["tag_name"], row["timestamp"]) for row in rows) == sorted(every_event())
    return [tuple(row.values()) for row in rows]
