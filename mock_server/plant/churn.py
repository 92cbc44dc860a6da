"""Creation, renaming and deletion of tags on a schedule that the seed determines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from mock_server.plant import ticks
from mock_server.plant.hashing import salted, scatter

_MOST_RENAMES = 9
_NEW, _RENAMED, _DELETED = "new", "renamed", "deleted"
_KINDS = (_NEW, _NEW, _RENAMED, _DELETED)


@dataclass(frozen=True)
class Change:
    """One change of the list of tags; `renames` counts the renames of the tag so far."""

    at: int
    kind: str
    index: int
    renames: int = 0


@dataclass(frozen=True)
class Tags:
    """The difference between the current and the initial tags; every state has its own `version`."""

    version: int = 0
    hidden: frozenset[int] = frozenset()
    renames: dict[int, int] = field(default_factory=dict)

    def deleted(self, index: int) -> "Tags":
        """The same with one tag deleted."""
        return Tags(self.version + 1, self.hidden | {index}, self.renames)

    def restored(self, index: int) -> "Tags":
        """The same with one tag restored."""
        return Tags(self.version + 1, self.hidden - {index}, self.renames)

    def renamed(self, index: int) -> "Tags":
        """The same with one tag renamed.

        Raises:
            ValueError: when it has been renamed too often.
        """
        count = self.renames.get(index, 0) + 1
        if count > _MOST_RENAMES:
            msg = f"a tag can get {_MOST_RENAMES} other names by hand, and this one has had them"
            raise ValueError(msg)
        return Tags(self.version + 1, self.hidden, {**self.renames, index: count})

    def on_top_of(self, scheduled: "Tags") -> "Tags":
        """Changes made by hand combined with those of the schedule."""
        if not self.version:
            return scheduled
        renames = dict(scheduled.renames)
        for index, count in self.renames.items():
            renames[index] = renames.get(index, 0) + count
        return Tags(self.version << 40 | scheduled.version, self.hidden | scheduled.hidden, renames)


class Churn:
    """The schedule of a plant that starts with `tags` tags at `start`, with `per_day` changes a day.

    Half of them create a tag, a quarter each rename and delete one. `add` creates a tag at an instant and returns its
    index. Thread-safe.
    """

    def __init__(self, seed: int, tags: int, start: int, per_day: float, add: Callable[[int], int]) -> None:
        if not 0.0 < per_day <= 86_400.0:
            msg = f"churn is a number of changes a day up to 86400, not {per_day}"
            raise ValueError(msg)
        self._seed = np.array([seed % 2**64], dtype=np.uint64)
        self._start, self._span = start, round(ticks.PER_DAY / per_day)
        self._tags = list(range(tags))
        self._renames: dict[int, int] = {}
        self._add = add
        self._log: list[Change] = []
        self._spans_done = 0
        self._known = Tags(), -1
        self._lock = Lock()

    def at(self, now: int) -> Tags:
        """The state of the tags at `now`."""
        known, instant = self._known
        if now == instant:
            return known
        with self._lock:
            while self._start + self._spans_done * self._span <= now:
                self._schedule(self._spans_done)
                self._spans_done += 1
            tags = self._read(now)
            self._known = tags, now
            return tags

    def _schedule(self, span: int) -> None:
        """Append the change of one span to the log."""
        bits = scatter(salted(self._seed, 31), np.array([span]))
        draws = [int(salted(bits, salt)[0]) for salt in (1, 2, 3)]
        at = self._start + span * self._span + draws[0] % self._span
        kind = _KINDS[draws[1] % len(_KINDS)]
        if kind == _NEW:
            index = self._add(at)
            self._tags.append(index)
            self._log.append(Change(at, kind, index))
        elif self._tags:
            place = draws[2] % len(self._tags)
            self._alter(at, kind, place)

    def _alter(self, at: int, kind: str, place: int) -> None:
        index = self._tags[place]
        renames = self._renames.get(index, 0) + 1
        if kind == _DELETED:
            self._tags[place] = self._tags[-1]
            self._tags.pop()
            self._log.append(Change(at, kind, index))
        elif renames <= _MOST_RENAMES:
            self._renames[index] = renames
            self._log.append(Change(at, kind, index, renames))

    def _read(self, now: int) -> Tags:
        """The state that the log describes up to `now`; tags created later are hidden."""
        known, _ = self._known
        done = sum(change.at <= now for change in self._log)
        later = sum(change.kind == _NEW for change in self._log[done:])
        if known.version == done * 2 + (later > 0):
            return known
        hidden: set[int] = set()
        renames: dict[int, int] = {}
        for change in self._log[:done]:
            if change.kind == _DELETED:
                hidden.add(change.index)
            elif change.kind == _RENAMED:
                renames[change.index] = change.renames
        hidden.update(change.index for change in self._log[done:] if change.kind == _NEW)
        return Tags(done * 2 + (later > 0), frozenset(hidden), renames)
