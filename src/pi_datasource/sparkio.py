"""What the batch and the stream reader share at the border to Spark."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource import client, discover, fetch
from pi_datasource.condition import ALWAYS, Condition
from pi_datasource.errors import PIError
from pi_datasource.model import DataServer, Point, ReadTask, Window
from pi_datasource.narrow import Narrowing
from pi_datasource.options import Options
from pi_datasource.plan import plan


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


def planned(options: Options, window: Window | None, pushed: Condition = ALWAYS) -> list[InputPartition]:
    """The partitions of ``window``; without one, of what the options and ``pushed`` leave, on the server's clock.

    A window that is given belongs to a stream, which may be replayed: its end stamps the rows, and a tag that has
    gone since does not fail it.
    """
    api = client.shared(options)
    servers = discover.data_servers(api, options)
    streaming = window is not None
    now = discover.server_now(servers)
    narrowing = Narrowing(options, pushed)
    span = window or narrowing.window(now)
    found = narrowing.points(_points(api, servers, narrowing, strict=not streaming))
    return [PIPartition(task) for task in plan(found, span, options, span.end if streaming else now)]


def _points(
    api: client.PIClient, servers: list[DataServer], narrowing: Narrowing, strict: bool
) -> list[Point]:
    """The points that the options select; a name that only a predicate holds need not exist."""
    tags = narrowing.tags()
    if tags is None:
        return discover.points(api, servers, narrowing.options, strict=strict)
    if not tags:
        return []
    return discover.points(api, servers, narrowing.options.model_copy(update={"tags": tags}), strict=False)


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
