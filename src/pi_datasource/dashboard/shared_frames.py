"""Caches the rows that several panels share in memory: queried once per version of the tables, while they are small."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock

import pyarrow as pa

MAX_ROWS = 1_000_000
_MAX_BYTES = 256_000_000
_MAX_ENTRIES = 100


class SharedFrames:
    """A least-recently-used cache of at most ``max_bytes``. May be used from several threads at once."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, Future[pa.Table | None]] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], pa.Table | None]) -> pa.Table | None:
        """The cached rows of ``key``, else those of ``find``; None if ``find`` says that they are too many.

        Concurrent callers wait for the first one and raise its error if it fails. A failure is not cached.
        """
        with self._lock:
            known = self._entries.get(key)
            if known is None:
                mine: Future[pa.Table | None] = Future()
                self._entries[key] = mine
            else:
                self._entries.move_to_end(key)
        if known is not None:
            return known.result()
        try:
            found = find()
        except BaseException as error:
            with self._lock:
                self._entries.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(found)
        self._evict()
        return found

    def _evict(self) -> None:
        with self._lock:
            sizes = {key: _bytes(future) for key, future in self._entries.items() if future.done()}
            total = sum(sizes.values())
            for key, size in list(sizes.items())[:-1]:
                if total <= self._max_bytes and len(self._entries) <= _MAX_ENTRIES:
                    return
                del self._entries[key]
                total -= size


def _bytes(done: Future[pa.Table | None]) -> int:
    table = None if done.exception() else done.result()
    return 0 if table is None else int(table.nbytes)
