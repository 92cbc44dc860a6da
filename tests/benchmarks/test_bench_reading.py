"""The reading benchmark can be believed: its server, its yardstick, its meters and its arithmetic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from socket import create_server
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from benchmarks import reading
from benchmarks.read import plot, processes, recordings, report, runner, static_server, written
from benchmarks.read.baseline import SCHEMA, BaselineReader
from benchmarks.read.recordings import END, FIELDS, START, Shape
from benchmarks.read.static_points import Directory
from benchmarks.read.static_server import StaticServer
from pi_datasource.recorded import fetch
from pi_datasource.spark.datasource import PIDataSource
from pi_datasource.webapi import client

MIXED = Shape(8, 60, "mixed")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
BASE = "http://any/piwebapi"
WINDOW = f"startTime={START:%Y-%m-%dT%H:%M:%SZ}&endTime={END:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def serving(shape: Shape) -> Iterator[str]:
    stop = threading.Event()
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=static_server.serve, args=(StaticServer(shape), listener, stop))
        thread.start()
        try:
            yield static_server.address(listener)
        finally:
            stop.set()
            thread.join(20)


@pytest.fixture(scope="module")
def mixed_url() -> Iterator[str]:
    with serving(MIXED) as url:
        yield url


def batch(server: StaticServer, *resources: str) -> list[Any]:
    body = {str(i): {"Method": "GET", "Resource": f"{BASE}/{each}"} for i, each in enumerate(resources)}
    status, answer = server.respond("POST", "/piwebapi/batch", "", json.dumps(body).encode())
    assert status == 207
    replies = json.loads(answer)
    return [replies[str(i)] for i in range(len(resources))]


def expected(shape: Shape) -> list[tuple[Any, ...]]:
    """(name, time, value, text, code, good, units, type) of every event, from the columns and not from the text."""
    directory, rows = Directory(shape), []
    for tag in range(shape.tags):
        events = shape.recording(tag)
        for tick, value, good in zip(events.ticks, events.values, events.good, strict=True):
            parsed = json.loads(value)
            state = isinstance(parsed, dict)
            text = parsed["Name"] if state else parsed if isinstance(parsed, str) else None
            number = float(parsed) if isinstance(parsed, (int, float)) else None
            moment = EPOCH + timedelta(microseconds=tick // 10)
            code = parsed["Value"] if state else None
            units = events.units or None
            rows.append((directory.name(tag), moment, number, text, code, good, units, shape.point_type(tag)))
    return sorted(rows, key=lambda row: (row[0], row[1]))


COLUMNS = ("tag_name", "timestamp", "value", "value_string", "state_code", "good", "units", "point_type")


class TestTheStaticServer:
    """Prepared bytes are what PI Web API would send."""

    def test_an_event_is_written_in_the_documented_shape(self) -> None:
        server = StaticServer(Shape(1, 10))
        web_id = server.directory.web_id(0)
        _, answer = server.respond("GET", f"/piwebapi/streams/{web_id}/recorded", WINDOW + "&maxCount=1", b"")
        events = Shape(1, 10).recording(0)
        time_text, value = recordings.tick_text(events.ticks[0]), events.values[0]
        assert answer.decode() == (
            f'{{"Links":{{}},"Items":[{{"Timestamp":"{time_text}","Value":{value},"UnitsAbbreviation":"bar","Good":true,'
            '"Questionable":false,"Substituted":false,"Annotated":false}],"UnitsAbbreviation":"bar"}'
        )

    @pytest.mark.parametrize(("tick", "text"), [(0, "1970-01-01T00:00:00Z"), (1, "1970-01-01T00:00:00.0000001Z"),
        (17_720_064_001_234_500, "2026-02-25T08:00:00.12345Z")])  # fmt: skip
    def test_a_time_has_up_to_seven_digits_without_trailing_zeros(self, tick: int, text: str) -> None:
        assert recordings.tick_text(tick) == text

    @pytest.mark.parametrize("size", [1, 7, 59, 60, 1000])
    def test_pages_that_follow_the_last_timestamp_hold_every_event(self, size: int) -> None:
        server = StaticServer(MIXED)
        web_id, events = server.directory.web_id(1, "I"), MIXED.recording(1)
        start, found = WINDOW, []
        for _ in range(200):
            [reply] = batch(server, f"streams/{web_id}/recorded?{start}&maxCount={size + 1}")
            items = reply["Content"]["Items"]
            assert len(items) <= size + 1
            found += [item["Timestamp"] for item in items if item["Timestamp"] not in found[-1:]]
            if len(items) <= size:
                break
            start = f"startTime={items[-1]['Timestamp']}&endTime={END:%Y-%m-%dT%H:%M:%SZ}"
        assert found == [recordings.tick_text(tick) for tick in events.ticks]

    def test_a_window_ends_with_its_end(self) -> None:
        server, events = StaticServer(MIXED), MIXED.recording(0)
        first, last = (recordings.tick_text(events.ticks[i]) for i in (3, 5))
        web_id = server.directory.web_id(0)
        [reply] = batch(server, f"streams/{web_id}/recorded?startTime={first}&endTime={last}")
        assert [item["Timestamp"] for item in reply["Content"]["Items"]] == [
            recordings.tick_text(tick) for tick in events.ticks[3:6]
        ]

    @pytest.mark.parametrize("fields", [FIELDS, ("Timestamp", "Value", "Good"), ("Timestamp", "Value")])
    def test_both_forms_of_request_give_the_same_selected_fields(self, fields: tuple[str, ...]) -> None:
        server = StaticServer(MIXED)
        ids = [server.directory.web_id(tag, "I") for tag in range(8)]
        one = ";".join(f"Items.{field}" for field in fields)
        many = ";".join(["Items.WebId", *(f"Items.Items.{field}" for field in fields)])
        singles = batch(server, *(f"streams/{each}/recorded?{WINDOW}&selectedFields={one}" for each in ids))
        web_ids = "&".join(f"webId={each}" for each in ids)
        [together] = batch(server, f"streamsets/recorded?{web_ids}&{WINDOW}&selectedFields={many}")
        streams = together["Content"]["Items"]
        assert [stream["WebId"] for stream in streams] == ids
        assert [stream["Items"] for stream in streams] == [reply["Content"]["Items"] for reply in singles]
        assert {tuple(item) for stream in streams for item in stream["Items"]} == {tuple(fields)}

    def test_more_than_the_server_allows_is_refused(self) -> None:
        server = StaticServer(MIXED)
        ids = [server.directory.web_id(tag) for tag in range(2)]
        stream, streams = batch(
            server,
            f"streams/{ids[0]}/recorded?maxCount=150001",
            f"streamsets/recorded?webId={ids[0]}&webId={ids[1]}&maxCount=75001",
        )
        for reply in (stream, streams):
            assert reply["Status"] == 400
            assert "is greater than the maximum allowed (150000)" in reply["Content"]["Errors"][0]

    def test_one_percent_of_every_stream_are_system_states(self) -> None:
        shape = Shape(20, 300, "states")
        for tag in range(20):
            assert sum(not good for good in shape.recording(tag).good) == 3
        assert recordings.truth(shape).good == 20 * 297

    def test_it_counts_what_it_is_asked_for(self) -> None:
        server = StaticServer(MIXED)
        web_id = server.directory.web_id(0)
        batch(server, *[f"streams/{web_id}/recorded?{WINDOW}"] * 3)
        server.respond("GET", "/piwebapi/dataservers", "", b"")
        _, answer = server.respond("GET", "/counters", "", b"")
        assert json.loads(answer)["calls"] == 2
        assert json.loads(answer)["sub_requests"] == 3


class TestTheReaders:
    """Readers against the static server over a socket, compared with its columns."""

    @pytest.mark.parametrize("page_size", ["13", "10000"])
    def test_this_project_reads_what_the_server_holds(self, mixed_url: str, page_size: str) -> None:
        window = {"start_time": START.isoformat(), "end_time": END.isoformat()}
        source = PIDataSource({"url": mixed_url, "page_size": page_size, **window})
        reader = source.reader(source.schema())
        rows = [
            tuple(row[column] for column in COLUMNS)
            for partition in reader.partitions()
            for part in fetch.run(client.shared(source.checked), partition.value, reader.schema, None)
            for row in part.to_pylist()
        ]
        assert sorted(rows, key=lambda row: (row[0], row[1])) == expected(MIXED)

    @pytest.mark.parametrize("page_size", ["13", "60", "10000"])
    def test_the_baseline_reads_what_the_server_holds(self, mixed_url: str, page_size: str) -> None:
        rows = baseline_rows(mixed_url, page_size, COLUMNS)
        assert sorted(rows, key=lambda row: (row[0], row[1])) == expected(MIXED)

    def test_the_baseline_gives_the_columns_asked_for_in_their_order(self, mixed_url: str) -> None:
        whole = baseline_rows(mixed_url, "10000", [name.split()[0] for name in SCHEMA.split(",")])
        some = baseline_rows(mixed_url, "10000", ("value", "tag_name"))
        assert some == [(row[4], row[1]) for row in whole]

    def test_the_baseline_has_the_columns_of_this_project(self) -> None:
        names = [name.split()[0] for name in SCHEMA.split(",")]
        assert names == PIDataSource({"url": "http://any"}).schema().names


def baseline_rows(url: str, page_size: str, columns: Any) -> list[tuple[Any, ...]]:
    options = {
        "url": url,
        "start_time": START.isoformat(),
        "end_time": END.isoformat(),
        "page_size": page_size,
    }
    reader = BaselineReader(options, columns)
    return [row for partition in reader.partitions() for row in reader.read(partition)]


class TestTheMeters:
    """CPU and memory of processes, also of those that are gone."""

    def test_cpu_of_a_child_that_has_exited_still_counts(self) -> None:
        busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
        before = processes.cpu_s(os.getpid())["driver"]
        own = time.process_time()
        subprocess.run([sys.executable, "-S", "-c", busy], check=True)
        spent = processes.cpu_s(os.getpid())["driver"] - before - (time.process_time() - own)
        assert 0.25 < spent < 3

    def test_a_program_and_its_server_are_told_apart(self) -> None:
        wait = [sys.executable, "-S", "-c", "input()"]
        with (
            subprocess.Popen(wait, stdin=subprocess.PIPE) as driver,
            subprocess.Popen(wait, stdin=subprocess.PIPE) as server,
        ):
            assert processes.tree(driver.pid, server.pid) == {driver.pid: "driver", server.pid: "server"}
            assert processes.tree(os.getpid())[server.pid] == "driver"  # a child is of its parent's role
            driver.communicate(b"\n")
            server.communicate(b"\n")
        assert processes.tree(driver.pid, server.pid) == {}

    def test_the_peak_of_memory_is_seen_although_the_process_has_freed_it(self) -> None:
        grow = "import sys\nx = bytearray(b'x' * 60_000_000)\ndel x\nprint('ready', flush=True)\ninput()"
        with (
            processes.PeakMemory(os.getpid()) as memory,
            subprocess.Popen(
                [sys.executable, "-S", "-c", grow], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as child,
        ):
            assert child.stdout is not None
            child.stdout.readline()
            assert processes.peak_mb(child.pid) > 55
            child.communicate(b"\n")
        assert memory.peaks["driver"] > 0


class TestWhatWasWritten:
    """Files of a run are added up without Spark."""

    def table(self, value: float) -> pa.Table:
        moment = START + timedelta(microseconds=7)
        columns = {"tag_name": ["a", "a", "b"], "timestamp": [START, moment, moment], "value": [value, None, 0.25],
                   "good": [True, False, None]}  # fmt: skip
        return pa.table(columns)

    @pytest.mark.parametrize("sink", ["parquet", "delta"])
    def test_rows_tags_flags_times_and_values_add_up(self, tmp_path: Path, sink: str) -> None:
        if sink == "delta":
            write_deltalake(tmp_path, self.table(99.0))
            write_deltalake(tmp_path, self.table(1.5), mode="overwrite")  # the first file stays in the folder
        else:
            pq.write_table(self.table(1.5), tmp_path / "part-0.parquet")
            pq.write_table(self.table(99.0), tmp_path / "_unfinished.parquet")
        names = ("tag_name", "timestamp", "value", "good")
        found = written.sums(sink, tmp_path, names, int(START.timestamp()) * 1_000_000)
        assert found.pop("bytes") > 0
        assert found == {"rows": 3, "tags": 2, "good": 1, "micros": 14, "value": 1.75}


def test_an_error_through_spark_is_told_with_what_python_said() -> None:
    text = (
        "StreamingQueryException: terminated with exception: Traceback (most recent call last):\n"
        '  File "x.py", line 1, in y\npi_datasource.errors.InvalidOption: option end_time: no\n\n'
        "JVM stacktrace:\norg.apache.spark.SparkException: Job aborted\n\tat org.apache.spark.X(X.scala:1)"
    )
    assert runner._short(text) == (
        "StreamingQueryException: terminated with exception: Traceback (most recent call last): … "
        "pi_datasource.errors.InvalidOption: option end_time: no"
    )


RUN = {"wall_s": 2.0, "rows": 1000, "peak_mb": {"worker": 200, "jvm": 600}, "asked": {"calls": 7, "sub_requests": 70, "bytes": 2_000_000}}  # fmt: skip


def result(name: str, engine: str, worker_s: list[float]) -> dict[str, Any]:
    runs = [
        {**RUN, "cpu_s": {"worker": used, "planner": 0.001, "jvm": 0.003, "driver": 0.001, "server": 0.0005}}
        for used in worker_s
    ]
    about = {"engine": engine, "server": "static", "mode": "batch", "sink": "noop", "master": "local[2]"}
    shape = {"tags": 10, "events": 100, "kind": "numeric"}
    versions = {"spark": "4.2.0", "java": "17"}
    return {"name": name, **about, "measured_at": "now", "schema": None, "latency_ms": 0, "options": {}, "shape": shape, "rows": 1000, "runs": runs, "versions": versions}  # fmt: skip


def results() -> dict[str, Any]:
    machine = {"cores": 2, "processor": "P", "memory_gb": 8, "system": "Linux", "python": "3.11", "load_before": 0.1,
               "load_after": 0.2, "versions": {"pyspark": "4.2.0"}}  # fmt: skip
    spark = [
        result("ours", "pi-datasource", [0.004, 0.002, 0.003]),
        result("theirs", "baseline", [0.02]),
        {"name": "broken", "engine": "pyspark-pi", "failed": "it said no"},
    ]
    warm = {"warmups": 2, "first_warmups": 15}
    return {"measured_at": "now", "quick": False, "options": {}, "machine": machine, **warm, "pure": [], "planning": {}, "spark": spark}  # fmt: skip


class TestTheReport:
    """Figures, page and picture."""

    def test_figures_are_minimum_and_median_per_row(self) -> None:
        figures = report.summary(result("any", "pi-datasource", [0.004, 0.002, 0.003]))
        assert figures.python_us == pytest.approx(2.0)
        assert figures.driver_us == pytest.approx(2.0)
        assert figures.jvm_us == pytest.approx(3.0)
        assert figures.total_us == pytest.approx(7.5)
        assert figures.total_median_us == pytest.approx(8.5)
        assert figures.rows_per_s == pytest.approx(500)

    def test_the_page_compares_readers_and_names_what_failed(self) -> None:
        page = report.markdown(results())
        assert "| plain reader: requests, json, a tuple per row | theirs | 1.0 | 10.0 | 3.4 |" in page
        assert "- broken: it said no" in page
        assert (
            "| ours (batch, noop, local[2]) | 1,000 | 500 (500) | 2.00 | 3.00 | 2.00 | 0.50 | 7.50 (8.50) |"
            in page
        )

    def test_the_bars_are_as_long_as_their_figures(self) -> None:
        picture = ET.fromstring(
            plot.bars("t", "abcd", [plot.Bar("one", (1, 2, 3, 4), "<n>"), plot.Bar("two", (0, 0, 0, 5), "m")])
        )
        space = "{http://www.w3.org/2000/svg}"
        widths = [float(each.attrib["width"]) for each in picture.iter(f"{space}rect")][5:]
        assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
        assert sum(widths[:4]) == pytest.approx(960 - 230 - 210, abs=0.4)  # the longest takes all the room
        assert sum(widths[:4]) == pytest.approx(2 * sum(widths[4:]), abs=0.4)
        assert "<n>" in [each.text for each in picture.iter(f"{space}text")]

    def test_wrong_sums_are_told(self) -> None:
        truth = recordings.truth(MIXED)
        right = truth._asdict()
        assert recordings.differences(right, truth) == ""
        assert "rows is 479, not 480" in recordings.differences({**right, "rows": 479}, truth)
        assert "values add up" in recordings.differences({**right, "value": truth.value * 1.001}, truth)

    def test_readers_are_compared_within_one_run_only(self) -> None:
        found = results()
        found["spark"][1]["measured_at"] = "earlier"
        assert "Times as much" not in report.markdown(found)

    def test_readers_are_compared_with_the_defaults(self) -> None:
        found = results()
        tried = {**result("tried", "pi-datasource", [9.0]), "options": {"read_mode": "streams"}}
        found["spark"].insert(1, tried)
        assert "| theirs | 1.0 | 10.0 | 3.4 |" in report.markdown(found)

    def test_the_page_says_how_warm_a_spark_is(self) -> None:
        page = report.markdown(results())
        assert "has run 2\ntimes before" in page
        assert "whose JVM is cold, 17 times" in page


class TestAMeasuredRun:
    """Whose CPU is what its processes have used."""

    def test_is_done_again_where_a_process_of_an_earlier_run_has_ended(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        runs = iter([{"cpu_s": {"worker": 1.0, "planner": -0.9}}, {"cpu_s": {"worker": 1.0, "planner": 0.1}}])
        monkeypatch.setattr(runner, "_measured_once", lambda *_: next(runs))
        assert runner._measured(*[None] * 3)["cpu_s"]["planner"] == 0.1  # type: ignore[arg-type]

    def test_has_failed_where_that_happens_every_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "_measured_once", lambda *_: {"cpu_s": {"planner": -0.9}})
        with pytest.raises(runner.Failed, match="could not be told"):
            runner._measured(*[None] * 3)  # type: ignore[arg-type]


def test_a_choice_that_holds_no_case_is_refused_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reading.main(["--quick", "--only", "no such case", "--out", str(tmp_path)]) == 2
    assert "no case holds any of ['no such case']" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
