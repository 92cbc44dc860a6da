"""The pipeline's tables, made or brought up to date before anything is written."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource.delta import audit, bronze, gold, points
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry
from pi_datasource.tables.timeseries import Timeseries

_TIMESTAMP_TYPE = "spark.sql.timestampType"


def columns_of(options: Options) -> StructType:
    """The columns of the rows that are read.

    Raises:
        InvalidOption: the options ask for some of the columns only, or for another table.
    """
    if options.table != Timeseries.name:
        message = f"option 'table': the pipeline ingests {Timeseries.name}, not {options.table}; leave it out"
        raise InvalidOption(message)
    if options.columns:
        message = "option 'columns': the tables hold whole events; leave it out"
        raise InvalidOption(message)
    return from_arrow_schema(registry.columns(options))


def check_session(spark: SparkSession) -> None:
    """Makes sure that Delta compares moments in this session.

    Raises:
        InvalidOption: ``TIMESTAMP`` means one without a time zone. Delta 4.4 then compares the ends of a file's moments as
            wall-clock times, of which an hour exists twice: it fails, or would pass over files.
    """
    if str(spark.conf.get(_TIMESTAMP_TYPE, "TIMESTAMP_LTZ")).upper() == "TIMESTAMP_NTZ":
        message = (
            f"this Spark session has {_TIMESTAMP_TYPE}=TIMESTAMP_NTZ, in which Delta cannot compare moments; set it to "
            "TIMESTAMP_LTZ, or use another session: spark.newSession()"
        )
        raise InvalidOption(message)


def prepare(spark: SparkSession, lakehouse: Lakehouse, options: Options) -> StructType:
    """Makes sure that all tables exist and can take what the options read, whose columns it returns.

    A group that is new in ``tag_pattern`` becomes a column; one that has gone keeps its column.
    """
    columns = columns_of(options)
    rows = spark.createDataFrame([], columns)
    bronze.prepare(spark, lakehouse, rows)
    points.prepare(spark, lakehouse)
    gold.prepare(spark, lakehouse, rows)
    audit.prepare(spark, lakehouse)
    return columns
