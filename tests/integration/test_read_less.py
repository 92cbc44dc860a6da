"""Real Spark: what is narrowed is what Spark's own filter would have left, and push-down has the fault that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

import pi_datasource
from mock_server import TAG_PATTERN, Plant
from tests.integration.support.clock import NOW
from tests.integration.support.comparison import assert_equals_oracle, pi
from tests.integration.support.faulty_proxy import SubFault, faulty_proxy

pytestmark = pytest.mark.integration

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PUSHDOWN = "spark.sql.python.filterPushdown.enabled"
WINDOW = {"start_time": NOW - 20 * MINUTE, "end_time": NOW, "num_partitions": 1}


@contextmanager
def session_settings(spark: SparkSession, **settings: str) -> Iterator[None]:
    """Settings of the shared session, for a block."""
    names = {name.replace("__", "."): value for name, value in settings.items()}
    before = {name: spark.conf.get(name, None) for name in names}
    for name, value in names.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.unset(name) if value is None else spark.conf.set(name, value)


def sorted_rows(frame: DataFrame) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in frame.drop("ingestion_timestamp").collect()), key=repr)


PREDICATES = [
    "plant = 'NORTH' AND sensor_type IN ('FLOW', 'PRES') AND value > 20",
    "tag_name LIKE 'HARBOR.A1.%' AND timestamp > '{ten}' AND NOT questionable",
    "tag_name = 'NORTH.A1.FLOW_0001.PV' OR (plant = 'RIVER' AND timestamp BETWEEN '{ten}' AND '{five}')",
    "NOT (plant <> 'MEADOW' OR timestamp < TIMESTAMP '{ten}' + INTERVAL 1 MINUTE)",
    "timestamp IN ('{event}') OR (value_kind = 'system' AND plant IS NOT NULL)",
    "tag_name IN ('north.a1.flow_0001.pv', 'NOWHERE', 'HARBOR.A1.FLOW_0001.PV') AND timestamp <= '{five}'",
    "'{ten}' <= timestamp AND point_type LIKE 'Dig%' AND hour(timestamp) >= 0",
    "plant = 'QUARRY' AND timestamp >= date_trunc('MINUTE', TIMESTAMP '{ten}') AND upper(area) = 'A1'",
    "sensor_type = '' OR plant <=> NULL OR area > 'A1' AND area NOT IN ('A3', NULL)",
]


class TestReadWhere:
    """``read(where=…)`` gives the rows of a full read that Spark's filter leaves."""

    @pytest.mark.parametrize(("zone", "ansi"), [("UTC", "true"), ("America/New_York", "false")])
    def test_equals_a_full_read_with_a_filter(
        self, spark: SparkSession, plant: Plant, pi_url: str, zone: str, ansi: str
    ) -> None:
        full = pi(spark, pi_url, tag_pattern=TAG_PATTERN, **WINDOW).localCheckpoint()
        event = full.where("tag_name = 'NORTH.A1.FLOW_0001.PV'").selectExpr("max(timestamp) AS t").first()
        with session_settings(spark, spark__sql__session__timeZone=zone, spark__sql__ansi__enabled=ansi):
            assert event is not None
            for predicate in PREDICATES if zone == "UTC" else [each for each in PREDICATES if "{" in each]:
                text = predicate.format(
                    ten=written(NOW - 10 * MINUTE, zone), five=written(NOW - 5 * MINUTE, zone),
                    event=written(event["t"].astimezone(NOW.tzinfo), zone),
                )  # fmt: skip
                found = pi_datasource.read(spark, text, url=pi_url, tag_pattern=TAG_PATTERN, **WINDOW)

                expected = sorted_rows(full.where(text))
                assert sorted_rows(found) == expected, text
        assert_equals_oracle(plant, full, NOW - 20 * MINUTE, NOW)

    def test_bounds_stand_in_for_the_defaults_in_the_session_s_zone(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        tags, start = [plant.points[0].name], NOW - 50 * HOUR
        for zone in ("UTC", "Asia/Kolkata"):
            with session_settings(spark, spark__sql__session__timeZone=zone):
                predicate = (
                    f"tag_name = '{tags[0]}' AND timestamp >= '{written(start, zone)}' "
                    f"AND timestamp < '{written(start + 2 * HOUR, zone)}'"
                )
                found = pi_datasource.read(spark, predicate, url=pi_url)
                assert assert_equals_oracle(plant, found, start, start + 2 * HOUR, tags) > 0

    def test_asks_for_less(
        self, spark: SparkSession, plant: Plant, server_factory: Callable[..., str], tmp_path: Path
    ) -> None:
        log = tmp_path / "access.log"
        url = server_factory(access_log=log)
        predicate = f"plant = 'NORTH' AND value > 0 AND timestamp >= '{written(NOW - 5 * MINUTE, 'UTC')}'"

        found = pi_datasource.read(
            spark, predicate, url=url, tag_pattern=TAG_PATTERN, columns="value,tag_name", num_partitions=1
        )

        rows = plant.oracle_table([p.name for p in plant.points if p.plant == "NORTH"], NOW - 5 * MINUTE, NOW)
        truth = zip(rows["number"].to_pylist(), rows["tag_name"].to_pylist(), strict=True)
        assert found.columns == ["value", "tag_name"]
        assert sorted_rows(found) == sorted(((v, n) for v, n in truth if v is not None and v > 0), key=repr)
        assert "nameFilter=%2ANORTH%2A" in log.read_text(encoding="utf-8")

    def test_follows_the_clock_of_the_session(
        self, spark: SparkSession, server_factory: Callable[..., str]
    ) -> None:
        """The server's events go on until the present, which is Spark's present too."""
        url = server_factory(clock=None)
        text = "tag_name LIKE '%.FLOW_%' AND timestamp >= current_timestamp() - INTERVAL 5 MINUTES"
        options = {"url": url, "end_time": "*-5s"}
        before = datetime.now(NOW.tzinfo)
        found = pi_datasource.read(spark, text, **options).agg({"timestamp": "min", "*": "count"}).first()
        assert found is not None
        assert found["count(1)"] > 0
        first = found["min(timestamp)"].astimezone(NOW.tzinfo)
        assert before - 5 * MINUTE <= first <= datetime.now(NOW.tzinfo) - 4 * MINUTE

    def test_keeps_the_rows_that_report_failures(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        broken, whole = [point for point in plant.points if point.sensor_type == "PRES"][:2]
        predicate = f"tag_name IN ('{broken.name}', '{whole.name}') AND value > 0"
        with faulty_proxy(pi_url, {broken.web_id("IDOnly"): SubFault(404)}) as proxy:
            found = pi_datasource.read(spark, predicate, url=proxy.url, on_error="report", **WINDOW)
            kinds = {(row.tag_name, row.value_kind) for row in found.collect()}
        assert kinds == {(broken.name, "read_failure"), (whole.name, "number")}

    def test_leaves_a_wrong_predicate_to_spark(self, spark: SparkSession, pi_url: str) -> None:
        for text in ("nothing = 'x'", "tag_name = 'x' AND (", "plant = 'NORTH'"):
            with pytest.raises(PySparkException):
                pi_datasource.read(spark, text, url=pi_url)


def written(moment: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S.%f")


class TestColumns:
    """``columns`` is a projection that Spark plans with."""

    def test_are_all_that_a_frame_and_a_stream_have(
        self, spark: SparkSession, pi_url: str, tmp_path: Path
    ) -> None:
        wanted = ["value", "timestamp", "tag_name"]
        options = {
            "tags": "NORTH.A1.FLOW_0001.PV",
            "columns": ",".join(wanted),
            "start_time": NOW - 20 * MINUTE,
        }
        frame = pi(spark, pi_url, **options)
        full = pi(spark, pi_url, **{**options, "columns": ""})
        texts = {
            name: str(value.isoformat() if isinstance(value, datetime) else value)
            for name, value in options.items()
        }
        stream = spark.readStream.format("pi").option("url", pi_url).options(**texts, settle="0s").load()
        stream.writeStream.format("parquet").option("checkpointLocation", str(tmp_path / "c")).trigger(
            availableNow=True
        ).start(str(tmp_path / "t")).awaitTermination()

        assert frame.columns == stream.columns == wanted
        expected = sorted_rows(full.select(*wanted))
        assert sorted_rows(frame) == expected
        assert sorted_rows(spark.read.parquet(str(tmp_path / "t"))) == expected


class TestPushdown:
    """Spark's own push-down, which is off unless asked for."""

    def test_narrows_without_changing_what_a_fresh_load_gives(self, spark: SparkSession, pi_url: str) -> None:
        full = pi(spark, pi_url, tag_pattern=TAG_PATTERN, **WINDOW).localCheckpoint()
        with session_settings(spark, **{PUSHDOWN: "true"}):
            for predicate in PREDICATES[::3]:
                text = predicate.format(
                    ten=written(NOW - 10 * MINUTE, "UTC"),
                    five=written(NOW - 5 * MINUTE, "UTC"),
                    event=NOW.isoformat(),
                )
                pushed = pi(spark, pi_url, tag_pattern=TAG_PATTERN, pushdown=True, **WINDOW).where(text)
                assert sorted_rows(pushed) == sorted_rows(full.where(text)), text

    def test_needs_spark_s_own_setting(self, spark: SparkSession, pi_url: str) -> None:
        with pytest.raises(PySparkException, match=r"filterPushdown\.enabled"):
            pi(spark, pi_url, pushdown=True, **WINDOW).where("tag_name = 'x'").count()

    def test_still_keeps_the_narrowed_reader_with_the_frame(self, spark: SparkSession, pi_url: str) -> None:
        """Asserts Spark's fault, to notice when it is mended."""
        tag = "NORTH.A1.FLOW_0001.PV"
        whole = pi(spark, pi_url, **WINDOW).count()
        with session_settings(spark, **{PUSHDOWN: "true"}):
            frame = pi(spark, pi_url, pushdown=True, **WINDOW)
            of_tag = frame.where(f"tag_name = '{tag}'").count()
            again = frame.count()
            afresh = pi(spark, pi_url, pushdown=True, **WINDOW).count()

        assert 0 < of_tag < whole == afresh
        assert again == of_tag, (
            "this Spark release no longer reuses a narrowed reader for the next query of a DataFrame (it gave "
            f"{again} of {whole} rows). Check the same for unions and temporary views, and on Spark 4.1 to 4.3; where all "
            "are right, say from which release on in the README and in PIPushdownReader, and consider pushdown=true as "
            "the default there."
        )
