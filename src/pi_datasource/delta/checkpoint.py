"""Spark's checkpoint of a stream: its identity, and the micro-batches that were planned in it."""

from __future__ import annotations

import json
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from pi_datasource.spark import offsets
from pi_datasource.spark.offsets import Position


def stream_id(spark: SparkSession, checkpoint: str) -> str:
    """The identity of the stream, which Spark writes into its checkpoint folder."""
    return str(json.loads(_text(spark, f"{checkpoint}/metadata"))["id"])


def planned_position(spark: SparkSession, checkpoint: str, batch_id: int) -> Position:
    """The offset at which a planned micro-batch ends: Spark writes it before it processes the micro-batch.

    Raises:
        OffsetError: it was not written by this source.
    """
    *_, last = _text(spark, f"{checkpoint}/offsets/{batch_id}").splitlines()
    # Version 2 of Spark's log has the source's name before the offset.
    return offsets.parse(json.loads(last[last.index("{") :]))


def find_stream_id(spark: SparkSession, checkpoint: str) -> str | None:
    """As ``stream_id``, or None if no stream has started there."""
    try:
        return stream_id(spark, checkpoint)
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return None


def last_planned_batch(spark: SparkSession, checkpoint: str) -> int:
    """The number of the last planned micro-batch, -1 if there is none.

    Spark writes the offset of a micro-batch before it processes the micro-batch.
    """
    names = _names_here(checkpoint) if _is_here(checkpoint) else _names_by_spark(spark, checkpoint)
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def _is_here(checkpoint: str) -> bool:
    """Whether this process sees the folder: it may be in object storage, or on the machine of a remote Spark."""
    return Path(checkpoint).is_absolute() and Path(checkpoint).is_dir()


def _names_here(checkpoint: str) -> list[str]:
    return [file.name for file in Path(checkpoint, "offsets").glob("*")]


def _names_by_spark(spark: SparkSession, checkpoint: str) -> list[str]:
    try:
        files = spark.read.format("binaryFile").load(f"{checkpoint}/offsets").select("path").collect()
    except AnalysisException as error:
        if error.getCondition() != "PATH_NOT_FOUND":
            raise
        return []
    return [row["path"].rpartition("/")[2] for row in files]


def clear_unplanned(checkpoint: str) -> None:
    """Deletes temporary offset files from a checkpoint in which no micro-batch was ever planned.

    Spark writes ``offsets/0`` under a name with a dot and renames it. Since 4.1.0 it refuses a folder that has such a
    file and no micro-batch (STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY), so a stream that was killed in between could
    never start again. The caller must hold the lease of the stream. A checkpoint that is not a folder of this machine,
    such as one in object storage, is left alone.
    """
    if _is_here(checkpoint) and not any(map(str.isdecimal, _names_here(checkpoint))):
        for file in Path(checkpoint, "offsets").glob(".*"):
            file.unlink()


def _text(spark: SparkSession, path: str) -> str:
    if Path(path).is_absolute() and Path(path).is_file():  # a Spark job takes a hundred times as long
        return Path(path).read_text(encoding="utf-8")
    row = spark.read.text(path, wholetext=True).first()
    return row[0] if row else ""
