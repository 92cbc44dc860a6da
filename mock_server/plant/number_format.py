"""Numbers as PI Web API prints them, and the doubles a client gets when it parses them."""

import numpy as np
import orjson
from numpy.typing import NDArray

_DTYPES: dict[str, type[np.generic]] = {"Float32": np.float32, "Int32": np.int64}


def number_array(point_type: str, number: NDArray[np.float64]) -> bytes:
    """The numbers of a point of that type as a JSON array."""
    typed = np.ascontiguousarray(number, dtype=_DTYPES.get(point_type, np.float64))
    return orjson.dumps(typed, option=orjson.OPT_SERIALIZE_NUMPY)


def printed_numbers(point_type: str, number: NDArray[np.float64]) -> NDArray[np.float64]:
    """The doubles a client gets when it parses the numbers of such a point."""
    if point_type != "Float32":
        return number
    return np.array(orjson.loads(number_array(point_type, number)), dtype=np.float64)
