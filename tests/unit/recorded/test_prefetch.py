"""A status that asks for a pause, found in a batch reply without parsing it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_datasource.recorded.prefetch import holds_retry_status

EVENT = {"Timestamp": "2024-05-01T06:00:00Z", "Value": 1.5, "Good": True, "Substituted": False}
FAILED = {"Status": 503, "Headers": {}, "Content": {"Errors": ["off [node 2]"]}}
BROKEN = {"WebException": {"StatusCode": 502, "Errors": ["a [b] c"]}}
ANYWHERE = re.compile(rb'"Status(?:Code)?"\s*:\s*(?:429|50[0234])\b')


def page(*values: Any, **more: Any) -> dict[str, Any]:
    """A member with these events."""
    return {"Status": 200, "Content": {"Items": [{**EVENT, "Value": value} for value in values], **more}}


def stream_set(*contents: dict[str, Any]) -> dict[str, Any]:
    """A member of several streams."""
    items = [{"WebId": f"W{number}", **content} for number, content in enumerate(contents)]
    return {"Status": 200, "Content": {"Items": items}}


def body(*members: dict[str, Any]) -> bytes:
    """A batch reply as a server writes it."""
    replies = {f"1_{number}": member for number, member in enumerate(members)}
    return json.dumps(replies, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "members",
    [
        [FAILED],
        [FAILED, page(1, 2)],
        [page(1, 2), FAILED, page(3)],
        [page("in [brackets]", "[", "]"), page(2), FAILED],
        [page(1), page("Wait"), FAILED],
        [page(), page(1), {**page(2), "Headers": {"Long": "x" * 100_000}}, FAILED],
        [page(1), stream_set(page(1)["Content"], BROKEN, page(2)["Content"])],
        [page(1), stream_set(page(1)["Content"], page(2, **BROKEN)["Content"])],
    ],
)
def test_a_status_before_between_or_after_events_is_found(members: list[dict[str, Any]]) -> None:
    assert holds_retry_status(body(*members))


def test_a_web_exception_written_between_two_events_is_found() -> None:
    text = body(page(1, 2, 3), page(4))
    assert not holds_retry_status(text)
    at = text.index(b',{"Timestamp"') + 1
    assert holds_retry_status(text[:at] + json.dumps(BROKEN).encode() + text[at:])
    assert holds_retry_status(text[:at] + json.dumps(BROKEN).encode())
    assert holds_retry_status(text[:at] + b'"1_1":{"Status":503}}')


VALUE = st.one_of(
    st.floats(-9, 9), st.sampled_from(['"Status":500', "[x]", "Wait", "]", '[{"Timestamp"', "{}"])
)
EVENTS = st.lists(VALUE, max_size=4)
MEMBER = st.one_of(
    EVENTS.map(lambda values: page(*values)),
    st.lists(EVENTS, max_size=3).map(lambda sets: stream_set(*(page(*each)["Content"] for each in sets))),
    st.sampled_from([FAILED, BROKEN, {"Status": 404, "Content": "none"}, {"Status": 5000}, {"Status": 429}]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(MEMBER, max_size=6))
def test_the_answer_is_that_of_a_search_of_the_whole_body(members: list[dict[str, Any]]) -> None:
    text = body(*members)
    assert holds_retry_status(text) == (ANYWHERE.search(text) is not None)
