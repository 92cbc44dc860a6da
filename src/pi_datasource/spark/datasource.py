"""``format("pi")``: the class that Spark looks up.

Spark creates these objects in short-lived planner processes and pickles them to workers: ``self`` holds
only the checked options and the schema, and ``read`` gets all it needs from its partition (Spark 4.0 to 4.3).
"""

from __future__ import annotations

from pyspark.sql.datasource import DataSource
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource.errors import InvalidOption
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.planning.predicates import TRUE
from pi_datasource.spark import carried_predicate, carried_tasks
from pi_datasource.spark.batch_reader import PIPlannedReader, PIReader
from pi_datasource.spark.partitions import arrow_schema, concise_errors
from pi_datasource.spark.pushdown import PIPushdownReader
from pi_datasource.spark.stream_reader import PIStreamReader
from pi_datasource.tables import registry


class PIDataSource(DataSource):
    """The PI System as a Spark data source.

    Every option is checked when ``load()`` is called, before any request. See the README for the options.
    """

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        with concise_errors():
            self.tasks, given = carried_tasks.split(options)
            self.asked, given = carried_predicate.split(given)
            self.checked = Options.parse(given)
            registry.columns(self.checked)
            if self.tasks is not None:
                carried_tasks.check(self.tasks, self.checked, self.asked)

    @classmethod
    def name(cls) -> str:
        """The format's name: ``spark.read.format("pi")``."""
        return "pi"

    def schema(self) -> StructType:
        """The columns of the table, as the options shape it, or those of the option ``columns``."""
        return from_arrow_schema(registry.columns(self.checked))

    def reader(self, schema: StructType) -> PIReader:
        """A reader of exactly ``schema``, which may be a selection of the table's columns."""
        with concise_errors():
            if self.tasks is not None:
                return PIPlannedReader(secrets.looked_up(self.checked), arrow_schema(schema), self.tasks)
            kind = PIPushdownReader if self.checked.pushdown else PIReader
            return kind(secrets.looked_up(self.checked), arrow_schema(schema), self.asked)

    def streamReader(self, schema: StructType) -> PIStreamReader:
        """A stream of exactly ``schema``; its offsets are watermark times."""
        with concise_errors():
            if "end_time" in self.checked.model_fields_set:
                message = (
                    "option 'end_time' has no meaning for a stream: leave it out, and stop at the server's present time "
                    "with trigger(availableNow=True); or use spark.read"
                )
                raise InvalidOption(message)
            if self.tasks is not None:
                message = f"option {carried_tasks.KEY!r} has no meaning for a stream: leave it out"
                raise InvalidOption(message)
            if self.checked.pushdown or self.asked != TRUE:
                name = "pushdown" if self.checked.pushdown else "narrow"
                message = f"option {name!r} has no meaning for a stream: leave it out, or use spark.read"
                raise InvalidOption(message)
            return PIStreamReader(secrets.looked_up(self.checked), arrow_schema(schema))
