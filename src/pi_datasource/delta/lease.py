"""One ingestion, backfill or repair at a time of one stream: a lock that ends with its query or process, however that ends."""

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
except ImportError:  # Windows: Spark and Delta then refuse the slower of two, less politely
    fcntl = None  # type: ignore[assignment]

_taken: dict[str, Lease] = {}  # in this process


class Lease:
    """The right to ingest into a checkpoint folder on this machine's disk; a folder elsewhere is left to Spark and Delta.

    There two ingestions collide in Spark's own log of offsets or in a commit of Delta: one fails, nothing is damaged.
    """

    def __init__(self, file: IO[str] | None) -> None:
        self._file = file
        self._query: StreamingQuery | None = None

    @classmethod
    def take(cls, checkpoint: str, what: str = "ingestion") -> Lease:
        """The lease of ``checkpoint``, which nobody else has until it is released or the process ends.

        ``what`` names in the message what it is taken for.

        Raises:
            StreamInUse: somebody else has it; the message names the process.
        """
        earlier = _taken.get(checkpoint)
        if earlier is not None and earlier.over:
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
        lease = _taken[checkpoint] = cls(file)
        return lease

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def keep_until(self, query: StreamingQuery) -> None:
        """Releases the lease when ``query`` ends."""
        self._query = query
        threading.Thread(target=self._release_after, args=(query,), daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether the query that it was taken for has ended."""
        return self._query is not None and not self._query.isActive

    def release(self) -> None:
        """Lets others in; once or more often."""
        if self._file is not None:
            self._file.close()

    def _release_after(self, query: StreamingQuery) -> None:
        with suppress(Exception):  # whatever it is, whoever waits for the query is told as well
            query.awaitTermination()
        self.release()
