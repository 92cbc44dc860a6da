"""The batch reader of ``format("pi")``."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, InputPartition

from pi_datasource.options.declaration import Options
from pi_datasource.planning.predicates import TRUE, Predicate
from pi_datasource.planning.pruning import Pruning
from pi_datasource.spark import carried_tasks
from pi_datasource.spark.partitions import carried, concise_errors, planned, read_planned
from pi_datasource.tables import registry


class PIReader(DataSourceReader):
    """Reads a table once, as the options select it."""

    def __init__(self, options: Options, schema: pa.Schema, asked: Predicate = TRUE) -> None:
        self.options, self.schema, self.asked = options, schema, asked
        self.pushed: Predicate = TRUE
        registry.check_projection(options, schema)

    def partitions(self) -> list[InputPartition]:
        """The tasks of the window; relative times are resolved now, by the PI server's clock."""
        with concise_errors():
            return planned(Pruning(self.options, self.asked, self.pushed))

    def read(self, partition: InputPartition | None) -> Iterator[pa.RecordBatch]:
        """The rows of one task; Spark passes None, or a partition without a task, when there is none."""
        return read_planned(self.options, self.schema, partition)


class PIPlannedReader(PIReader):
    """Reads the tasks that a text of ``carried_tasks`` holds, whatever the options select; asks nothing to plan them."""

    def __init__(self, options: Options, schema: pa.Schema, tasks: str) -> None:
        super().__init__(options, schema)
        self.tasks = tasks

    def partitions(self) -> list[InputPartition]:
        """The given tasks, as they are."""
        with concise_errors():
            return carried(carried_tasks.loads(self.tasks), self.options)
