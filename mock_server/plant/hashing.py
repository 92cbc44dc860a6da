"""Counter-based random numbers: the same integer gives the same bits on any machine, in any order."""

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
F64 = NDArray[np.float64]

GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def splitmix64(x: U64) -> U64:
    """The splitmix64 finaliser of each element."""
    x = x + np.uint64(GOLDEN)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: U64 = x ^ (x >> np.uint64(31))
    return mixed


def scatter(key: U64, counter: NDArray[np.int64]) -> U64:
    """Independent bits for each (key, counter) pair."""
    return splitmix64(key ^ (counter.astype(np.uint64) * np.uint64(GOLDEN)))


def salted(bits: U64, salt: int) -> U64:
    """Further bits from the same source, independent for each salt."""
    return splitmix64(bits + salt_of(salt))


def salt_of(salt: int) -> np.uint64:
    """The number that `salted` adds to its bits."""
    offset: np.uint64 = np.uint64((salt * 0xD1342543DE82EF95 + 1) & _MASK)
    return offset


def unit(bits: U64) -> F64:
    """Uniform doubles in [0, 1) from the upper 53 bits."""
    uniform: F64 = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform
