"""What has to be done beside a continuous ingestion: the history of new tags, and upkeep of the tables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource.delta.history import fill_new_tags
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.upkeep import upkeep
from pi_datasource.options import Options

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


def beside(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    query: StreamingQuery,
    *,
    optimize_every: timedelta | None,
    keep: timedelta | None,
) -> None:
    """Does it once a minute while ``query`` is active, in a thread and a session of its own.

    What fails is logged and tried again: it must not end an ingestion that works.
    """
    own = spark.newSession()  # settings of one must not reach the other

    jobs: dict[str, Callable[[], object]] = {
        "history of new tags": lambda: fill_new_tags(
            own, options, lakehouse, str(query.id), settled_only=True
        )
    }
    if optimize_every is not None:
        jobs["upkeep"] = lambda: upkeep(own, lakehouse, optimize_every=optimize_every, keep=keep)

    def work() -> None:
        while not _waited(query):
            for what, job in jobs.items():
                _attempt(what, job)

    threading.Thread(target=work, name="pi-datasource companion", daemon=True).start()


def _waited(query: StreamingQuery) -> bool:
    """Waits a minute; True as soon as the query has ended."""
    try:
        return bool(query.awaitTermination(LOOK_EVERY_S))  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - the query failed, and says so to whoever waits for it
        return True


def _attempt(what: str, action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:
        log.warning("%s: failed; it is tried again in %g s", what, LOOK_EVERY_S, exc_info=True)
