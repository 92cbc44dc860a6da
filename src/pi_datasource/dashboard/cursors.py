"""Statements of duckdb, each of which is stopped when it takes too long or when the program ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer

import duckdb

from pi_datasource.errors import TablesUnavailable

__all__ = ["Cursors"]

_LONGEST_S = 60.0


class Cursors:
    """Connections to one database, one for each statement. May be used from several threads at once."""

    def __init__(self, database: duckdb.DuckDBPyConnection, longest_s: float = _LONGEST_S) -> None:
        self._database = database
        self._longest_s = longest_s
        self._lock = Lock()
        self._open: set[duckdb.DuckDBPyConnection] = set()
        self._closed = False

    def close(self) -> None:
        """Stops every statement; there are no further ones."""
        self._closed = True
        for cursor in list(self._open):
            cursor.interrupt()

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one statement, what it does being ``watched`` by the caller.

        Raises:
            TablesUnavailable: after ``close``.
        """
        cursor = self._added()
        try:
            yield cursor
        finally:
            self._open.discard(cursor)
            cursor.close()

    @contextmanager
    def one(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one statement.

        Raises:
            TablesUnavailable: the statement failed, took too long, or was stopped by ``close``.
        """
        with self.opened() as cursor, self.watched(cursor):
            cursor.execute("SET TimeZone = 'UTC'")
            yield cursor

    @contextmanager
    def watched(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """The block is stopped when it takes too long, and errors of duckdb in it are told in words."""
        try:
            watchdog = Timer(self._longest_s, cursor.interrupt)
            watchdog.daemon = True
            watchdog.start()
        except RuntimeError as cause:
            message = f"this machine lets the dashboard start no thread ({cause}); ask again in a moment"
            raise TablesUnavailable(message) from cause
        try:
            yield
        except duckdb.InterruptException as cause:
            raise TablesUnavailable(self._why_interrupted()) from cause
        except duckdb.IOException:
            raise
        except duckdb.Error as cause:
            message = f"duckdb could not answer: {str(cause).splitlines()[0][:300]}"
            raise TablesUnavailable(message) from cause
        finally:
            watchdog.cancel()

    def _added(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._closed:
                raise TablesUnavailable(self._why_interrupted())
            cursor = self._database.cursor()
            self._open.add(cursor)
        if self._closed:  # meanwhile, and it may have been too new to be stopped
            cursor.interrupt()
        return cursor

    def _why_interrupted(self) -> str:
        if self._closed:
            return "the dashboard is stopping"
        return f"a statement took longer than {self._longest_s:.0f} s and was stopped; choose a shorter range"
