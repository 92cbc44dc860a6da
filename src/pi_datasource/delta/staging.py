"""Staged rows: what a run needs more than once is written once, and read from there, so that the rows stay the same."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pyspark.sql import DataFrame


class Staging:
    """A folder for rows of one stream or job; it has one user at a time, by the stream's lease.

    The same name is overwritten by the next batch, so that a process that is killed leaves at most one batch behind.
    """

    def __init__(self, root: str, owner: str) -> None:
        self._folder = f"{root}/{owner.replace(' ', '-')}"

    def write(self, rows: DataFrame, name: str) -> DataFrame:
        """Writes ``rows`` in their order, and returns the staged rows; their files are complete when this returns."""
        path = f"{self._folder}/{name}"
        rows.write.mode("overwrite").parquet(path)
        # Spark Connect keeps the plan of an equal read, with the files of the batch before.
        reader = rows.sparkSession.read.option("stagedBatch", uuid4().hex)
        return reader.schema(rows.schema).parquet(path)

    def begin(self, work: str, version: int | None) -> tuple[bool, int | None]:
        """Records that ``work`` begins, and bronze's ``version`` before; returns whether an earlier attempt was begun.

        With it comes the version before that attempt. Where this process cannot see the folder, as in object storage,
        there may always have been an attempt, and its version is not known.
        """
        if not Path(self._folder).is_absolute():
            return True, None
        file = Path(self._folder, "begun.json")
        begun = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if begun.get("work") == work:
            return True, begun["version"]
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps({"work": work, "version": version}), encoding="utf-8")
        unfinished.replace(file)
        return False, None

    def clear(self) -> None:
        """Deletes all staged rows and the record of the work, where this process can see them."""
        folder = Path(self._folder)
        if folder.is_absolute():
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # others stage rows as well
                folder.parent.rmdir()
