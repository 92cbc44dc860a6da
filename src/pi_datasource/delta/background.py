"""Jobs after or beside an ingestion: the history of new tags, and maintenance of the tables."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta

from pyspark.sql import SparkSession

from pi_datasource.delta.history import fill_new_tags
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.maintenance import maintain
from pi_datasource.delta.query import RunningQuery
from pi_datasource.options.declaration import Options

log = logging.getLogger(__name__)

INTERVAL_S = 60


def run(
    spark: SparkSession,
    options: Options,
    lakehouse: Lakehouse,
    query: RunningQuery,
    *,
    optimize_every: timedelta | None,
    keep: timedelta | None,
    beside: bool,
) -> None:
    """Runs the jobs that the options ask for: once, or ``beside`` the query in a thread, once a minute until it ends.

    In the thread, a failure is logged and retried: it must not end the ingestion. When the query ends, the thread stops
    after the current table or piece of history.
    """
    if options.new_tags != "backfill" and optimize_every is None:
        return
    wanted = (lambda: query.isActive) if beside else (lambda: True)
    jobs: dict[str, Callable[[], object]] = {}
    if options.new_tags == "backfill":
        jobs["history of new tags"] = lambda: fill_new_tags(
            spark, options, lakehouse, str(query.id), settled_only=beside, wanted=wanted
        )
    if optimize_every is not None:
        jobs["maintenance"] = lambda: maintain(
            spark, lakehouse, optimize_every=optimize_every, keep=keep, wanted=wanted
        )
    if beside:
        name = "pi-datasource background"
        threading.Thread(target=_repeat, args=(jobs, query), name=name, daemon=True).start()
    else:
        for job in jobs.values():
            job()


def _repeat(jobs: Mapping[str, Callable[[], object]], query: RunningQuery) -> None:
    while not _wait(query):
        for name, job in jobs.items():
            try:
                job()
            except Exception:  # noqa: PERF203 - one failed job must not stop the others
                log.warning("%s: failed; it is tried again in %g s", name, INTERVAL_S, exc_info=True)


def _wait(query: RunningQuery) -> bool:
    """Waits for ``INTERVAL_S``; returns True as soon as the query has ended."""
    try:
        return bool(query.awaitTermination(INTERVAL_S))
    except Exception:  # noqa: BLE001 - the query failed; whoever waits for it gets the error
        return True
