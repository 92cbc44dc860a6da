"""The ingestion pipeline: a PI stream into Delta tables (events, tags, hours, one audit row per micro-batch)."""

from pi_datasource.delta.audit import BatchReport
from pi_datasource.delta.history import Filled, backfill
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.local import local_spark
from pi_datasource.delta.maintenance import upkeep
from pi_datasource.delta.pipeline import ingest, start
from pi_datasource.delta.progress import Progress, follow
from pi_datasource.delta.repairs import Repair, repair

__all__ = [
    "BatchReport",
    "Filled",
    "Lakehouse",
    "Progress",
    "Repair",
    "backfill",
    "follow",
    "ingest",
    "local_spark",
    "repair",
    "start",
    "upkeep",
]
