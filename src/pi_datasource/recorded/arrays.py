"""Converts between numpy or Python sequences and Arrow arrays by way of their buffers.

``pa.array``, ``pa.scalar`` and ``to_numpy`` would do, but import pandas wherever it is installed, as on every cluster: 40 MB
and a third of a second in each worker and each planning process.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Float64 = NDArray[np.float64]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]


def fixed_width(values: NDArray[Any], kind: pa.DataType, missing: Bools | None = None) -> pa.Array:
    """The values, whose width must be that of ``kind``; null where ``missing``."""
    assert values.dtype.itemsize * 8 == kind.bit_width
    buffers = [_validity(missing), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def booleans(values: Bools, missing: Bools) -> pa.Array:
    """The booleans; null where ``missing``."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(missing), _bitmap(values)])


def strings(values: Sequence[str | None]) -> pa.Array:
    """The texts as UTF-8; null where None."""
    encoded = [(value or "").encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    missing = np.array([value is None for value in values], np.bool_)
    buffers = [_validity(missing), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def to_numpy(array: pa.Array, kind: type[np.generic]) -> NDArray[Any]:
    """A read-only view of the numbers of an array without nulls."""
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * np.dtype(kind).itemsize)


def to_bytes(array: pa.Array) -> list[bytes]:
    """The values of a binary array without nulls."""
    _, offsets, data = array.buffers()
    content = data.to_pybytes() if data else b""
    bounds = np.frombuffer(offsets, np.int32, len(array) + 1, array.offset * 4).tolist()
    return [content[start:end] for start, end in itertools.pairwise(bounds)]


def to_ticks(texts: pa.Array) -> Int64:
    """ISO timestamps in UTC as ticks of 100 ns since 1970; further digits are cut, never rounded.

    Raises:
        pa.ArrowInvalid: a text is not a timestamp between 1677 and 2262.
    """
    ticks: Int64 = to_numpy(texts.cast(pa.timestamp("ns", "UTC")), np.int64) // 100
    return ticks


def _validity(missing: Bools | None) -> pa.Buffer | None:
    return None if missing is None or not missing.any() else _bitmap(~missing)


def _bitmap(bits: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(bits, bitorder="little"))
