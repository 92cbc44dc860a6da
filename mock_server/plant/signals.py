"""When the instruments reported: a pure function of (seed, point, time slot) with random access.

Time is cut into slots of one nominal period per point, anchored at 1970. What happens inside a slot depends
on the slot's number alone: whether anything was recorded, when, how often, with what value, and what becomes of
it later. So any window of any point can be made on its own, as of any instant, nothing is remembered, and every
way of cutting a window gives the same events.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mock_server.plant import changes, ticks
from mock_server.plant.changes import PROVISIONAL, Fates
from mock_server.plant.episodes import Episodes, episodes, quiet_slots
from mock_server.plant.events import I64, Block, offsets, spans
from mock_server.plant.hashing import U64, scatter
from mock_server.plant.instruments import Instruments
from mock_server.plant.process import Rows, with_values

# What a slot holds: one event, none, 2 to 4 on one timestamp, or 2 inside one microsecond; odds of 65,536.
_ONE, _EMPTY, _SHARED, _TWIN = range(4)
_KINDS_OF_SLOTS = np.repeat(
    np.array([_EMPTY, _SHARED, _TWIN, _ONE], dtype=np.uint8), [1_311, 983, 328, 65_536 - 2_622]
)
# While a signal is flat, one slot of so many is recorded: the archive keeps what it needs to draw the line.
_FLAT_SLOTS = 8

Mask = NDArray[np.bool_]


class _Slots(NamedTuple):
    """For each slot its bits, its events and the first one's time."""

    slot: I64
    bits: U64
    kind: NDArray[np.uint8]
    period: I64
    begin: I64
    times: I64
    events: I64
    outage: I64  # the places of the slots in which an outage begins


class Cut(NamedTuple):
    """Which events are wanted: for each stream inclusive bounds in ticks, as of an instant, so many at one end."""

    low: I64
    high: I64
    as_of: int
    limit: int | None
    newest: bool


def generate(made_by: Instruments, first_slot: I64, end_slot: I64, cut: Cut) -> Block:
    """The wanted events of slots `first_slot` up to, not including, `end_slot`, in time order."""
    rows, fates = histories(made_by, first_slot, end_slot)
    counts = rows.bounds[1:] - rows.bounds[:-1]
    wanted = (rows.times >= np.repeat(cut.low, counts)) & (rows.times <= np.repeat(cut.high, counts))
    if fates is not None:
        wanted &= (fates.arrival <= cut.as_of) & (fates.gone > cut.as_of)
    places, bounds = _chosen(rows.bounds, wanted, cut)
    if len(places) < len(wanted):  # values cost more than times: none are made that nobody gets
        rows = rows.take(places, bounds)
    return with_values(made_by, rows, None if fates is None else (fates.edited <= cut.as_of)[places])


def _chosen(bounds: I64, wanted: Mask, cut: Cut) -> tuple[I64, I64]:
    """The places of at most `cut.limit` wanted rows of each stream, and how they are divided among the streams."""
    places = np.flatnonzero(wanted)
    ends = np.searchsorted(places, bounds)
    counts = ends[1:] - ends[:-1]
    if cut.limit is None or not len(counts) or int(counts.max()) <= cut.limit:
        return places, ends
    kept = np.minimum(counts, cut.limit)
    first = ends[1:] - kept if cut.newest else ends[:-1]
    return places[spans(first, kept)], offsets(kept)


def histories(made_by: Instruments, first_slot: I64, end_slot: I64) -> tuple[Rows, Fates | None]:
    """Every event that these slots ever show, and what becomes of each; None where nothing ever changes."""
    lengths = np.maximum(end_slot - first_slot, 0)
    eras = episodes(made_by, first_slot, end_slot)
    slots = _slots(made_by, eras, first_slot, lengths)
    single = slots.events == 1
    single[slots.outage] = False
    dropped = np.zeros(0, dtype=np.int64)
    if made_by.change_odds:
        roomy = single & (slots.times - slots.begin >= 2)
        dropped = np.flatnonzero(roomy & changes.is_dropped(made_by.change_odds, slots.bits))
        slots.events[dropped] = 2
    rows = _rows(eras, slots, lengths, dropped)
    if not made_by.change_odds:
        return rows, None
    return rows, _fates(made_by, rows, np.repeat(slots.period, slots.events), np.repeat(single, slots.events))


