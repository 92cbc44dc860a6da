"""Answers of another call are not used, whatever proxies do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import ReadTask
from pi_datasource.recorded import fetch
from pi_datasource.webapi.client import PIClient
from tests.unit.damage import CONFUSIONS, FOREVER, MODES, SCHEMA, Confused, Mode, read, steady, task
from tests.unit.fakes import SECOND, FakePI, WebServer, expected_rows, says


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", CONFUSIONS)
def test_an_answer_that_is_not_exactly_this_calls_is_not_used(kind: str, mode: Mode) -> None:
    server = Confused({2, 3}, CONFUSIONS[kind])
    names = list("ABCDEF")
    for number, name in enumerate(names):
        server.events[f"W_{name}"] = [(i * SECOND, number * 100.0 + i) for i in range(6)]
    asked = task(names, mode)
    asked = ReadTask(**{**asked.__dict__, "batch_size": 2})
    wanted = {name: expected_rows(server.events[f"W_{name}"], 0, FOREVER) for name in names}
    assert read(server, asked) == (wanted, {})
    assert server.dropped == 2


@pytest.mark.parametrize("kind", CONFUSIONS)
def test_a_server_that_never_answers_what_it_is_asked_ends_the_read(kind: str) -> None:
    server = Confused(set(range(200)), CONFUSIONS[kind])
    try:
        rows, failures = read(server, task(list("ABCDEF"), "streams"))
    except UnexpectedReply:
        return
    assert set(rows) | set(failures) == set("ABCDEF")
    assert all(rows[name] == expected_rows(steady(), 0, FOREVER) for name in rows)


def test_ids_are_new_in_each_call_and_the_requests_are_the_same() -> None:
    class Noting(FakePI):
        """Keeps what it was asked for."""

        def batch(self, urls: dict[str, str], _attempts: Any = None) -> bytes:
            self.asked = [*getattr(self, "asked", []), urls]
            return super().batch(urls)

    server = Noting({"W_A": steady(), "W_B": steady()})
    for _ in range(2):
        read(server, task(["A", "B"], "streams"))
    first, again = server.asked
    assert not set(first) & set(again)
    assert list(first.values()) == list(again.values())


@pytest.mark.parametrize("change", ["unknown", "twice", "re-encoded"])
def test_a_set_with_streams_that_were_not_asked_for_is_asked_for_one_by_one(change: str) -> None:
    class OtherSet(FakePI):
        """Its sets are not those it is asked for."""

        def _set(self, web_ids: list[str], asked: dict[str, str]) -> dict[str, Any]:
            reply = super()._set(web_ids, asked)
            items = reply["Content"]["Items"]
            if change == "re-encoded":
                for item in items:
                    item["WebId"] = "F" + item["WebId"]
            elif change == "unknown":
                items[1]["WebId"] = "W_Z"
            else:
                items.append({**items[0], "Items": items[1]["Items"]})
            return reply

    server = OtherSet({"W_A": steady(3), "W_B": steady(4)})
    wanted = {"A": expected_rows(steady(3), 0, FOREVER), "B": expected_rows(steady(4), 0, FOREVER)}
    assert read(server, task(["A", "B"], "auto")) == (wanted, {})
    assert server.shapes == [[2], [1, 1]]


def test_dropped_connections_are_not_used_again(connect: Callable[..., PIClient], web: WebServer) -> None:
    ports = []

    def noting(handler: Any) -> None:
        ports.append(handler.client_address[1])
        says({})(handler)

    web.answers(noting)
    api = connect()
    api.batch({"a": "u"})
    api.batch({"a": "u"})
    api.drop_connections()
    api.batch({"a": "u"})
    assert ports[0] == ports[1] != ports[2]


def test_an_answer_that_arrives_twice_on_a_kept_connection_is_filed_under_no_other_tag(
    connect: Callable[..., PIClient], web: WebServer
) -> None:
    server = FakePI({f"W_{name}": [(SECOND, float(ord(name)))] for name in "ABCD"})
    server.url = web.url
    sent: list[tuple[int, bytes]] = []

    def twice(handler: Any) -> None:
        asked = json.loads(handler.server.asked[-1].body)
        body = server.batch({key: one["Resource"] for key, one in asked.items()})
        port = handler.client_address[1]
        again = [last for used, last in sent[-1:] if used == port and len(sent) == 2]
        sent.append((port, body))
        for each in (*again, body):
            handler.wfile.write(b"HTTP/1.1 207 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(each), each))

    web.answers(twice)
    asked = task(list("ABCD"), "streams")
    asked = ReadTask(**{**asked.__dict__, "batch_size": 1})
    batches = list(fetch.run(connect(), asked, SCHEMA))
    values = {
        name: value
        for batch in batches
        for name, value in zip(batch["tag_name"].to_pylist(), batch["value"].to_pylist(), strict=True)
    }
    assert values == {name: float(ord(name)) for name in "ABCD"}
    assert len({port for port, _ in sent}) > 1
