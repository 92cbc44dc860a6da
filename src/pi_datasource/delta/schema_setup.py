"""Creates the pipeline's tables, or adds missing columns, before anything is written."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from pi_datasource.delta import bronze, definitions, table_setup
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.tables import registry
from pi_datasource.tables.timeseries import Timeseries

_TIMESTAMP_TYPE = "spark.sql.timestampType"


def read_columns(options: Options) -> StructType:
    """The columns of the rows that are read.

    Raises:
        InvalidOption: the options select only some of the columns, or another table.
    """
    if options.table != Timeseries.name:
        message = f"option 'table': the pipeline ingests {Timeseries.name}, not {options.table}; leave it out"
        raise InvalidOption(message)
    if options.columns:
        message = "option 'columns': the tables hold whole events; leave it out"
        raise InvalidOption(message)
    return from_arrow_schema(registry.columns(options))


def check_session(spark: SparkSession) -> None:
    """Ensures that Delta compares timestamps correctly in this session.

    Raises:
        InvalidOption: ``TIMESTAMP`` has no time zone here. Delta 4.4 then compares the bounds of a file's timestamps as
            wall-clock times, of which one hour a year occurs twice: it fails, or could skip files.
    """
    if str(spark.conf.get(_TIMESTAMP_TYPE, "TIMESTAMP_LTZ")).upper() == "TIMESTAMP_NTZ":
        message = (
            f"this Spark session has {_TIMESTAMP_TYPE}=TIMESTAMP_NTZ, in which Delta cannot compare moments; set it to "
            "TIMESTAMP_LTZ, or use another session: spark.newSession()"
        )
        raise InvalidOption(message)


def prepare(spark: SparkSession, lakehouse: Lakehouse, options: Options) -> StructType:
    """Ensures that all tables exist and have the columns that the options read; returns these columns.

    A new group in ``tag_pattern`` adds a column; the column of a removed group stays.
    """
    columns = read_columns(options)
    groups = [name for name in columns.names if name not in bronze.FIXED_COLUMNS]
    tables = definitions.all_tables(lakehouse, registry.columns(options), groups)
    table_setup.ensure_schemas(spark, lakehouse, tables)
    for table in tables:
        table_setup.ensure(spark, lakehouse, table)
    return columns
