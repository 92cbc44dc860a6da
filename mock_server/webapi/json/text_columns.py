"""Rows of text, concatenated from columns that index into tables of texts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Places = NDArray[np.integer]
_UNCHECKED = pc.TakeOptions(boundscheck=False)
_take = pc.get_function("array_take")


class Column(NamedTuple):
    """For each row the index of a text in a table; a single index applies to all rows."""

    table: pa.Array
    places: "Places | int"


class TextRows(NamedTuple):
    """Concatenated texts: row `i` is `text[ends[i]:ends[i + 1]]`."""

    text: memoryview
    ends: NDArray[np.int32]

    def array(self) -> pa.Array:
        """The rows as a table for further columns."""
        ends = np.ascontiguousarray(self.ends)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(self.text)]
        return pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)


def joined_columns(rows: int, columns: Sequence[Column]) -> TextRows:
    """The texts of all columns, concatenated row by row.

    One take from one table in the order of the output writes the whole output to one buffer, so that nothing is
    joined.
    """
    tables = list({id(column.table): column.table for column in columns}.values())
    first = dict(zip(map(id, tables), np.cumsum([0, *map(len, tables)]).tolist(), strict=False))
    places = np.empty((rows, len(columns)), dtype=np.int32)
    for place, column in enumerate(columns):
        np.add(column.places, first[id(column.table)], out=places[:, place], casting="unsafe")
    table = pa.concat_arrays(tables) if len(tables) > 1 else tables[0]
    taken = _take.call([table, pa.array(places.reshape(-1))], _UNCHECKED)
    _, ends, text = taken.buffers()
    each = np.frombuffer(ends, np.int32, len(taken) + 1, taken.offset * 4)
    return TextRows(memoryview(text) if text is not None else memoryview(b""), each[:: len(columns)])


def table(texts: Sequence[bytes]) -> pa.Array:
    """The texts as a table for columns."""
    return pa.array(texts, pa.binary())
