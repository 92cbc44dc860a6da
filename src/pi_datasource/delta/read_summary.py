"""What a read of PI has returned: the counts of its events, and its status rows.

The same aggregates are observed while rows are appended, and computed from rows that are staged.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, reduce
from operator import add
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import bronze
from pi_datasource.delta.audit import ReadCounts
from pi_datasource.delta.timestamps import EPOCH
from pi_datasource.errors import PointFailure
from pi_datasource.schema import DELETED_POINT, READ_FAILURE, READ_METRICS, TIMESTAMP
from pi_datasource.webapi.metrics import NONE, RequestMetrics

_STATUS = ("tag_webid", "tag_name", "value_kind", "value_string")
_TIMES = ("timestamp", "ingestion_timestamp")
_STATUS_SCHEMA = pa.schema(dict.fromkeys(_STATUS, pa.string()) | dict.fromkeys(_TIMES, TIMESTAMP))


@dataclass(frozen=True)
class ReadSummary:
    """The number of events, of tags with events, the first and last timestamp of an event, and all status rows."""

    rows: int
    tags: int
    first: datetime | None
    last: datetime | None
    status: Sequence[Mapping[str, Any]]

    @property
    def deleted(self) -> list[str]:
        """The WebIDs of the points that were found deleted."""
        return [row["tag_webid"] for row in self._of_kind(DELETED_POINT)]

    @cached_property
    def failed(self) -> list[PointFailure]:
        """The points that could not be read; one may have failed in several parts of the window."""
        details = [(row, json.loads(row["value_string"])) for row in self._of_kind(READ_FAILURE)]
        return [
            PointFailure(
                row["tag_name"],
                row["tag_webid"],
                each["status"],
                each["message"],
                bool(each.get("not_found")),
            )
            for row, each in details
        ]

    @property
    def counts(self) -> ReadCounts:
        """The counts for the audit table."""
        metrics = [_metrics(row["value_string"]) for row in self._of_kind(READ_METRICS)]
        return ReadCounts(
            self.rows, len(self.failed), self.tags, len(self.deleted), reduce(add, metrics, NONE)
        )

    def failures(self, spark: SparkSession, web_ids: Collection[str] | None = None) -> DataFrame:
        """The status rows of the failures, as they were read: of all points, or of these."""
        rows = [
            {**row, **{name: EPOCH + timedelta(microseconds=row[name]) for name in _TIMES}}
            for row in self._of_kind(READ_FAILURE)
            if web_ids is None or row["tag_webid"] in web_ids
        ]
        return spark.createDataFrame(pa.Table.from_pylist(rows, _STATUS_SCHEMA))

    def _of_kind(self, kind: str) -> list[Mapping[str, Any]]:
        return [row for row in self.status if row["value_kind"] == kind]


def aggregates() -> list[Column]:
    """The columns from which ``parse`` makes the summary of the rows of a read."""
    event, micros = bronze.is_event(), F.unix_micros("timestamp")
    status = F.struct(*_STATUS, *(F.unix_micros(name).alias(name) for name in _TIMES))
    return [
        F.count_if(event).alias("rows"),
        F.size(F.collect_set(F.when(event, F.col("tag_webid")))).alias("tags"),
        F.min(F.when(event, micros)).alias("first"),
        F.max(F.when(event, micros)).alias("last"),
        F.collect_list(F.when(~event, F.to_json(status))).alias("status"),
    ]


def parse(row: Mapping[str, Any]) -> ReadSummary:
    """The summary that the aggregates hold."""
    first, last = (
        None if row[n] is None else EPOCH + timedelta(microseconds=row[n]) for n in ("first", "last")
    )
    return ReadSummary(row["rows"], row["tags"], first, last, [json.loads(text) for text in row["status"]])


def of(rows: DataFrame) -> ReadSummary:
    """The summary of ``rows``, which are read for it."""
    row = rows.agg(*aggregates()).first()
    assert row is not None
    return parse(row.asDict())


def _metrics(text: str) -> RequestMetrics:
    values = json.loads(text)
    return RequestMetrics(values["calls"], values["retries"], values["throttled_seconds"])
