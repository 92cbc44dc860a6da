"""One audit row per micro-batch: its window, what it read and wrote, how long it took, how far behind it was."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name
from pyspark.sql.types import DoubleType, LongType, StringType, StructType, TimestampType

from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import OffsetError
from pi_datasource.model import Window
from pi_datasource.streaming import window_of


@dataclass(frozen=True)
class BatchReport:
    """One micro-batch. ``(stream_id, batch_id)`` is its key: a replayed batch has one row.

    ``rows_inserted`` and ``rows_updated`` add up over replays, ``seconds`` is the last attempt's. ``lag_seconds`` is
    how far the window's end was behind the driver's clock when the batch was written.
    """

    stream_id: str
    batch_id: int
    window_start: datetime
    window_end: datetime
    tags: int
    rows_read: int
    rows_inserted: int
    rows_updated: int
    read_failures: int
    seconds: float
    lag_seconds: float
    created_at: datetime


_SPARK_TYPES = {"str": StringType(), "int": LongType(), "float": DoubleType(), "datetime": TimestampType()}
SCHEMA = StructType()
for _field in fields(BatchReport):
    SCHEMA.add(_field.name, _SPARK_TYPES[str(_field.type)])


def prepare(spark: SparkSession, lakehouse: Lakehouse) -> None:
    """Makes sure that the table exists."""
    lakehouse.table(spark, lakehouse.ledger, SCHEMA, cluster_by=("created_at",))


def record(spark: SparkSession, lakehouse: Lakehouse, report: BatchReport) -> None:
    """Adds the row of a micro-batch; Delta drops a second one for the same stream and batch (``txnVersion``)."""
    row = spark.createDataFrame([tuple(getattr(report, field.name) for field in fields(report))], SCHEMA)
    (
        row.write.format("delta")
        .mode("append")
        .option("txnAppId", f"pi-datasource {report.stream_id}")
        .option("txnVersion", report.batch_id)
        .saveAsTable(lakehouse.ledger)
    )


def reports(spark: SparkSession, lakehouse: Lakehouse, stream_id: str) -> list[BatchReport]:
    """The rows of one stream, oldest batch first."""
    rows = spark.read.table(lakehouse.ledger).where(F.col("stream_id") == stream_id).orderBy("batch_id")
    return [
        BatchReport(**{name: _aware(value) for name, value in row.asDict().items()}) for row in rows.collect()
    ]


def stream_id(spark: SparkSession, checkpoint: str) -> str:
    """The identity of the stream of a checkpoint folder, which Spark has written there."""
    return str(json.loads(_text(spark, f"{checkpoint}/metadata"))["id"])


def batch_window(spark: SparkSession, checkpoint: str, batch_id: int) -> Window:
    """The window of a micro-batch, from Spark's own write-ahead log.

    Raises:
        OffsetError: the log holds no offset of this source.
    """
    last_line = _text(spark, f"{checkpoint}/offsets/{batch_id}").strip().rpartition("\n")[2]
    try:
        return window_of(json.loads(last_line))
    except ValueError as cause:
        message = (
            f"{checkpoint}/offsets/{batch_id} ends in {last_line[:80]!r}, which is no offset of format('pi')"
        )
        raise OffsetError(message) from cause


def written(spark: SparkSession, table: str, marker: str) -> tuple[int, int]:
    """How many rows the commits marked ``marker`` have inserted into and updated in ``table``."""
    commits = DeltaTable.forName(spark, table).history(100).where(F.col("userMetadata") == marker).collect()
    return _metric(commits, "numTargetRowsInserted"), _metric(commits, "numTargetRowsUpdated")


def _aware(value: Any) -> Any:
    """Spark hands over times without a zone, in this process's zone."""
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else value


def _metric(commits: list[Row], name: str) -> int:
    metrics: list[dict[str, Any]] = [commit["operationMetrics"] or {} for commit in commits]
    return sum(int(metric.get(name, 0)) for metric in metrics)


def _text(spark: SparkSession, path: str) -> str:
    row = spark.read.text(path, wholetext=True).first()
    return row[0] if row else ""
