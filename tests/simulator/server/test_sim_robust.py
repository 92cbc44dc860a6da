"""The running server under stress: odd bytes, and many clients at once."""

import http.client
import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_server import Plant, State, running
from mock_server.plant.ticks import to_iso

NOW = datetime(2025, 6, 2, 12, 0, 0, 250_000, tzinfo=timezone.utc)
PLANT = Plant(seed=4, tags=32, plants=2)
CLIENTS = 200


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(PLANT, clock=lambda: NOW, user="u", password="p", admin=True) as url:
        yield url.split("/")[2]


values = st.one_of(
    st.sampled_from(
        ["Basic dTpw", "Basic", "Basic ====", "Bearer a.b.c", "Negotiate x", "gzip", "no-cache", "-1", "1e9"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=40),
)
names = st.sampled_from(
    [
        "Authorization",
        "Accept-Encoding",
        "Cache-Control",
        "Content-Type",
        "Cookie",
        "If-None-Match",
        "Range",
        "Host",
        "X-Forwarded-For",
        "X-Requested-With",
        "Accept",
        "Origin",
        "Upgrade",
        "Expect",
    ]
)
odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["Method", "Resource", "RequestTemplate", "Parameters", "ParentIds", "Content", "Headers"]
)
batches = st.dictionaries(
    st.text(max_size=4), st.one_of(odd, st.dictionaries(keys, odd, max_size=7)), max_size=3
)


def exchange(address: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@settings(max_examples=80, deadline=None, database=None)
@given(
    st.dictionaries(names, values, max_size=5), st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS"])
)
def test_any_headers_are_answered(address: str, headers: dict[str, str], method: str) -> None:
    for path in ("/piwebapi/system", "/admin/faults"):
        status, _ = exchange(address, method, path, b"{}", headers)
        assert status in (200, 400, 401, 404, 405)


@settings(max_examples=80, deadline=None, database=None)
@given(st.one_of(batches.map(lambda batch: json.dumps(batch).encode()), st.binary(max_size=80)))
def test_any_batch_body_is_answered(address: str, body: bytes) -> None:
    headers = {"Authorization": "Basic dTpw", "X-Requested-With": "t"}
    status, reply = exchange(address, "POST", "/piwebapi/batch", body, headers)
    assert status in (207, 400)
    assert isinstance(json.loads(reply), dict)


def truth(number: int) -> list[Any]:
    point = PLANT.points[number % len(PLANT.points)]
    start = NOW - timedelta(minutes=5 + number % 7)
    events = PLANT.oracle(point.name, start, NOW + timedelta(microseconds=1), as_of=NOW)
    return [
        [to_iso(e.ticks), e.value._asdict() if isinstance(e.value, State) else e.value, e.good]
        for e in events
    ]


def as_told(item: dict[str, Any]) -> list[Any]:
    value = item["Value"]
    if isinstance(value, dict):
        value = {"name": value["Name"], "code": value["Value"], "is_system": value["IsSystem"]}
    return [item["Timestamp"], value, item["Good"]]


def test_two_hundred_clients_at_once_get_what_each_asked_for(address: str) -> None:
    """All are connected before the first one asks, and every reply is compared with the oracle."""
    together = threading.Barrier(CLIENTS, timeout=60)
    replies: dict[int, list[list[Any]]] = {}

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.connect()
        together.wait()
        replies[number] = []
        for turn in (number, number + 1):
            point = PLANT.points[turn % len(PLANT.points)]
            path = f"/piwebapi/streams/{point.web_id()}/recorded?startTime=*-{5 + turn % 7}m&maxCount=10000"
            connection.request("GET", path, headers={"Authorization": "Basic dTpw"})
            replies[number].append(
                [as_told(each) for each in json.loads(connection.getresponse().read())["Items"]]
            )
        connection.close()

    threads = [threading.Thread(target=client, args=[number]) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    wanted = {turn: truth(turn) for turn in range(CLIENTS + 1)}
    assert sum(map(len, wanted.values())) > 1000
    assert replies == {number: [wanted[number], wanted[number + 1]] for number in range(CLIENTS)}
