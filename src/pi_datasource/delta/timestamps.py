"""Moments between Python and Spark: aware UTC datetimes here, ``timestamp_ltz`` there, and no local time in between.

PySpark hands over a timestamp as a wall-clock time of this process's zone, and Spark's functions on dates, texts and days
work in the session's zone; in either, some hour a year exists twice and another one not at all. So moments leave Spark as
microseconds since 1970 and enter it as literals in UTC. The type is written out: ``timestamp`` alone is one without a zone
where ``spark.sql.timestampType`` says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import DataType, StructType, TimestampType

TYPE = "timestamp_ltz"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def literal(moment: datetime) -> str:
    """An aware moment as a literal of Spark's SQL."""
    utc = moment.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return f"{TYPE}'{utc.replace('+00:00', 'Z')}'"


def column(moment: datetime) -> Column:
    """An aware moment as a column; Delta skips files by it, as by any literal."""
    return F.expr(literal(moment))


def rows(frame: DataFrame) -> list[Row]:
    """The rows of ``frame``, whose columns of type ``timestamp_ltz`` are aware UTC datetimes."""
    timed = {field.name for field in frame.schema if isinstance(field.dataType, TimestampType)}
    names = frame.columns
    columns = [F.unix_micros(f"`{name}`").alias(name) if name in timed else f"`{name}`" for name in names]
    row = Row(*names)
    return [
        row(*(_moment(value) if name in timed else value for name, value in zip(names, found, strict=True)))
        for found in frame.select(*columns).collect()
    ]


def sql_type(kind: DataType) -> str:
    """A type as DDL that means the same in every session."""
    if isinstance(kind, TimestampType):
        return TYPE
    if isinstance(kind, StructType):
        return f"struct<{', '.join(f'`{field.name}`: {sql_type(field.dataType)}' for field in kind)}>"
    return kind.simpleString()


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
