"""What the pipeline needs of a streaming query: classic Spark and Spark Connect have a class each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class RunningQuery(Protocol):
    """A streaming query; what ``StreamingQuery`` of either engine documents."""

    @property
    def id(self) -> str:
        """The identity of the stream, which stays the same across restarts."""

    @property
    def name(self) -> str | None:
        """The name of the query, unique within a session."""

    @property
    def isActive(self) -> bool:  # noqa: N802 - Spark's name
        """Whether the query runs."""

    @property
    def lastProgress(self) -> Mapping[str, Any] | None:  # noqa: N802 - Spark's name
        """The report of the last finished micro-batch."""

    def awaitTermination(self, timeout: int | None = None) -> bool | None:  # noqa: N802 - Spark's name
        """Waits until the query ends and raises its failure; with ``timeout`` (s), returns whether it has ended."""

    def stop(self) -> None:
        """Ends the query."""

    def exception(self) -> Exception | None:
        """The failure that ended the query."""

    def processAllAvailable(self) -> None:  # noqa: N802 - Spark's name
        """Waits until everything that is available has been written."""
