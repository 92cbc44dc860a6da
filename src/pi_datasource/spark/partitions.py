"""Spark partitions: planned on the driver, read on a worker; used by the batch reader and the stream reader."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa
from pyspark.sql.datasource import InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource import redaction
from pi_datasource.errors import PIError
from pi_datasource.options.declaration import Options
from pi_datasource.options.secrets import Found, found_in_workspace
from pi_datasource.planning.pruning import Pruning
from pi_datasource.tables import registry
from pi_datasource.tables.table import Task
from pi_datasource.webapi import client


class PIPartition(InputPartition):
    """One task, as Spark carries it from the planner to a worker.

    It carries the Databricks secrets that were found when it was planned: Spark pickles the reader once, when the query
    starts, and a token may have been replaced since.
    """

    value: Task

    def __init__(self, value: Task, found: Mapping[str, Found] = MappingProxyType({})) -> None:
        super().__init__(value)
        self.found = dict(found)


class concise_errors:  # noqa: N801 - reads as a verb where it is used
    """Re-raises package errors without a traceback: Spark prints the whole traceback to the user."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Re-raises a package error without frames and causes; removes secrets from any other error."""
        if isinstance(error, PIError):
            raise error.with_traceback(None) from None
        redaction.redact_error(error)


def arrow_schema(schema: StructType) -> pa.Schema:
    """The Arrow schema of the batches that Spark expects for ``schema``."""
    try:
        return to_arrow_schema(schema, timezone="UTC")  # Spark 4.2 and later ask for the zone
    except TypeError:
        return to_arrow_schema(schema)


def planned(pruning: Pruning) -> list[InputPartition]:
    """The tasks of a batch read of the table as Spark's partitions."""
    options = pruning.options
    tasks = registry.lookup(options.table).plan(client.shared(options), pruning)
    return carried(tasks, options)  # only now it is known which token is taken


def carried(tasks: Sequence[Task], options: Options) -> list[InputPartition]:
    """The tasks as Spark's partitions, planned now."""
    found = found_in_workspace(options)
    return [PIPartition(task, found) for task in tasks]


def read_planned(
    options: Options, schema: pa.Schema, partition: InputPartition | None
) -> Iterator[pa.RecordBatch]:
    """The record batches of ``partition``; none if Spark passes None or a partition without a task."""
    if isinstance(partition, PIPartition):
        current = options.model_copy(update=partition.found) if partition.found else options
        yield from read_partition(current, schema, partition.value)


_frozen = False


def read_partition(options: Options, schema: pa.Schema, task: Task) -> Iterator[pa.RecordBatch]:
    """The record batches of ``task``, each of exactly ``schema``."""
    global _frozen  # noqa: PLW0603 - once per worker process
    if not _frozen:  # Spark's worker collects garbage after every task: imported objects are excluded
        gc.collect()
        gc.freeze()
        _frozen = True
    with concise_errors():
        yield from registry.lookup(task.table).read(client.shared(options), task, schema, options)
