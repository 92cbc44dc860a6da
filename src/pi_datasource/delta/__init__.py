"""The ingestion pipeline: a PI stream into Delta tables (bronze events, gold hours, one audit row per micro-batch)."""

from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.ledger import BatchReport
from pi_datasource.delta.local import local_spark
from pi_datasource.delta.pipeline import ingest, start
from pi_datasource.delta.progress import Progress, follow

__all__ = ["BatchReport", "Lakehouse", "Progress", "follow", "ingest", "local_spark", "start"]
