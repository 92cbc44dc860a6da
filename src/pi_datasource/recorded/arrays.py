"""Arrow arrays from numpy arrays and texts, and back, by their buffers.

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


def numbers(values: NDArray[Any], kind: pa.DataType, missing: Bools | None = None) -> pa.Array:
    """The values, whose width must be that of ``kind``; null where ``missing``."""
    assert values.dtype.itemsize * 8 == kind.bit_width
    buffers = [_validity(missing), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def flags(values: Bools, missing: Bools) -> pa.Array:
    """The booleans; null where ``missing``."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(missing), _packed(values)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """The texts as UTF-8; null where None."""
    encoded = [(value or "").encode() for value in values]
    edges = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(each) for each in encoded], out=edges[1:])
    missing = np.array([value is None for value in values], np.bool_)
    buffers = [_validity(missing), pa.py_buffer(edges), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def repeated(single: pa.Array, size: int) -> pa.Array:
    """The one value of ``single`` so many times."""
    return pa.repeat(single[0], size)


def values_of(array: pa.Array, kind: type[np.generic]) -> NDArray[Any]:
    """The numbers of an array without nulls, as they lie in memory: not to be changed."""
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * np.dtype(kind).itemsize)


def bytes_of(array: pa.Array) -> list[bytes]:
    """The values of a binary array without nulls."""
    _, edges, data = array.buffers()
    whole = data.to_pybytes() if data else b""
    bounds = np.frombuffer(edges, np.int32, len(array) + 1, array.offset * 4).tolist()
    return [whole[start:end] for start, end in itertools.pairwise(bounds)]


def _validity(missing: Bools | None) -> pa.Buffer | None:
    return None if missing is None or not missing.any() else _packed(~missing)


def _packed(bits: Bools) -> pa.Buffer:
    return pa.py_buffer(np.packbits(bits, bitorder="little"))
