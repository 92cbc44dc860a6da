"""``spark.read.format("pi")`` gives exactly the events that the server holds."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

import pi_datasource
from mock_server import TAG_PATTERN, Plant
from tests.integration.support import canary
from tests.integration.support.clock import NOW
from tests.integration.support.comparison import assert_equals_oracle, pi, same
from tests.integration.support.faulty_proxy import SubFault, faulty_proxy

pytestmark = pytest.mark.integration

HOUR, MINUTE, MICROSECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)
SHORT = (NOW - 10 * MINUTE, NOW)


def named(plant: Plant, part: str) -> list[str]:
    return [point.name for point in plant.points if part in point.name]


class TestEveryEventArrivesOnce:
    """What arrives equals the oracle row by row."""

    def test_of_all_tags_over_hours_with_every_type_state_and_flag(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        start = NOW - 3 * HOUR
        truth = plant.oracle_table(None, start, NOW)
        self._assert_that_nothing_is_lacking(truth, {p.name: p.point_type for p in plant.points})

        assert_equals_oracle(plant, pi(spark, pi_url, start_time=start, end_time=NOW), start, NOW)

    @staticmethod
    def _assert_that_nothing_is_lacking(truth: pa.Table, types: dict[str, str]) -> None:
        """The window would prove little without these."""
        assert {types[name] for name in truth["tag_name"].to_pylist()} == {
            "Float32",
            "Float64",
            "Int32",
            "Digital",
            "String",
            "Timestamp",
        }
        assert {"number", "string", "digital", "system", "timestamp"} <= set(truth["kind"].to_pylist())
        for flag in ("questionable", "substituted", "annotated", "is_system"):
            assert pc.any(truth[flag]).as_py()
        ticks = truth["ticks"].to_pylist()
        places = Counter(zip(truth["tag_name"].to_pylist(), ticks, strict=True))
        assert max(places.values()) > 2  # events of one tag on one timestamp
        assert any(tick % 10 for tick in ticks)  # digits that a microsecond cannot hold

    @pytest.mark.parametrize(
        "options",
        [
            {"page_size": 7},
            {"page_size": 1, "tags": "*VALVE*,*PRES_0001*"},
            {"batch_size": 3},
            {"num_partitions": 1},
            {"num_partitions": 16},
        ],
        ids=str,
    )
    def test_however_the_work_is_cut(
        self, spark: SparkSession, plant: Plant, pi_url: str, options: dict[str, object]
    ) -> None:
        start, end = SHORT
        tags = None
        if "tags" in options:
            tags = [n for n in named(plant, "") if "VALVE" in n or "PRES_0001" in n]

        frame = pi(spark, pi_url, start_time=start, end_time=end, **options)

        assert_equals_oracle(plant, frame, start, end, tags)

    def test_of_few_tags_whose_long_window_is_split_over_tasks(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        tags, start = named(plant, "NORTH.A1.PRES")[:1] + named(plant, "HARBOR.A1.BATCH"), NOW - 72 * HOUR
        frame = pi(spark, pi_url, tags=",".join(tags), start_time=start, end_time=NOW, num_partitions=16)

        assert frame.rdd.getNumPartitions() == 16
        assert_equals_oracle(plant, frame, start, NOW, tags)

    @pytest.mark.parametrize("page_size", [1_000, 10_000])
    def test_of_ten_dense_tags_when_the_server_returns_at_most_a_thousand_a_call(
        self, spark: SparkSession, plant: Plant, server_factory: Callable[..., str], page_size: int
    ) -> None:
        """With the larger page size the reader has to find the limit out from the server's refusal."""
        url, tags, start = server_factory(max_items=1_000), named(plant, "FLOW")[:10], NOW - 24 * HOUR
        truth = plant.oracle_table(tags, start, NOW)
        assert min(Counter(truth["tag_name"].to_pylist()).values()) >= 5_000

        frame = pi(spark, url, tags=",".join(tags), start_time=start, end_time=NOW, page_size=page_size)

        assert_equals_oracle(plant, frame, start, NOW, tags)

    def test_from_a_tag_s_first_event_on(self, spark: SparkSession, plant: Plant, pi_url: str) -> None:
        born = plant.points[0].created
        start, end = born - HOUR, born + 5 * MINUTE

        frame = pi(spark, pi_url, start_time=start, end_time=end)

        assert_equals_oracle(plant, frame, start, end)
        assert frame.where("value_string = 'Pt Created' AND value_kind = 'system'").count() == 128


