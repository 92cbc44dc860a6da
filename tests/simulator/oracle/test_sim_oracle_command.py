"""`python -m mock_server oracle` prints what the oracle knows, in every format."""

import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest

from mock_server import Plant
from mock_server.__main__ import main
from mock_server.plant import ticks

ROOT = Path(__file__).resolve().parents[3]
PLANT = ["--seed", "4", "--tags", "32", "--plants", "1", "--changes", "0.1"]
WINDOW = ["--start", "2024-05-01T06:00:00Z", "--end", "2024-05-01T12:00:00"]
START, END = datetime(2024, 5, 1, 6, tzinfo=timezone.utc), datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
TRUTH = Plant(seed=4, tags=32, plants=1, changes=0.1)


def run(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> bytes:
    assert main(["oracle", *PLANT, *WINDOW, *arguments]) == 0
    return capfdbinary.readouterr().out


def expected(names: list[str] | None, as_of: datetime | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = TRUTH.oracle_table(names, START, END, as_of).to_pylist()
    return [{**row, "timestamp": ticks.to_iso(row["ticks"])} for row in rows]


def test_lines_of_json_are_the_rows_of_the_oracle(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    names = [point.name for point in TRUTH.points if point.sensor_type in ("BATCH", "VALVE", "LEVEL")]
    lines = run(capfdbinary, "--tag", "*.valve*", "--tag", "*.BATCH_????.PV", "--tag", "*LEVEL*").splitlines()
    assert [json.loads(line) for line in lines] == expected(names)
    assert len({line[:40] for line in lines}) > 5


def test_as_of_shows_what_the_server_showed_then(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    name = TRUTH.points[0].name
    lines = run(capfdbinary, "--tag", name, "--as-of", "2024-05-01T12:00:00Z").splitlines()
    assert [json.loads(line) for line in lines] == expected([name], END)
    assert expected([name], END) != expected([name])


def test_files_hold_the_same(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for form in ("parquet", "csv"):
        assert run(capfdbinary, "--format", form, "--output", str(tmp_path / form)) == b""
    table = pyarrow.parquet.read_table(tmp_path / "parquet")
    assert table.to_pylist() == [{name: row[name] for name in table.column_names} for row in expected(None)]
    text = pyarrow.csv.read_csv(
        tmp_path / "csv", parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    assert text["ticks"].to_pylist() == table["ticks"].to_pylist()
    assert text["number"].to_pylist() == table["number"].to_pylist()


def test_mistakes_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["oracle", *PLANT, *WINDOW, "--tag", "NOPE*"]) == 1
    told = capsys.readouterr().err
    assert told == "mock_server oracle: no tag matches 'NOPE*'; names are like NORTH.A1.FLOW_0001.PV\n"
    assert main(["oracle", *WINDOW, "--changes", "7"]) == 1
    assert "share between 0 and 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["oracle", "--start", "yesterday", "--end", "2024-05-01"])
    assert "--start" in capsys.readouterr().err


def test_it_runs_as_a_program() -> None:
    command = [
        sys.executable,
        "-m",
        "mock_server",
        "oracle",
        *PLANT,
        *WINDOW,
        "--tag",
        "*VALVE*",
        "--format",
        "csv",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    names = [point.name for point in TRUTH.points if point.sensor_type == "VALVE"]
    assert len(lines) == 1 + len(expected(names))
    assert lines[0].startswith('"tag_name","timestamp","ticks","number"')
