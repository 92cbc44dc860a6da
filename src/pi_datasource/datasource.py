"""``format("pi")``: the batch reader and the entry point that Spark looks up. Translation to Spark and nothing else.

Spark creates these objects in short-lived planner processes and pickles them to workers: nothing is kept on ``self``
but the checked options and the schema, and ``read`` gets all it needs from its partition (Spark 4.0 to 4.3).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource import tables
from pi_datasource.errors import InvalidOption
from pi_datasource.options import Options
from pi_datasource.sparkio import PIPartition, arrow_schema, plainly, planned, read_partition
from pi_datasource.streaming import PIStreamReader


class PIDataSource(DataSource):
    """The PI System as a Spark data source.

    Every option is checked when ``load()`` is called, before any request. See the README for the options.
    """

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        with plainly():
            self.checked = Options.parse(options)
            self.table = tables.lookup(self.checked.table).name
            tables.TABLES[self.table].schema(self.checked)

    @classmethod
    def name(cls) -> str:
        """The format's name: ``spark.read.format("pi")``."""
        return "pi"

    def schema(self) -> StructType:
        """All columns of the table, as the options shape it."""
        return from_arrow_schema(tables.TABLES[self.table].schema(self.checked))

    def reader(self, schema: StructType) -> PIReader:
        """A reader of exactly ``schema``, which may be a selection of the table's columns."""
        with plainly():
            return PIReader(self.checked, arrow_schema(schema))

    def streamReader(self, schema: StructType) -> PIStreamReader:
        """A stream of exactly ``schema``; its offsets are watermark times."""
        with plainly():
            if not tables.TABLES[self.table].streams:
                message = f"option 'table': {self.table!r} cannot be streamed; use spark.read"
                raise InvalidOption(message)
            if "end_time" in self.checked.model_fields_set:
                message = (
                    "option 'end_time' has no meaning for a stream: leave it out, and stop at the server's present time "
                    "with trigger(availableNow=True); or use spark.read"
                )
                raise InvalidOption(message)
            return PIStreamReader(self.checked, arrow_schema(schema))


class PIReader(DataSourceReader):
    """Reads ``[start_time, end_time)`` of the selected points once."""

    def __init__(self, options: Options, schema: pa.Schema) -> None:
        self.options, self.schema = options, schema
        tables.check_projection(options, schema)

    def partitions(self) -> list[InputPartition]:
        """The tasks of the window, whose relative ends are resolved now, by the PI server's clock."""
        with plainly():
            return planned(self.options, window=None)

    def read(self, partition: InputPartition | None) -> Iterator[pa.RecordBatch]:
        """The events of one task; Spark passes None, or a partition without a task, when there is none."""
        task = partition.value if isinstance(partition, PIPartition) else None
        return read_partition(self.options, self.schema, task)
