"""Replies into columns: golden replies, a slow second opinion, and nonsense."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pi_datasource import schema
from pi_datasource.errors import PIError, UnexpectedReply
from pi_datasource.model import ReadTask, Window
from pi_datasource.recorded import decode, events, reply
from pi_datasource.recorded.decode import PointEvents, SequenceCounter
from pi_datasource.recorded.reply import Page
from pi_datasource.recorded.wire import TimedValue
from pi_datasource.webapi import envelope
from tests.unit.fakes import point, wire

UTC = timezone.utc
GOLDEN = Path(__file__).parents[2] / "golden"
PLANNED = datetime(2025, 3, 1, 7, tzinfo=UTC)
SCHEMA = schema.timeseries()


def golden(name: str) -> dict[str, Page]:
    return reply.batch_reply((GOLDEN / name).read_bytes())


def alone(items: Sequence[TimedValue]) -> events.Events:
    """Parsed events as one stream of their own."""
    columns = events.from_items(items)
    return events.Events(columns, 0, len(columns.ticks))


def at(second: int, minute: int = 0, micro: int = 0) -> datetime:
    return datetime(2025, 3, 1, 6, minute, second, micro, tzinfo=UTC)


def rows_of(batch: pa.RecordBatch, *names: str) -> list[tuple[Any, ...]]:
    columns = [batch.column(name).to_pylist() for name in names or batch.schema.names]
    return list(zip(*columns, strict=True))


def decoded(key: str, point_type: str) -> list[tuple[Any, ...]]:
    """(timestamp, sequence, value, value_string, state_code, value_kind, four flags) of one golden stream."""
    page = golden("types_and_states.json")[key]
    batch = decode.to_batch(
        [PointEvents(point(point_type=point_type), page.events, page.units, SequenceCounter())],
        SCHEMA,
        PLANNED,
        None,
    )
    return rows_of(batch, *SCHEMA.names[2:12])


def test_a_golden_reply_of_readings_becomes_exactly_these_rows() -> None:
    page = golden("types_and_states.json")["0"]
    batch = decode.to_batch(
        [PointEvents(point(), page.events, page.units, SequenceCounter())], SCHEMA, PLANNED, None
    )
    assert batch.schema.equals(SCHEMA, check_metadata=True)
    head, tail = ("W_TI7.PV", "TI7.PV"), ("degC", "Float64", PLANNED)
    tick = 123_456
    assert rows_of(batch) == [
        (*head, at(0), 0, 71.3, None, None, "number", True, False, False, False, *tail),
        (*head, at(0), 1, 71.9, None, None, "number", True, True, True, None, *tail),
        (*head, at(5, 0, tick), 0, None, "Shutdown", 254, "system", False, False, False, False, *tail),
        (*head, at(5, 0, tick), 1, 71.0, None, None, "number", True, False, False, True, *tail),
        (
            *head,
            at(9, 0, 500_000),
            0,
            None,
            "Point data not available.",
            None,
            "error",
            False,
            None,
            None,
            None,
            *tail,
        ),
        (*head, at(10), 0, 72.5, None, None, "number", True, False, False, False, *tail),
    ]


def test_a_page_that_ends_with_an_error_entry_is_not_complete() -> None:
    page = golden("types_and_states.json")["8"]
    assert (page.status, page.events.size) == (500, 0)
    assert page.message == "the events end with an error entry: Point data not available."


def test_a_golden_reply_of_states_keeps_names_and_codes_and_no_number() -> None:
    flags = (False, False, False)
    assert decoded("1", "Digital") == [
        (at(0, 1), 0, None, "OPEN", 1, "digital", True, *flags),
        (at(0, 2), 0, None, "Filtered", 246, "system", False, *flags),
        (at(0, 3), 0, None, "No Data", None, "system", False, *flags),
        (at(0, 4), 0, None, "CLOSED", 0, "digital", True, None, None, None),
    ]


def test_a_golden_reply_of_text_is_text_whatever_it_spells() -> None:
    unknown = (None, None, None)
    assert decoded("2", "String") == [
        (at(0), 0, None, "Batch 7 – Süd", None, "string", True, *unknown),
        (at(1), 0, None, "[-11059] No Good Data", None, "error", False, *unknown),
        (at(2), 0, None, "", None, "string", True, *unknown),
        (at(3), 0, None, "NaN", None, "string", True, *unknown),
    ]


def test_a_golden_reply_of_a_timestamp_point_keeps_all_digits_as_text() -> None:
    assert decoded("3", "Timestamp") == [
        (at(0), 0, None, "2025-02-28T23:00:00.1234567Z", None, "timestamp", True, None, None, None)
    ]


def test_a_golden_reply_of_every_other_kind_of_value() -> None:
    rows = [row[2:7] for row in decoded("4", "Float64")]
    assert math.isnan(rows[8][0])
    assert math.copysign(1, rows[13][0]) == -1
    assert rows[:8] + rows[9:] == [
        (2.0**53, None, None, "number", True),
        (2.0**53, "9007199254740993", None, "number", True),
        (-123456789012345678901234567890.0, "-123456789012345678901234567890", None, "number", True),
        (1.0, "true", None, "boolean", True),
        (0.0, "false", None, "boolean", True),
        (None, '[1,2.5,"x",null]', None, "json", True),
        (None, '{"X":1}', None, "json", True),
        (None, "The point has no value.; Ask later.", None, "error", False),
        (-math.inf, None, None, "number", True),
        (None, None, None, "none", None),
        (None, None, None, "none", None),
        (None, '{"Name":"Odd","Value":4294967296}', None, "json", True),
        (-0.0, None, None, "number", False),
    ]


def test_an_empty_answer_has_no_events_with_or_without_the_key_items() -> None:
    pages = golden("types_and_states.json")
    assert [(pages[key].ok, pages[key].events.size, pages[key].units) for key in "57"] == [
        (True, 0, "m3/h"),
        (True, 0, "m3/h"),
    ]


def test_an_answer_without_anything_is_not_an_empty_one() -> None:
    page = golden("types_and_states.json")["6"]
    assert (page.ok, page.unrecognized, page.message) == (False, True, "HTTP 200 without events: {}")


def test_golden_failures_keep_status_and_text_and_no_event() -> None:
    pages = golden("batch_failures.json")
    fine = pages.pop("fine")
    assert (fine.ok, fine.units, fine.events.to_columns().values.tolist()) == (True, "bar", [1.0])
    assert not any(page.ok or page.events.size for page in pages.values())
    assert {key: (page.status, page.message) for key, page in pages.items()} == {
        "string": (409, "The following ParentIds did not complete successfully: at2."),
        "errors": (400, "Parameter maxCount is greater than the maximum allowed (150000).; And one more."),
        "message": (404, "No HTTP resource was found that matches the request URI."),
        "field": (400, "The time is not valid."),
        "empty": (503, ""),
        "nothing": (500, ""),
        "hidden": (502, "Error occurred during writing of the output stream."),
        "textual": (500, "HTTP 200 without events: '<html>'"),
    }


def test_a_web_exception_in_place_of_the_replies_refuses_the_whole_batch() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        golden("web_exception.json")
    assert str(caught.value) == (
        "POST batch: the server failed while it answered: Error occurred during writing of the output stream."
    )
    assert caught.value.status == 500


def test_a_web_exception_of_null_is_none() -> None:
    (page,) = reply.batch_reply(b'{"WebException":null,"0":{"Status":200,"Content":{"Items":[]}}}').values()
    assert page.ok
    assert page.events.size == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"Errors":["no"]}', b"\xff{}", b'{"Message":"no"}']
)
def test_a_body_that_is_no_batch_reply_is_refused_and_quoted(body: bytes) -> None:
    with pytest.raises(UnexpectedReply, match=r"^POST batch: the body is not a batch reply \(") as caught:
        reply.batch_reply(body, ["0"])
    assert str(caught.value).endswith("; it starts with " + envelope.opening(body))


def test_a_batch_that_answers_less_than_asked_is_refused() -> None:
    body = b'{"0":{"Status":200,"Content":{"Items":[]}}}'
    with pytest.raises(UnexpectedReply, match=r"^POST batch: 2 of 3 sub-requests were not answered$"):
        reply.batch_reply(body, ["0", "1", "2"])


@pytest.mark.parametrize("missing", ['"Value":1', '"Timestamp":null', '"Timestamp":5'])
def test_an_event_without_a_timestamp_makes_its_member_a_failure(missing: str) -> None:
    body = f'{{"0":{{"Status":200,"Content":{{"Items":[{{{missing}}}]}}}},"1":{{"Status":200,"Content":{{"Items":[]}}}}}}'
    pages = reply.batch_reply(body.encode(), ["0", "1"])
    assert (pages["0"].ok, pages["0"].events.size, pages["1"].ok) == (False, 0, True)
    assert "Timestamp" in pages["0"].message


@pytest.mark.parametrize("member", ["1", '{"Status":"x"}', "[]", '{"Status":200,"Content":[]}'])
def test_a_member_of_another_shape_is_a_failure_of_its_own(member: str) -> None:
    pages = reply.batch_reply(f'{{"0":{member},"1":{{"Status":200,"Content":{{"Items":[]}}}}}}'.encode())
    assert [(page.ok, page.unrecognized) for page in pages.values()] == [(False, True), (True, False)]
    assert pages["0"].message.startswith("the answer cannot be read: Expected ")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"ab_0":{"Status":200},"ab_1":{"Status":200},"ab_0":{"Status":200}}', "a member more than once"),
        ('{"ab_0":{"Status":200}}', "1 of 2 sub-requests were not answered"),
        ('{"ab_0":{"Status":200},"cd_1":{"Status":200}}', "1 of 2 sub-requests were not answered"),
        ('{"ab_0":{"Status":200},"ab_1":{},"cd_1":{}}', "1 member(s) that were not asked for"),
        ('{"ab_0":{"Status":"x"},"ab_1":{},"cd_1":{}}', "1 member(s) that were not asked for"),
    ],
)
def test_only_an_answer_to_exactly_these_requests_is_read(body: str, words: str) -> None:
    with pytest.raises(UnexpectedReply) as caught:
        reply.batch_reply(body.encode(), ["ab_0", "ab_1"])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "nothing"),
        (b" \n", "nothing"),
        (b"<html><body><h1>Sign\nin</h1></body></html>", "'Sign in'"),
        (b"\xff\xfe", repr("\ufffd\ufffd")),
        (b"x" * 500, repr("x" * 120)),
    ],
)
def test_the_opening_of_a_body_is_short_and_printable(body: bytes, words: str) -> None:
    assert envelope.opening(body) == words


def one(
    value: Any, point_type: str = "Float64", good: bool | None = True, errors: Any = None
) -> tuple[Any, ...]:
    item = TimedValue("2024-05-01T00:00:00Z", value, good, Errors=errors)
    batch = decode.to_batch(
        [PointEvents(point(point_type=point_type), alone([item]), None, SequenceCounter())],
        SCHEMA,
        PLANNED,
        None,
    )
    return rows_of(batch, "value", "value_string", "state_code", "value_kind")[0]


@pytest.mark.parametrize("point_type", ["Float64", "Digital", "String", "Timestamp", ""])
@pytest.mark.parametrize(
    ("value", "good", "row"),
    [
        ({"Name": "Pt Created", "Value": 253, "IsSystem": True}, False, (None, "Pt Created", 253, "system")),
        ({"Name": "Pt Created", "Value": 253, "IsSystem": True}, True, (None, "Pt Created", 253, "system")),
        ({"Name": "RUN", "Value": 1, "IsSystem": False}, True, (None, "RUN", 1, "digital")),
        ({"Name": "RUN", "Value": 1, "IsSystem": False}, False, (None, "RUN", 1, "system")),
        ({"Name": "RUN", "Value": 1}, None, (None, "RUN", 1, "digital")),
        ({"Name": "RUN", "Value": True}, True, (None, '{"Name":"RUN","Value":true}', None, "json")),
        ({"Name": 7, "Value": 1}, True, (None, '{"Name":7,"Value":1}', None, "json")),
        ("I/O Timeout", False, (None, "I/O Timeout", None, "error")),
        (12.5, False, (12.5, None, None, "number")),
        (10**400, True, (None, str(10**400), None, "json")),
        (2**53 + 1, True, (2.0**53, str(2**53 + 1), None, "number")),
        ([], True, (None, "[]", None, "json")),
        (None, True, (None, None, None, "none")),
    ],
)  # fmt: skip
def test_flags_and_json_type_decide_what_a_value_is_on_a_point_of_any_type(
    value: Any, good: bool | None, row: tuple[Any, ...], point_type: str
) -> None:
    assert one(value, point_type, good) == row


@pytest.mark.parametrize("value", [12.5, {"Name": "RUN", "Value": 1}, None, "x"])
@pytest.mark.parametrize(
    "errors", ["off", ["off"], [{"FieldName": "Value", "Message": ["off"]}], {"Errors": ["off"]}]
)
def test_an_event_with_errors_keeps_their_text_and_nothing_else(value: Any, errors: Any) -> None:
    assert one(value, errors=errors) == (None, "off", None, "error")


def test_an_empty_list_of_errors_is_no_error() -> None:
    assert one(12.5, errors=[]) == (12.5, None, None, "number")


@pytest.mark.parametrize("spelled", ["NaN", "nan", "Infinity", "-infinity"])
def test_not_a_number_is_a_number_on_numeric_points_only(spelled: str) -> None:
    value, text, code, kind = one(spelled, "Float32")
    assert (repr(value), text, code, kind) == (repr(float(spelled)), None, None, "number")
    assert one(spelled, "String") == (None, spelled, None, "string")
    assert one(spelled, "Float32", good=False) == (None, spelled, None, "error")


def test_cuts_of_two_answers_keep_what_each_row_holds_by_the_type_of_its_own_point() -> None:
    texts = [("00", "NaN"), ("01", "x"), ("02", "NaN"), ("03", "y")]
    first = alone([TimedValue(f"2024-05-01T00:00:{second}Z", text, True) for second, text in texts])
    second = alone([TimedValue("2024-05-01T00:00:00Z", {"Name": "ON", "Value": 1}, True)])
    groups = [
        PointEvents(point("A", "String"), first.slice(0, 1), None, SequenceCounter()),
        PointEvents(point("B", "Float64"), first.slice(2, 4), None, SequenceCounter()),
        PointEvents(point("C", "Digital"), second, None, SequenceCounter()),
        PointEvents(point("D", "String"), first.slice(1, 2), None, SequenceCounter()),
    ]
    rows = rows_of(
        decode.to_batch(groups, SCHEMA, PLANNED, None), "tag_name", "value_string", "state_code", "value_kind"
    )
    assert rows == [
        ("A", "NaN", None, "string"),
        ("B", None, None, "number"),
        ("B", "y", None, "string"),
        ("C", "ON", 1, "digital"),
        ("D", "x", None, "string"),
    ]
    assert len(events.concat([group.events for group in groups]).dictionary) == 5  # each held once


def sequences(*texts: str, counter: SequenceCounter | None = None) -> list[int]:
    items = [TimedValue(text, 1.0) for text in texts]
    group = PointEvents(point(), alone(items), None, counter or SequenceCounter())
    return decode.to_batch([group], SCHEMA, PLANNED, None).column("sequence").to_pylist()


def test_events_within_one_microsecond_are_numbered_in_server_order() -> None:
    second = "2024-05-01T00:00:00"
    assert sequences(
        f"{second}Z", f"{second}.0000001Z", f"{second}.0000009Z", f"{second}.000001Z", f"{second}.0000011Z",
        f"{second}.000002Z",
    ) == [0, 1, 2, 0, 1, 0]  # fmt: skip


def test_counter_goes_on_over_a_page_border_and_starts_anew_after_it() -> None:
    counter = SequenceCounter()
    assert sequences("2024-05-01T00:00:00.0000001Z", "2024-05-01T00:00:00.0000002Z", counter=counter) == [
        0,
        1,
    ]
    assert sequences("2024-05-01T00:00:00.0000009Z", counter=counter) == [2]
    assert sequences("2024-05-01T00:00:00.0000009Z", "2024-05-01T00:00:01Z", counter=counter) == [3, 0]
    assert sequences("2024-05-01T00:00:02Z", counter=counter) == [0]


def test_points_are_numbered_apart_although_time_goes_back_between_them() -> None:
    late, early = TimedValue("2024-05-01T00:00:09Z", 1.0), TimedValue("2024-05-01T00:00:00Z", 2.0)
    groups = [
        PointEvents(point("A"), alone([early, late]), None, SequenceCounter()),
        PointEvents(point("B"), events.EMPTY, None, SequenceCounter()),
        PointEvents(point("C"), alone([early, early]), None, SequenceCounter()),
        PointEvents(point("D"), alone([early]), None, SequenceCounter()),
    ]
    batch = decode.to_batch(groups, SCHEMA, PLANNED, None)
    assert rows_of(batch, "tag_name", "sequence", "value") == [
        ("A", 0, 2.0), ("A", 0, 1.0), ("C", 0, 2.0), ("C", 1, 2.0), ("D", 0, 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [(1, 0), (0, 2, 1)])
def test_events_out_of_order_are_refused_naming_the_point(seconds: Sequence[int]) -> None:
    steady = PointEvents(
        point("A"), alone([TimedValue("2024-05-01T00:00:09Z", 1.0)]), None, SequenceCounter()
    )
    items = [TimedValue(f"2024-05-01T00:00:0{second}Z", 1.0) for second in seconds]
    with pytest.raises(UnexpectedReply) as caught:
        decode.to_batch(
            [steady, PointEvents(point("B"), alone(items), None, SequenceCounter())], SCHEMA, PLANNED, None
        )
    assert str(caught.value) == "the server sent the events of B out of order, which would lose some of them"


def test_a_page_that_begins_before_the_last_one_ended_is_refused() -> None:
    counter = SequenceCounter()
    sequences("2024-05-01T00:00:01Z", counter=counter)
    with pytest.raises(UnexpectedReply, match=r"events of TI7\.PV out of order"):
        sequences("2024-05-01T00:00:00Z", counter=counter)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1969-12-31T23:59:59.9999999Z", datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("1600-01-01T00:00:00.1234567Z", datetime(1600, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC)),
        ("9999-12-31T23:59:59.9999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2024-05-01T06:00:00+02:00", datetime(2024, 5, 1, 4, tzinfo=UTC)),
    ],
)
def test_timestamps_of_any_century_are_cut_to_microseconds(text: str, moment: datetime) -> None:
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert (events.parse_ticks([text]) // 10).tolist() == [micros]
    assert (events.parse_ticks(["2024-05-01T00:00:00Z", text]) // 10).tolist()[1] == micros


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-05-01T06:00:60Z"])
def test_a_timestamp_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedReply, match=r"^an event's Timestamp cannot be read: "):
        events.parse_ticks(["2024-05-01T00:00:00Z", text])


def test_a_timestamp_of_the_right_form_that_cannot_be_read_is_quoted() -> None:
    with pytest.raises(UnexpectedReply) as caught:
        events.parse_ticks(["2024-13-01T00:00:00Z"])
    assert "2024-13-01T00:00:00Z" in str(caught.value)


def test_a_timestamp_before_the_calendar_is_refused() -> None:
    with pytest.raises(UnexpectedReply):
        events.parse_ticks(["0001-01-01T00:00:00+05:00"])


def test_named_groups_become_columns_and_are_null_where_the_name_does_not_match() -> None:
    pattern = r"^(?P<plant>[^.]+)\.(?P<sensor_type>[A-Z]+)(?P<number>\d)?"
    target = schema.timeseries(("plant", "sensor_type", "number"), include_metadata=True)
    item = TimedValue("2024-05-01T00:00:00Z", 1.0)
    groups = [
        PointEvents(point(name), alone([item]), None, SequenceCounter())
        for name in ("P1.TI7", "P2.FIC", "odd")
    ]
    batch = decode.to_batch(groups, target, PLANNED, pattern)
    assert batch.schema.equals(target)
    assert rows_of(batch, "tag_name", "plant", "sensor_type", "number", "tag_path", "server_name") == [
        ("P1.TI7", "P1", "TI", "7", "\\\\SRV\\P1.TI7", "SRV"),
        ("P2.FIC", "P2", "FIC", None, "\\\\SRV\\P2.FIC", "SRV"),
        ("odd", None, None, None, "\\\\SRV\\odd", "SRV"),
    ]


@pytest.mark.parametrize(("sent", "units"), [("bar", "bar"), ("", "degC"), (None, "degC")])
def test_units_are_the_answers_else_the_points(sent: str | None, units: str) -> None:
    group = PointEvents(point(), alone([TimedValue("2024-05-01T00:00:00Z", 1.0)]), sent, SequenceCounter())
    assert decode.to_batch([group], SCHEMA, PLANNED, None).column("units").to_pylist() == [units]


def test_failure_rows_say_which_point_and_why_and_nothing_else() -> None:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    target = schema.timeseries(("plant",), include_metadata=True)
    failures = [(point("P1.X", "Digital"), '{"status":404}'), (point("Q"), '{"status":null}')]
    task = ReadTask(
        "pi_timeseries", Window(start, PLANNED), tuple(each for each, _ in failures), PLANNED, 9, 9
    )
    batch = decode.status_rows(failures, schema.READ_FAILURE, task, target, r"^(?P<plant>P\d)")
    assert batch.schema.equals(target)
    blank = (None, None, None, None)
    assert rows_of(batch) == [
        ("W_P1.X", "P1.X", start, 0, None, '{"status":404}', None, "read_failure", *blank, "degC", "Digital", "P1",
         "\\\\SRV\\P1.X", "SRV", PLANNED),
        ("W_Q", "Q", start, 0, None, '{"status":null}', None, "read_failure", *blank, "degC", "Float64", None,
         "\\\\SRV\\Q", "SRV", PLANNED),
    ]  # fmt: skip


# --- a second opinion: the same rules, one row at a time, as slow and simple as possible


def plain_value(item: dict[str, Any], point_type: str) -> tuple[Any, ...]:  # noqa: C901, PLR0911 - a table
    value, good = item.get("Value"), item.get("Good")
    if item.get("Errors") is not None:
        return None, "; ".join(t for e in item["Errors"] for t in e["Message"]), None, "error"
    if value is None:
        return None, None, None, "none"
    if value is True or value is False:
        return (1.0 if value else 0.0), ("true" if value else "false"), None, "boolean"
    if isinstance(value, (int, float)):
        big = isinstance(value, int) and abs(value) > 2**53
        return float(value), (str(value) if big else None), None, "number"
    if isinstance(value, str):
        if good is False:
            return None, value, None, "error"
        if point_type == "Timestamp":
            return None, value, None, "timestamp"
        if point_type.startswith(("Float", "Int")) and value in ("NaN", "Infinity", "-Infinity"):
            return float(value), None, None, "number"
        return None, value, None, "string"
    if isinstance(value, dict) and "Name" in value:
        kind = "system" if value.get("IsSystem") or good is False else "digital"
        return None, value["Name"], value.get("Value"), kind
    return None, json.dumps(value, separators=(",", ":"), ensure_ascii=False), None, "json"


def plain_rows(group: dict[str, Any], state: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    for item in group["items"]:
        micros = item["ticks"] // 10
        state["next"] = state["next"] + 1 if state.get("at") == micros else 0
        state["at"] = micros
        rows.append(
            (
                "W_" + group["name"], group["name"],
                datetime(2024, 5, 1, tzinfo=UTC) + timedelta(microseconds=micros), state["next"],
                *plain_value(item, group["type"]),
                *(item.get(flag) for flag in ("Good", "Questionable", "Substituted", "Annotated")),
                group["units"] or "degC", group["type"], PLANNED,
            )
        )  # fmt: skip
    return rows


def comparable(rows: list[tuple[Any, ...]]) -> list[str]:
    """Text that tells NaN, -0.0 and 0.0, 1.0 and True apart, and is the same for the same moment."""
    return [repr([x.isoformat() if isinstance(x, datetime) else x for x in row]) for row in rows]


VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**20), 10**20),
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "", "ä", "2024-05-01T00:00:00Z"]),
    st.builds(
        lambda name, code, system: {"Name": name, "Value": code, "IsSystem": system},
        st.sampled_from(["RUN", "Shutdown"]),
        st.integers(-(2**31), 2**31 - 1),
        st.booleans(),
    ),
    st.lists(st.integers(0, 9), max_size=3),
    st.just({"X": {"Y": "ü"}}),
)
FLAG = st.sampled_from([True, False, None])
ITEM = st.fixed_dictionaries(
    {"Value": VALUES, "Good": FLAG, "Questionable": FLAG, "Substituted": FLAG, "Annotated": FLAG},
    optional={"Errors": st.just([{"FieldName": "Value", "Message": ["a", "b"]}])},
)
PLAIN_ITEM = st.fixed_dictionaries(
    {"Value": st.floats(-100, 100), "Good": st.just(True), "Questionable": st.just(False)}
)


@st.composite
def pages(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Pages of groups; a point's ticks never fall, not even from page to page."""
    kinds = {
        name: draw(st.sampled_from(["Float64", "Int32", "Digital", "String", "Timestamp"])) for name in "ABC"
    }
    clock = dict.fromkeys(kinds, 0)
    made = []
    for _ in range(draw(st.integers(1, 3))):
        groups = []
        for name in draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=3, unique=True)):
            items = draw(st.lists(draw(st.sampled_from([ITEM, PLAIN_ITEM])), max_size=6))
            stamped = []
            for item in items:
                clock[name] += draw(st.sampled_from([0, 0, 1, 4, 10, 10_000_000, 86_400 * 10_000_000]))
                stamped.append({**item, "ticks": clock[name], "Timestamp": wire(clock[name])})
            if stamped:
                stamped[-1].pop("Errors", None)  # such a page would not be complete
            units = draw(st.sampled_from(["bar", "", None]))
            groups.append({"name": name, "type": kinds[name], "units": units, "items": stamped})
        if any(group["items"] for group in groups):
            made.append(groups)
    return made


