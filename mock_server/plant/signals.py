"""The timestamps of events: a pure function of (seed, point, time slot) with random access.

Time is divided into slots of one nominal period per point, counted from 1970. The content of a slot depends on its
number alone: how many events, when, with what values, and how they change later. So any window of any point can be
computed on its own, as of any instant, without stored state, and however a window is divided, the events are the
same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import changes, ticks
from mock_server.plant.changes import PROVISIONAL, Revisions
from mock_server.plant.episodes import Episodes, episodes_of, quiet_slots
from mock_server.plant.events import I64, Block, offsets, spans
from mock_server.plant.hashing import U64, scatter
from mock_server.plant.instruments import Instruments
from mock_server.plant.process import Rows, with_values

# What a slot holds: one event, none, 2 to 4 on one timestamp, or 2 inside one microsecond; odds of 65,536.
_ONE, _EMPTY, _SHARED, _TWIN = range(4)
_KINDS_OF_SLOTS = np.repeat(
    np.array([_EMPTY, _SHARED, _TWIN, _ONE], dtype=np.uint8), [1_311, 983, 328, 65_536 - 2_622]
)
# While a signal is flat, one slot in so many is recorded, as compression would do.
_FLAT_SLOTS = 8

Mask = NDArray[np.bool_]


class _Slots(NamedTuple):
    """For each slot its bits, the number of its events and the first one's time."""

    slot: I64
    bits: U64
    kind: NDArray[np.uint8]
    period: I64
    begin: I64
    times: I64
    events: I64
    outage: I64  # the places of the slots in which an outage begins


class Query(NamedTuple):
    """The wanted events: inclusive bounds in ticks for each stream, as of an instant, at most `limit` at one end."""

    low: I64
    high: I64
    as_of: int
    limit: int | None
    newest: bool


def generate(devices: Instruments, first_slot: I64, end_slot: I64, query: Query) -> Block:
    """The wanted events of slots `first_slot` up to, not including, `end_slot`, in time order."""
    rows, revisions = histories(devices, first_slot, end_slot)
    counts = rows.bounds[1:] - rows.bounds[:-1]
    wanted = (rows.times >= np.repeat(query.low, counts)) & (rows.times <= np.repeat(query.high, counts))
    if revisions is not None:
        wanted &= (revisions.arrival <= query.as_of) & (revisions.deleted > query.as_of)
    places, bounds = _chosen(rows.bounds, wanted, query)
    if len(places) < len(wanted):  # values cost more than times: compute only those returned
        rows = rows.take(places, bounds)
    edited = None if revisions is None else (revisions.edited <= query.as_of)[places]
    return with_values(devices, rows, edited)


def _chosen(bounds: I64, wanted: Mask, query: Query) -> tuple[I64, I64]:
    """The places of at most `query.limit` wanted rows of each stream, and their division among the streams."""
    places = np.flatnonzero(wanted)
    ends = np.searchsorted(places, bounds)
    counts = ends[1:] - ends[:-1]
    if query.limit is None or not len(counts) or int(counts.max()) <= query.limit:
        return places, ends
    kept = np.minimum(counts, query.limit)
    first = ends[1:] - kept if query.newest else ends[:-1]
    return places[spans(first, kept)], offsets(kept)


def histories(devices: Instruments, first_slot: I64, end_slot: I64) -> tuple[Rows, Revisions | None]:
    """Every event that these slots ever show, and its revisions; None where nothing ever changes."""
    lengths = np.maximum(end_slot - first_slot, 0)
    episodes = episodes_of(devices, first_slot, end_slot)
    slots = _slots(devices, episodes, first_slot, lengths)
    single = slots.events == 1
    single[slots.outage] = False
    dropped = np.zeros(0, dtype=np.int64)
    if devices.change_odds:
        roomy = single & (slots.times - slots.begin >= 2)
        dropped = np.flatnonzero(roomy & changes.is_dropped(devices.change_odds, slots.bits))
        slots.events[dropped] = 2
    rows = _rows(episodes, slots, lengths, dropped)
    if not devices.change_odds:
        return rows, None
    return rows, _revisions(
        devices, rows, np.repeat(slots.period, slots.events), np.repeat(single, slots.events)
    )


def slots_of(devices: Instruments, low: I64, high: I64) -> tuple[I64, I64]:
    """The first slot and the end slot that hold every event with low <= ticks <= high."""
    return low // devices.period, high // devices.period + 1


def reach(devices: Instruments, edge: I64, count: int, *, backwards: bool) -> I64:
    """The number of slots from `edge` (ticks) on that most likely hold `count` events of each stream."""
    usual = count + count // 16 + 5
    flat, lost = quiet_slots(devices, edge, usual, backwards=backwards)
    return usual + np.minimum(flat, usual * (_FLAT_SLOTS - 1)) + lost


