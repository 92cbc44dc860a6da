"""A data server with the points and events of a file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mock_server.plant import ticks
from mock_server.plant.catalog import Catalog
from mock_server.plant.change_feed import Action, Feed
from mock_server.plant.data_archive import Window
from mock_server.plant.datafile import Export
from mock_server.plant.events import BAD, Block, Kind, offsets, spans
from mock_server.plant.history import History
from mock_server.plant.instruments import Recipe
from mock_server.plant.point import Point
from mock_server.plant.sensors import NO_DATA, Sensor
from mock_server.plant.wildcards import folded

_PLANT, _AREA = "DATA", "A1"


class Imported:
    """The events of an export by tag and time; rows with equal times keep the order of the file.

    A tag with numbers only is a Float64 point, any other a String point. A row without a value is the state "No
    Data".
    """

    def __init__(self, export: Export) -> None:
        order = np.lexsort((export.ticks, export.tag))
        tag = export.tag[order]
        self.tags = export.tags
        self.bounds = np.searchsorted(tag, np.arange(len(export.tags) + 1))
        self.ticks = export.ticks[order]
        text = export.text.take(pa.array(order))
        empty = np.array(text.to_numpy(zero_copy_only=False) == "", dtype=np.bool_)
        other = ~export.is_number[order] & ~empty
        texts = np.add.reduceat(other, self.bounds[:-1]) > 0
        self.is_text = texts
        kind = np.where(texts[tag], Kind.STRING, Kind.NUMBER)
        self.kind = np.where(empty, Kind.SYSTEM, kind).astype(np.uint8)
        self.number = np.where(self.kind == Kind.NUMBER, export.number[order], 0.0)
        self.flags = export.flags[order] | np.where(empty, np.uint8(BAD), np.uint8(0))
        self.code = np.where(empty, NO_DATA, 0).astype(np.int64)
        self._texts = [self._coded(text, place) for place in range(len(self.tags))]

    def _coded(self, text: pa.Array, place: int) -> tuple[str, ...]:
        """The distinct texts of a String point; `code` of an event is an index into them."""
        if not self.is_text[place]:
            return ()
        rows = slice(int(self.bounds[place]), int(self.bounds[place + 1]))
        encoded = text[rows].dictionary_encode()
        codes = encoded.indices.to_numpy()
        self.code[rows] = np.where(self.kind[rows] == Kind.STRING, codes, self.code[rows])
        return tuple(encoded.dictionary.to_pylist())

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """The columns of all events, in the order of those of a block."""
        return self.ticks, self.kind, self.number, self.code, self.flags

    def sensor(self, place: int) -> Sensor:
        """The sensor that describes the tag at `place`."""
        rows = slice(int(self.bounds[place]), int(self.bounds[place + 1]))
        if self.is_text[place]:
            return Sensor("TEXT", "String", "Imported text", "", (1, 1), step=True, texts=self._texts[place])
        numbers = self.number[rows][self.kind[rows] == Kind.NUMBER]
        low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 100.0)
        return Sensor("NUMBER", "Float64", "Imported value", "", (1, 1), zero=low, span=high - low)


class ImportedCatalog(Catalog):
    """The tags of an export, in order of appearance."""

    def __init__(self, seed: int, imported: Imported) -> None:
        super().__init__(seed, len(imported.tags), 1, int(imported.ticks.min()))
        self._imported = imported
        self._places = {folded(name): place for place, name in enumerate(imported.tags)}
        self._sensors = [imported.sensor(place) for place in range(len(imported.tags))]

    def add(self, count: int, created_ticks: int) -> range:
        """Reject further points: the file defines them.

        Raises:
            ValueError: always.
        """
        msg = (
            f"{count} points cannot be added at {ticks.to_iso(created_ticks)}: the points are those of a file"
        )
        raise ValueError(msg)

    def rename(self, point: Point) -> Point:
        """Reject other names: the file defines them.

        Raises:
            ValueError: always.
        """
        msg = f"'{point.name}' cannot get another name: the points are those of a file"
        raise ValueError(msg)

    def point(self, index: int) -> Point:
        """The point at `index` of server order."""
        first = int(self._imported.ticks[self._imported.bounds[index]])
        plant, area, sensor, name = self._named(index)
        return Point(self.server, index, name, plant, area, sensor, first)

    def _named(self, index: int) -> tuple[str, str, Sensor, str]:
        return _PLANT, _AREA, self._sensors[index], self._imported.tags[index]

    def _index_of(self, name: str) -> int | None:
        return self._places.get(folded(name))


class ImportedHistory(History):
    """The recorded events of an export; they never change, and become visible as time passes."""

    def __init__(self, imported: Imported) -> None:
        super().__init__(Recipe(0))
        self._all = imported

    def read(self, points: Sequence[Point], wanted: Window) -> Block:
        """The events of a window of each point."""
        low, high, now, limit, newest_first = wanted
        found = [self._rows(point, low, min(high, now)) for point in points]
        first, end = np.array(found, dtype=np.int64).reshape(-1, 2).T
        if limit is not None and newest_first:
            first = np.maximum(first, end - limit)
        elif limit is not None:
            end = np.minimum(end, first + limit)
        rows = spans(first, end - first)
        block = Block(points, offsets(end - first), *(column[rows] for column in self._all.columns))
        return block.reversed() if newest_first else block

    def changes(self, point: Point, after: int, until: int) -> Feed:
        """What became visible in (after, until]."""
        block = self.window([point], after + 1, until)
        count = len(block.ticks)
        return Feed(block, np.full(count, Action.ADD), block.ticks, np.zeros(count, dtype=np.bool_))

    def _rows(self, point: Point, low: int, high: int) -> tuple[int, int]:
        begin, end = (int(each) for each in self._all.bounds[point.index : point.index + 2])
        own = self._all.ticks[begin:end]
        first = begin + int(np.searchsorted(own, low))
        return first, max(first, begin + int(np.searchsorted(own, high, side="right")))
