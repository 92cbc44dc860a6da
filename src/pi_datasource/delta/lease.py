"""The right to run one ingestion, backfill or repair of a stream at a time."""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from pyspark.sql import DataFrame, SparkSession

from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.query import RunningQuery
from pi_datasource.errors import StreamInUse

BatchFunction = Callable[[DataFrame, int], None]

_held: dict[str, Lease] = {}  # by this process


def acquire(spark: SparkSession, lakehouse: Lakehouse, name: str, what: str = "ingestion") -> Lease:
    """Acquires the exclusive right to do ``name``; the error message calls the holder's work ``what``.

    For tables in a folder of this machine it is a locked file, and ends with the process. For tables in a catalog it is a
    row of the audit table, which is renewed while the process lives and expires a few minutes after its death.

    Raises:
        StreamInUse: another holder has the lease; the message names its process.
    """
    place = f"{lakehouse.checkpoint_root}/{name}"
    earlier = _held.get(place)
    if earlier is not None and earlier.has_ended():
        earlier.release()
    lease: Lease
    if lakehouse.directory is None:
        from pi_datasource.delta.lease_table import TableLease

        lease = TableLease.acquire(spark, lakehouse, name, what)
    else:
        from pi_datasource.delta.lease_file import FileLease

        lease = FileLease.acquire(place, what)
    _held[place] = lease
    return lease


def this_process() -> str:
    """Names this process for a person who wants to find it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def in_use(what: str, holder: str) -> StreamInUse:
    """The error of one who finds the lease held by ``holder``."""
    return StreamInUse(
        f"another {what} of this server and these tags is running ({holder}); wait for it to end, or stop it"
    )


class Lease(ABC):
    """A lease that is held until it is released, or until its process ends."""

    def __init__(self) -> None:
        self._query: RunningQuery | None = None
        self._released = False
        self._releasing = threading.Lock()

    def release(self) -> None:
        """Releases the lease, or waits until another thread has done so; further calls do nothing."""
        with self._releasing:
            if not self._released:
                self._release()
                self._released = True

    @abstractmethod
    def _release(self) -> None:
        """Releases the lease; called once."""

    def check(self) -> None:  # noqa: B027 - what cannot be lost needs no check
        """Raises ``StreamInUse`` if the lease was lost to another holder."""

    def guard(self, function: BatchFunction) -> BatchFunction:
        """A ``foreachBatch`` function that calls ``function`` only while the lease is held."""
        return function

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.check()
        finally:
            self.release()

    def has_ended(self) -> bool:
        """Whether the query that uses the lease has ended; the lease is then about to be released."""
        return self._query is not None and not self._query.isActive

    def release_after(self, query: RunningQuery) -> None:
        """Releases the lease in a background thread when ``query`` ends."""
        self._query = query
        threading.Thread(target=self._wait_and_release, args=(query,), daemon=True).start()

    def _wait_and_release(self, query: RunningQuery) -> None:
        with suppress(Exception):  # the query raises it in the caller's awaitTermination as well
            query.awaitTermination()
        self.release()
