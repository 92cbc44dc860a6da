"""The source reads the tasks that one internal option holds, and asks the server for nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql.datasource import CaseInsensitiveDict
from pyspark.sql.types import StructType

from pi_datasource import schema
from pi_datasource.errors import InvalidOption
from pi_datasource.model import Point, ReadTask, Window
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.planning import predicates
from pi_datasource.planning.tiling import plan
from pi_datasource.spark import carried_predicate, carried_tasks
from pi_datasource.spark.datasource import PIDataSource
from pi_datasource.spark.partitions import PIPartition
from pi_datasource.spark.planned_read import rows
from pi_datasource.webapi import client
from tests.unit.fakes import SECOND, FakePI, expected_rows, moment

CANARY = "CANARY-7f3a"
EVENTS = {
    "W1": [(i * SECOND, float(i)) for i in range(30)],
    "W2": [(i * SECOND, float(-i)) for i in range(30)],
}
POINTS = [Point("W1", "Ä.1", "Float32", None, "SRV", ""), Point("W2", "B.2", "Float32", "bar", "SRV", "")]
WINDOW = Window(moment(5 * SECOND), moment(20 * SECOND))


@pytest.fixture(autouse=True)
def pi(monkeypatch: pytest.MonkeyPatch) -> FakePI:
    server = FakePI(EVENTS)
    monkeypatch.setattr(client, "shared", lambda _: server)
    return server


def tasks(points: list[Point] = POINTS, **options: str) -> list[ReadTask]:
    return plan(
        points, WINDOW, Options.parse({"url": "h", "num_partitions": "2", **options}), moment(90 * SECOND)
    )


def source(carried: list[ReadTask], **given: str) -> PIDataSource:
    return PIDataSource(CaseInsensitiveDict({"url": "h", **carried_tasks.option(carried), **given}))


def read_all(found: PIDataSource) -> pa.Table:
    """As Spark reads: source, reader and partitions are pickled, and each task has a fresh reader."""
    there = cloudpickle.loads(cloudpickle.dumps(found))
    packed = cloudpickle.dumps(there.reader(there.schema()))
    parts = cloudpickle.loads(cloudpickle.dumps(cloudpickle.loads(packed).partitions()))
    batches = [batch for part in parts for batch in cloudpickle.loads(packed).read(part)]
    return pa.Table.from_batches(batches)


def test_exactly_the_tasks_are_read_and_nothing_is_asked_to_plan_them(pi: FakePI) -> None:
    table = read_all(source(tasks()))
    assert table.schema.equals(schema.timeseries())
    found = sorted(
        zip(
            *(table.column(n).to_pylist() for n in ("tag_name", "timestamp", "sequence", "value")),
            strict=True,
        )
    )
    assert found == [
        *(("B.2", *row) for row in expected_rows(EVENTS["W2"], 5 * SECOND, 20 * SECOND)),
        *(("Ä.1", *row) for row in expected_rows(EVENTS["W1"], 5 * SECOND, 20 * SECOND)),
    ]
    assert pi.gets == []
    assert [[web_id for web_id, _, _ in call] for call in pi.calls] == [["W1"], ["W2"]]


def test_each_task_is_a_partition_and_is_what_was_given() -> None:
    given = tasks(on_error="report", report_metrics="true", requests_per_second="7")
    found = source(given)
    parts = found.reader(found.schema()).partitions()
    assert all(isinstance(part, PIPartition) for part in parts)
    assert [part.value for part in parts] == given


def test_the_option_is_found_in_any_letter_case() -> None:
    text = carried_tasks.option(tasks())[carried_tasks.KEY]
    found = PIDataSource({"URL": "h", carried_tasks.KEY.upper(): text})
    assert len(found.reader(found.schema()).partitions()) == 2


def test_failures_and_metrics_are_rows_when_the_tasks_say_so(pi: FakePI) -> None:
    pi.always_fails = {"W1": (500, "broken")}
    table = read_all(source(tasks(on_error="report", report_metrics="true"), max_retries="0"))
    kinds = table.column("value_kind").to_pylist()
    assert (kinds.count("read_failure"), kinds.count("read_metrics"), kinds.count("number")) == (1, 2, 15)


def test_what_is_pickled_for_every_task_holds_the_text_once() -> None:
    """Spark sends the reader and the source together to each worker."""
    many = [Point(f"W{i * 7919}", f"T{i * 104_729}", "Float32", None, "SRV", "") for i in range(3_000)]
    found = source(tasks(many))
    text = carried_tasks.option(tasks(many))[carried_tasks.KEY]
    reader = found.reader(found.schema())
    assert len(text) < len(cloudpickle.dumps((reader, found))) < len(text) + 8_000


@pytest.mark.parametrize("text", ["", "x", "[]", "gASVEAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOULg=="])
def test_a_broken_text_is_refused_at_load(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        source([], **{carried_tasks.KEY: text})
    assert str(caught.value) == "option '__tasks__': does not hold read tasks; leave it out"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tags": "B*"}, "'tags'"),
        ({"startTime": "*-1h", "end_time": "*"}, "'start_time', 'end_time'"),
        ({"pushdown": "true"}, "'pushdown'"),
        (carried_predicate.option(predicates.FALSE), "'where'"),
    ],
)
def test_what_else_says_what_to_read_is_refused(given: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        source(tasks(), **given)
    assert str(caught.value) == f"option '__tasks__' says what to read: leave out {named}"


def test_tasks_of_another_table_and_streams_are_refused() -> None:
    with pytest.raises(InvalidOption) as caught:
        source(tasks(), table="pi_points")
    assert (
        str(caught.value) == "option '__tasks__': its tasks read pi_timeseries, and not the table pi_points"
    )
    found = source(tasks())
    with pytest.raises(InvalidOption) as caught:
        found.streamReader(found.schema())
    assert str(caught.value) == "option '__tasks__' has no meaning for a stream: leave it out"


def test_the_option_is_internal() -> None:
    assert carried_tasks.KEY not in Options.model_fields


class Reader:
    """As much of Spark's reader, and of the session and the frame, as ``rows`` uses.

    ``found_at`` is where Spark looks for the source: ``load`` or, through Spark Connect, ``schema`` of the frame.
    """

    def __init__(self, found_at: str | None = None, problem: str = "[DATA_SOURCE_NOT_FOUND] no pi") -> None:
        self.read, self.given, self.asked, self.dataSource = self, {}, StructType(), self
        self.found_at, self.problem, self.known = found_at, problem, []

    def register(self, kind: type) -> None:
        self.known.append(kind)

    def look_up(self, place: str) -> None:
        if self.found_at == place and not self.known:
            raise RuntimeError(self.problem)

    def format(self, name: str) -> Reader:
        assert name == "pi"
        return self

    def options(self, **given: str) -> Reader:
        self.given = given
        return self

    def schema(self, columns: StructType) -> Reader:
        self.asked = columns
        return self

    def load(self) -> Any:
        self.look_up("load")
        return Frame(self)


class Frame:
    """What ``Reader`` loads."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    @property
    def schema(self) -> StructType:
        self.reader.look_up("schema")
        return self.reader.asked


