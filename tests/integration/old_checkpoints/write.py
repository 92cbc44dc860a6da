"""Writes a generation of checkpoints with the code as it is: ``python -m tests.integration.old_checkpoints.write NAME``.

What a generation is worth is that the code of its time has written it: one that exists is never written again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from mock_server import running
from pi_datasource.delta import Lakehouse, ingest, local_spark
from tests.digests.digest import Digest, digest
from tests.integration.old_checkpoints import scenario
from tests.integration.old_checkpoints.scenario import INGESTION, LATER, NOW, STREAM, UNFINISHED


def main(name: str) -> int:
    generation = scenario.HERE / name
    if generation.exists():
        sys.stderr.write(
            f"{generation} exists: it holds what the code of its time has written; choose another name\n"
        )
        return 1
    with tempfile.TemporaryDirectory() as folder:
        spark = local_spark("old checkpoints", master="local[2]")
        write_streams(spark, Path(folder))
        write_pipeline(spark, Path(folder))
        spark.stop()
        shutil.copytree(folder, generation)
    return 0


def write_streams(spark: SparkSession, folder: Path) -> None:
    """Three streams, two of which are stopped by a micro-batch that cannot be written."""
    attempted: dict[str, Digest] = {}
    with running(scenario.stream_plant(), clock=lambda: NOW) as url:
        for name, unfinished in UNFINISHED.items():

            def write(
                batch: DataFrame, batch_id: int, name: str = name, unfinished: int | None = unfinished
            ) -> None:
                if batch_id == unfinished:
                    attempted[name] = digest(batch.toArrow())
                    message = "the disk is full"
                    raise OSError(message)

            rows = spark.readStream.format("pi").option("url", url).options(**STREAM).load()
            writer = rows.writeStream.foreachBatch(write)
            query = writer.option("checkpointLocation", str(folder / "streams" / name)).trigger(
                availableNow=True
            )
            try:
                query.start().awaitTermination()
            except StreamingQueryException as error:
                if "the disk is full" not in str(error):
                    raise
    write_json(folder / "attempted.json", attempted)


def write_pipeline(spark: SparkSession, folder: Path) -> None:
    """Two ingestions; each table's version before the last micro-batch is noted."""
    lakehouse, now = Lakehouse.in_directory(folder / "pipeline"), [NOW]
    versions: dict[str, int] = {}
    with running(scenario.pipeline_plant(), clock=lambda: now[0]) as url:
        options = {**INGESTION, **scenario.through_proxy(url)}
        ingest(spark, options, lakehouse)
        now[0] = LATER - (LATER - NOW) / 2
        ingest(spark, options, lakehouse)
        for log in sorted((folder / "pipeline").glob("*/*/_delta_log")):
            versions["/".join(log.parts[-3:-1])] = DeltaTable(str(log.parent)).version()
        now[0] = LATER
        ingest(spark, options, lakehouse)
    for needless in unneeded(folder / "pipeline"):
        needless.unlink()
    write_json(folder / "versions.json", versions)


def unneeded(lake: Path) -> list[Path]:
    """The lock, which names this machine, and the checksums of the tables, which are half of all files and may be missing."""
    return [*lake.rglob("*.lock"), *lake.glob("[!_]*/**/*.crc")]


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
