"""Rows extracted from a body at once are the rows that a parser finds one by one."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_datasource.errors import PIError
from pi_datasource.recorded import fast_rows, reply
from pi_datasource.recorded.events import Columns
from tests.unit.fakes import SECOND, wire

FLAGS = {"Good": True, "Questionable": False, "Substituted": False, "Annotated": False}
OTHER_VALUES = [
    {"Name": "Shutdown", "Value": 254, "IsSystem": True},
    {"Name": "}]", "Value": 1},
    '"},{"Timestamp":"2024-05-01T00:00:00Z","Value":1}',
    "]}", "", None, True, [1, 2], 2**53 + 1, -(2**60), 1e300, {"Errors": ["off"]},
]  # fmt: skip


def body_of(streams: dict[str, list[dict[str, Any]]], separators: tuple[str, str] = (",", ":")) -> bytes:
    answers = {
        key: {
            "Status": 200,
            "Headers": {},
            "Content": {"Links": {}, "Items": items, "UnitsAbbreviation": "bar"},
        }
        for key, items in streams.items()
    }
    return json.dumps(answers, separators=separators, ensure_ascii=False).encode()


def parsed_pages(body: bytes) -> dict[str, reply.Page]:
    """The pages by the parser alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_rows, "extract", lambda _: None)
        return reply.batch_reply(body)


def contents(pages: dict[str, reply.Page]) -> Any:
    return {
        key: (
            page.status, page.message, page.units, page.events.ticks.tolist(),
            [repr(value) for value in page.events.to_columns().values.tolist()],
            page.events.to_columns().flags.tolist(), page.events.to_columns().non_numeric.tolist(), dictionary_contents(page.events.to_columns()),
            contents(dict(page.streams)),
        )
        for key, page in pages.items()
    }  # fmt: skip


def dictionary_contents(columns: Columns) -> list[tuple[Any, ...]]:
    """What the non-numeric rows hold except the timestamp, which shared items do not have."""
    items = [columns.dictionary[index] for index in columns.indices.tolist()]
    return [
        (item.Value, item.Good, item.Questionable, item.Substituted, item.Annotated, item.Errors)
        for item in items
    ]


def regular_items(count: int, seed: int = 1, step: int = 1_234_567) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {"Timestamp": wire(i * step), "Value": round(dice.uniform(-1000, 1000), dice.randint(0, 9)), **FLAGS}
        for i in range(count)
    ]


def test_regular_rows_are_extracted_and_the_residual_json_is_small() -> None:
    body = body_of({"0": regular_items(300), "1": regular_items(200, 2)})
    fast = fast_rows.extract(body)
    assert fast is not None
    assert len(fast.ticks) == 498  # the first row of each stream follows a bracket, not a comma
    assert len(fast.residual_json) < len(body) / 50
    assert contents(reply.batch_reply(body)) == contents(parsed_pages(body))


def test_of_states_and_texts_each_different_one_is_parsed_once() -> None:
    values = [
        {"Name": "OFF", "Value": 0, "IsSystem": False},
        {"Name": "ON", "Value": 1, "IsSystem": False},
        "a",
        'b"}',
    ]
    items = [item | {"Value": values[i % 4]} for i, item in enumerate(regular_items(400))]
    body = body_of({"0": items, "1": regular_items(100)})
    fast = fast_rows.extract(body)
    assert fast is not None
    # The first row of a stream follows a bracket, and the last one no other row.
    assert (len(fast.ticks), len(fast.non_numeric), len(fast.dictionary)) == (398 + 99, 398, 4)
    assert np.isnan(fast.values[fast.non_numeric]).all()
    assert contents(reply.batch_reply(body)) == contents(parsed_pages(body))


