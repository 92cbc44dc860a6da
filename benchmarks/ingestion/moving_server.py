"""The static server with a clock that is set from outside, and with events that are edited.

    python -m benchmarks.ingestion.moving_server --tags 1000 --events 1000

prints its address and serves until its standard input is closed. `GET /clock?now=TIME` sets the clock; `GET
/edit?number=3&since=TIME` gives the third hundredth of the events since that time a new value.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlencode

from benchmarks.read import servers
from benchmarks.read.recordings import POOL, Recording, Shape, Text
from benchmarks.read.static_server import StaticServer, address, serve
from benchmarks.read.static_streams import Streams

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STEP = 1000.0  # what an edit adds to a value


class MovingServer(StaticServer):
    """A static server that is told the time and the edits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.streams: EditedStreams = EditedStreams(shape, self.directory)

    def respond(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of one call from outside."""
        given = dict(parse_qsl(query))
        if path == "/clock":
            self.directory.now = datetime.fromisoformat(given["now"])
            return 200, b""
        if path == "/edit":
            self.streams.edit(int(given["number"]), datetime.fromisoformat(given["since"]))
            return 200, b""
        return super().respond(method, path, query, body)


class EditedStreams(Streams):
    """The events of a shape, some of them edited since the server started."""

    _selections: frozenset[frozenset[str]] = frozenset()

    def edit(self, number: int, since: datetime) -> None:
        """Edits the events, and prepares their text in every form that was asked for, so that no reader waits for it."""
        self._recordings = [edited(each, number, since) for each in self._recordings]
        self._text.cache_clear()
        for fields in self._selections:
            for place in range(len(self._recordings)):
                self._text(place, fields)

    def _new_text(self, place: int, fields: frozenset[str]) -> Text:
        self._selections |= {fields}
        return super()._new_text(place, fields)


def edited(source: Recording, number: int, since: datetime) -> Recording:
    """``source`` with new values of its events ``number``, ``number + 100`` and so on, from ``since``."""
    values, numbers = list(source.values), list(source.numbers)
    for i in range(number % 100, len(values), 100):
        old = numbers[i]
        if source.ticks[i] >= ticks(since) and old is not None:
            numbers[i] = old + _STEP
            values[i] = repr(numbers[i])
    return replace(source, values=values, numbers=numbers)


def ticks(moment: datetime) -> int:
    """A time in PI's unit of 100 ns."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10


@dataclass
class Plant:
    """What a moving server holds: a mirror of its state, from which the truth is computed."""

    url: str
    pid: int
    shape: Shape
    recordings: list[Recording] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.recordings = [self.shape.recording(tag) for tag in range(min(self.shape.tags, POOL))]

    def set_clock(self, now: datetime) -> None:
        """Sets the server's present time."""
        self._tell("clock", now=now.isoformat())

    def edit(self, number: int, since: datetime) -> None:
        """Edits one event in a hundred from ``since`` on; another hundredth for each ``number``."""
        self._tell("edit", number=str(number), since=since.isoformat())
        self.recordings = [edited(each, number, since) for each in self.recordings]

    def rows(self, start: datetime, end: datetime) -> int:
        """The number of events of all tags in a window."""
        counts = [self._count(each, start, end) for each in self.recordings]
        return sum(counts[tag % POOL] for tag in range(self.shape.tags))

    def after(self, start: datetime, rows: int) -> datetime:
        """The first full millisecond at which at least so many events have happened since ``start``."""
        low, high = 0, 24 * 3600 * 1000
        while low < high:
            middle = (low + high) // 2
            if self.rows(start, start + timedelta(milliseconds=middle)) < rows:
                low = middle + 1
            else:
                high = middle
        return start + timedelta(milliseconds=low)

    def _count(self, source: Recording, start: datetime, end: datetime) -> int:
        # PI counts ticks, the tables microseconds: windows begin and end on full milliseconds, where both agree.
        return bisect_left(source.ticks, ticks(end)) - bisect_left(source.ticks, ticks(start))

    def _tell(self, what: str, **given: str) -> None:
        address = f"{self.url.removesuffix('/piwebapi')}/{what}?{urlencode(given)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            answer.read()


@contextmanager
def running(shape: Shape) -> Iterator[Plant]:
    """A moving server in a process of its own; gone when the block ends."""
    arguments = ["--tags", str(shape.tags), "--events", str(shape.events)]
    with servers.process("benchmarks.ingestion.moving_server", *arguments) as (pid, line):
        yield Plant(line, pid, shape)


def main() -> int:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="of each tag, in one day")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    stop = threading.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    server = MovingServer(Shape(options.tags, options.events))
    sys.stdout.write(address(listener) + "\n")
    sys.stdout.flush()
    serve(server, listener, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
