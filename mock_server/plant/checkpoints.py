"""Checkpoints in long loops, at which a request lets other requests compute."""

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

_ITEMS_BETWEEN = 16

T = TypeVar("T")


class Pausable(Protocol):
    """A computation that can pause and that enforces a time limit."""

    def checkpoint(self) -> None:
        """Pause if the time slice is used up; raises when the computation has to end."""

    def begin_query(self) -> None:
        """Restart the time limit."""


current: ContextVar[Pausable | None] = ContextVar("computation", default=None)
"""The computation of this thread; without one, checkpoints do nothing."""


def checkpoint() -> None:
    """Let other requests compute if this one used its time slice; called in every loop that can be long.

    The caller must hold no lock. Raises what ends the computation: the client disconnected, or the query timed out.
    """
    computation = current.get()
    if computation is not None:
        computation.checkpoint()


def paced(items: Iterable[T]) -> Iterator[T]:
    """The items, with a `checkpoint` every few."""
    for number, item in enumerate(items):
        if not number % _ITEMS_BETWEEN:
            checkpoint()
        yield item


def paced_sort(items: Iterable[T], key: Callable[[T], Any], *, reverse: bool = False) -> list[T]:
    """The items as `sorted` puts them, with checkpoints while their keys are made."""
    found = list(items)
    keys = [key(item) for item in paced(found)]
    order = sorted(range(len(found)), key=keys.__getitem__, reverse=reverse)
    return [found[place] for place in order]


def begin_query() -> None:
    """Restart the time limit, as for each request within a batch."""
    computation = current.get()
    if computation is not None:
        computation.begin_query()