@given(pages())
def test_random_mixed_pages_decode_as_the_rules_say_row_by_row(made: list[list[dict[str, Any]]]) -> None:
    counters = {name: SequenceCounter() for name in "ABC"}
    states: dict[str, dict[str, Any]] = {name: {} for name in "ABC"}
    for groups in made:
        body = {
            str(i): {
                "Status": 200,
                "Content": {
                    "Items": [{k: v for k, v in item.items() if k != "ticks"} for item in group["items"]],
                    "UnitsAbbreviation": group["units"],
                },
            }
            for i, group in enumerate(groups)
        }
        read = reply.batch_reply(json.dumps(body).encode())
        given_groups = [
            PointEvents(
                point(g["name"], g["type"]), read[str(i)].events, read[str(i)].units, counters[g["name"]]
            )
            for i, g in enumerate(groups)
        ]
        batch = decode.to_batch(given_groups, SCHEMA, PLANNED, None)
        batch.validate(full=True)
        assert batch.schema.equals(SCHEMA)
        wanted = [row for group in groups for row in plain_rows(group, states[group["name"]])]
        assert comparable(rows_of(batch)) == comparable(wanted)


# --- nonsense


def read_everything(body: bytes) -> None:
    """PointEvents, or an error of ours: anything else fails the test."""
    try:
        read = reply.batch_reply(body)
    except PIError:
        return
    for page in read.values():
        if not page.events.size:
            continue
        for point_type in ("Float64", "String"):
            group = PointEvents(point(point_type=point_type), page.events, page.units, SequenceCounter())
            try:
                batch = decode.to_batch([group], SCHEMA, PLANNED, None)
            except PIError:
                continue
            batch.validate(full=True)
            assert batch.num_rows == page.events.size


