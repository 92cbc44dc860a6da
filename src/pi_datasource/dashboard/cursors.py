"""Runs duckdb statements and interrupts those that take too long or are running when the process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer

import duckdb

from pi_datasource.dashboard.backend import first_line
from pi_datasource.errors import TablesUnavailable


class Cursors:
    """Opens a connection to one database for each statement. May be used from several threads at once."""

    def __init__(self, database: duckdb.DuckDBPyConnection, timeout_s: float = 60.0) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._open: set[duckdb.DuckDBPyConnection] = set()
        self._closed = False

    def close(self) -> None:
        """Interrupts every statement and rejects further ones."""
        self._closed = True
        for cursor in list(self._open):
            cursor.interrupt()

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one statement; the caller runs it inside ``watched``.

        Raises:
            TablesUnavailable: after ``close``.
        """
        with self._lock:
            if self._closed:
                raise TablesUnavailable(self._why_interrupted())
            cursor = self._database.cursor()
            self._open.add(cursor)
        if self._closed:  # meanwhile: ``close`` may have missed this cursor
            cursor.interrupt()
        try:
            yield cursor
        finally:
            self._open.discard(cursor)
            cursor.close()

    @contextmanager
    def one(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one statement.

        Raises:
            TablesUnavailable: the statement failed, took too long, or was interrupted by ``close``.
        """
        with self.opened() as cursor, self.watched(cursor):
            cursor.execute("SET TimeZone = 'UTC'")
            yield cursor

    @contextmanager
    def watched(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Interrupts the block when it takes too long, and raises duckdb's errors as ``TablesUnavailable``.

        ``duckdb.IOException`` is passed on: the caller may retry with a newer version of the table.
        """
        try:
            watchdog = Timer(self._timeout_s, cursor.interrupt)
            watchdog.daemon = True
            watchdog.start()
        except RuntimeError as cause:
            message = f"this machine allows the dashboard no more threads ({cause}); try again in a moment"
            raise TablesUnavailable(message) from cause
        try:
            yield
        except duckdb.InterruptException as cause:
            raise TablesUnavailable(self._why_interrupted()) from cause
        except duckdb.IOException:
            raise
        except duckdb.Error as cause:
            message = f"duckdb could not answer: {first_line(cause)}"
            raise TablesUnavailable(message) from cause
        finally:
            watchdog.cancel()

    def _why_interrupted(self) -> str:
        if self._closed:
            return "the dashboard is stopping"
        return f"a statement took longer than {self._timeout_s:.0f} s and was stopped; choose a shorter range"
