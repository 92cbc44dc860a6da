"""Commits to Delta tables, and their retries when another writer commits first."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from delta import exceptions
from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 12
MAX_PAUSE_S = 8.0
CONFLICTS = (  # unlike in Scala, they have no common base class in Python
    exceptions.ConcurrentAppendException,
    exceptions.ConcurrentDeleteDeleteException,
    exceptions.ConcurrentDeleteReadException,
    exceptions.ConcurrentTransactionException,
    exceptions.ConcurrentWriteException,
    exceptions.DeltaConcurrentModificationException,
    exceptions.MetadataChangedException,
)
_Result = TypeVar("_Result")


def retry_conflicts(commit: Callable[[], _Result], pause: Callable[[float], None] = time.sleep) -> _Result:
    """Calls ``commit`` until it does not lose against another writer; it must be safe to repeat.

    Raises:
        PySparkException: one of ``CONFLICTS``, in ``MAX_ATTEMPTS`` attempts.
    """
    for attempt in range(1, MAX_ATTEMPTS):
        try:
            return commit()
        except CONFLICTS as conflict:  # noqa: PERF203 - the loop exists for it
            name = type(conflict).__name__
            log.info("another writer committed first (%s); attempt %s of %s", name, attempt, MAX_ATTEMPTS)
            # Random, because two writers with equal pauses would collide again.
            pause(random.uniform(0.1, 0.5) * min(MAX_PAUSE_S, 2.0**attempt))
    return commit()


def merge(
    spark: SparkSession, table: str, source: DataFrame, key: Sequence[str], *conditions: str
) -> DeltaMergeBuilder:
    """Begins a MERGE of ``source`` (alias ``s``) into ``table`` (alias ``t``) on ``key`` and further conditions."""
    same_key = (f"t.{column} = s.{column}" for column in key)
    target = DeltaTable.forName(spark, table).alias("t")
    return target.merge(source.alias("s"), " AND ".join([*conditions, *same_key]))


def upsert(spark: SparkSession, table: str, rows: DataFrame, key: Sequence[str]) -> None:
    """Inserts ``rows``, or updates the stored rows with the same ``key``."""
    retry_conflicts(
        lambda: merge(spark, table, rows, key).whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
    )


def update(spark: SparkSession, table: str, where: Column, values: Mapping[str, Column]) -> None:
    """Sets ``values`` in the rows of ``table`` that match ``where``."""
    retry_conflicts(lambda: DeltaTable.forName(spark, table).update(where, dict(values)))


def compact(spark: SparkSession, table: str) -> None:
    """Merges the small files of ``table``; a conflict is raised and not retried."""
    DeltaTable.forName(spark, table).optimize().executeCompaction()


def history(spark: SparkSession, table: str, limit: int) -> DataFrame:
    """The last ``limit`` commits of ``table``, newest first."""
    return DeltaTable.forName(spark, table).history(limit)  # type: ignore[no-any-return]