@pytest.mark.parametrize("place", ["load", "schema"])
def test_a_source_that_spark_does_not_find_is_registered(place: str) -> None:
    spark = Reader(place)
    assert isinstance(rows(spark, Options.parse({"url": "h"}), tasks(), StructType()), Frame)  # type: ignore[arg-type]
    assert spark.known == [PIDataSource]
    known = Reader()
    rows(known, Options.parse({"url": "h"}), tasks(), StructType())  # type: ignore[arg-type]
    assert known.known == []


def test_another_error_of_load_is_raised() -> None:
    spark = Reader("load", "[SOMETHING_ELSE] no")
    with pytest.raises(RuntimeError, match="SOMETHING_ELSE"):
        rows(spark, Options.parse({"url": "h"}), tasks(), StructType())  # type: ignore[arg-type]
    assert spark.known == []


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A Databricks workspace that holds one secret, and what it was asked."""
    asked: list[Any] = []
    monkeypatch.setattr(secrets, "_asked_of_workspace", lambda *place: asked.append(place) or CANARY)
    monkeypatch.setattr(secrets, "_found_in_workspace", {})
    return asked  # type: ignore[return-value]


def test_a_secret_that_was_looked_up_is_looked_up_again_by_the_planner(workspace: list[Any]) -> None:
    options = secrets.looked_up(
        Options.parse(
            {
                "url": "h",
                "token": "secret:s/k",
                "tags": "B*",
                "start_time": "t",
                "overlap": "2h",
                "timeout": "9s",
            }
        )
    )
    spark = Reader()
    rows(spark, options, tasks(), StructType())  # type: ignore[arg-type]
    text = spark.given.pop(carried_tasks.KEY)
    assert spark.given == {"url": "https://h/piwebapi", "token": "secret:s/k", "timeout": "9.000000s"}
    assert CANARY not in text
    found = PIDataSource({**spark.given, carried_tasks.KEY: text})
    assert CANARY.encode() not in pickle.dumps(found)
    reader = found.reader(found.schema())
    (part, _) = reader.partitions()
    assert part.found["token"].get_secret_value() == CANARY
    assert len(workspace) == 1
