"""Which error rows need not wait for repair any more, and which wait again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyspark.sql import Row

from pi_datasource.delta import errors_table
from pi_datasource.delta.errors_table import ABANDONED_AFTER, DESELECTED, UNLISTED

NOW = datetime(2026, 3, 1, 6, tzinfo=timezone.utc)


def point(selection: str, *, ended: bool = False, seen: timedelta = timedelta(hours=1)) -> Row:
    return Row(tag_webid="W", selection=selection, ended_at=NOW if ended else None, last_seen=NOW - seen)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([point("mine", ended=True)], {"W": UNLISTED}),
        ([point("mine")], {"W": UNLISTED}),  # the stream has not noted yet that it has ended
        ([point("mine", ended=True), point("other")], {}),
        ([point("other")], {}),
        ([point("other", seen=ABANDONED_AFTER - timedelta(seconds=1))], {}),
        ([point("other", seen=ABANDONED_AFTER)], {"W": DESELECTED}),
        ([point("other", ended=True)], {"W": DESELECTED}),
        ([], {"W": DESELECTED}),
    ],
)
def test_only_the_selection_that_owns_a_tag_keeps_its_errors_waiting(
    rows: list[Row], why: dict[str, str]
) -> None:
    assert errors_table.reasons(rows, "mine", ["W"], NOW) == why


@pytest.mark.parametrize(
    ("row", "back"),
    [
        (None, True),
        (point("mine", ended=True), True),
        (point("mine", seen=ABANDONED_AFTER), True),
        (point("mine"), False),
    ],
)
def test_a_tag_is_back_that_was_not_listed_before(row: Any, back: bool) -> None:
    known = {} if row is None else {"W": row}
    assert errors_table._has_returned(known, "W", NOW) == back
