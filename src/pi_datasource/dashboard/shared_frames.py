"""Rows that several panels need, found once and kept in memory while they are small and the tables stay as they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock

import pyarrow as pa

__all__ = ["MOST_ROWS", "Extracts"]

MOST_ROWS = 1_000_000
_MOST_BYTES = 256_000_000


class Extracts:
    """Keeps what was asked for last, ``most_bytes`` of it at most. May be used from several threads at once."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Future[pa.Table | None]] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], pa.Table | None]) -> pa.Table | None:
        """The rows of ``key``, from ``find`` unless they are kept; None if ``find`` says that they are too many.

        Threads that ask at once wait for the one that came first, and see its error if it fails. A failure is not kept.
        """
        with self._lock:
            known = self._kept.get(key)
            if known is None:
                mine: Future[pa.Table | None] = Future()
                self._kept[key] = mine
            else:
                self._kept.move_to_end(key)
        if known is not None:
            return known.result()
        try:
            found = find()
        except BaseException as error:
            with self._lock:
                self._kept.pop(key, None)
            mine.set_exception(error)
            raise
        mine.set_result(found)
        self._forget_the_oldest()
        return found

    def _forget_the_oldest(self) -> None:
        with self._lock:
            sizes = {key: _bytes(future) for key, future in self._kept.items() if future.done()}
            total = sum(sizes.values())
            for key, size in list(sizes.items())[:-1]:
                if total <= self._most_bytes and len(self._kept) <= 100:
                    return
                del self._kept[key]
                total -= size


def _bytes(done: Future[pa.Table | None]) -> int:
    table = None if done.exception() else done.result()
    return 0 if table is None else int(table.nbytes)
