"""Reads given tasks through ``format("pi")``: the way of the pipeline to windows that its stream does not read."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from pi_datasource.model import ReadTask
from pi_datasource.options.declaration import Options
from pi_datasource.options.texts import texts
from pi_datasource.spark import carried_tasks
from pi_datasource.spark.loading import load

_OF_STREAMS = (
    "start_times",
    "settle",
    "max_window_per_trigger",
    "max_events_per_trigger",
    "min_window_per_trigger",
    "discovery_interval",
    "overlap",
    "new_tags",
)


def rows(spark: SparkSession, options: Options, tasks: Sequence[ReadTask], columns: StructType) -> DataFrame:
    """The rows of exactly ``tasks``, each read by a Spark partition of its own; no request is made to plan them.

    ``options`` say how the server is reached and how rows are shaped; ``columns`` is a selection of their columns.
    """
    if not tasks:
        return spark.createDataFrame([], columns)
    given = {
        **texts(options, without=(*carried_tasks.SELECTING, *_OF_STREAMS)),
        **carried_tasks.option(tasks),
    }
    return load(spark, spark.read.format("pi").options(**given).schema(columns))
