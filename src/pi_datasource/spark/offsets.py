"""Stream offsets: what Spark keeps in its checkpoint, as versioned JSON. Pure.

An offset ends a micro-batch ``[from, to)``: everything before ``to`` has been planned, and ``from`` is where that batch
began, so that the first one can be replayed exactly although ``start_time`` was relative. ``started`` is the PI server's
time when the stream was first started: relative times in ``start_times`` count from it. ``points`` is a
fingerprint of the points that were planned; it is null in the initial offset, which ends no batch. Spark compares offsets as
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
    """One offset. ``initial`` marks the offset at which no batch has ended: it is resolved again at each start."""

    window: Window
    started: datetime
    points: str | None = None
    initial: bool = False

    def to_json(self) -> Offset:
        """The JSON object that Spark stores, with a fixed order of keys."""
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
        OffsetError: it was written by a newer version or by another source.
    """
    try:
        version = value["version"]
        if type(version) is int and version in _READERS:
            return _READERS[version](value)
    except (KeyError, TypeError, ValueError) as cause:
        message = f"the checkpoint's offset {value!r} was not written by format('pi'); use this stream's own checkpoint folder"
        raise OffsetError(message) from cause
    message = f"the checkpoint's offset has version {version!r}, and this pi-datasource reads up to {VERSION}; upgrade it"
    raise OffsetError(message)


def window_of(value: Any) -> Window:
    """The window of the micro-batch that ends at an offset.

    Raises:
        OffsetError: as ``parse``.
    """
    return parse(value).window


def _window(value: Offset) -> Window:
    return Window(time_strings.parse_wire(value["from"]), time_strings.parse_wire(value["to"]))


def _version_1(value: Offset) -> Position:
    """Of releases without points and per-tag starts: the start of the batch stands in for that of the stream.

    Only logged offsets still have this version, never an initial one.
    """
    window = _window(value)
    return Position(window, window.start)


def _version_2(value: Offset) -> Position:
    points = value["points"]
    if not isinstance(points, (str, type(None))):
        raise TypeError
    return Position(_window(value), time_strings.parse_wire(value["started"]), points, initial=points is None)


_READERS = {1: _version_1, 2: _version_2}