@given(st.binary(max_size=200))
@example(b'{"0":{"Status":200,"Content":{"Items":[{"Timestamp":"\\ud800"}]}}}')
def test_any_bytes_give_rows_or_a_named_error(body: bytes) -> None:
    read_everything(body)


def test_a_body_nested_without_end_is_refused() -> None:
    read_everything(b'{"0":' * 5000)


SAMPLES = [path.read_bytes() for path in sorted(GOLDEN.glob("*.json"))]


@pytest.mark.parametrize("seed", range(8))
def test_a_golden_reply_with_bytes_changed_gives_rows_or_a_named_error(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(60):
        body = bytearray(dice.choice(SAMPLES))
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(body))
            body[place : place + dice.choice([0, 1, 1, 9])] = bytes(
                dice.choices(b'{}[]",:0179TZ-nulx\xc3\\', k=1)
            )
        read_everything(bytes(body[: dice.choice([len(body), dice.randrange(len(body))])]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from(["Value", "Errors", "Good", "Timestamp"]), value=JSON)
def test_any_json_in_any_field_of_an_event_gives_rows_or_a_named_error(key: str, value: Any) -> None:
    item = {"Timestamp": "2024-05-01T00:00:00Z", "Value": 1.0, key: value}
    read_everything(json.dumps({"0": {"Status": 200, "Content": {"Items": [item]}}}).encode())


@given(key=st.sampled_from(["Items", "Errors", "Message", "UnitsAbbreviation"]), value=JSON)
def test_any_json_in_any_field_of_a_sub_reply_gives_rows_or_a_named_error(key: str, value: Any) -> None:
    read_everything(json.dumps({"0": {"Status": 400, "Content": {key: value}}}).encode())


@pytest.mark.parametrize("code", ["x", [5], {"a": 1}], ids=str)
def test_a_web_exception_with_an_odd_status_is_a_failure_all_the_same(code: Any) -> None:
    body = {"0": {"Status": 200, "Content": {"WebException": {"StatusCode": code, "Errors": ["off"]}}}}
    assert not reply.batch_reply(json.dumps(body).encode())["0"].ok
