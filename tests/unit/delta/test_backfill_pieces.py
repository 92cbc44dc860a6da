"""The pieces of a backfill tile its window and are the same in every run; what is left is told at the pace so far."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_datasource.delta.history import BackfillProgress, pieces
from pi_datasource.errors import InvalidOption
from pi_datasource.model import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
moments = st.timedeltas(timedelta(days=-200), timedelta(days=22_000)).map(lambda since: _EPOCH + since)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=20)), st.sampled_from([1, 6, 24]))
def test_pieces_tile_the_window(start: datetime, length: timedelta, hours: int) -> None:
    window = Window(start, start + length)
    cut = [piece for _, piece in pieces(window, timedelta(hours=hours))]
    edges = [cut[0].start, *(piece.end for piece in cut)] if cut else [start, start]
    assert (edges[0], edges[-1]) == (window.start, window.end)
    assert all(a.end == b.start for a, b in pairwise(cut))
    assert all(timedelta(0) < piece.end - piece.start <= timedelta(hours=hours) for piece in cut)


def test_a_piece_has_the_same_number_whatever_the_window() -> None:
    day = datetime(2026, 3, 1, tzinfo=timezone.utc)
    narrow = dict(pieces(Window(day + timedelta(hours=7), day + timedelta(hours=8)), timedelta(hours=6)))
    wide = dict(pieces(Window(day - timedelta(days=3), day + timedelta(days=3)), timedelta(hours=6)))
    ((number, piece),) = narrow.items()
    assert wide[number].start <= piece.start
    assert piece.end <= wide[number].end


def test_a_piece_must_be_longer_than_nothing() -> None:
    day = datetime(2026, 3, 1, tzinfo=timezone.utc)
    with pytest.raises(InvalidOption, match="longer than 0s"):
        pieces(Window(day, day), timedelta(0))


def test_what_is_left_takes_as_long_as_what_was_done_in_this_run() -> None:
    assert BackfillProgress(done=4, total=10, worked=0, seconds=0.0).remaining_s is None
    assert BackfillProgress(done=5, total=10, worked=2, seconds=30.0).remaining_s == 75.0