def slots_of(made_by: Instruments, low: I64, high: I64) -> tuple[I64, I64]:
    """The first slot and the end slot that hold every event with low <= ticks <= high."""
    return low // made_by.period, high // made_by.period + 1


def reach(made_by: Instruments, edge: I64, count: int, *, backwards: bool) -> I64:
    """How many slots from `edge` (ticks) on most likely hold `count` events of each stream."""
    usual = count + count // 16 + 5
    flat, lost = quiet_slots(made_by, edge, usual, backwards=backwards)
    return usual + np.minimum(flat, usual * (_FLAT_SLOTS - 1)) + lost


def _slots(made_by: Instruments, eras: Episodes, first_slot: I64, lengths: I64) -> _Slots:
    slot = spans(first_slot, lengths)
    bits = scatter(np.repeat(made_by.key, lengths), slot)
    period = np.repeat(made_by.period, lengths)
    kind = _KINDS_OF_SLOTS[(bits & np.uint64(0xFFFF)).view(np.int64)]
    begin = slot * period
    times = begin + _offset_in_slot(bits, kind, period)
    slots = _Slots(slot, bits, kind, period, begin, times, _events_in_slot(bits, kind), _NONE)
    _thin_flat_stretches(eras, slots)
    return slots._replace(outage=_cut_outages(eras, slots))


def _thin_flat_stretches(eras: Episodes, slots: _Slots) -> None:
    rows, era = _rows_of(eras, eras.flat[1] > 0)
    after = slots.begin[rows] - eras.start[era]
    flat = (after >= eras.flat[0][era]) & (after < eras.flat[1][era]) & (slots.slot[rows] % _FLAT_SLOTS != 0)
    slots.events[rows[flat]] = 0


def _cut_outages(eras: Episodes, slots: _Slots) -> I64:
    """Take out what outages swallow, and put one event at the start of each; the places of those."""
    rows, era = _rows_of(eras, eras.outage[1] > 0)
    start, end = eras.start[era] + eras.outage[0][era], eras.start[era] + eras.outage[1][era]
    slots.events[rows[(slots.times[rows] >= start) & (slots.times[rows] < end)]] = 0
    begins = (slots.begin[rows] <= start) & (start < slots.begin[rows] + slots.period[rows])
    slots.events[rows[begins]] = 1
    slots.times[rows[begins]] = start[begins]
    return rows[begins]


def _rows_of(eras: Episodes, wanted: Mask) -> tuple[I64, I64]:
    """The slots of the wanted episodes, and the episode of each."""
    era = np.flatnonzero(wanted)
    sizes = eras.slots[era]
    return spans(offsets(eras.slots)[era], sizes), np.repeat(era, sizes)


def _rows(eras: Episodes, slots: _Slots, lengths: I64, dropped: I64) -> Rows:
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
    episode = np.repeat(np.arange(len(eras.slots)), eras.slots)[row]
    lost = np.zeros(len(row), dtype=np.bool_)
    lost[ends[slots.outage]] = True
    return Rows(eras, ends[offsets(lengths)], episode, slots.slot[row], ordinal, times, slots.bits[row], lost)


def _fates(made_by: Instruments, rows: Rows, period: I64, single: Mask) -> Fates:
    """The fates of the rows; a provisional snapshot goes when the next row, the real event, arrives."""
    provisional = rows.ordinal == PROVISIONAL
    found = changes.fates(made_by.change_odds, rows.bits, rows.times, period, single & ~provisional)
    places = np.flatnonzero(provisional)
    found.gone[places] = rows.times[places + 1]
    return found


def _events_in_slot(bits: U64, kind: NDArray[np.uint8]) -> I64:
    count: I64 = _USUAL_COUNTS[kind]
    shared = np.flatnonzero(kind == _SHARED)
    count[shared] += ((bits[shared] >> np.uint64(16)) & np.uint64(7)).view(np.int64) % 3
    return count


def _offset_in_slot(bits: U64, kind: NDArray[np.uint8], period: I64) -> I64:
    """Ticks from the slot's start to its first event, at the precision this instrument stamped it with."""
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
