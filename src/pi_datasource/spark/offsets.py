"""Stream offsets: what Spark keeps in its checkpoint, as versioned JSON. Pure.

An offset ends a micro-batch ``[from, to)``: everything before ``to`` has been planned, and ``from`` is where that batch
began, so that the first one can be replayed exactly although ``start_time`` was relative. ``started`` is the PI server's
time when the stream was first started: what is relative in ``start_times`` counts from there. ``points`` tells which
points were planned, in a few letters; it is null in the initial offset, which ends no batch. Spark compares offsets as
text, so the same offset always has the same text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pi_datasource import time_strings
from pi_datasource.errors import OffsetError
from pi_datasource.model import Window, iso_utc

Offset = dict[str, Any]

VERSION = 2


@dataclass(frozen=True)
class Position:
    """One offset. ``initial`` holds for the one that no batch has ended at: it is resolved anew at each start."""

    window: Window
    started: datetime
    points: str | None = None
    initial: bool = False

    def to_json(self) -> Offset:
        """As Spark gets it, with a fixed order of keys."""
        return {
            "version": VERSION,
            "from": iso_utc(self.window.start),
            "to": iso_utc(self.window.end),
            "started": iso_utc(self.started),
            "points": self.points,
        }


def parse(value: Any) -> Position:
    """The position that an offset of this version or an older one stands for.

    Raises:
        OffsetError: it was written by a newer version, or is no offset of this source.
    """
    try:
        version = value["version"]
        if type(version) is int and version in _READERS:
            return _READERS[version](value)
    except (KeyError, TypeError, ValueError) as cause:
        message = f"the checkpoint's offset {value!r} is none of format('pi'); use this stream's own checkpoint folder"
        raise OffsetError(message) from cause
    message = f"the checkpoint's offset has version {version!r}, and this pi-datasource reads up to {VERSION}; upgrade it"
    raise OffsetError(message)


def window_of(value: Any) -> Window:
    """The window that an offset ends.

    Raises:
        OffsetError: as ``parse``.
    """
    return parse(value).window


def _window(value: Offset) -> Window:
    return Window(time_strings.parse_wire(value["from"]), time_strings.parse_wire(value["to"]))


def _version_1(value: Offset) -> Position:
    """Written before points and per-tag starts were told: the batch's own beginning stands for the stream's.

    Only logged offsets are still of this version, never an initial one.
    """
    window = _window(value)
    return Position(window, window.start)


def _version_2(value: Offset) -> Position:
    points = value["points"]
    if not isinstance(points, (str, type(None))):
        raise TypeError
    return Position(_window(value), time_strings.parse_wire(value["started"]), points, initial=points is None)


_READERS = {1: _version_1, 2: _version_2}
