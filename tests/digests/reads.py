"""Batch reads, each with a name: of which server, with which options, schema and filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa
from pyspark.sql import datasource as spark
from pyspark.sql.types import StructType

from mock_server import TAG_PATTERN
from pi_datasource import PIDataSource
from tests.digests.sites import NOW

RECENT = {"start_time": "*-10m"}
SECOND = {"start_time": "2026-03-01T05:59:00Z", "end_time": "2026-03-01T05:59:10Z"}
REPORTING = {**RECENT, "on_error": "report", "max_retries": "0"}
PATTERN = {**RECENT, "tag_pattern": TAG_PATTERN}


@dataclass(frozen=True)
class Read:
    """One batch read. ``schema`` names the columns of a user's schema; ``filters`` are Spark's own."""

    options: dict[str, str]
    site: str = "plain"
    schema: tuple[str, ...] = ()
    filters: tuple[Any, ...] = field(default=(), compare=False)


def rows(read: Read, url: str) -> pa.Table:
    """What Spark gets of ``read``: the batches of each partition, planned by one reader and read by another."""
    source = PIDataSource({"url": url, **read.options})
    schema = source.schema()
    if read.schema:
        schema = StructType([schema[name] for name in read.schema])
    planner, worker = source.reader(schema), source.reader(schema)
    if read.filters:
        list(planner.pushFilters(list(read.filters)))
    return table(batch for each in planner.partitions() for batch in worker.read(each))


def table(batches: Iterator[pa.RecordBatch]) -> pa.Table:
    """The batches, all of one schema, as a table; an empty one if there are none."""
    found = list(batches)
    return pa.Table.from_batches(found) if found else pa.table({})


def _times() -> Iterator[tuple[str, Read]]:
    """Every way to say when."""
    for name, start, end, zone in (
        ("default_end", "*-5m", None, "UTC"),
        ("hours_in_fractions", "*-0.25h", "*-0.1h", "UTC"),
        ("today", "t+350m", "t+5.9h", "UTC"),
        ("midnight", "t", "t+2m", "Asia/Kolkata"),
        ("yesterday", "y+1439m", "t", "UTC"),
        ("weekday", "sunday", "sunday+90s", "America/New_York"),
        ("time_of_day", "5:50", "5:52:30.5", "UTC"),
        ("time_of_day_in_zone", "6:50", "6:52:30", "Europe/Berlin"),
        ("iso_utc", "2026-03-01T05:45:00Z", "2026-03-01T05:47:00.1234567Z", "Europe/Berlin"),
        ("iso_offset", "2026-03-01T11:15:00+05:30", "2026-03-01T05:47:00+00:00", "UTC"),
        ("iso_in_zone", "2026-03-01 06:45", "2026-03-01T06:47:00", "Europe/Berlin"),
        ("written", "1-mar-2026 05:45", "'1-mar-2026' + 347m", "UTC"),
        ("hour_twice", "2025-10-26T02:58:00", "2025-10-26T03:02:00", "Europe/Berlin"),
        ("earliest", "earliest", "2020-01-01T00:03:00Z", "UTC"),
        ("latest", "*-1m", "latest", "UTC"),
        ("future", "*-1m", "*+1d", "UTC"),
        ("empty", "*", "*", "UTC"),
    ):
        given = {"start_time": start, "time_zone": zone} | ({"end_time": end} if end else {})
        yield f"time_{name}", Read(given)


def _boundaries() -> Iterator[tuple[str, Read]]:
    """Windows that begin and end on events, in one page and in pages of which each ends between events of one moment."""
    for name, start, end in (
        ("on_events", "2026-03-01T05:40:00Z", "2026-03-01T05:40:01Z"),
        ("on_microseconds", "2026-03-01T05:40:00.000001Z", "2026-03-01T05:41:00.000001Z"),
        ("one_microsecond", "2026-03-01T05:59:59.999999Z", "2026-03-01T06:00:00Z"),
    ):
        for mode in ("streams", "streamsets"):
            given = {"start_time": start, "end_time": end, "read_mode": mode}
            yield f"boundary_{name}_{mode}", Read(given, "imported")
            yield f"boundary_{name}_{mode}_pages_of_4", Read({**given, "page_size": "4"}, "imported")


def _ways() -> Iterator[tuple[str, Read]]:
    """How events are asked for, which must not change what comes."""
    for mode in ("auto", "streams", "streamsets"):
        for size in ("7", "100", "10000"):
            narrow = {"tags": "NORTH.A1.*"} if size == "7" else {}
            yield f"{mode}_pages_of_{size}", Read({**RECENT, **narrow, "read_mode": mode, "page_size": size})
        for size in ("1", "5"):
            yield (
                f"{mode}_batches_of_{size}",
                Read({**RECENT, "tags": "*.A1.*", "read_mode": mode, "batch_size": size}),
            )
        yield f"{mode}_dense", Read({**SECOND, "read_mode": mode, "page_size": "30"}, "dense")
        for site in ("faulty", "cut_short", "erring"):
            yield f"{mode}_{site}", Read({**REPORTING, "read_mode": mode}, site)
        yield f"{mode}_imported", Read({"start_time": "*-1h", "read_mode": mode}, "imported")
        yield f"{mode}_odd_values", Read({"start_time": "*-1h", "read_mode": mode}, "odd")
        yield f"{mode}_small_limits", Read({**RECENT, "tags": "NORTH*", "read_mode": mode}, "narrow")
    for count in ("1", "3", "100"):
        yield f"partitions_{count}", Read({**RECENT, "num_partitions": count})
    yield "partitions_of_dense_tags", Read({**SECOND, "num_partitions": "16"}, "dense")
    yield "at_most_two_calls", Read({**RECENT, "max_concurrent_requests": "2"})
    for how in ("auto", "gzip", "none"):
        yield f"compression_{how}", Read({**RECENT, "tags": "*FLOW*", "compression": how}, "compressing")
    # The server of 2017 does not tell its time: what is relative, and when rows were read, is by the machine's own clock.
    everything_else = ",".join(field.name for field in PIDataSource({"url": "h"}).schema()[:-1])
    yield "server_of_2017", Read({**SECOND, "columns": everything_else}, "2017")
    yield "server_of_2018", Read(RECENT, "2018")
    yield "changing", Read(RECENT, "changing")
    yield "churning", Read({**RECENT, "include_metadata": "true"}, "churning")


def _tags() -> Iterator[tuple[str, Read]]:
    """Which tags."""
    for name, options in (
        ("named", {"tags": "NORTH.A1.FLOW_0001.PV,harbor.a1.valve_0001.pv"}),
        ("patterns", {"tags": "NORTH*FLOW*, *.A2.PRES_000?.PV"}),
        ("as_json", {"tags": '["NORTH.A1.FLOW_0001.PV", "*VIB*"]'}),
        ("twice", {"tags": "NORTH.A1.FLOW_0001.PV,NORTH.A1.*"}),
        ("by_path", {"tags": r"\\PISIM01\NORTH.A1.FLOW_0001.PV,\\pisim01\harbor.a1.valve_0001.pv"}),
        ("filtered", {"tag_filter": "*.A2.*"}),
        ("patterns_filtered", {"tags": "NORTH*,HARBOR*", "tag_filter": "*FLOW_0003*"}),
        ("of_server", {"data_servers": "pisim01", "tags": "*TEMP*"}),
    ):
        yield f"tags_{name}", Read({**RECENT, **options})
    yield "tags_with_commas", Read({"start_time": "*-1h", "tags": '["odd, name"]'}, "imported")


def _columns() -> Iterator[tuple[str, Read]]:
    """Which columns."""
    yield "table_of_points", Read({"table": "pi_points", "tag_pattern": TAG_PATTERN})
    yield "all_columns", Read({"table": "pi_timeseries", **PATTERN, "include_metadata": "true"})
    yield "metadata", Read({**RECENT, "include_metadata": "true", "tags": "NORTH*"})
    yield "no_metadata", Read({**RECENT, "include_metadata": "false", "tags": "NORTH*"})
    yield "pattern", Read(PATTERN)
    yield "pattern_that_some_tags_miss", Read({**RECENT, "tag_pattern": r"^(?P<site>NORTH)(\.(?P<rest>.*))?"})
    for name, columns in (
        ("few", "value,tag_name,timestamp"),
        ("flags", "good,questionable,substituted,annotated"),
        ("of_pattern", "sensor_type,plant,state_code,value_string"),
        ("one", "sequence"),
    ):
        yield f"columns_{name}", Read({**PATTERN, "columns": columns})
        yield f"schema_{name}", Read(PATTERN, schema=tuple(columns.split(",")))
        yield (
            f"schema_{name}_of_odd_values",
            Read({**PATTERN, "start_time": "*-1h"}, "odd", tuple(columns.split(","))),
        )
    yield "columns_and_schema", Read({**RECENT, "columns": "value,units"}, schema=("value", "units"))


def _telling() -> Iterator[tuple[str, Read]]:
    """Rows that tell of the read."""
    metrics = {"report_metrics": "true"}
    yield "metrics", Read({**RECENT, **metrics, "num_partitions": "3"})
    yield "no_metrics", Read({**RECENT, "report_metrics": "false", "on_error": "fail"})
    yield "metrics_and_failures", Read({**REPORTING, **metrics, "num_partitions": "2"}, "faulty")
    yield "failures_in_pages", Read({**REPORTING, "page_size": "20", "read_mode": "streams"}, "faulty")
    few = "tag_name,value_kind,value_string"
    yield "failures_in_few_columns", Read({**REPORTING, "columns": few}, "faulty")


def _pushed() -> Iterator[tuple[str, Read]]:
    """Spark's filters, which leave out what need not be read."""
    at = NOW - timedelta(minutes=5)
    for name, filters in (
        ("nothing", ()),
        ("tag", (spark.EqualTo(("tag_name",), "NORTH.A1.FLOW_0001.PV"),)),
        ("tags_and_time", (spark.StringStartsWith(("tag_name",), "NORTH"), spark.GreaterThan(("timestamp",), at))),
        ("group", (spark.In(("plant",), ("HARBOR", "NOWHERE")), spark.LessThanOrEqual(("timestamp",), at))),
        ("no_group", (spark.Not(spark.EqualTo(("sensor_type",), "FLOW")), spark.IsNotNull(("area",)))),
        ("never", (spark.EqualTo(("tag_name",), "NOWHERE"),)),
    ):  # fmt: skip
        yield f"pushdown_{name}", Read({**PATTERN, "pushdown": "true"}, filters=filters)
    yield "no_pushdown", Read({**RECENT, "pushdown": "false"})


READS = dict(
    pair for made in (_times, _boundaries, _ways, _tags, _columns, _telling, _pushed) for pair in made()
)
