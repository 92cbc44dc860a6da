"""Splits fast rows and parsed events, interleaved in the order of the body, into streams. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pi_datasource.errors import UnexpectedReply
from pi_datasource.recorded import events
from pi_datasource.recorded.arrays import Int64
from pi_datasource.recorded.events import Columns, Events
from pi_datasource.recorded.fast_rows import FastRows
from pi_datasource.recorded.wire import Entry, TimedValue
from pi_datasource.webapi.envelope import BATCH


class Cut(NamedTuple):
    """The events of each stream, and the numbers of those that are out of order."""

    streams: list[Events]
    disordered: frozenset[int]


class Interleaving:
    """Collects the entries of all streams in the order of the body, and splits their events by stream."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.edges = [0]  # after each stream, in entries

    def add(self, entries: Sequence[Entry]) -> int:
        """The number under which ``cut`` gives the events of these entries."""
        self.entries += entries
        self.edges.append(len(self.entries))
        return len(self.edges) - 2

    def cut(self, fast: FastRows | None) -> Cut | None:
        """The events of each stream; None if the runs are not exactly those of the fast rows."""
        if fast is None:
            if not all(type(entry) is TimedValue for entry in self.entries):
                message = "a list stands in place of an event"
                raise UnexpectedReply(message, call=BATCH)
            return _split(events.from_items(self.entries), self.edges)  # type: ignore[arg-type]
        items, places, rows, at = [], [], [0], 0
        run_ends_at = 0
        for entry in self.entries:
            if type(entry) is TimedValue:
                items.append(entry)
                places.append(at)
                at += 1
            else:
                first, after = entry  # type: ignore[misc]
                if first != run_ends_at or after <= first:
                    return None
                run_ends_at = after
                at += after - first
            rows.append(at)
        if run_ends_at != len(fast.ticks):
            return None
        whole = events.interleave(fast, events.from_items(items), np.array(places, np.int64))
        return _split(whole, [rows[edge] for edge in self.edges])


def _split(whole: Columns, edges: list[int]) -> Cut:
    each = [Events(whole, first, after) for first, after in pairwise(edges)]
    return Cut(each, _disordered(whole.ticks, edges))


def _disordered(ticks: Int64, edges: list[int]) -> frozenset[int]:
    falls = np.flatnonzero(ticks[1:] < ticks[:-1]) + 1
    if not len(falls):
        return frozenset()
    starts = np.array(edges, np.int64)
    owners = np.searchsorted(starts, falls, side="right") - 1
    # From one stream to the next, time may go back.
    return frozenset(owners[starts[owners] != falls].tolist())
