"""A Python stream source without any work: what Spark's API costs by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceStreamReader, InputPartition

ROWS = 10  # in each micro-batch, as Spark's rate source gives in a second of ten rows


class EmptySource(DataSource):
    """The same few rows in every micro-batch."""

    @classmethod
    def name(cls) -> str:
        """The name of its format."""
        return "empty"

    def schema(self) -> str:
        """One number."""
        return "value bigint"

    def streamReader(self, schema: Any) -> DataSourceStreamReader:
        """Its only reader."""
        return _EmptyReader()


class _EmptyReader(DataSourceStreamReader):
    def __init__(self) -> None:
        self._number = 0

    def initialOffset(self) -> dict[str, int]:
        return {"number": 0}

    def latestOffset(self, start: Any = None, limit: Any = None) -> dict[str, int]:
        self._number += 1
        return {"number": self._number}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> list[InputPartition]:
        return [InputPartition(end["number"])]

    def read(self, partition: InputPartition) -> Iterator[Any]:
        yield pa.RecordBatch.from_pydict({"value": list(range(ROWS))})
