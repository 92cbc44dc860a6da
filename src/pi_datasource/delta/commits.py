"""Commits to Delta tables by SQL, which every engine has, and their retries when another writer commits first."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 12
MAX_PAUSE_S = 8.0
# By the text of the engine: the classes are Delta's own in a classic session and Spark's in a remote one.
_CONFLICT = re.compile(
    r"DELTA_(CONCURRENT_(APPEND|DELETE_DELETE|DELETE_READ|TRANSACTION|WRITE)|(METADATA|PROTOCOL)_CHANGED)"
)
_Result = TypeVar("_Result")


class MergedRows(NamedTuple):
    """Numbers of rows that a MERGE has inserted, updated and deleted."""

    inserted: int
    updated: int
    deleted: int


def is_conflict(error: BaseException) -> bool:
    """Whether a commit lost against that of another writer, and wrote nothing."""
    return _CONFLICT.search(str(error)) is not None


def retry_conflicts(commit: Callable[[], _Result], pause: Callable[[float], None] = time.sleep) -> _Result:
    """Calls ``commit`` until it does not lose against another writer; it must be safe to repeat.

    Raises:
        Exception: the conflict, in ``MAX_ATTEMPTS`` attempts; or any other error, at once.
    """
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            return commit()
        except Exception as error:  # noqa: PERF203 - the loop exists for it
            if not is_conflict(error):
                raise
            log.info("another writer committed first; attempt %s of %s", attempt, MAX_ATTEMPTS, exc_info=True)
            # Random, because two writers with equal pauses would collide again.
            pause(random.uniform(0.1, 0.5) * min(MAX_PAUSE_S, 2.0**attempt))
    return commit()


def append_new(
    rows: DataFrame, table: str, stored: DataFrame, key: Sequence[str], mark: str | None = None
) -> int:
    """Appends those ``rows`` to ``table`` whose ``key`` is not among ``stored``, rows of that table; returns how many.

    ``stored`` is read within the transaction: a row that another writer commits meanwhile is a conflict, which is raised
    and not retried, because ``rows`` would be computed again. Stored rows should be few: their keys are sent to every
    task, so that ``rows`` keep their order. ``mark`` becomes the metadata of the commit.
    """
    appended = Observation()
    new = rows.join(F.broadcast(stored.select(*key)), list(key), "left_anti")
    new = new.select(*(f"`{name}`" for name in rows.columns)).observe(
        appended, F.count(F.lit(1)).alias("rows")
    )
    writer = new.write.format("delta").mode("append")
    (writer if mark is None else writer.option("userMetadata", mark)).saveAsTable(table)
    return int(appended.get["rows"])


def merge(
    spark: SparkSession, table: str, source: DataFrame, on: Sequence[str], clauses: Sequence[str]
) -> MergedRows:
    """Executes a MERGE of ``source`` (alias ``s``) into ``table`` (alias ``t``); a conflict is raised.

    ``on`` are conditions, ``clauses`` begin with WHEN.
    """
    text = f"MERGE INTO {table} AS t USING {{source}} AS s ON {' AND '.join(on)} {' '.join(clauses)}"
    row = spark.sql(text, source=source).first()
    if row is None:
        return MergedRows(0, 0, 0)
    return MergedRows(row["num_inserted_rows"], row["num_updated_rows"], row["num_deleted_rows"])


def marking(column: str, mark: str) -> str:
    """A condition of a MERGE that always holds: ``written`` finds the commit by it.

    SQL has no metadata of a commit, and the setting for it is not available on every engine.
    """
    return f"t.`{column}` <> '{mark}'"


def written(spark: SparkSession, table: str, mark: str, since: int | None) -> MergedRows:
    """The rows that commits with this ``mark`` have written after the version ``since``; None: in all of the history.

    An OPTIMIZE within the writer's commit, by a table that compacts itself, has the same metadata.
    """
    latest = history(spark, table, 1).first()
    if latest is None or since == latest["version"]:
        return MergedRows(0, 0, 0)
    commits = history(spark, table, None if since is None else latest["version"] - since)
    appended = (F.col("userMetadata") == mark) & (F.col("operation") == "WRITE")
    merged = (F.col("operation") == "MERGE") & F.col("operationParameters")["predicate"].contains(mark)
    found = commits.where(appended | merged).select("operation", "operationMetrics").collect()

    def total(operation: str, name: str) -> int:
        return sum(int((metrics or {}).get(name, 0)) for by, metrics in found if by == operation)

    return MergedRows(
        total("WRITE", "numOutputRows") + total("MERGE", "numTargetRowsInserted"),
        total("MERGE", "numTargetRowsUpdated"),
        total("MERGE", "numTargetRowsDeleted"),
    )


def same(key: Sequence[str]) -> list[str]:
    """The conditions of a MERGE on ``key``."""
    return [f"t.`{column}` = s.`{column}`" for column in key]


def copied(names: Sequence[str], inserted: str) -> list[str]:
    """The clauses of a MERGE that copy the columns ``names`` of ``s``; a new row only if it satisfies ``inserted``."""
    columns, values = (", ".join(f"{prefix}`{name}`" for name in names) for prefix in ("", "s."))
    updated = ", ".join(f"t.`{name}` = s.`{name}`" for name in names)
    return [
        f"WHEN MATCHED THEN UPDATE SET {updated}",
        f"WHEN NOT MATCHED AND {inserted} THEN INSERT ({columns}) VALUES ({values})",
    ]


def upsert(spark: SparkSession, table: str, rows: DataFrame, key: Sequence[str]) -> None:
    """Inserts ``rows``, or updates the stored rows with the same ``key``."""
    clauses = ["WHEN MATCHED THEN UPDATE SET *", "WHEN NOT MATCHED THEN INSERT *"]
    retry_conflicts(lambda: merge(spark, table, rows, same(key), clauses))


def update_tags(
    spark: SparkSession, table: str, tags: Sequence[str], where: str, values: Mapping[str, str]
) -> None:
    """Sets columns to the expressions ``values`` in the rows of these WebIDs that satisfy ``where`` (alias ``t``)."""
    if not tags:
        return
    source = spark.createDataFrame(pa.table({"tag_webid": pa.array(sorted(set(tags)), pa.string())}))
    changed = ", ".join(f"t.`{name}` = {value}" for name, value in values.items())
    clauses = [f"WHEN MATCHED THEN UPDATE SET {changed}"]
    retry_conflicts(lambda: merge(spark, table, source, [*same(("tag_webid",)), where], clauses))


def compact(spark: SparkSession, table: str) -> None:
    """Merges the small files of ``table`` and clusters it; a conflict is raised and not retried."""
    spark.sql(f"OPTIMIZE {table}").collect()


def vacuum(spark: SparkSession, table: str, hours: float) -> None:
    """Deletes the files that no version of the last ``hours`` needs."""
    spark.sql(f"VACUUM {table} RETAIN {hours} HOURS").collect()


def history(spark: SparkSession, table: str, limit: int | None) -> DataFrame:
    """The last ``limit`` commits of ``table``, or all that it remembers, newest first."""
    return spark.sql(f"DESCRIBE HISTORY {table}" + ("" if limit is None else f" LIMIT {limit}"))
