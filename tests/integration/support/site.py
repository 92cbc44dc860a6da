"""A simulated site with a clock that a test moves, the lakehouse it is ingested into, and the truth about both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.proof import assert_gold_of_bronze
from mock_server import TAG_PATTERN, Plant, running
from oracle_check import compare, read_delta
from pi_datasource.delta import BatchReport, Lakehouse, audit, ingest

NOW = datetime(2026, 3, 1, 6, 0, 0, 123456, tzinfo=timezone.utc)
SETTLE = timedelta(seconds=5)
_SCHEMAS = ("bronze", "gold", "checkpoints")


class Site:
    """A plant behind a server whose clock shows ``now``, and its tables below ``folder``."""

    def __init__(self, spark: Any, folder: Path, plant: Plant) -> None:
        self.spark = spark
        self.now = NOW
        self.plant = plant
        self.lakehouse = Lakehouse.in_directory(folder)
        self.options = {"start_time": "*-2h", "tag_pattern": TAG_PATTERN}

    def ingest(self, **more: str) -> list[BatchReport]:
        """What this run has done."""
        return ingest(self.spark, {**self.options, **more}, self.lakehouse)

    def reports(self) -> list[BatchReport]:
        """All audit rows."""
        table = self.spark.read.table(self.lakehouse.audit)
        return [
            report
            for (stream,) in table.select("stream_id").distinct().collect()
            for report in audit.reports(self.spark, self.lakehouse, stream)
        ]

    def table(self, name: str) -> pa.Table:
        """A table such as ``bronze/pi_timeseries``, read without Spark."""
        return read_delta(f"{self.lakehouse.directory}/{name}")

    def assert_bronze_is_exact(self, start: datetime, tags: list[str] | None = None) -> int:
        """Bronze holds the oracle's events since ``start`` as they are now; returns how many."""
        bronze = self.table("bronze/pi_timeseries")
        comparison = compare(self.plant, bronze, start, self.now - SETTLE, tags, as_of=self.now)
        assert comparison.equal, str(comparison)
        return comparison.rows

    def assert_gold_is_recomputed(self) -> None:
        """Gold is what bronze gives when it is computed anew, by another engine."""
        assert_gold_of_bronze(
            *(self.table(f"bronze/{name}") for name in ("pi_timeseries", "pi_points")),
            self.table("gold/pi_metrics_hourly"),
        )


@contextmanager
def site_of(spark: Any, folder: Path, plant: Plant, **server: Any) -> Iterator[Site]:
    """A site whose server runs, with arguments of ``running``, and whose tables the session forgets afterwards."""
    site = Site(spark, folder, plant)
    with running(plant, clock=lambda: site.now, **server) as url:
        site.options["url"] = url
        forget(spark)
        yield site
    forget(spark)


def forget(spark: Any) -> None:
    """The session knows no table of any lakehouse any more; their files stay."""
    for schema in _SCHEMAS:
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
