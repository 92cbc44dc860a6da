"""The shell towards Spark, without a JVM."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.sql.datasource import CaseInsensitiveDict, InputPartition
from pyspark.sql.types import (
    BooleanType,
    DoubleType,
    IntegerType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from pi_datasource import register, schema
from pi_datasource.errors import InvalidOption, NoTagMatches, ReadFailed, UnknownOption
from pi_datasource.options.declaration import Options
from pi_datasource.recorded import fetch
from pi_datasource.spark import partitions
from pi_datasource.spark.datasource import PIDataSource, PIReader
from pi_datasource.spark.partitions import PIPartition, concise_errors
from pi_datasource.webapi import client
from tests.unit.fakes import SECOND, FakePI, expected_rows, is_told_alone, moment, wire

CANARY = "CANARY-7f3a"
EVENTS = {"W1": [(i * SECOND, float(i)) for i in range(30)], "W2": [(5, "on"), (5, "off")]}
OPTIONS = {"url": "h", "startTime": "2024-05-01T00:00:00Z", "endTime": "2024-05-01T00:00:20Z"}


@pytest.fixture(autouse=True)
def pi(monkeypatch: pytest.MonkeyPatch) -> FakePI:
    server = FakePI(EVENTS)
    point = {"PointType": "String", "EngineeringUnits": ""}
    server.replies = {
        "dataservers": lambda _: {"Items": [{"WebId": "DS", "Name": "SRV", "ServerTime": wire(90 * SECOND)}]},
        "dataservers/DS/points": lambda asked: {
            "Items": [{"WebId": "W1", "Name": "P1.TI1", **point}, {"WebId": "W2", "Name": "P1.ST2", **point}]
            if asked["nameFilter"] == "*" and asked["startIndex"] == "0"
            else []
        },
    }
    monkeypatch.setattr(client, "shared", lambda _: server)
    return server


@pytest.fixture(autouse=True)
def _unfrozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(partitions, "_frozen", False)
    yield
    gc.unfreeze()


def source(**given: str) -> PIDataSource:
    return PIDataSource(CaseInsensitiveDict({**OPTIONS, **given}))


def read_all(found: PIDataSource, wanted: StructType | None = None) -> pa.Table:
    """As Spark reads: the reader is pickled before it plans, partitions travel, each task has a fresh reader."""
    packed = cloudpickle.dumps(found.reader(wanted or found.schema()))
    parts = cloudpickle.dumps(cloudpickle.loads(packed).partitions())
    batches = [batch for part in cloudpickle.loads(parts) for batch in cloudpickle.loads(packed).read(part)]
    return pa.Table.from_batches(batches)


def test_the_format_is_called_pi() -> None:
    assert PIDataSource.name() == "pi"


def test_options_are_checked_when_the_source_is_made() -> None:
    with pytest.raises(
        UnknownOption, match=r"^'tgs' is not an option of format\('pi'\); did you mean 'tags'\?$"
    ):
        source(tgs="x")
    with pytest.raises(InvalidOption, match="there is no table 'x'"):
        source(table="x")
    with pytest.raises(InvalidOption, match="the group name 'value' is the name of another column"):
        source(tag_pattern="(?P<value>.)")
    with pytest.raises(InvalidOption, match="CREATE TEMPORARY VIEW"):
        PIDataSource({})


def test_the_schema_is_the_tables() -> None:
    text, flag = StringType(), BooleanType()
    assert source(tag_pattern="(?P<plant>[^.]+)").schema() == StructType(
        [
            StructField("tag_webid", text, False),
            StructField("tag_name", text, False),
            StructField("timestamp", TimestampType(), False),
            StructField("sequence", IntegerType(), False),
            StructField("value", DoubleType()),
            StructField("value_string", text),
            StructField("state_code", IntegerType()),
            StructField("value_kind", text, False),
            *(StructField(name, flag) for name in ("good", "questionable", "substituted", "annotated")),
            StructField("units", text),
            StructField("point_type", text),
            StructField("plant", text),
            StructField("ingestion_timestamp", TimestampType(), False),
        ]
    )


@pytest.mark.parametrize("num_partitions", ["1", "2", "7"])
def test_a_read_delivers_the_window_in_batches_of_exactly_sparks_schema(num_partitions: str) -> None:
    found = source(num_partitions=num_partitions, page_size="4")
    table = read_all(found)
    assert table.schema.equals(schema.timeseries())
    rows = sorted(zip(*(table.column(n).to_pylist() for n in ("tag_name", "timestamp", "sequence", "value",
                                                              "value_string")), strict=True))  # fmt: skip
    assert rows == [
        ("P1.ST2", moment(0), 0, None, "on"),
        ("P1.ST2", moment(0), 1, None, "off"),
        *(("P1.TI1", *row, None) for row in expected_rows(EVENTS["W1"], 0, 20 * SECOND)),
    ]
    assert set(table.column("ingestion_timestamp").to_pylist()) == {moment(90 * SECOND)}


def test_a_users_schema_is_a_selection_in_its_own_order() -> None:
    wanted = StructType([StructField("value", DoubleType()), StructField("tag_name", StringType())])
    table = read_all(source(tags="*"), wanted)
    assert table.schema.names == ["value", "tag_name"]
    assert table.to_pylist()[:2] == [
        {"value": 0.0, "tag_name": "P1.TI1"},
        {"value": 1.0, "tag_name": "P1.TI1"},
    ]


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (
            StructField("plant", StringType()),
            "schema: there is no column 'plant'; the columns are tag_webid, tag_name,",
        ),
        (StructField("value", StringType()), "schema: column 'value' is double, not string"),
        (StructField("value", DoubleType(), False), "schema: column 'value' can be null; leave out NOT NULL"),
    ],
)
def test_a_schema_that_the_table_cannot_give_is_refused(wanted: StructField, text: str) -> None:
    for make in (source().reader, PIDataSource({"url": "h"}).streamReader):
        with pytest.raises(InvalidOption) as caught:
            make(StructType([wanted]))
        assert str(caught.value).startswith(text)


def test_the_option_columns_is_a_selection_in_its_own_order() -> None:
    for given in ("value,tag_name", '["value", "tag_name"]'):
        table = read_all(source(tags="*", columns=given))
        assert table.schema.equals(pa.schema([schema.timeseries().field(n) for n in ("value", "tag_name")]))
        assert table.to_pylist()[:2] == [
            {"value": 0.0, "tag_name": "P1.TI1"},
            {"value": 1.0, "tag_name": "P1.TI1"},
        ]


def test_what_is_selected_reaches_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """There it decides what the server is asked for."""
    asked: list[list[str]] = []

    def run(*given: Any) -> Iterator[pa.RecordBatch]:
        asked.append(given[2].names)
        return iter(())

    monkeypatch.setattr(fetch, "run", run)
    found = source(num_partitions="1", columns="timestamp,value")
    stream = PIDataSource({"url": "h", "columns": "value,timestamp"})
    (part,) = found.reader(found.schema()).partitions()
    for reader in (found.reader(found.schema()), stream.streamReader(stream.schema())):
        assert list(reader.read(part)) == []
    assert asked == [["timestamp", "value"], ["value", "timestamp"]]


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        ("Timestamp", "did you mean 'timestamp'?"),
        ("tag_names", "did you mean 'tag_name'?"),
        ("tag_path", "set include_metadata=true to have it"),
        ("zzz", "the columns are tag_webid, tag_name,"),
    ],
)
def test_a_column_that_does_not_exist_is_refused_at_load(columns: str, hint: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        source(columns=f"value,{columns}")
    assert str(caught.value).startswith(f"option 'columns': there is no column {columns!r}; {hint}")


def test_the_pipeline_refuses_to_keep_less_than_whole_events() -> None:
    pipeline = pytest.importorskip("pi_datasource.delta.pipeline")
    with pytest.raises(InvalidOption) as caught:
        pipeline.start(None, {"url": "h", "columns": "value"}, None)
    assert str(caught.value) == "option 'columns': the tables hold whole events; leave it out"


def test_the_pipeline_ingests_no_other_table() -> None:
    schema_setup = pytest.importorskip("pi_datasource.delta.schema_setup")
    with pytest.raises(InvalidOption) as caught:
        schema_setup.read_columns(Options.parse({"url": "h", "table": "pi_points"}))
    assert (
        str(caught.value) == "option 'table': the pipeline ingests pi_timeseries, not pi_points; leave it out"
    )


def test_columns_and_a_users_schema_must_agree() -> None:
    wanted = StructType([StructField("value", DoubleType())])
    source(columns="value").reader(wanted)
    with pytest.raises(InvalidOption) as caught:
        source(columns="value,tag_name").reader(wanted)
    assert str(caught.value) == (
        "schema: its columns are value, but those of the option 'columns' are value, tag_name; give one of the two"
    )


def test_failures_are_reported_only_where_they_can_be_told_from_events() -> None:
    wanted = StructType([StructField("value", DoubleType())])
    for make in (
        source(on_error="report").reader,
        PIDataSource({"url": "h", "on_error": "report"}).streamReader,
    ):
        with pytest.raises(InvalidOption, match=r"^on_error='report' needs the column 'value_kind'"):
            make(wanted)
    found = source(on_error="report", columns="value_kind")
    found.reader(found.schema())


def test_a_failure_is_told_in_the_columns_that_are_read(pi: FakePI) -> None:
    pi.always_fails = {"W1": (404, "gone")}
    rows = read_all(source(on_error="report", columns="value_kind,tag_name")).to_pylist()
    assert {tuple(row.items()) for row in rows} == {
        (("value_kind", "read_failure"), ("tag_name", "P1.TI1")),
        (("value_kind", "string"), ("tag_name", "P1.ST2")),
    }


def test_a_narrowed_read_asks_for_less_and_never_fails_for_a_tag_that_is_not_there(pi: FakePI) -> None:
    from pi_datasource.planning import predicates

    wanted = predicates.All(
        (predicates.Match("tag_name", "in", ("P1.TI1", "GONE")), predicates.Match("plant", "in", ("P1",)))
    )
    text = {"narrow": predicates.dumps(wanted), "tag_pattern": "(?P<plant>P.)"}
    pi.replies["dataservers/DS/points"] = lambda asked: {
        "Items": [{"WebId": "W1", "Name": "P1.TI1", "PointType": "Float64", "EngineeringUnits": ""}]
        if asked["nameFilter"] == "P1.TI1" and asked["startIndex"] == "0"
        else []
    }
    table = read_all(source(num_partitions="1", **text))
    assert set(table.column("tag_name").to_pylist()) == {"P1.TI1"}
    assert [web_id for call in pi.calls for web_id, _, _ in call] == ["W1"]
    pi.calls.clear()
    others = predicates.dumps(predicates.Match("tag_name", "not in", ("P1.TI1",)))
    pi.replies["dataservers/DS/points"] = lambda asked: {
        "Items": [
            {"WebId": f"W{i}", "Name": name, "PointType": "String", "EngineeringUnits": ""}
            for i, name in ((1, "P1.TI1"), (2, "P1.ST2"))
            if asked["nameFilter"] == "*" and asked["startIndex"] == "0"
        ]
    }
    read_all(source(num_partitions="1", narrow=others))
    assert [web_id for call in pi.calls for web_id, _, _ in call] == ["W2"]
    pi.gets.clear()
    never = source(narrow=predicates.dumps(predicates.FALSE))
    assert never.reader(never.schema()).partitions() == []
    assert all("points" not in path for path, _ in pi.gets)
    for tags in ("GONE", "*,GONE"):  # but the user's own choice of tags is still checked
        with pytest.raises(NoTagMatches):
            read_all(source(tags=tags, **text))


def test_a_relative_window_ends_at_the_servers_present() -> None:
    parts = source(startTime="*-30s", endTime="*").reader(source().schema()).partitions()
    windows = [p.value.window for p in parts]
    assert (min(w.start for w in windows), max(w.end for w in windows)) == (
        moment(60 * SECOND),
        moment(90 * SECOND),
    )


def test_an_empty_window_plans_nothing() -> None:
    assert source(endTime=OPTIONS["startTime"]).reader(source().schema()).partitions() == []


def test_a_tag_that_selects_nothing_fails_the_plan_in_one_sentence() -> None:
    with pytest.raises(NoTagMatches) as caught:
        source(tags="gone").reader(source().schema()).partitions()
    assert is_told_alone(caught.value)


def test_the_batch_window_may_end_before_it_starts_only_until_now_is_known() -> None:
    found = source(startTime="*", endTime="*-1h").reader(source().schema())
    with pytest.raises(InvalidOption, match="lies before option 'start_time'"):
        found.partitions()


def test_a_failed_read_reaches_the_user_in_one_sentence(pi: FakePI) -> None:
    pi.always_fails = {"W1": (404, "gone")}
    with pytest.raises(ReadFailed, match=r"^1 point\(s\) could not be read in ") as caught:
        read_all(source(num_partitions="1"))
    assert is_told_alone(caught.value)


@pytest.mark.parametrize("partition", [None, InputPartition(None), InputPartition(5)])
def test_reading_without_a_task_is_reading_nothing(pi: FakePI, partition: Any) -> None:
    assert list(source().reader(source().schema()).read(partition)) == []
    assert pi.calls == []


def test_a_partition_is_small_and_holds_no_secret() -> None:
    found = source(token=CANARY, num_partitions="1")
    (part,) = found.reader(found.schema()).partitions()
    packed = cloudpickle.dumps(part)
    assert isinstance(part, PIPartition)
    assert CANARY.encode() not in packed
    assert len(packed) < 2000
    assert CANARY not in repr(part) + str(part.value)


def test_a_reader_does_not_show_its_secret() -> None:
    found = source(token=CANARY)
    shown = found.reader(found.schema())
    assert CANARY not in repr(shown) + repr(vars(shown)) + repr(found.checked)


def test_a_secret_that_is_referred_to_is_in_no_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_TEST_TOKEN", CANARY)
    found = source(token="env:PI_TEST_TOKEN")
    assert CANARY.encode() not in cloudpickle.dumps(found.reader(found.schema())) + cloudpickle.dumps(found)


def test_a_table_without_streams_says_what_to_use() -> None:
    found = PIDataSource({"url": "h", "table": "pi_points"})
    with pytest.raises(InvalidOption) as caught:
        found.streamReader(found.schema())
    assert str(caught.value) == "option 'table': 'pi_points' cannot be streamed; use spark.read"


def test_a_stream_refuses_an_end_instead_of_ignoring_it() -> None:
    with pytest.raises(InvalidOption) as caught:
        source().streamReader(source().schema())
    assert str(caught.value) == (
        "option 'end_time' has no meaning for a stream: leave it out, and stop at the server's present time with "
        "trigger(availableNow=True); or use spark.read"
    )


def test_plainly_lets_our_errors_out_bare_and_others_as_they_are() -> None:
    def ours() -> None:
        try:
            _ = {}["x"]
        except KeyError as cause:
            message = "y"
            raise InvalidOption(message) from cause

    with pytest.raises(InvalidOption) as caught, concise_errors():
        ours()
    assert is_told_alone(caught.value)
    with pytest.raises(ZeroDivisionError), concise_errors():
        _ = 1 / 0


class Registry:
    """As much of a session as ``register`` touches."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.dataSource, self.problem, self.known = self, problem, []

    def register(self, kind: type) -> None:
        if self.problem:
            raise self.problem
        self.known.append(kind)


def test_registering_hands_over_the_source_and_is_harmless_twice() -> None:
    session = Registry()
    register(session)  # type: ignore[arg-type]
    assert session.known == [PIDataSource]
    register(Registry(RuntimeError("[DATA_SOURCE_ALREADY_EXISTS] Already there")))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="off"):
        register(Registry(RuntimeError("off")))  # type: ignore[arg-type]


def test_reading_freezes_what_was_imported_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen: list[int] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(1))
    found = PIReader(source().checked, schema.timeseries())
    for part in found.partitions():
        list(found.read(part))
    assert frozen == [1]


@pytest.mark.usefixtures("pi")
def test_the_option_narrow_of_before_still_prunes_and_the_log_names_what_replaces_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from pi_datasource.planning import predicates

    found = source(narrow=predicates.dumps(predicates.FALSE))
    assert found.reader(found.schema()).partitions() == []
    assert caplog.messages == [
        "the option 'narrow' goes with the next release: use pi_datasource.read(where=...)"
    ]
    with pytest.raises(
        InvalidOption, match=r"^option 'narrow': is not a predicate; leave it to pi_datasource.read"
    ):
        source(narrow="[]")
