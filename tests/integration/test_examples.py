"""Every example, run by itself from anywhere, writes exactly what the server holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.kill.quick import SHORT_LIVED
from mock_server import Plant, running
from oracle_check import read_delta
from tests.integration.support.clock import NOW, Clock
from tests.integration.support.comparison import assert_equals_oracle

pytestmark = pytest.mark.integration

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ["batch_read", "stream_to_delta", "ingest", "listener"]  # the last one stops Spark
HEADING = "=== example "
DAY, SETTLE = timedelta(days=1), timedelta(seconds=5)


@pytest.fixture(scope="module")
def site() -> Plant:
    return Plant(seed=7, tags=16, plants=2, rate=0.25)


@pytest.fixture(scope="module")
def environment(site: Plant) -> Iterator[dict[str, str]]:
    """What a user who has only set PI_URL has; nothing that the suite's own Spark session was started with."""
    with running(site, clock=Clock(NOW)) as url:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(("PYSPARK_", "SPARK_", "PI_"))}
        mine["PYSPARK_SUBMIT_ARGS"] = f"{SHORT_LIVED} pyspark-shell"
        yield {**mine, "PI_URL": url}


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    """What the program prints, run in ``folder`` as a user would; fails with all it says when it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples run; each one's output is in the folder that bears its name."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def printed(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """What each example prints.

    They run one after the other in one Python, as in somebody's console, where only the first one has to start Spark.
    """
    console = (
        "import runpy, sys\n"
        "for path, name in zip(sys.argv[2::2], sys.argv[3::2]):\n"
        "    print(sys.argv[1] + name)\n"
        "    saved, sys.argv = sys.argv, [path, name]\n"
        "    runpy.run_path(path, run_name='__main__')\n"
        "    sys.argv = saved\n"
    )
    named = [word for name in NAMES for word in (str(EXAMPLES / f"{name}.py"), name)]
    whole = run([sys.executable, "-c", console, HEADING, *named], environment, folder)
    parts = dict(part.split("\n", 1) for part in whole.split(HEADING)[1:])
    assert list(parts) == NAMES
    return parts


def test_there_is_a_test_for_every_example() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(NAMES)


def test_batch_read(site: Plant, printed: dict[str, str], folder: Path) -> None:
    count = assert_equals_oracle(site, pq.read_table(folder / "batch_read"), NOW - DAY, NOW)
    assert f"{count:,} events in batch_read" in printed["batch_read"]


def test_stream_to_delta(site: Plant, printed: dict[str, str], folder: Path) -> None:
    out = folder / "stream_to_delta"
    count = assert_equals_oracle(site, read_delta(str(out / "events")), NOW - DAY, NOW - SETTLE)
    assert f"{count:,} events in stream_to_delta/events" in printed["stream_to_delta"]
    assert len(list((out / "_checkpoint/offsets").glob("[0-9]*"))) == 4


def test_ingest(site: Plant, printed: dict[str, str], folder: Path) -> None:
    table = read_delta(str(folder / "ingest/bronze/pi_timeseries"))
    count = assert_equals_oracle(site, table, NOW - DAY, NOW - SETTLE)
    assert f"{count:,} events of 16 tags" in printed["ingest"]


def test_spark_submit_of_a_script_in_another_folder(
    site: Plant, environment: dict[str, str], tmp_path: Path
) -> None:
    """With nothing but the package installed: no register(), no PYTHONPATH, no --py-files."""
    script = tmp_path / "scripts" / "read.py"
    script.parent.mkdir()
    script.write_text(
        "import os\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "spark.sql(f\"CREATE TEMPORARY VIEW v USING pi OPTIONS (url '{os.environ['PI_URL']}', startTime '*-2h')\")\n"
        "spark.sql('SELECT * FROM v').write.parquet('out')\n"
    )
    clean = {k: v for k, v in environment.items() if k != "PYTHONPATH"}
    submit = [
        str(Path(sys.executable).parent / "spark-submit"),
        "--conf",
        f"spark.pyspark.python={sys.executable}",
        "--conf",
        "spark.sql.session.timeZone=UTC",
        str(script),
    ]

    run(submit, {**clean, "PYSPARK_PYTHON": sys.executable}, tmp_path)

    assert_equals_oracle(site, pq.read_table(tmp_path / "out"), NOW - timedelta(hours=2), NOW)


def test_listener(printed: dict[str, str], folder: Path) -> None:
    count = pq.read_table(folder / "listener/events").num_rows
    assert f"batch 0: 2026-02-28T23:00:00Z to 2026-02-28T23:59:55Z, {count:,} events, " in printed["listener"]
    assert "stream has ended" in printed["listener"]
