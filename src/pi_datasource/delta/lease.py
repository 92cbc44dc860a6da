"""A lock that allows one ingestion, backfill or repair of a stream at a time."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from pyspark.sql.streaming.query import StreamingQuery

from pi_datasource.errors import StreamInUse

try:
    import fcntl
except ImportError:  # Windows: there the slower of two fails with an error of Spark or Delta
    fcntl = None  # type: ignore[assignment]

_held: dict[str, Lease] = {}  # by this process


class Lease:
    """The exclusive right to write a checkpoint folder on this machine's disk, until it is released or the process ends.

    There is no lock for a folder elsewhere. There two ingestions collide in Spark's offset log or in a commit of Delta:
    one of them fails, and nothing is damaged.
    """

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._query: StreamingQuery | None = None

    @classmethod
    def acquire(cls, checkpoint: str, what: str = "ingestion") -> Lease:
        """Locks ``checkpoint``; the error message calls the holder's work ``what``.

        Raises:
            StreamInUse: another holder has the lease; the message names its process.
        """
        earlier = _held.get(checkpoint)
        if earlier is not None and earlier._query is not None and not earlier._query.isActive:
            earlier.release()
        if fcntl is None or not Path(checkpoint).is_absolute():
            return cls(None)
        lock = Path(f"{checkpoint}.lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                holder = file.read().strip() or "just started"
            message = f"another {what} of this server and these tags is running ({holder}); wait for it to end, or stop it"
            raise StreamInUse(message) from None
        file.truncate(0)
        since = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        lease = _held[checkpoint] = cls(file)
        return lease

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release_after(self, query: StreamingQuery) -> None:
        """Releases the lease in a background thread when ``query`` ends."""
        self._query = query
        threading.Thread(target=self._wait_and_release, args=(query,), daemon=True).start()

    def release(self) -> None:
        """Releases the lease; further calls do nothing."""
        if self._file is not None:
            self._file.close()

    def _wait_and_release(self, query: StreamingQuery) -> None:
        with suppress(Exception):  # the query raises it in the caller's awaitTermination as well
            query.awaitTermination()
        self.release()