class TestWindows:
    """Windows are half-open and follow the server's clock."""

    def test_adjacent_ones_whose_bounds_lie_on_events_tile(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        tag, start = named(plant, "FLOW")[0], NOW - HOUR
        ticks = [event.ticks for event in plant.oracle(tag, start, NOW)]
        shared = next(tick for tick, n in Counter(ticks).items() if n > 1 and tick > ticks[10])
        exact = next(tick for tick in reversed(ticks) if not tick % 10)
        unaligned = next(tick for tick in ticks if tick > shared and tick % 10)
        bounds = sorted(_moment(tick) for tick in (shared, exact, unaligned))
        windows = list(itertools.pairwise([start, *bounds, NOW]))

        parts = [pi(spark, pi_url, tags=tag, start_time=a, end_time=b).toArrow() for a, b in windows]

        for part, (a, b) in zip(parts, windows, strict=True):
            assert_equals_oracle(plant, part, a, b, [tag])
        assert_equals_oracle(plant, pa.concat_tables(parts), start, NOW, [tag])

    def test_start_is_included_and_end_is_not(self, spark: SparkSession, plant: Plant, pi_url: str) -> None:
        tag = named(plant, "FLOW")[0]
        ticks = [e.ticks for e in plant.oracle(tag, NOW - HOUR, NOW)]
        at = _moment(next(tick for tick in ticks if not tick % 10))

        def times(start: datetime, end: datetime) -> set[datetime]:
            rows = pi(spark, pi_url, tags=tag, start_time=start, end_time=end).toArrow()
            return set(rows["timestamp"].to_pylist())

        assert times(at, at + MICROSECOND) == {at}
        assert at not in times(at - MINUTE, at)

    def test_an_empty_one_gives_no_rows_and_all_columns(self, spark: SparkSession, pi_url: str) -> None:
        frame = pi(spark, pi_url, start_time=NOW, end_time=NOW)

        assert frame.toArrow().num_rows == 0
        assert frame.columns[:4] == ["tag_webid", "tag_name", "timestamp", "sequence"]

    def test_relative_ones_follow_the_server_s_clock(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        tags = named(plant, "PRES")
        frame = pi(spark, pi_url, tags="*PRES*", start_time="*-30m", end_time="*-10m")

        assert_equals_oracle(plant, frame, NOW - 30 * MINUTE, NOW - 10 * MINUTE, tags)


def _moment(ticks: int) -> datetime:
    return datetime.fromtimestamp(0, NOW.tzinfo) + ticks // 10 * MICROSECOND


class TestSelections:
    """Tags by name, pattern, path and list."""

    @pytest.mark.parametrize(
        ("options", "part"),
        [
            ({"tags": "NORTH.A1.*"}, "NORTH.A1."),
            ({"tags": "north.a1.flow_000?.pv"}, "NORTH.A1.FLOW_000"),
            ({"tags": "NORTH.A1.PRES_0001.PV"}, "NORTH.A1.PRES_0001.PV"),
            ({"tags": r"\\PISIM01\NORTH.A1.PRES_0001.PV"}, "NORTH.A1.PRES_0001.PV"),
            ({"tags": json.dumps(["NORTH.A1.PRES_0001.PV", "NORTH.A1.PRES*"])}, "NORTH.A1.PRES"),
            ({"tag_filter": "*FLOW*"}, "FLOW"),
            ({"tags": "NORTH*", "tag_filter": "*A2.FLOW*"}, "NORTH.A2.FLOW"),
            ({"data_servers": "pisim01", "tags": "*LEVEL*"}, "LEVEL"),
        ],
        ids=str,
    )
    def test_read_the_selected_tags_and_no_others(
        self, spark: SparkSession, plant: Plant, pi_url: str, options: dict[str, str], part: str
    ) -> None:
        start, end = SHORT
        frame = pi(spark, pi_url, start_time=start, end_time=end, **options)

        assert_equals_oracle(plant, frame, start, end, named(plant, part))


class TestColumns:
    """Columns that options add, and a user's own selection of columns."""

    def test_groups_of_the_tag_pattern_become_columns(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        start, end = SHORT
        frame = pi(spark, pi_url, start_time=start, end_time=end, tag_pattern=TAG_PATTERN)
        table = frame.toArrow()

        assert_equals_oracle(plant, table, start, end)
        found = set(
            zip(*(table[n].to_pylist() for n in ("tag_name", "plant", "area", "sensor_type")), strict=True)
        )
        points = {p.name: p for p in plant.points}
        assert found == {
            (name, points[name].plant, points[name].area, points[name].sensor_type)
            for name in set(plant.oracle_table(None, start, end)["tag_name"].to_pylist())
        }

    def test_a_tag_that_does_not_fit_the_pattern_has_nulls(self, spark: SparkSession, pi_url: str) -> None:
        frame = pi(
            spark,
            pi_url,
            start_time=SHORT[0],
            tags="*PRES_0001*",
            tag_pattern=r"^(?P<site>NORTH)\.(?P<area>A\d)",
        )
        assert {tuple(row) for row in frame.select("site", "area").distinct().collect()} == {
            ("NORTH", "A1"),
            (None, None),
        }

    def test_metadata_brings_path_and_server(self, spark: SparkSession, plant: Plant, pi_url: str) -> None:
        start, end = SHORT
        table = pi(
            spark, pi_url, start_time=start, end_time=end, tags="*PRES*", include_metadata="true"
        ).toArrow()

        assert_equals_oracle(plant, table, start, end, named(plant, "PRES"))
        assert set(table["server_name"].to_pylist()) == {"PISIM01"}
        pairs = zip(table["tag_name"].to_pylist(), table["tag_path"].to_pylist(), strict=True)
        assert all(path == rf"\\PISIM01\{name}" for name, path in pairs)

    def test_a_user_s_schema_is_a_selection_in_its_own_order(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        start, end = SHORT
        columns = "value double, tag_name string, timestamp timestamp"
        table = pi(spark, pi_url, columns, start_time=start, end_time=end, tags="*FLOW*").toArrow()

        assert table.column_names == ["value", "tag_name", "timestamp"]
        truth = plant.oracle_table(named(plant, "FLOW"), start, end)
        expected = Counter(
            zip(
                truth["number"].to_pylist(),
                truth["tag_name"].to_pylist(),
                map(_moment, truth["ticks"].to_pylist()),
                strict=True,
            )
        )
        assert Counter(map(tuple, (row.values() for row in table.to_pylist()))) == expected


class TestSpark:
    """The ways in which Spark asks."""

    def test_sql_reads_through_a_temporary_view(self, spark: SparkSession, plant: Plant, pi_url: str) -> None:
        start, end = SHORT
        spark.sql(
            f"CREATE OR REPLACE TEMPORARY VIEW pi_view USING pi OPTIONS (url '{pi_url}', "
            f"startTime '{start.isoformat()}', end_time '{end.isoformat()}', tag_pattern '{_sql(TAG_PATTERN)}')"
        )
        rows = spark.sql(
            "SELECT tag_name, count(*) AS n, min(value) AS low, avg(value) AS mean FROM pi_view "
            "WHERE sensor_type IN ('FLOW', 'VALVE') GROUP BY tag_name"
        ).collect()

        tags = named(plant, "FLOW") + named(plant, "VALVE")
        figures = plant.oracle_table(tags, start, end).group_by("tag_name")
        expected = {
            row["tag_name"]: row
            for row in figures.aggregate(
                [([], "count_all"), ("number", "min"), ("number", "mean")]
            ).to_pylist()
        }
        assert {row.tag_name for row in rows} == set(expected)
        for row in rows:
            truth = expected[row.tag_name]
            assert (row.n, row.low) == (truth["count_all"], truth["number_min"])
            assert same(row.mean, truth["number_mean"])
        assert_equals_oracle(plant, spark.sql("SELECT * FROM pi_view"), start, end)

    def test_actions_on_one_frame_agree(self, spark: SparkSession, plant: Plant, pi_url: str) -> None:
        """A filter or a selection must not narrow what a later action reads."""
        start, end = SHORT
        frame = pi(spark, pi_url, start_time=start, end_time=end, tags="*PRES*")
        tags = named(plant, "PRES")
        total = len(plant.oracle_table(tags, start, end))

        assert frame.where(f"tag_name = '{tags[0]}'").count() == len(plant.oracle(tags[0], start, end))
        assert frame.select("value").count() == total
        assert frame.count() == total
        assert_equals_oracle(plant, frame, start, end, tags)
        assert_equals_oracle(plant, frame, start, end, tags)

    def test_register_is_harmless_where_the_format_is_known(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        session = spark.newSession()  # other tests go on without it
        session.conf.set("spark.sql.session.timeZone", "UTC")
        for _ in range(2):
            pi_datasource.register(session)

        frame = pi(session, pi_url, start_time=SHORT[0], end_time=NOW, tags="*LEVEL*")

        assert_equals_oracle(plant, frame, SHORT[0], NOW, named(plant, "LEVEL"))


def _sql(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


class TestSigningIn:
    """Secrets are found by the process that needs them."""

    @pytest.fixture
    def secured(self, server_factory: Callable[..., str]) -> str:
        return server_factory(user=canary.USER, password=canary.PASSWORD, token=canary.TOKEN)

    @pytest.mark.parametrize(
        ("name", "place"), [("password", "env"), ("password", "file"), ("token", "env"), ("token", "file")]
    )
    def test_works_with_a_secret_that_is_only_referred_to(  # noqa: PLR0917 - fixtures
        self, spark: SparkSession, plant: Plant, secured: str, tmp_path: Path, name: str, place: str
    ) -> None:
        file = tmp_path / "secret.txt"
        file.write_text({"password": canary.PASSWORD, "token": canary.TOKEN}[name] + "\n", encoding="utf-8")
        signing = {name: f"env:PI_TEST_{name.upper()}" if place == "env" else f"file:{file}"}
        if name == "password":
            signing["username"] = canary.USER

        frame = pi(spark, secured, start_time=SHORT[0], end_time=NOW, tags="*VALVE*", **signing)

        assert_equals_oracle(plant, frame, SHORT[0], NOW, named(plant, "VALVE"))


class TestPointsThatCannotBeRead:
    """Nothing is skipped in silence."""

    @pytest.fixture
    def broken(self, plant: Plant, pi_url: str) -> Iterator[tuple[str, dict[str, int]]]:
        """A server that cannot read three of the pressures, each with another status."""
        points = {p.name: p for p in plant.points if "PRES" in p.name}
        statuses = dict(zip(list(points)[:6:2], (404, 500, 503), strict=True))
        faults = {points[name].web_id("IDOnly"): SubFault(status) for name, status in statuses.items()}
        with faulty_proxy(pi_url, faults) as proxy:
            yield proxy.url, statuses

    def test_are_all_named_by_the_error(
        self, spark: SparkSession, broken: tuple[str, dict[str, int]]
    ) -> None:
        url, statuses = broken
        frame = pi(spark, url, start_time=SHORT[0], tags="*PRES*", max_retries=0, num_partitions=1)

        with pytest.raises(Exception, match="ReadFailed") as caught:
            frame.collect()

        text = str(caught.value)
        for name, status in statuses.items():
            assert f"{name} (HTTP {status})" in text
        assert "3 point(s) could not be read in [2026-02-28T23:50:00Z, 2026-03-01T00:00:00Z)" in text
        assert "on_error" in text

    def test_become_rows_and_cost_no_other_row(
        self, spark: SparkSession, plant: Plant, broken: tuple[str, dict[str, int]]
    ) -> None:
        url, statuses = broken
        start, end = SHORT
        frame = pi(
            spark, url, start_time=start, end_time=end, tags="*PRES*", max_retries=0, on_error="report"
        )
        table = frame.toArrow()

        is_failure = pc.equal(table["value_kind"], "read_failure")
        readable = [name for name in named(plant, "PRES") if name not in statuses]
        assert_equals_oracle(plant, table.filter(pc.invert(is_failure)), start, end, readable)
        failures = table.filter(is_failure).to_pylist()
        assert {row["tag_name"] for row in failures} == set(statuses)
        assert len(failures) == len(statuses)
        for row in failures:
            told = json.loads(row["value_string"])
            assert told["status"] == statuses[row["tag_name"]]
            assert "made to fail" in told["message"]
            assert (row["timestamp"], told["window_end"]) == (start, "2026-03-01T00:00:00Z")
            assert (row["value"], row["state_code"], row["good"]) == (None, None, None)

    def test_for_a_moment_are_asked_again_and_lose_nothing(
        self, spark: SparkSession, plant: Plant, pi_url: str
    ) -> None:
        start, end = SHORT
        points = [p for p in plant.points if "PRES" in p.name]
        faults = {
            p.web_id("IDOnly"): SubFault(status, times)
            for p, status, times in zip(points, (503, 500, 429), (1, 2, 1), strict=False)
        }
        with faulty_proxy(pi_url, faults) as proxy:
            frame = pi(spark, proxy.url, start_time=start, end_time=end, tags="*PRES*", page_size=7)
            assert_equals_oracle(plant, frame, start, end, [p.name for p in points])
            assert proxy.failed == {web_id: fault.times for web_id, fault in faults.items()}
