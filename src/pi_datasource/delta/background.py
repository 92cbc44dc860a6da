"""What has to be done beside a continuous ingestion: the history of new tags, and maintenance of the tables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource.delta.history import fill_new_tags
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.maintenance import upkeep
from pi_datasource.options.declaration import Options

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


def run_beside(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    query: StreamingQuery,
    *,
    optimize_every: timedelta | None,
    keep: timedelta | None,
) -> threading.Thread | None:
    """Does it once a minute while ``query`` is active, in a thread and a session of its own; None if nothing is to do.

    What fails is logged and tried again: it must not end an ingestion that works. When the query ends, the thread stops
    after the table or the piece of history at which it is.
    """
    if options.new_tags != "backfill" and optimize_every is None:
        return None
    own = spark.newSession()  # settings of one must not reach the other
    jobs: dict[str, Callable[[], object]] = {}
    if options.new_tags == "backfill":
        jobs["history of new tags"] = lambda: fill_new_tags(
            own, options, lakehouse, str(query.id), settled_only=True, wanted=lambda: query.isActive
        )
    if optimize_every is not None:
        jobs["maintenance"] = lambda: upkeep(
            own, lakehouse, optimize_every=optimize_every, keep=keep, wanted=lambda: query.isActive
        )

    def work() -> None:
        while not _waited(query):
            for what, job in jobs.items():
                _attempt(what, job)

    thread = threading.Thread(target=work, name="pi-datasource companion", daemon=True)
    thread.start()
    return thread


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
