"""What the batch and the stream reader share at the border to Spark."""

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

    With it travel the Databricks secrets that were found when it was planned: Spark keeps the reader itself as it was when
    the query began, and a token may have been replaced since.
    """

    value: Task

    def __init__(self, value: Task, found: Mapping[str, Found] = MappingProxyType({})) -> None:
        super().__init__(value)
        self.found = dict(found)


class concise_errors:  # noqa: N801 - reads as a verb where it is used
    """Lets an error of ours out as its one sentence: Spark prints tracebacks to the user, frames and all."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raises an error of ours anew, without the frames and causes that led to it; any other without secrets."""
        if isinstance(error, PIError):
            raise error.with_traceback(None) from None
        redaction.redact_error(error)


def arrow_schema(schema: StructType) -> pa.Schema:
    """The Arrow schema that Spark expects of batches of ``schema``."""
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
    """The record batches of ``partition``; none where Spark gives None, or a partition without a task."""
    if isinstance(partition, PIPartition):
        current = options.model_copy(update=partition.found) if partition.found else options
        yield from read_partition(current, schema, partition.value)


_frozen = False


def read_partition(options: Options, schema: pa.Schema, task: Task) -> Iterator[pa.RecordBatch]:
    """The record batches of ``task``, each of exactly ``schema``."""
    global _frozen  # noqa: PLW0603 - once per worker process
    if not _frozen:  # Spark's worker runs a full collection after every task: spare it all that was imported
        gc.collect()
        gc.freeze()
        _frozen = True
    with concise_errors():
        yield from registry.lookup(task.table).read(client.shared(options), task, schema, options)
