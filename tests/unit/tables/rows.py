"""What Spark would get of a read, without Spark."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark import cloudpickle

from pi_datasource import PIDataSource
from pi_datasource.webapi import client


def read(**options: str) -> list[dict[str, Any]]:
    """The rows; planner and worker share nothing but what is pickled."""
    client.shared.cache_clear()
    source = PIDataSource(options)
    reader = source.reader(source.schema())
    parts = [cloudpickle.loads(cloudpickle.dumps(part)) for part in reader.partitions()]
    reader = cloudpickle.loads(cloudpickle.dumps(reader))
    client.shared.cache_clear()
    rows = [batch for part in parts for batch in reader.read(part)]
    assert {batch.schema for batch in rows} <= {reader.schema}
    return pa.Table.from_batches(rows, reader.schema).to_pylist()