def test_texts_that_all_differ_come_as_they_are() -> None:
    items = [item | {"Value": f"batch {i}"} for i, item in enumerate(regular_items(300))]
    body = body_of({"0": items})
    assert fast_rows.extract(body) is not None
    assert contents(reply.batch_reply(body)) == contents(parsed_pages(body))


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), block=st.sampled_from([700, 4_096, 1 << 22]))
def test_whatever_stands_between_regular_rows_the_events_are_those_of_the_parser(
    seed: int, block: int
) -> None:
    dice = random.Random(seed)
    streams = {}
    for key in range(dice.randint(1, 4)):
        items = regular_items(dice.choice([0, 1, 3, 120, 400]), seed + key, dice.choice([0, 1, 7, SECOND]))
        other_share = dice.choice([0.05, 0.05, 0.6, 1.0])
        for item in items:
            if dice.random() < other_share:
                item["Value"] = dice.choice(OTHER_VALUES)
            if dice.random() < 0.05:
                item[dice.choice(list(FLAGS))] = dice.choice([True, False, None])
            if dice.random() < 0.02:
                item.pop(dice.choice(["Annotated", "Value"]), None)
            if dice.random() < 0.02:
                item["Timestamp"] = item["Timestamp"].replace("Z", "+00:00")
        streams[str(key)] = items
    body = body_of(streams, dice.choice([(",", ":"), (",", ":"), (", ", ": ")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_rows, "_BLOCK_BYTES", block)
        found = reply.batch_reply(body)
    assert contents(found) == contents(parsed_pages(body))


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_body_gives_the_parsers_rows_or_a_named_error(seed: int) -> None:
    dice = random.Random(seed)
    states = [item | {"Value": dice.choice(OTHER_VALUES)} for item in regular_items(90, seed + 1)]
    whole = body_of({"0": regular_items(150, seed), "1": regular_items(90, seed + 1), "2": states})
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            place = dice.randrange(len(body))
            body[place : place + dice.choice([0, 1, 1, 7])] = bytes(
                dice.choices(b'{}[]",:0179TZ-nulxe.\\', k=1)
            )
        damaged = bytes(body[: dice.choice([len(body), dice.randrange(len(body))])])
        try:
            wanted = contents(parsed_pages(damaged))
        except PIError:
            wanted = None
        try:
            found = contents(reply.batch_reply(damaged))
        except PIError:
            found = None
        assert found == wanted


def test_the_streams_of_a_set_are_extracted_too() -> None:
    sets = {
        "0": {"Status": 200, "Content": {"Items": [
            {"WebId": f"W{i}", "Items": regular_items(80, i), "UnitsAbbreviation": "bar"} for i in range(3)
        ]}},
        "1": {"Status": 404, "Content": {"Errors": ["gone"]}},
    }  # fmt: skip
    body = json.dumps(sets, separators=(",", ":")).encode()
    assert fast_rows.extract(body) is not None
    pages = reply.batch_reply(body, sets=True)
    assert {w: page.events.size for w, page in pages["0"].streams.items()} == {"W0": 80, "W1": 80, "W2": 80}
    for i in range(3):
        wanted = [float(item["Value"]) for item in regular_items(80, i)]
        assert pages["0"].streams[f"W{i}"].events.to_columns().values.tolist() == wanted
    assert (pages["1"].status, pages["1"].message) == (404, "gone")


def test_rows_in_a_place_where_the_reference_has_none_are_not_taken_for_events() -> None:
    body = body_of({"0": regular_items(200)}).replace(b'"Items":', b'"Extra":')
    assert fast_rows.extract(body) is not None
    assert contents(reply.batch_reply(body)) == contents(parsed_pages(body))


def test_a_list_in_place_of_an_event_is_a_failure() -> None:
    (page,) = reply.batch_reply(b'{"0":{"Status":200,"Content":{"Items":[[0,1]]}}}').values()
    assert (page.ok, page.events.size) == (False, 0)
    assert "list stands in place of an event" in page.message


@pytest.mark.parametrize("sets", [False, True])
def test_rows_of_a_failure_are_dropped_and_those_of_the_others_extracted(sets: bool) -> None:
    last = [*regular_items(200), {"Timestamp": wire(10**10), "Value": None, "Errors": ["cut"]}]
    broken = {"WebException": {"StatusCode": 502, "Errors": ["off"]}}
    streams = [
        {"WebId": "W0", "Items": regular_items(150, 1), "Errors": ["down"]},
        {"WebId": "W1", "Items": regular_items(150, 2), **broken},
        {"WebId": "W2", "Items": last},
        {"WebId": "W3", "Items": regular_items(150, 3), "UnitsAbbreviation": "bar"},
        {"WebId": "W4", "Items": list(reversed(regular_items(150, 4)))},
    ]
    answer: dict[str, Any] = (
        {"0": {"Status": 200, "Content": {"Items": streams}}}
        if sets
        else {stream["WebId"]: {"Status": 200, "Content": stream} for stream in streams}
    )
    body = json.dumps(answer, separators=(",", ":")).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_rows, "_MIN_ROWS", 10)
        assert fast_rows.extract(body) is not None
        read = reply.batch_reply(body, sets=sets)
    pages = read["0"].streams if sets else read
    assert [(page.status, page.message, page.events.size, page.in_order) for page in pages.values()] == [
        (500, "down", 0, True),
        (502, "off", 0, True),
        (500, "the events end with an error entry: cut", 0, True),
        (200, "", 150, True),
        (200, "", 150, False),
    ]
    wanted = [float(item["Value"]) for item in regular_items(150, 3)]
    assert pages["W3"].events.to_columns().values.tolist() == wanted


def test_seven_digits_are_kept() -> None:
    items = [{"Timestamp": wire(i), "Value": 0.5, **FLAGS} for i in range(100)]
    (page,) = reply.batch_reply(body_of({"0": items})).values()
    assert np.diff(page.events.ticks).tolist() == [1] * 99
