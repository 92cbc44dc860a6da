"""What a table is: the contract between those who read tables (Spark, the command line, the pipeline) and each table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, Protocol

import pyarrow as pa

from pi_datasource.model import Window
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.data_servers import ServerClock


class Task(Protocol):
    """A part of a table that is read on its own: small, picklable, and all that ``Table.read`` needs to know."""

    @property
    def table(self) -> str:
        """The name of the table."""


class TableStream(ABC):
    """A table as one running stream follows it; what it remembers between micro-batches can be found again."""

    @abstractmethod
    def refresh(self, now: datetime, *, planned: str | None = None, strict: bool = False) -> None:
        """Looks up what there is to read, if that is due; ``planned`` is the fingerprint of the last micro-batch.

        Raises:
            NoTagMatches: ``strict``, and something that was asked for does not exist; or nothing is left of what there was.
            ServerError: the server does not say.
        """

    @abstractmethod
    def restore(self, now: Callable[[], datetime], planned: str | None, started: datetime | None) -> None:
        """Looks up what there is to read, if that was never done; logs when it differs from ``planned``."""

    @abstractmethod
    def start(self, now: datetime) -> datetime:
        """Where a stream begins whose first run starts ``now``; not later than that."""

    @abstractmethod
    def fingerprint(self, started: datetime | None) -> str:
        """A short text that is the same for the same things to read."""

    @abstractmethod
    def count(self, window: Window) -> float:
        """About how many rows ``window`` holds.

        Raises:
            ServerError: the server does not count.
        """

    @abstractmethod
    def plan(self, window: Window, started: datetime | None, offset: str) -> Sequence[Task]:
        """The tasks that read ``window``: the same ones each time, as long as there is the same to read.

        ``started`` is when the stream was first started if parts of the table may begin within ``window``, else None;
        ``offset`` is where the micro-batch ends, as JSON.
        """


class Table(ABC):
    """One table: its rows, its columns, and how both are read."""

    name: ClassVar[str]
    grain: ClassVar[str]
    """What one row is."""
    key: ClassVar[tuple[str, ...]]
    """The columns that identify a row."""
    reports: ClassVar[bool] = False
    """Whether ``on_error=report`` and ``report_metrics`` add rows, which the column ``value_kind`` distinguishes from the others."""

    @abstractmethod
    def schema(self, options: Options) -> pa.Schema:
        """All columns, as the options shape them.

        Raises:
            InvalidOption: the options contradict each other.
        """

    @abstractmethod
    def plan(self, client: PIClient, pruning: Pruning) -> Sequence[Task]:
        """The tasks of a batch read of what ``pruning`` leaves of its options; together they hold each row once.

        Raises:
            PIError: something that the options ask for does not exist, or the server does not say.
        """

    @abstractmethod
    def read(
        self, client: PIClient, task: Task, schema: pa.Schema, options: Options
    ) -> Iterator[pa.RecordBatch]:
        """The rows of ``task`` in batches of exactly ``schema``; the same each time, as long as the server's data are.

        Raises:
            PIError: rows cannot be read.
        """

    def stream(self, options: Options, clock: ServerClock) -> TableStream | None:  # noqa: ARG002 - for those that stream
        """The table as a stream follows it; None if it cannot be streamed."""
        return None
