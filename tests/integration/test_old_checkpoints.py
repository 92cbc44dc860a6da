"""A checkpoint that earlier code has written is gone on from where it stands: nothing is lost, nothing is read twice.

What earlier code has written lies in ``old_checkpoints``, and so does the program that wrote it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from benchmarks.proof import assert_one_audit_row_per_batch
from mock_server import running
from tests.digests.digest import difference, digest
from tests.integration.old_checkpoints import scenario
from tests.integration.old_checkpoints.scenario import (
    GENERATIONS,
    INGESTION,
    LATER,
    NOW,
    SETTLE,
    STREAM,
    UNFINISHED,
)
from tests.integration.support.comparison import assert_equals_oracle
from tests.integration.support.site import Site, site_of

pytestmark = pytest.mark.integration

PAUSE = timedelta(minutes=15)
Windows = list[tuple[datetime, datetime]]


def logged(checkpoint: Path) -> Windows:
    """From where to where the micro-batches go that Spark has logged there, oldest first."""
    files = sorted((checkpoint / "offsets").glob("[0-9]*"), key=lambda file: int(file.name))
    found = [json.loads(file.read_text().splitlines()[-1]) for file in files]
    return [(moment(offset["from"]), moment(offset["to"])) for offset in found]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def named(path: Path) -> str:
    return path.name


@dataclass
class Continued:
    """A stream that was started again ``PAUSE`` after its checkpoint was written: what it has made then."""

    checkpoint: Path
    before: Windows
    offsets_before: dict[str, bytes]
    batches: list[tuple[int, pa.Table]] = field(default_factory=list)

    def run(self, spark: SparkSession, url: str) -> None:
        def write(batch: DataFrame, batch_id: int) -> None:
            self.batches.append((batch_id, batch.toArrow()))

        rows = spark.readStream.format("pi").option("url", url).options(**STREAM).load()
        writer = rows.writeStream.foreachBatch(write).option("checkpointLocation", str(self.checkpoint))
        assert writer.trigger(availableNow=True).start().awaitTermination(120)


@pytest.fixture(scope="module", params=GENERATIONS, ids=named)
def generation(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


class TestAPlainStream:
    """Whose last micro-batch was committed, or was not."""

    @pytest.fixture(scope="class", params=UNFINISHED)
    @staticmethod
    def name(request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(scope="class")
    @staticmethod
    def stream(
        spark: SparkSession, generation: Path, name: str, tmp_path_factory: pytest.TempPathFactory
    ) -> Continued:
        checkpoint = tmp_path_factory.mktemp(name) / "checkpoint"
        shutil.copytree(generation / "streams" / name, checkpoint)
        offsets = {file.name: file.read_bytes() for file in (checkpoint / "offsets").glob("[0-9]*")}
        stream = Continued(checkpoint, logged(checkpoint), offsets)
        with running(scenario.stream_plant(), clock=lambda: NOW + PAUSE) as url:
            stream.run(spark, url)
        return stream

    def test_makes_the_unfinished_micro_batch_again_and_then_new_ones(
        self, stream: Continued, name: str
    ) -> None:
        unfinished = UNFINISHED[name]
        first = len(stream.before) if unfinished is None else unfinished
        assert unfinished in (None, len(stream.before) - 1)
        windows = logged(stream.checkpoint)
        assert [batch_id for batch_id, _ in stream.batches] == list(range(first, len(windows)))
        assert len(windows) > len(stream.before)

    def test_goes_on_from_its_last_offset_to_the_settled_present(self, stream: Continued) -> None:
        windows = logged(stream.checkpoint)
        assert windows[: len(stream.before)] == stream.before
        assert [begin for begin, _ in windows[1:]] == [end for _, end in windows[:-1]]
        assert windows[0][0] == NOW - timedelta(minutes=30)
        assert windows[-1][1] == NOW + PAUSE - SETTLE

    def test_leaves_the_offsets_that_were_logged_as_they_are(self, stream: Continued) -> None:
        for name, content in stream.offsets_before.items():
            assert (stream.checkpoint / "offsets" / name).read_bytes() == content

    def test_reads_exactly_the_events_of_each_window(self, stream: Continued) -> None:
        windows, plant = logged(stream.checkpoint), scenario.stream_plant()
        for batch_id, rows in stream.batches:
            assert assert_equals_oracle(plant, rows, *windows[batch_id]) > 0

    def test_gives_the_rows_again_that_could_not_be_written(
        self, stream: Continued, generation: Path, name: str
    ) -> None:
        attempted = json.loads((generation / "attempted.json").read_text())
        assert set(attempted) == {name for name, unfinished in UNFINISHED.items() if unfinished is not None}
        if name in attempted:
            assert difference(attempted[name], digest(stream.batches[0][1])) == ""


# Whether Spark has committed the last micro-batch, and which tables hold nothing of it; as kills at different moments leave
# them.
STATES: dict[str, tuple[bool, str]] = {
    "finished": (True, ""),
    "planned": (False, "*/*"),
    "written_to_bronze": (False, "[gc]*/*"),
    "recorded": (False, ""),
}


@pytest.mark.connect
class TestAPipeline:
    """Whose last micro-batch was committed, or was not, after it was written to none of its tables, to some, or to all."""

    @pytest.fixture(
        params=[
            "finished",
            *(pytest.param(state, marks=pytest.mark.slow) for state in STATES if state != "finished"),
        ]
    )
    @staticmethod
    def site(
        request: pytest.FixtureRequest, spark: SparkSession, generation: Path, tmp_path: Path
    ) -> Iterator[Site]:
        lake = tmp_path / "lake"
        shutil.copytree(generation / "pipeline", lake)
        committed, without = STATES[request.param]
        if not committed:
            uncommit(lake)
        versions = json.loads((generation / "versions.json").read_text())
        for table in sorted(lake.glob(without)) if without else ():
            if table.relative_to(lake).as_posix() in versions:
                take_back(table, versions[table.relative_to(lake).as_posix()])
        with site_of(spark, lake, scenario.pipeline_plant()) as site:
            site.options = {**INGESTION, **scenario.through_proxy(site.options["url"])}
            site.now = LATER + PAUSE / 5
            yield site

    def test_goes_on_with_every_event_once(self, site: Site) -> None:
        checkpoint = checkpoint_of(Path(str(site.lakehouse.directory)))
        before, stream = logged(checkpoint), json.loads((checkpoint / "metadata").read_text())["id"]
        site.ingest()
        windows = logged(checkpoint)
        assert windows[: len(before)] == before
        assert windows[-1][1] == site.now - SETTLE
        assert site.assert_bronze_is_exact(NOW - timedelta(minutes=10)) > 0
        site.assert_gold_is_recomputed()
        audit = site.table("checkpoints/pi_ingestion_checkpoint")
        assert assert_one_audit_row_per_batch(audit) == len(windows) == len(before) + 1
        assert set(audit["stream_id"].to_pylist()) == {stream}
        assert audited(audit) == windows


def audited(audit: pa.Table) -> Windows:
    """The windows of the stream itself, without those of the overlap behind them."""
    rows: list[dict[str, Any]] = audit.sort_by("batch_id").to_pylist()
    return [(row["window_start"], row["window_end"]) for row in rows if row["kind"] != "overlap"]


def checkpoint_of(lake: Path) -> Path:
    """The only checkpoint there: no other stream was begun beside it."""
    (found,) = (path for path in (lake / "_checkpoints").iterdir() if path.is_dir())
    return found


def uncommit(lake: Path) -> None:
    """As a process leaves it that is killed before Spark has noted that the last micro-batch is done."""
    commits = checkpoint_of(lake) / "commits"
    last = max(int(file.name) for file in commits.glob("[0-9]*"))
    for name in (f"{last}", f".{last}.crc"):
        (commits / name).unlink()


def take_back(table: Path, version: int) -> None:
    """As a process leaves the table that is killed before it commits more than ``version``."""
    for commit in (table / "_delta_log").glob("[0-9]*.json"):
        if int(commit.stem) > version:
            commit.unlink()
