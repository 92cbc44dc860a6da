"""The ingestion pipeline: writes a PI stream into Delta tables of events, tags, hourly metrics and audit rows.

It reads PI through Spark's format ``pi`` and may import every package except ``cli`` and ``dashboard``. Start reading at
``pipeline.start``, which runs ``batch.BatchWriter`` for each micro-batch.
"""

import warnings
from typing import Any

from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.history import BackfillProgress, backfill
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.maintenance import maintain
from pi_datasource.delta.pipeline import Progress, follow, ingest, start
from pi_datasource.delta.repairs import Repair, repair
from pi_datasource.spark.local_session import local_spark

__all__ = [
    "BackfillProgress",
    "BatchReport",
    "Lakehouse",
    "Progress",
    "Repair",
    "backfill",
    "follow",
    "ingest",
    "local_spark",
    "maintain",
    "repair",
    "start",
]
_RENAMED = {"Filled": "BackfillProgress", "upkeep": "maintain"}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    message = f"{__name__}.{name} is deprecated; use {__name__}.{_RENAMED[name]}"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
