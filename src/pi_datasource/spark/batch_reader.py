"""The batch reader of ``format("pi")``."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, InputPartition

from pi_datasource.options.declaration import Options
from pi_datasource.planning.predicates import TRUE, Predicate
from pi_datasource.planning.pruning import Pruning
from pi_datasource.spark.partitions import concise_errors, planned, read_planned
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