def _slots(devices: Instruments, episodes: Episodes, first_slot: I64, lengths: I64) -> _Slots:
    slot = spans(first_slot, lengths)
    bits = scatter(np.repeat(devices.key, lengths), slot)
    period = np.repeat(devices.period, lengths)
    kind = _KINDS_OF_SLOTS[(bits & np.uint64(0xFFFF)).view(np.int64)]
    begin = slot * period
    times = begin + _offset_in_slot(bits, kind, period)
    slots = _Slots(slot, bits, kind, period, begin, times, _events_in_slot(bits, kind), _NONE)
    _thin_flat_stretches(episodes, slots)
    return slots._replace(outage=_cut_outages(episodes, slots))


def _thin_flat_stretches(episodes: Episodes, slots: _Slots) -> None:
    rows, episode = _rows_of(episodes, episodes.flat[1] > 0)
    after = slots.begin[rows] - episodes.start[episode]
    flat = (
        (after >= episodes.flat[0][episode])
        & (after < episodes.flat[1][episode])
        & (slots.slot[rows] % _FLAT_SLOTS != 0)
    )
    slots.events[rows[flat]] = 0


def _cut_outages(episodes: Episodes, slots: _Slots) -> I64:
    """Remove the events inside outages, and put one event at the start of each; returns the places of those."""
    rows, episode = _rows_of(episodes, episodes.outage[1] > 0)
    start = episodes.start[episode]
    start, end = start + episodes.outage[0][episode], start + episodes.outage[1][episode]
    slots.events[rows[(slots.times[rows] >= start) & (slots.times[rows] < end)]] = 0
    begins = (slots.begin[rows] <= start) & (start < slots.begin[rows] + slots.period[rows])
    slots.events[rows[begins]] = 1
    slots.times[rows[begins]] = start[begins]
    return rows[begins]


def _rows_of(episodes: Episodes, wanted: Mask) -> tuple[I64, I64]:
    """The slots of the wanted episodes, and the episode of each."""
    episode = np.flatnonzero(wanted)
    sizes = episodes.slots[episode]
    return spans(offsets(episodes.slots)[episode], sizes), np.repeat(episode, sizes)


def _rows(episodes: Episodes, slots: _Slots, lengths: I64, dropped: I64) -> Rows:
    count = slots.events
    ends = offsets(count)
    row = np.repeat(np.arange(len(count)), count)
    ordinal = np.arange(len(row)) - ends[:-1][row]
    times = slots.times[row]
    twins = np.flatnonzero((slots.kind == _TWIN) & (count == 2))
    times[ends[twins] + 1] += 1 + (slots.bits[twins] >> np.uint64(16)).view(np.int64) % 9
    early, late = ends[dropped], ends[dropped] + 1
    ordinal[early], ordinal[late] = PROVISIONAL, 0
    times[early] = slots.begin[dropped] + (slots.times[dropped] - slots.begin[dropped]) // 2
    times[late] = slots.times[dropped]
    episode = np.repeat(np.arange(len(episodes.slots)), episodes.slots)[row]
    lost = np.zeros(len(row), dtype=np.bool_)
    lost[ends[slots.outage]] = True
    return Rows(
        episodes, ends[offsets(lengths)], episode, slots.slot[row], ordinal, times, slots.bits[row], lost
    )


def _revisions(devices: Instruments, rows: Rows, period: I64, single: Mask) -> Revisions:
    """The revisions of the rows; a provisional snapshot disappears when the next row, the real event, arrives."""
    provisional = rows.ordinal == PROVISIONAL
    found = changes.revisions_of(devices.change_odds, rows.bits, rows.times, period, single & ~provisional)
    places = np.flatnonzero(provisional)
    found.deleted[places] = rows.times[places + 1]
    return found


def _events_in_slot(bits: U64, kind: NDArray[np.uint8]) -> I64:
    count: I64 = _USUAL_COUNTS[kind]
    shared = np.flatnonzero(kind == _SHARED)
    count[shared] += ((bits[shared] >> np.uint64(16)) & np.uint64(7)).view(np.int64) % 3
    return count


def _offset_in_slot(bits: U64, kind: NDArray[np.uint8], period: I64) -> I64:
    """Ticks from the slot's start to its first event, at the precision of the instrument's timestamps."""
    precision = _PRECISION[((bits >> np.uint64(19)) & np.uint64(7)).view(np.int64)]
    precision[kind == _TWIN] = ticks.PER_MICROSECOND
    precision[period % precision != 0] = 1
    offset = ((bits >> np.uint64(24)).astype(np.float64) * 2.0**-40 * period).astype(np.int64)
    rounded: I64 = offset - offset % precision
    return rounded


_NONE: I64 = np.zeros(0, dtype=np.int64)
_USUAL_COUNTS = np.array([1, 0, 2, 2])
_PRECISION = np.array(
    [ticks.PER_SECOND, ticks.PER_SECOND, ticks.PER_MILLISECOND, ticks.PER_MILLISECOND, 1, 1, 1, 1]
)
