"""``pi-datasource read``: the same events as the oracle's in every format, and whole files or none."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from mock_server import Plant, running
from oracle_check import compare
from pi_datasource import schema
from pi_datasource.cli import files, parallel
from pi_datasource.errors import ServerFailed
from pi_datasource.recorded import calls, fetch
from tests.unit.cli.conftest import NOW, Command

HOUR = (NOW - timedelta(hours=1), NOW)
WINDOW = ("--start-time", HOUR[0].isoformat(), "--end-time", HOUR[1].isoformat())
COLUMNS = schema.timeseries()


def assert_equals_oracle(plant: Plant, table: pa.Table, tags: list[str] | None = None) -> int:
    result = compare(plant, table.cast(COLUMNS), *HOUR, tags)
    assert result.equal, str(result)
    assert result.rows == table.num_rows > 0
    return table.num_rows


def from_csv(text: bytes) -> pa.Table:
    types = {field.name: pa.string() if field.name == "timestamp" else field.type for field in COLUMNS}
    options = csv.ConvertOptions(
        column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    table = csv.read_csv(io.BytesIO(text), convert_options=options)
    moments = [
        datetime.fromisoformat(text.replace(" ", "T").replace("Z", "+00:00"))
        for text in table["timestamp"].to_pylist()
    ]
    return table.set_column(2, COLUMNS.field("timestamp"), pa.array(moments, COLUMNS.field("timestamp").type))


def from_lines(text: bytes) -> pa.Table:
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        for name in ("timestamp", "ingestion_timestamp"):
            row[name] = datetime.fromisoformat(row[name].replace("Z", "+00:00"))
    return pa.Table.from_pylist(rows, COLUMNS)


READERS = {"parquet": lambda text: parquet.read_table(io.BytesIO(text)), "csv": from_csv, "jsonl": from_lines}


class TestRows:
    """What is written."""

    @pytest.mark.parametrize("kind", READERS)
    def test_a_file_holds_the_events_of_the_window(
        self, plant: Plant, command: Command, tmp_path: Path, kind: str
    ) -> None:
        place = tmp_path / f"events.{kind}"
        said = command("read", *WINDOW, "-o", str(place), "--page-size", "40").stderr
        rows = assert_equals_oracle(plant, READERS[kind](place.read_bytes()))
        assert said.startswith(f"{rows:,} row(s) of 24 tag(s) to {place} in ")
        assert [file.name for file in tmp_path.iterdir()] == [place.name]

    @pytest.mark.parametrize("kind", ["csv", "jsonl"])
    def test_stdout_holds_them_and_nothing_else(self, plant: Plant, command: Command, kind: str) -> None:
        tag = plant.points[5].name
        said = command("read", *WINDOW, "--tags", tag, "--format", kind)
        assert_equals_oracle(plant, READERS[kind](said.stdout_bytes), [tag])

    def test_csv_needs_no_time_zone_data(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        columns = pa.schema([("t", schema.TIMESTAMP), ("value", pa.float64())])
        times = pa.array([NOW, None, NOW - timedelta(microseconds=1)], schema.TIMESTAMP)
        batch = pa.RecordBatch.from_arrays([times, pa.array([1.0, 2.0, None])], schema=columns)
        written = []
        for known in (True, False):
            monkeypatch.setattr(files, "_arrow_formats_utc", lambda known=known: known)
            with files.destination(tmp_path / "x.csv", "csv", columns) as write:
                write(batch)
            written.append((tmp_path / "x.csv").read_text())
        assert written[1].replace('"', "") == written[0].replace('"', "")
        assert "2026-02-28 23:59:59.999999Z" in written[1]

    def test_json_lines_tell_nan_and_the_infinities_from_null(self, tmp_path: Path) -> None:
        place = tmp_path / "events.jsonl"
        columns = pa.schema([("value", pa.float64()), ("value_string", pa.string())])
        values = [1.5, float("nan"), float("inf"), float("-inf"), None]
        with files.destination(place, "jsonl", columns) as write:
            write(
                pa.RecordBatch.from_arrays([pa.array(values), pa.array(["NaN", *[None] * 4])], schema=columns)
            )
        rows = [json.loads(line) for line in place.read_text().splitlines()]
        assert [row["value"] for row in rows] == [1.5, "NaN", "Infinity", "-Infinity", None]
        assert [row["value_string"] for row in rows] == ["NaN", None, None, None, None]

    @pytest.mark.parametrize("jobs", ["1", "7", "64"])
    def test_any_number_of_jobs_brings_each_event_once(
        self, plant: Plant, command: Command, tmp_path: Path, jobs: str
    ) -> None:
        place = tmp_path / "events.parquet"
        command("read", *WINDOW, "-o", str(place), "--jobs", jobs, "--num-partitions", "30")
        assert_equals_oracle(plant, parquet.read_table(place))

    def test_columns_are_those_asked_for_in_that_order(self, command: Command, tmp_path: Path) -> None:
        place = tmp_path / "events.parquet"
        pattern = r"(?P<site>[^.]+)\..*"
        wanted = "value, site,timestamp"
        command("read", *WINDOW, "-o", str(place), "--columns", wanted, "--tag-pattern", pattern)
        table = parquet.read_table(place)
        assert table.column_names == ["value", "site", "timestamp"]
        assert None not in table["site"].to_pylist()

    def test_a_window_without_events_is_a_file_without_rows(self, command: Command, tmp_path: Path) -> None:
        for kind in ("parquet", "csv", "jsonl"):
            place = tmp_path / f"none.{kind}"
            command("read", "--start-time", "2026-01-01", "--end-time", "2026-01-01", "-o", str(place))
            content = place.read_bytes()
            if kind == "parquet":
                assert parquet.read_schema(place).equals(COLUMNS)
            else:
                assert content.count(b"\n") == (1 if kind == "csv" else 0)

    def test_a_limit_brings_the_same_first_rows_each_time(
        self, plant: Plant, command: Command, tmp_path: Path
    ) -> None:
        names = [tmp_path / name for name in ("a.parquet", "b.parquet", "whole.parquet")]
        for place in names[:2]:
            command("read", *WINDOW, "-o", str(place), "--limit", "7")
        command("read", *WINDOW, "-o", str(names[2]), "--jobs", "1")
        first, again, whole = (parquet.read_table(place).drop(["ingestion_timestamp"]) for place in names)
        assert first.num_rows == 7
        assert first.equals(again)
        whole_rows = {tuple(row.values()) for row in whole.to_pylist()}
        assert whole_rows.issuperset(tuple(row.values()) for row in first.to_pylist())
        assert whole.num_rows == assert_equals_oracle(plant, parquet.read_table(names[2]))

    def test_without_a_file_a_short_table_is_shown(self, plant: Plant, command: Command) -> None:
        tag = plant.points[0].name
        said = command("read", *WINDOW, "--tags", tag, "--limit", "3")
        lines = [line.split() for line in said.stdout.splitlines()]
        assert lines[0][:3] == ["tag_name", "timestamp", "value"]
        truth = plant.oracle(tag, *HOUR)[:3]
        assert [(line[0], float(line[2])) for line in lines[1:]] == [(tag, event.value) for event in truth]
        assert said.stderr.endswith("(--limit 3 was reached)\n")

    def test_a_tag_that_fails_is_a_row_where_that_is_asked_for(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        nowhere = "https://h/piwebapi/streams/none/recorded"
        monkeypatch.setattr(calls.Call, "_url", lambda *_: nowhere)
        place = tmp_path / "events.jsonl"
        command("read", *WINDOW, "--on-error", "report", "-o", str(place))
        kinds = [json.loads(line)["value_kind"] for line in place.read_bytes().splitlines()]
        assert kinds == ["read_failure"] * 24
        place.unlink()
        said = command("read", *WINDOW, "-o", str(place), exit_code=1).stderr
        assert "point(s) could not be read" in said
        assert list(tmp_path.iterdir()) == []


class TestRefusals:
    """What is told before any request."""

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            (["-o", "events.xls"],
             "--output 'events.xls': the extension names no format; use .parquet, .csv or .jsonl, or give --format"),
            (["--format", "xml"],
             "--format 'xml': there is no such format; use parquet, csv, jsonl or table"),
            (["--format", "parquet"], "--format parquet needs a file: --output FILE.parquet"),
            (["-o", "e.csv", "--format", "table"],
             "--format table is for the terminal; leave --output out, or use parquet, csv or jsonl"),
            (["-o", "no/where/e.csv"], "--output: there is no folder 'no/where'; create it, or choose another"),
            (["--columns", "timestamp,valu"], "option 'columns': there is no column 'valu'; did you mean 'value'?"),
            (["--table", "pi_timeserie"],
             "option 'table': there is no table 'pi_timeserie'; did you mean 'pi_timeseries'?"),
            (["--start-time", "soonish"], "option 'start_time': 'soonish' is not a valid time"),
        ],
    )  # fmt: skip
    def test_a_wrong_flag_is_one_line(self, command: Command, given: list[str], text: str) -> None:
        said = command("read", "--url", "http://127.0.0.1:9", *given, exit_code=1).stderr
        assert said.startswith(f"pi-datasource: {text}")
        assert len(said.splitlines()) == 1

    @pytest.mark.parametrize(
        "given", [["--limit", "0"], ["--jobs", "0"], ["--jobs", "65"], ["--limits", "3"]]
    )
    def test_a_flag_that_cannot_be_used_is_wrong_usage(self, command: Command, given: list[str]) -> None:
        command("read", *given, exit_code=2)


class TestWholeOrNothing:
    """A file is there when everything is in it."""

    def test_a_failure_half_way_leaves_the_old_file(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        place = tmp_path / "events.csv"
        place.write_text("old", encoding="utf-8")
        real = fetch.run

        def breaks(client: object, task: object, *rest: object) -> object:
            yield from real(client, task, *rest)  # type: ignore[arg-type]
            message = "POST batch: HTTP 503"
            raise ServerFailed(message, 503)

        monkeypatch.setattr(fetch, "run", breaks)
        said = command("read", *WINDOW, "-o", str(place), exit_code=1).stderr
        assert said == "pi-datasource: POST batch: HTTP 503\n"
        assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [
            ("events.csv", "old")
        ]

    def test_a_disk_that_refuses_is_told(self, command: Command, tmp_path: Path) -> None:
        place = tmp_path / "taken.csv"
        place.mkdir()
        (place / "file").touch()
        with (
            pytest.raises(files.InvalidOption, match=r"cannot be written: Is a directory"),
            files.destination(place, "csv", COLUMNS),
        ):
            pass
        assert [file.name for file in tmp_path.iterdir()] == ["taken.csv"]
        command("read", "-o", str(place), exit_code=2)

    @pytest.mark.parametrize(
        "number",
        [
            pytest.param(signal.SIGINT, id="ctrl-c"),
            pytest.param(signal.SIGTERM, id="term", marks=pytest.mark.integration),  # as slow, and as telling
        ],
    )
    def test_a_stop_leaves_nothing(self, plant: Plant, tmp_path: Path, number: signal.Signals) -> None:
        with running(plant, clock=lambda: NOW) as url:
            # Whoever runs the tests in the background makes what they start deaf to Ctrl-C.
            hearing = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
            program = f"{hearing}; from pi_datasource.cli import main; main()"
            flags = ["read", "--url", url, "--start-time", "*-400d", "-o", "events.csv", "--page-size", "100"]
            child = subprocess.Popen(
                [sys.executable, "-c", program, *flags],
                cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            for _ in range(600):
                if any(file.stat().st_size for file in tmp_path.glob(".events.csv.*.part")):
                    break
                time.sleep(0.05)
            child.send_signal(number)
            _, said = child.communicate(timeout=30)
        assert (child.returncode, said) == (130, "Stopped; nothing was kept.\n")
        assert list(tmp_path.iterdir()) == []


class TestCrew:
    """Threads that read ahead."""

    def test_no_more_is_read_ahead_than_fits(self, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
        """A writer that takes one batch and stops has let the threads begin only a few."""
        begun: list[int] = []
        real = fetch.run

        def counted(client: object, task: object, *rest: object) -> object:
            for batch in real(client, task, *rest):  # type: ignore[arg-type]
                begun.append(batch.num_rows)
                yield batch

        monkeypatch.setattr(fetch, "run", counted)
        command("read", *WINDOW, "--limit", "1", "--format", "csv", "--num-partitions", "24")
        assert 1 <= len(begun) <= parallel.QUEUED_BATCHES + 3


def test_points_are_a_table_like_any_other(command: Command, plant: Plant) -> None:
    result = command("read", "--table", "pi_points", "--columns", "name,descriptor", "--format", "jsonl")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows == [{"name": point.name, "descriptor": point.descriptor} for point in plant.points]
    assert f"{len(rows)} row(s) in" in result.stderr
