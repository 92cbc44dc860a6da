"""A crash at any step between reading and the audit row, and another run: as if it had not been."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException

from benchmarks.proof import assert_one_audit_row_per_batch
from mock_server import Plant
from pi_datasource.delta import audit, bronze, commits, gold, read_summary, start
from pi_datasource.delta.staging import Staging
from pi_datasource.options.declaration import Options
from tests.integration.support.batch_patches import PatchBatches
from tests.integration.support.site import NOW, Site, site_of

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.connect]

PERIOD_S = 2.0
# The append of the window; what is staged to be compared, and the commit of the differences; gold; the audit rows.
STEPS: list[tuple[Any, str]] = [
    (commits, "append_new"),
    (Staging, "write"),
    (bronze, "apply"),
    (commits, "merge"),
    (gold, "refresh"),
    (audit, "record"),
]
CRASHES = [(owner, step, before) for owner, step in STEPS for before in (True, False)]


@pytest.fixture
def site(spark: Any, tmp_path: Path) -> Iterator[Site]:
    plant = Plant(seed=9, tags=12, plants=2, period_s=PERIOD_S, changes=0.05)
    with site_of(spark, tmp_path / "lake", plant) as site:
        site.options["start_time"] = (NOW - timedelta(minutes=10)).isoformat()
        site.options["overlap"] = f"{int(PERIOD_S * 2048)}s"
        yield site


def test_a_crash_before_and_after_every_step_leaves_no_trace(site: Site, patch_batches: PatchBatches) -> None:
    site.ingest()
    for owner, step, before in CRASHES:
        site.now += timedelta(minutes=2)
        crashing = patch_batches(owner, step, _crashing(getattr(owner, step), before))
        with crashing, pytest.raises(StreamingQueryException, match="the power went out"):
            site.ingest()
    site.ingest()
    site.now += timedelta(minutes=1)
    site.ingest()  # the batch that was replayed kept its window: what changed there since comes with the next
    rows = site.assert_bronze_is_exact(NOW - timedelta(minutes=10))
    site.assert_gold_is_recomputed()
    audit = site.table("checkpoints/pi_ingestion_checkpoint")
    assert assert_one_audit_row_per_batch(audit) == sum(report.kind == "stream" for report in site.reports())
    written = {name: sum(audit[f"rows_{name}"].to_pylist()) for name in ("inserted", "deleted")}
    assert written["inserted"] - written["deleted"] == rows


def test_a_crash_while_the_first_micro_batch_is_planned_stops_nobody(site: Site) -> None:
    offsets = Path(site.lakehouse.checkpoint(Options.parse(site.options)), "offsets")
    offsets.mkdir(parents=True)
    for name in (".0.5c9e1c55-6a1c-4b0e-8a5c.tmp", "..0.5c9e1c55-6a1c-4b0e-8a5c.tmp.crc"):
        (offsets / name).write_bytes(b"v1\n{")
    site.ingest()
    site.assert_bronze_is_exact(NOW - timedelta(minutes=10))


@pytest.mark.classic_only("it waits for a moment within a micro-batch, which another process writes there")
def test_a_stop_in_the_middle_of_a_micro_batch_is_no_failure(
    site: Site, spark_stderr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregates, begun = read_summary.aggregates, Event()

    def told() -> Any:
        begun.set()
        return aggregates()

    said_before = spark_stderr.stat().st_size
    with monkeypatch.context() as patched:
        patched.setattr(read_summary, "aggregates", told)
        query = start(site.spark, site.options, site.lakehouse)
        assert begun.wait(timeout=300)
        query.stop()
    assert query.exception() is None
    assert b"StackOverflowError" not in spark_stderr.read_bytes()[said_before:]
    site.ingest()
    site.assert_bronze_is_exact(NOW - timedelta(minutes=10))


def _crashing(step: Callable[..., Any], before: bool) -> Callable[..., Any]:
    def crash(*arguments: Any, **named: Any) -> None:
        if not before:
            step(*arguments, **named)
        message = "the power went out"
        raise RuntimeError(message)

    return crash
