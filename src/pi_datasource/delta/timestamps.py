"""Timestamps between Python and Spark: aware UTC datetimes here, ``timestamp_ltz`` there, and never local time.

PySpark converts a timestamp to a wall-clock time of this process's zone, and Spark's functions on dates, texts and days
work in the session's zone; in both, one hour a year occurs twice and another one not at all. So timestamps leave Spark as
microseconds since 1970 and enter it as literals in UTC. The type is always ``timestamp_ltz``: ``timestamp`` alone has no
zone if ``spark.sql.timestampType`` says so.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import DataType, StructType, TimestampType

from pi_datasource.model import Window

TYPE = "timestamp_ltz"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def literal(moment: datetime) -> str:
    """An aware datetime as a literal of Spark SQL."""
    utc = moment.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return f"{TYPE}'{utc.replace('+00:00', 'Z')}'"


def column(moment: datetime) -> Column:
    """An aware datetime as a column; Delta skips files by it, as by any literal."""
    return F.expr(literal(moment))


def within(name: str, window: Window) -> Column:
    """Whether the column ``name`` lies in ``window``; Delta skips the files of all other times."""
    return (F.col(name) >= column(window.start)) & (F.col(name) < column(window.end))


def rows(frame: DataFrame) -> list[Row]:
    """Collects ``frame``, with aware UTC datetimes in the columns of type ``timestamp_ltz``."""
    timed = {field.name for field in frame.schema if isinstance(field.dataType, TimestampType)}
    names = frame.columns
    columns = [F.unix_micros(f"`{name}`").alias(name) if name in timed else f"`{name}`" for name in names]
    row = Row(*names)
    return [
        row(*(_datetime(value) if name in timed else value for name, value in zip(names, found, strict=True)))
        for found in frame.select(*columns).collect()
    ]


def sql_type(kind: DataType) -> str:
    """A type as DDL that means the same in every session."""
    if isinstance(kind, TimestampType):
        return TYPE
    if isinstance(kind, StructType):
        return f"struct<{', '.join(f'`{field.name}`: {sql_type(field.dataType)}' for field in kind)}>"
    return kind.simpleString()


def _datetime(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)
