"""A lease by a row of the audit table: for a lakehouse in a catalog, whose processes share no file system with locks.

The row is held until ``expires_at``, by the clock of the engine. A process that lives moves that time on; the row of one
that has died expires. Each change is a MERGE: of two that acquire a free lease at once, one commits, and the other one
conflicts, looks again and finds the lease held.
"""

from __future__ import annotations

import atexit
import logging
import threading
from dataclasses import dataclass
from uuid import uuid4

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from pi_datasource.delta import commits, ddl, definitions, table_setup, timestamps
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.lease import BatchFunction, Lease, in_use, this_process
from pi_datasource.errors import StreamInUse

log = logging.getLogger(__name__)

KIND = "lease"
TIME_TO_LIVE_S = 300
RENEWALS = 3  # within the time to live: a renewal may fail


@dataclass(frozen=True)
class LeaseRow:
    """The row of ``name`` in ``table``, and the ``owner`` that wants to hold it; has no session, so it can be pickled."""

    table: str
    name: str
    what: str
    owner: str
    time_to_live_s: int = TIME_TO_LIVE_S

    def acquire(self, spark: SparkSession) -> None:
        """Makes ``owner`` the holder.

        Raises:
            StreamInUse: the lease is held, and has not expired.
        """
        stored = self._stored(spark)  # first: a MERGE would compete with the holder's renewals
        if stored is not None and stored["living"]:
            raise self._in_use(stored)
        owned = {
            "status": "'held'",
            "run_id": ddl.text(self.owner),
            "created_at": _NOW,
            "expires_at": self._expiry,
        }
        free = "t.status <> 'held' OR t.expires_at <= current_timestamp()"
        key = {"stream_id": ddl.text(self.name), "batch_id": "0", "kind": ddl.text(KIND)}
        row = {**key, **owned}
        insert = f"WHEN NOT MATCHED THEN INSERT ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        if self._merge(spark, [f"WHEN MATCHED AND ({free}) THEN {_update(owned)}", insert]) == 0:
            raise self._in_use(self._stored(spark))

    def renew(self, spark: SparkSession) -> bool:
        """Moves the expiry on; False if another owner has taken over."""
        later = {"expires_at": self._expiry}
        return self._merge(spark, [f"{self._owned} THEN {_update(later)}"]) == 1

    def release(self, spark: SparkSession) -> None:
        """Frees the lease at once, if ``owner`` still holds it."""
        freed = {"status": "'released'", "expires_at": _NOW}
        self._merge(spark, [f"{self._owned} THEN {_update(freed)}"])

    def check(self, spark: SparkSession) -> None:
        """Raises ``StreamInUse`` if ``owner`` is not the holder any more."""
        row = self._stored(spark)
        if row is None or row["run_id"] != self.owner:
            raise self._in_use(row)

    @property
    def _owned(self) -> str:
        return f"WHEN MATCHED AND t.status = 'held' AND t.run_id = {ddl.text(self.owner)}"

    @property
    def _expiry(self) -> str:
        return f"{_NOW} + INTERVAL '{self.time_to_live_s}' SECOND"

    def _merge(self, spark: SparkSession, clauses: list[str]) -> int:
        """The number of rows that were inserted or updated."""
        on = [f"t.stream_id = {ddl.text(self.name)}", "t.batch_id = 0", f"t.kind = {ddl.text(KIND)}"]
        merged = commits.retry_conflicts(
            lambda: commits.merge(spark, self.table, spark.range(1), on, clauses)
        )
        return merged.inserted + merged.updated

    def _stored(self, spark: SparkSession) -> Row | None:
        rows = spark.read.table(self.table)
        of_name = (F.col("stream_id") == self.name) & (F.col("kind") == KIND)
        living = F.expr("status = 'held' AND expires_at > current_timestamp()").alias("living")
        found = timestamps.rows(rows.where(of_name).select("run_id", "created_at", "expires_at", living))
        return found[0] if found else None

    def _in_use(self, row: Row | None) -> StreamInUse:
        if row is None:  # somebody has deleted it
            return in_use(self.what, "unknown")
        since, until = (f"{row[name]:%Y-%m-%d %H:%M:%S} UTC" for name in ("created_at", "expires_at"))
        return in_use(
            self.what, f"{row['run_id']} since {since}; if that has died, its lease ends at {until}"
        )


_NOW = "current_timestamp()"


def _update(values: dict[str, str]) -> str:
    return "UPDATE SET " + ", ".join(f"t.{name} = {value}" for name, value in values.items())


@dataclass(frozen=True)
class GuardedFunction:
    """A ``foreachBatch`` function that raises ``StreamInUse`` instead, once the lease is lost; can be pickled."""

    row: LeaseRow
    function: BatchFunction

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Spark's ``foreachBatch``."""
        self.row.check(batch.sparkSession)
        self.function(batch, batch_id)


class TableLease(Lease):
    """A held row, which a background thread renews until it is released or lost."""

    def __init__(self, spark: SparkSession, row: LeaseRow) -> None:
        super().__init__()
        self.row = row
        self._spark = spark
        self._lost = False
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="pi-datasource lease", daemon=True)
        self._renewing.start()
        atexit.register(self._release_at_exit)

    @classmethod
    def acquire(cls, spark: SparkSession, lakehouse: Lakehouse, name: str, what: str) -> TableLease:
        """Makes this process the holder of ``name`` in the audit table, which exists afterwards.

        Raises:
            StreamInUse: another holder has the lease; the message names its process.
        """
        table = definitions.audit(lakehouse)
        table_setup.ensure_schemas(spark, lakehouse, [table])
        table_setup.ensure(spark, lakehouse, table)
        owner = f"{this_process()}, {uuid4().hex[:8]}"  # one process can hold the lease twice, one after the other
        row = LeaseRow(lakehouse.audit, name, what, owner)
        row.acquire(spark)
        return cls(spark, row)

    def check(self) -> None:
        """Raises ``StreamInUse`` if the lease was lost to another holder."""
        if self._lost:
            self.row.check(self._spark)

    def guard(self, function: BatchFunction) -> BatchFunction:
        """A function that looks for the lease before each micro-batch; the engine may run it in another process."""
        return GuardedFunction(self.row, function)

    def _release(self) -> None:
        self._ended.set()
        self._renewing.join()
        atexit.unregister(self._release_at_exit)
        try:
            self.row.release(self._spark)
        except Exception:  # the session may have ended; the work itself is done
            log.warning("lease of %s: not released, it expires by itself", self.row.name, exc_info=True)

    def _release_at_exit(self) -> None:
        """A process that ends just after its query need not wait for the thread that releases the lease.

        A query that is still active may go on in a Spark Connect server: then the lease must expire.
        """
        if self._query is None or not self._query.isActive:
            self.release()

    def _renew(self) -> None:
        while not self._lost and not self._ended.wait(self.row.time_to_live_s / RENEWALS):
            try:
                self._lost = not self.row.renew(self._spark)
            except Exception:  # noqa: PERF203 - the next renewal may succeed in time
                log.warning("lease of %s: not renewed", self.row.name, exc_info=True)
        if self._lost:
            log.error("lease of %s: another process has taken over; this run stops", self.row.name)
