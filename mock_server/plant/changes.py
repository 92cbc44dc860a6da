"""Late arrival, edit, deletion and compression of events.

Each is drawn from the bits of the event's slot, so that the archive as of any instant is computed without stored
state. Only slots with a single event change: the event is then identified by its timestamp.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import ticks
from mock_server.plant.events import I64
from mock_server.plant.hashing import F64, U64, salted

NEVER = int(np.iinfo(np.int64).max)
PROVISIONAL = 7
"""The place in its slot of a snapshot that compression drops when the slot's real event arrives."""

_SALT = 21
_STAGES = 3  # late, then edited, then deleted, each within its share of the horizon


class Revisions(NamedTuple):
    """For each event the instants at which it becomes visible, is edited, and is deleted."""

    arrival: I64
    edited: I64
    deleted: I64


def horizon(period: I64) -> I64:
    """Ticks after an event's timestamp within which it can still change."""
    return np.minimum(2_048 * period, 2 * ticks.PER_DAY)


def is_dropped(odds: int, bits: U64) -> NDArray[np.bool_]:
    """Whether a slot's event is preceded by a snapshot that compression drops later."""
    return _share(salted(bits, _SALT), 3) < odds


def revisions_of(odds: int, bits: U64, times: I64, period: I64, single: NDArray[np.bool_]) -> Revisions:
    """The revisions of events in slots with these bits; only those with `single` change."""
    draw, delays = salted(bits, _SALT), salted(bits, _SALT + 1)
    limit = horizon(period) // _STAGES
    late = single & (_share(draw, 0) < odds) & (_share(draw, 3) >= odds)
    arrival = times + np.where(late, _delay(delays, 0, limit), 0)
    is_edited = single & (_share(draw, 1) < odds)
    edited = np.where(is_edited, arrival + _delay(delays, 1, limit), NEVER)
    latest = np.where(is_edited, edited, arrival)
    deleted = np.where(single & (_share(draw, 2) < odds), latest + _delay(delays, 2, limit), NEVER)
    return Revisions(arrival, edited, deleted)


def _share(draw: U64, place: int) -> NDArray[np.int64]:
    share: NDArray[np.int64] = ((draw >> np.uint64(16 * place)) & np.uint64(0xFFFF)).astype(np.int64)
    return share


def _delay(draw: U64, place: int, limit: I64) -> I64:
    """Ticks from 1 to `limit`, mostly short."""
    share: F64 = ((draw >> np.uint64(21 * place)) & np.uint64(0x1FFFFF)).astype(np.float64) * 2.0**-21
    return 1 + (share * share * share * (limit - 1)).astype(np.int64)
