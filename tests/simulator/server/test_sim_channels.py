"""Channels: what a WebSocket client is sent is what the oracle says has come."""

import json
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mock_server import Plant, running
from mock_server.plant import ticks
from mock_server.plant.clock import Clock
from mock_server.server import channels

START = datetime(2025, 6, 2, 12, tzinfo=timezone.utc)
PLANT = Plant(seed=5, tags=32, plants=1, history_start=START - timedelta(days=3))
FLOW, VALVE, COUNT = PLANT.points[0], PLANT.points[5], PLANT.points[6]


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "POLL_S", 0.02)


def socket_url(url: str, path: str) -> str:
    return url.replace("http://", "ws://") + path


def message(socket: Any) -> Any:
    return json.loads(socket.recv(timeout=10))


def times(items: list[Any]) -> list[str]:
    return [item["Timestamp"] for item in items]


def oracle_times(point: Any, start: datetime, end: datetime) -> list[str]:
    return [ticks.to_iso(event.ticks) for event in PLANT.oracle(point.name, start, end, as_of=end)]


def test_a_stream_channel_sends_what_has_come_since_it_opened() -> None:
    clock = Clock(START, speed=0.0)
    path = f"/streams/{FLOW.web_id()}/channel?heartbeatRate=1"
    with running(PLANT, clock=clock) as url, connect(socket_url(url, path)) as socket:
        assert message(socket) == {"Links": {}, "Items": []}  # a heartbeat: the channel is open
        clock.set(START + timedelta(minutes=5))
        sent = next(filter(None, (message(socket)["Items"] for _ in range(100))))
    (stream,) = sent
    assert (stream["WebId"], stream["Name"], stream["Path"]) == (FLOW.web_id(), FLOW.name, FLOW.path)
    assert stream["UnitsAbbreviation"] == "m3/h"
    expected = oracle_times(FLOW, START + timedelta(microseconds=1), START + timedelta(minutes=5))
    assert len(expected) > 1
    assert times(stream["Items"]) == expected


def test_a_streamset_channel_begins_with_the_newest_values_if_asked() -> None:
    clock = Clock(START, speed=0.0)
    path = f"/streamsets/channel?webId={FLOW.web_id()}&webId={VALVE.web_id()}&includeInitialValues=true"
    with running(PLANT, clock=clock) as url, connect(socket_url(url, path)) as socket:
        first = message(socket)["Items"]
        clock.set(START + timedelta(hours=1))
        second = message(socket)["Items"]
    newest = [oracle_times(point, START - timedelta(days=1), START)[-1:] for point in (FLOW, VALVE)]
    assert [times(item["Items"]) for item in first] == newest
    for point, item in zip((FLOW, VALVE), second, strict=True):
        assert item["Name"] == point.name
        assert times(item["Items"]) == oracle_times(
            point, START + timedelta(microseconds=1), START + timedelta(hours=1)
        )


def test_only_changed_streams_are_in_a_message() -> None:
    clock = Clock(START, speed=0.0)
    cal = PLANT.points[31]
    query = f"webId={cal.web_id()}&webId={FLOW.web_id()}&includeInitialValues=true"
    with (
        running(PLANT, clock=clock) as url,
        connect(socket_url(url, f"/streamsets/channel?{query}")) as socket,
    ):
        assert len(message(socket)["Items"]) == 2
        assert oracle_times(cal, START + timedelta(microseconds=1), START + timedelta(minutes=2)) == []
        clock.set(START + timedelta(minutes=2))
        assert [item["Name"] for item in message(socket)["Items"]] == [FLOW.name]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/streams/nonsense/channel", 400),
        ("/streamsets/channel", 400),
        ("/streams/D1DP_____w/channel", 404),
        ("/streams/nowhere", 404),
        (f"/streams/{FLOW.web_id()}/channel?heartbeatRate=x", 400),
    ],
)
def test_a_channel_that_cannot_be_opened_is_refused_with_a_reason(path: str, status: int) -> None:
    with running(PLANT) as url, pytest.raises(InvalidStatus) as refused:
        connect(socket_url(url, path))
    assert refused.value.response.status_code == status
    assert refused.value.response.body


def test_a_channel_needs_the_same_sign_in_as_everything_else() -> None:
    path = f"/streams/{FLOW.web_id()}/channel?includeInitialValues=true"
    with running(PLANT, token="abc") as url:
        with pytest.raises(InvalidStatus) as refused:
            connect(socket_url(url, path))
        assert refused.value.response.status_code == 401
        with connect(socket_url(url, path), additional_headers={"Authorization": "Bearer abc"}) as socket:
            assert len(message(socket)["Items"]) == 1


def test_a_channel_ends_when_its_client_leaves() -> None:
    before = threading.active_count()
    with running(PLANT) as url:
        for _ in range(3):
            with connect(
                socket_url(url, f"/streams/{COUNT.web_id()}/channel?includeInitialValues=true")
            ) as socket:
                message(socket)
    assert threading.active_count() <= before + 1
