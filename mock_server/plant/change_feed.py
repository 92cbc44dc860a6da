"""The changes of one stream between two instants: events added, updated or deleted, in the order of the changes."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import changes, signals
from mock_server.plant.changes import PROVISIONAL, Revisions
from mock_server.plant.events import I64, Block, chained
from mock_server.plant.instruments import Instruments
from mock_server.plant.process import Rows, with_values


class Action(IntEnum):
    """The change made to an event."""

    ADD = 0
    UPDATE = 1
    DELETE = 2
    REFRESH = 3


class Feed(NamedTuple):
    """One stream's changes in the order they were made.

    `at` is the instant of a change; `dropped` says whether compression dropped the snapshot before an added event.
    """

    block: Block
    action: I64
    at: I64
    dropped: NDArray[np.bool_]

    def after(self, first: Block) -> "Feed":
        """The feed with the one event of `first` added at its start."""
        return Feed(
            chained([first, self.block]),
            np.insert(self.action, 0, Action.ADD),
            np.insert(self.at, 0, first.ticks),
            np.insert(self.dropped, 0, False),
        )


def feed(devices: Instruments, created: int, after: int, until: int) -> Feed:
    """The changes of the only instrument's stream in (after, until].

    A new newest event is an addition, a late or edited one an update. A dropped snapshot is not a deletion: it shows
    only in the event that replaced it.
    """
    rows, revisions = _touched(devices, created, after, until)
    places, actions, at = _changes(rows, revisions, after, until)
    order = np.lexsort((places, at))
    places, actions, at = places[order], actions[order], at[order]
    edited = (actions == Action.UPDATE) & (revisions.edited[places] == at)
    edited |= (actions == Action.DELETE) & (revisions.edited[places] < at)
    added = actions == Action.ADD
    late = added & ~_is_newest(rows, revisions)[places]
    block = with_values(devices, rows.take(places, np.array([0, len(places)])), edited)
    dropped = added & (rows.ordinal[np.maximum(places - 1, 0)] == PROVISIONAL) & (places > 0)
    return Feed(block, np.where(late, Action.UPDATE, actions), at, dropped)


def _touched(devices: Instruments, created: int, after: int, until: int) -> tuple[Rows, Revisions]:
    """Every event that could have changed in (after, until]."""
    horizon = changes.horizon(devices.period) if devices.change_odds else np.zeros(1, dtype=np.int64)
    low = np.maximum(after - horizon, created + 1)
    first, end = signals.slots_of(devices, low, np.array([until]))
    rows, revisions = signals.histories(devices, first, np.maximum(first, end))
    if revisions is None:
        never = np.full(len(rows.times), changes.NEVER)
        revisions = Revisions(rows.times, never, never)
    known = np.flatnonzero(rows.times > created)
    return (
        rows.take(known, np.array([0, len(known)])),
        Revisions(*(each[known] for each in revisions)),
    )


def _changes(rows: Rows, revisions: Revisions, after: int, until: int) -> tuple[I64, I64, I64]:
    """The places, actions and instants of the changes in (after, until]."""
    went = np.where(rows.ordinal == PROVISIONAL, changes.NEVER, revisions.deleted)
    found = [
        (np.flatnonzero((at > after) & (at <= until)), action, at)
        for action, at in (
            (Action.ADD, revisions.arrival),
            (Action.UPDATE, revisions.edited),
            (Action.DELETE, went),
        )
    ]
    places = np.concatenate([each[0] for each in found])
    actions = np.concatenate([np.full(len(each[0]), each[1], dtype=np.int64) for each in found])
    return places, actions, np.concatenate([each[2][each[0]] for each in found])


def _is_newest(rows: Rows, revisions: Revisions) -> NDArray[np.bool_]:
    """Whether an event was the newest when it arrived."""
    order = np.lexsort((np.arange(len(rows.times)), revisions.arrival))
    newest = np.maximum.accumulate(rows.times[order]) if len(order) else rows.times
    result = np.empty(len(order), dtype=np.bool_)
    result[order] = rows.times[order] >= newest
    return result


def refresh(block: Block, at: int) -> Feed:
    """A feed with a single Refresh: the client has to read again from the block's one event on."""
    count = len(block.ticks)
    return Feed(block, np.full(count, Action.REFRESH), np.full(count, at), np.zeros(count, dtype=np.bool_))
