"""Staged rows: what a run needs more than once is written once, and read from there, so that the rows stay the same."""

from __future__ import annotations

import shutil
from pathlib import Path

from pyspark.sql import DataFrame


class Staging:
    """A folder for rows of one stream or job, below the checkpoints; it has one user at a time, by the stream's lease.

    The same name is overwritten by the next batch, so that a process that is killed leaves at most one batch behind.
    """

    def __init__(self, checkpoint_root: str, owner: str) -> None:
        self._folder = f"{checkpoint_root}/_staging/{owner}"

    def write(self, rows: DataFrame, name: str) -> DataFrame:
        """Writes ``rows`` in their order, and returns the staged rows; their files are complete when this returns."""
        path = f"{self._folder}/{name}"
        rows.write.mode("overwrite").parquet(path)
        return rows.sparkSession.read.schema(rows.schema).parquet(path)

    def clear(self) -> None:
        """Deletes all staged rows, where this process can see them: on this machine's disk, or on a volume."""
        if Path(self._folder).is_absolute():
            shutil.rmtree(self._folder, ignore_errors=True)
