"""Answers that are damaged in part: rows of everything else, and the one tag by name."""

from __future__ import annotations

import logging
import random
from typing import Any

import pyarrow as pa
import pytest

from pi_datasource import schema
from pi_datasource.errors import ReadFailed, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.recorded import fetch
from pi_datasource.spark.stream_reader import PIStreamReader
from pi_datasource.webapi import client as shared_client
from pi_datasource.webapi import data_servers
from tests.engine import Engine
from tests.unit.damage import (
    CONFUSIONS,
    FOREVER,
    MODES,
    READ_WELL,
    SCHEMA,
    SPOILED,
    Mode,
    OneBad,
    Spoil,
    changed,
    error_entry,
    read,
    steady,
    task,
)
from tests.unit.fakes import SECOND, FakePI, expected_rows, wire


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", SPOILED)
def test_one_tag_whose_answers_are_no_pages_fails_by_name_and_no_other(kind: str, mode: Mode) -> None:
    spoil, words = SPOILED[kind]
    rows, failures = read(OneBad(["A", "B", "C"], "B", spoil), task(["A", "B", "C"], mode))
    wanted = expected_rows(steady(), 0, FOREVER)
    assert {name: found for name, found in rows.items() if name != "B"} == {"A": wanted, "C": wanted}
    if kind in READ_WELL:
        assert (len(rows["B"]), failures) == (6, {})
        return
    assert "B" not in rows
    assert list(failures) == ["B"]
    assert words in failures["B"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [kind for kind in SPOILED if kind not in READ_WELL])
def test_under_fail_the_error_names_that_tag_after_all_others_were_read(kind: str, mode: Mode) -> None:
    spoil, words = SPOILED[kind]
    batches = fetch.run(OneBad(["A", "B", "C"], "B", spoil), task(["A", "B", "C"], mode, "fail"), SCHEMA)  # type: ignore[arg-type]
    rows = []
    with pytest.raises(ReadFailed) as caught:
        rows.extend(batches)
    assert [(failure.point, words in failure.message) for failure in caught.value.failures] == [("B", True)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [kind for kind in SPOILED if kind not in READ_WELL])
def test_a_damage_that_passes_costs_no_row(kind: str, mode: Mode) -> None:
    server = OneBad(["A", "B", "C"], "B", SPOILED[kind][0], times=1)
    wanted = expected_rows(steady(), 0, FOREVER)
    assert read(server, task(["A", "B", "C"], mode)) == (dict.fromkeys("ABC", wanted), {})


@pytest.mark.parametrize("kind", [kind for kind in SPOILED if kind not in READ_WELL])
def test_a_damaged_page_in_the_middle_of_a_stream_gives_nothing_of_itself(kind: str) -> None:
    spoil, _ = SPOILED[kind]

    def later(content: dict[str, Any]) -> Any:
        return content if content["Items"][0]["Timestamp"] < wire(5 * SECOND) else spoil(content)

    server = OneBad(["A", "B"], "B", later)
    server.events = {web_id: steady(16) for web_id in server.events}
    rows, failures = read(server, task(["A", "B"], "streams", page_size=6))
    wanted = expected_rows(steady(16), 0, FOREVER)
    assert rows == {"A": wanted, "B": wanted[: len(rows["B"])]}
    assert len(rows["B"]) in (5, 10)
    assert list(failures) == ["B"]


@pytest.mark.parametrize("mode", MODES)
def test_errors_in_the_middle_of_a_page_that_goes_on_stay_rows(mode: Mode) -> None:
    server = OneBad(["A", "B"], "B", changed(2, Errors=[{"FieldName": "Value", "Message": ["No Good Data"]}]))
    batches = list(fetch.run(server, task(["A", "B"], mode), SCHEMA))  # type: ignore[arg-type]
    found = pa.Table.from_batches(batches).filter(pa.compute.field("tag_name") == "B")
    kinds = ["number", "number", "error", "number", "number", "number"]
    assert found.column("value_kind").to_pylist() == kinds
    assert found.column("value_string").to_pylist()[2] == "No Good Data"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "empty",
    [
        {"Items": [], "UnitsAbbreviation": "degC"},
        {"Items": []},
        {"UnitsAbbreviation": ""},
        {"Links": {}, "UnitsAbbreviation": None, "Errors": []},
        {"Links": {}},
    ],
    ids=str,
)
def test_an_empty_page_is_recognized_without_its_items(empty: dict[str, Any], mode: Mode) -> None:
    server = OneBad(["A", "B"], "B", lambda _: empty)
    assert read(server, task(["A", "B"], mode)) == ({"A": expected_rows(steady(), 0, FOREVER)}, {})
    assert len(server.calls) == 1


