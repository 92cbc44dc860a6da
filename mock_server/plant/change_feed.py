"""What happened to one stream between two instants: the events that came, changed or went, in that order."""

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
    """What was done to an event."""

    ADD = 0
    UPDATE = 1
    DELETE = 2
    REFRESH = 3


class Feed(NamedTuple):
    """One stream's changes in the order they were made.

    `at` is when, `dropped` whether the snapshot before an added event was dropped by compression.
    """

    block: Block
    action: I64
    at: I64
    dropped: NDArray[np.bool_]

    def after(self, first: Block) -> "Feed":
        """The feed with the one event of `first` added before everything else."""
        return Feed(
            chained([first, self.block]),
            np.insert(self.action, 0, Action.ADD),
            np.insert(self.at, 0, first.ticks),
            np.insert(self.dropped, 0, False),
        )


def feed(devices: Instruments, created: int, after: int, until: int) -> Feed:
    """What was done in (after, until] to the stream of the only instrument.

    Events that are appended are added, one that comes late or gets another value is an update, and one that
    vanishes is deleted; only a dropped snapshot shows in the event that replaced it.
    """
    rows, revisions = _touched(devices, created, after, until)
    places, actions, at = _changes(rows, revisions, after, until)
    order = np.lexsort((places, at))
    places, actions, at = places[order], actions[order], at[order]
    edited = (actions == Action.UPDATE) & (revisions.edited[places] == at)
    edited |= (actions == Action.DELETE) & (revisions.edited[places] < at)
    late = (actions == Action.ADD) & ~_is_newest(rows, revisions)[places]
    block = with_values(devices, rows.take(places, np.array([0, len(places)])), edited)
    dropped = (
        (actions == Action.ADD) & (rows.ordinal[np.maximum(places - 1, 0)] == PROVISIONAL) & (places > 0)
    )
    return Feed(block, np.where(late, Action.UPDATE, actions), at, dropped)


def _touched(devices: Instruments, created: int, after: int, until: int) -> tuple[Rows, Revisions]:
    """Every event on which something could be done in (after, until]."""
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
    """Whether no later event had arrived before an event did."""
    order = np.lexsort((np.arange(len(rows.times)), revisions.arrival))
    newest = np.maximum.accumulate(rows.times[order]) if len(order) else rows.times
    result = np.empty(len(order), dtype=np.bool_)
    result[order] = rows.times[order] >= newest
    return result


def refresh(block: Block, at: int) -> Feed:
    """A feed that says only that everything from the block's one event on is to be read again."""
    count = len(block.ticks)
    return Feed(block, np.full(count, Action.REFRESH), np.full(count, at), np.zeros(count, dtype=np.bool_))
