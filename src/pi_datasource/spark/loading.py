"""Loads ``format("pi")`` where Spark does not find installed sources by itself, too."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.readwriter import DataFrameReader
from pyspark.sql.streaming.readwriter import DataStreamReader

from pi_datasource import register


def load(spark: SparkSession, reader: DataFrameReader | DataStreamReader) -> DataFrame:
    """What ``reader`` loads; the source is registered with the session first if it is not known."""
    try:
        return _resolved(reader.load())
    except (
        Exception
    ) as error:  # of another class in each engine: a Py4JJavaError, an AnalysisException, one of Connect
        if "DATA_SOURCE_NOT_FOUND" not in str(error):
            raise
    register(spark)
    return _resolved(reader.load())


def _resolved(frame: DataFrame) -> DataFrame:
    """``frame``, whose source is known to exist: Spark Connect looks for it when the schema is asked for."""
    _ = frame.schema
    return frame