def test_an_answer_without_anything_is_asked_for_without_a_selection_of_fields() -> None:
    server = OneBad(["A", "B"], "B", lambda _: {}, times=1)
    server.events["W_B"] = []
    assert read(server, task(["A", "B"], "streams")) == ({"A": expected_rows(steady(), 0, FOREVER)}, {})
    assert [selected != "" for selected in server.selected] == [True, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_what_tells_of_a_failure_is_selected_too(mode: Mode) -> None:
    server = FakePI({"W_A": steady()})
    list(fetch.run(server, task(["A", "B"], mode), pa.schema([SCHEMA.field("timestamp")])))  # type: ignore[arg-type]
    names = server.selected[0].split(";")
    assert {"WebException", "Errors", "Exception", "Message"} <= set(names)
    prefix = "Items." if mode == "streams" else "Items.Items."
    assert prefix + "Errors" in names
    assert mode == "streams" or {"Items.WebException", "Items.Errors", "Items.Exception"} <= set(names)


@pytest.mark.parametrize(
    "member",
    [
        {"Status": "200"},
        {"Status": 200, "Errors": ["down"]},
        {"Status": 200, "WebException": {"StatusCode": 500}},
        {"Status": None},
        [],
    ],
    ids=str,
)
def test_a_member_that_is_no_answer_is_a_failure_of_its_own(member: Any) -> None:
    class Odd(FakePI):
        """Answers for B with an odd member."""

        def _reply(self, web_ids: list[str], asked: dict[str, str], path: str) -> Any:
            reply = super()._reply(web_ids, asked, path)
            if web_ids != ["W_B"]:
                return reply
            return {**reply, **member} if isinstance(member, dict) else member

    rows, failures = read(Odd({f"W_{name}": steady() for name in "ABC"}), task(["A", "B", "C"], "streams"))
    assert rows == dict.fromkeys("AC", expected_rows(steady(), 0, FOREVER))
    assert list(failures) == ["B"]


def test_a_set_that_is_full_as_a_whole_makes_no_tag_look_filled_by_one_timestamp() -> None:
    server = FakePI({"W_A": [(i, float(i)) for i in range(999)], "W_B": steady(1)}, limit=1000)
    wanted = {name: expected_rows(server.events[f"W_{name}"], 0, FOREVER) for name in "AB"}
    for page_size in (1000, 10_000):  # the limit is known from the start, or learnt from a refusal
        assert read(server, task(["A", "B"], "auto", page_size=page_size)) == (wanted, {})


@pytest.mark.parametrize("failed", [{"Errors": ["down"]}, {"WebException": {"StatusCode": 500}}], ids=str)
def test_events_beside_a_failure_count_where_streams_share_the_limit(failed: dict[str, Any]) -> None:
    class Shared(FakePI):
        """One limit for all streams of a set; B fails behind its events, and C finds the limit used up."""

        def _set(self, web_ids: list[str], asked: dict[str, str]) -> dict[str, Any]:
            reply = super()._set(web_ids, asked)
            reply["Content"]["Items"][1].update(failed)
            return reply

    sizes = {"A": 400, "B": 600, "C": 5}
    server = Shared({f"W_{name}": [(i * 10, float(i)) for i in range(size)] for name, size in sizes.items()})
    server.sets_share_the_count = True
    wanted = {name: expected_rows(server.events[f"W_{name}"], 0, FOREVER) for name in sizes}
    assert read(server, task(["A", "B", "C"], "auto")) == (wanted, {})


def test_a_timestamp_that_fills_a_page_among_others_is_looked_at_alone() -> None:
    crowd = [(SECOND, float(i)) for i in range(60)]
    server = FakePI({"W_A": crowd, "W_B": steady(3)}, limit=50)
    rows, failures = read(server, task(["A", "B"], "auto"))
    assert rows == {"B": expected_rows(steady(3), 0, FOREVER)}
    assert list(failures) == ["A"]
    assert server.calls[-1] == [("W_A", wire(SECOND), 50)]


# --- pages that do not advance


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("page_size", [1, 2, 5, 29])
def test_one_tag_whose_pages_do_not_advance_takes_no_other_with_it(page_size: int, mode: Mode) -> None:
    class Stuck(FakePI):
        """Ignores the start for one tag."""

        def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
            self.ignores_start = web_id == "W_B"
            return super()._content(web_id, asked)

    server = Stuck({f"W_{name}": steady(30) for name in "ABC"}, limit=20)
    rows, failures = read(server, task(["A", "B", "C"], mode, page_size=page_size))
    wanted = expected_rows(steady(30), 0, FOREVER)
    assert (rows["A"], rows["C"]) == (wanted, wanted)
    assert rows.get("B", []) == wanted[: len(rows.get("B", []))]
    assert list(failures) == ["B"]
    assert "do not advance" in failures["B"] or "share the timestamp" in failures["B"]


# --- the same through a stream


class Plant(OneBad):
    """Three tags, one of which answers damaged."""

    def __init__(self, spoil: Spoil) -> None:
        super().__init__(["A", "B", "C"], "B", spoil)
        servers = [{"WebId": "DSA", "Name": "SRV", "ServerTime": wire(60 * SECOND), "IsConnected": True}]
        tags = [{"WebId": f"W_{name}", "Name": name, "PointType": "Float64"} for name in "ABC"]
        self.replies = {
            "dataservers": lambda _: {"Items": servers},
            "dataservers/DSA/points": lambda asked: {"Items": tags} if asked["startIndex"] == "0" else {},
        }


@pytest.mark.parametrize("mode", ["streams", "streamsets"])
@pytest.mark.parametrize("kind", ["Errors", "a list", "an error entry at the end", "disorder", "nothing"])
def test_a_stream_goes_on_past_a_damaged_tag_under_report_and_names_it_under_fail(
    kind: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, words = SPOILED[kind]
    pi = Plant(spoil)
    monkeypatch.setattr(shared_client, "shared", lambda _: pi)
    monkeypatch.setattr(data_servers, "INTERVAL_S", 0.0)
    options = {
        "url": "h",
        "settle": "5s",
        "start_time": "2024-05-01T00:00:00Z",
        "read_mode": mode,
        "num_partitions": "1",
    }

    def reader(on_error: str) -> PIStreamReader:
        return PIStreamReader(Options.parse({**options, "on_error": on_error}), SCHEMA)

    engine = Engine(lambda: reader("report"))
    engine.run()
    table = engine.table.to_pylist()
    numbers = [(row["tag_name"], row["value"]) for row in table if row["value_kind"] == "number"]
    assert sorted(numbers) == [(name, value) for name in "AC" for _, value in steady()]
    failed = [row for row in table if row["value_kind"] == schema.READ_FAILURE]
    assert [(row["tag_name"], words in row["value_string"]) for row in failed] == [("B", True)]
    with pytest.raises(ReadFailed, match=r"could not be read in .*: B \("):
        Engine(lambda: reader("fail")).run()


def test_a_tag_that_is_asked_for_again_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(OneBad(["A", "B"], "B", error_entry, times=1), task(["A", "B"], "streams"))
    words = "B: HTTP 500 the events end with an error entry: Timeout while reading.; retrying"
    assert [record.getMessage() for record in caplog.records] == [words]


class Unreliable(FakePI):
    """Damages members, bodies and ids at random: for a while, or some tags for good."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.names = [f"T{i}" for i in range(self.dice.randint(1, 12))]
        super().__init__({f"W_{name}": self._events(number) for number, name in enumerate(self.names)})
        self.most_calls = 2000
        self.rate, self.body_rate = self.dice.choice([0, 0.05, 0.2]), self.dice.choice([0, 0.05, 0.2])
        bad = self.dice.sample(self.names, self.dice.choice([0, 1, 1, 2]) % (len(self.names) + 1))
        self.lasting = {f"W_{name}" for name in bad}
        self.last = b"{}"

    def _events(self, number: int) -> list[tuple[int, float]]:
        steps = [self.dice.choice([0, 1, SECOND]) for _ in range(self.dice.randint(0, 30))]
        return [(sum(steps[: i + 1]), number * 1000.0 + i) for i in range(len(steps))]

    def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, Any]:
        status, content = super()._content(web_id, asked)
        if status == 200 and (web_id in self.lasting or self.dice.random() < self.rate):
            # Events out of order cannot be told apart where their times do not differ.
            kinds = [name for name in SPOILED if name not in (*READ_WELL, "disorder")]
            if len(content["Items"]) > 5:
                return status, SPOILED[self.dice.choice(kinds)][0](content)
            return status, SPOILED[self.dice.choice(kinds[:6])][0](content)
        return status, content

    _set = OneBad._set

    def _body(self, replies: dict[str, Any]) -> bytes:
        body = super()._body(replies)
        last, self.last = self.last, body
        if self.dice.random() >= self.body_rate:
            return body
        kind = self.dice.choice([*CONFUSIONS, "cut", "bytes"])
        if kind == "cut":
            return body[: self.dice.randrange(1, len(body))]
        if kind == "bytes":
            place = self.dice.randrange(1, len(body))
            return body[:place] + self.dice.choice([b"\xff", b'"', b"\\u"]) + body[place:]
        return CONFUSIONS[kind](body, last)


@pytest.mark.parametrize("seed", range(120))
def test_random_damage_costs_no_row_that_is_not_named(seed: int) -> None:
    server = Unreliable(seed)
    asked = task(server.names, server.dice.choice(MODES), page_size=server.dice.choice([2, 7, 1000]))
    try:
        rows, failures = read(server, asked)
    except UnexpectedReply:
        return
    for name in server.names:
        wanted = expected_rows(server.events[f"W_{name}"], 0, FOREVER)
        found = rows.get(name, [])
        assert found == (wanted[: len(found)] if name in failures else wanted), name
