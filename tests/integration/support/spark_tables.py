"""Runs the dashboard's queries on Spark: the engine that wrote the tables, and whose SQL dialect the queries use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pyspark.sql import SparkSession

from pi_datasource.dashboard.backend import PARAMETER, Row, Statement
from pi_datasource.dashboard.tables import TABLES


class SparkBackend:
    """A back end over a lakehouse folder, used by tests only."""

    def __init__(self, spark: SparkSession, lakehouse: Path) -> None:
        self._spark = spark
        self._lakehouse = lakehouse

    def describe(self) -> str:
        return "Spark"

    def close(self) -> None:
        """Nothing to let go of."""

    @cache  # noqa: B019 - as long as the test
    def columns(self) -> Mapping[str, frozenset[str]]:
        return {
            key: frozenset(self._spark.read.format("delta").load(self._folder(key)).columns)
            for key, table in TABLES.items()
            if (self._lakehouse / table.path).is_dir()
        }

    def sizes(self) -> Mapping[str, int]:
        return {
            key: self._spark.read.format("delta").load(self._folder(key)).count() for key in self.columns()
        }

    def rows(self, statement: Statement) -> list[Row]:
        statement = statement.inlined()
        sql = statement.with_tables(self.columns(), lambda key: f"delta.`{self._folder(key)}`")
        # Not ``args=``: Spark 4.2 with Delta's extensions answers UNBOUND_SQL_PARAMETER to such statements.
        text = PARAMETER.sub(lambda match: _literal(statement.parameters[match[1]]), sql)
        return [row.asDict() for row in self._spark.sql(text).collect()]

    def _folder(self, key: str) -> str:
        return str(self._lakehouse / TABLES[key].path)


def _literal(value: float | str) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return repr(value)
