"""Text made by the table: the same as text made by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from mock_server.plant import ticks
from mock_server.webapi.json.text_columns import Column, joined_columns, table
from mock_server.webapi.json.timestamps import timestamp_columns

texts = st.lists(st.binary(max_size=5), min_size=1, max_size=6)
instants = st.integers(ticks.FIRST, ticks.LAST)


def rows_of(rows: int, columns: list[Column]) -> list[bytes]:
    text, ends = joined_columns(rows, columns)
    return [bytes(text[first:after]) for first, after in pairwise(ends)]


@given(texts, texts, st.data())
def test_rows_hold_the_texts_at_their_places(
    some: list[bytes], others: list[bytes], data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.tuples(*(st.integers(0, len(each) - 1) for each in (some, others, some)))))
    constant = data.draw(st.integers(0, len(others) - 1))
    one, two = table(some), table(others)
    first, second, third = (np.array([row[at] for row in places], dtype=np.int64) for at in range(3))
    columns = [Column(one, first), Column(two, second), Column(two, constant), Column(one, third)]
    assert rows_of(len(places), columns) == [
        some[a] + others[b] + others[constant] + some[c] for a, b, c in places
    ]


def test_woven_rows_are_a_table_for_further_columns() -> None:
    one = joined_columns(2, [Column(table([b"a", b"b"]), np.array([1, 0])), Column(table([b"-"]), 0)]).array()
    assert rows_of(3, [Column(one, np.array([0, 1, 0]))]) == [b"b-", b"a-", b"b-"]


@given(st.lists(instants, min_size=1, max_size=8))
@example([0, ticks.PER_DAY * 1_999, 1])  # days near one another
@example([0, ticks.PER_DAY * 2_000, 10])  # and far apart
@example([ticks.FIRST, ticks.LAST, -1, 1_000_000, 123_000])
def test_stamps_are_those_of_one_instant_after_the_other(some: list[int]) -> None:
    stamps = rows_of(len(some), timestamp_columns(np.array(some, dtype=np.int64), b"<", b"Z>"))
    assert stamps == [f"<{ticks.to_iso(each)}>".encode() for each in some]
