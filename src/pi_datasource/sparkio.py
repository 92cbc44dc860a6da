"""What the batch and the stream reader share at the border to Spark."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource import client, fetch, survey
from pi_datasource.condition import ALWAYS, Condition
from pi_datasource.errors import PIError
from pi_datasource.model import ReadTask
from pi_datasource.options import Options


class PIPartition(InputPartition):
    """One task, as Spark carries it from the planner to a worker."""

    value: ReadTask

    def __init__(self, value: ReadTask) -> None:
        super().__init__(value)


class plainly:  # noqa: N801 - reads as a verb where it is used
    """Lets an error of ours out as its one sentence: Spark prints tracebacks to the user, frames and all."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raises an error of ours anew, without the frames and causes that led to it."""
        if isinstance(error, PIError):
            raise error.with_traceback(None) from None


def arrow_schema(schema: StructType) -> pa.Schema:
    """The Arrow schema that Spark expects of batches of ``schema``."""
    try:
        return to_arrow_schema(schema, timezone="UTC")  # Spark 4.2 and later ask for the zone
    except TypeError:
        return to_arrow_schema(schema)


def planned(options: Options, pushed: Condition = ALWAYS) -> list[InputPartition]:
    """The tasks of ``survey.tasks`` as Spark's partitions."""
    return [PIPartition(task) for task in survey.tasks(client.shared(options), options, pushed)]


_frozen = False


def read_partition(options: Options, schema: pa.Schema, task: ReadTask | None) -> Iterator[pa.RecordBatch]:
    """The record batches of ``task``, each of exactly ``schema``; none without a task."""
    global _frozen  # noqa: PLW0603 - once per worker process
    if task is None:
        return
    if not _frozen:  # Spark's worker runs a full collection after every task: spare it all that was imported
        gc.collect()
        gc.freeze()
        _frozen = True
    with plainly():
        yield from fetch.run(client.shared(options), task, schema, options.tag_pattern)
