"""A lease by a locked file: for a lakehouse in a folder of this machine."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock, Timeout

from pi_datasource.delta.lease import Lease, in_use, this_process


class FileLease(Lease):
    """A lock on ``PLACE.lock``, which the operating system releases when the process ends, however that happens."""

    def __init__(self, lock: FileLock, holder: Path) -> None:
        super().__init__()
        self._lock, self._holder = lock, holder

    @classmethod
    def acquire(cls, place: str, what: str = "ingestion") -> FileLease:
        """Locks ``place``; ``PLACE.holder`` names this process afterwards.

        Raises:
            StreamInUse: another holder has the lock; the message names its process.
        """
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(
            f"{place}.lock", timeout=0, thread_local=False
        )  # a thread releases what another one acquired
        holder = Path(f"{place}.holder")  # a file of its own: on Windows nobody else can read a locked one
        try:
            lock.acquire()
        except Timeout:
            raise in_use(what, _read(holder) or "just started") from None
        since = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        holder.write_text(f"{this_process()} since {since}", encoding="utf-8")
        return cls(lock, holder)

    def _release(self) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # the holder has not written it yet, or removes it
        return ""
