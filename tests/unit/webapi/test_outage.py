"""A server that is down is waited for, for as long as the options say and no longer."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from pi_datasource import schema
from pi_datasource.errors import AccessDenied, ServerError, ServerFailed, ServerTimeout, ServerUnreachable
from pi_datasource.options.declaration import Options
from pi_datasource.spark.stream_reader import PIStreamReader, window_of
from pi_datasource.webapi import client, data_servers, outage
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.outage import Breaker
from tests.unit.fakes import FakePI, is_told_alone

DOWN = ServerUnreachable("GET dataservers: cannot reach https://pi")


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def caused(error: ServerError, cause: Exception) -> ServerError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "down"),
    [
        (DOWN, True),
        (ServerFailed("x", 502), True),
        (ServerFailed("x", 503), True),
        (ServerFailed("x", 500), False),
        (ServerFailed("x", 504), False),
        (ServerFailed("x", 429), True),
        (AccessDenied("x", 403), False),
        (caused(ServerTimeout("x"), requests.ConnectTimeout()), True),
        (caused(ServerTimeout("x"), requests.ReadTimeout()), False),
        (caused(ServerUnreachable("x"), requests.exceptions.SSLError()), False),
    ],
)
def test_only_what_passes_with_time_is_waited_for(error: ServerError, down: bool) -> None:
    assert outage.is_temporary(error) is down
    assert outage.Outage(60).should_wait(error) is down
    assert not outage.Outage(0).should_wait(error)


def test_patience_ends_and_begins_anew_after_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    clock = Time()
    down = outage.Outage(3600, clock)
    borne = 0
    while down.should_wait(DOWN):
        borne += 1
        clock.sleep(10)
    assert borne == 360
    assert caplog.text.count("waiting for it for up to") == 6
    down.over()
    assert "answers again after 3600 s" in caplog.text
    assert down.should_wait(DOWN)


class Connection:
    """In place of a session: no connection until ``back_at_s``, then an empty object."""

    def __init__(self, clock: Time, back_at_s: float) -> None:
        self.clock, self.back_at_s, self.asked = clock, back_at_s, 0

    def request(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        self.clock.sleep(1)
        if self.clock.now_s < self.back_at_s:
            message = "refused"
            raise requests.ConnectionError(message)
        response = requests.Response()
        response.status_code, response.raw = 200, Body()
        return response


class Body:
    """The body ``{}``."""

    def __init__(self) -> None:
        self.parts = [b"{}"]

    def read(self, *_: Any, **__: Any) -> bytes:
        return self.parts.pop() if self.parts else b""

    def release_conn(self) -> None: ...
    def close(self) -> None: ...


def connected(clock: Time, back_after_s: float, **given: str) -> tuple[PIClient, Connection]:
    api = PIClient(Options.parse({"url": "h", "max_retries": "0", **given}), sleep=clock.sleep)
    connection = Connection(clock, clock.now_s + back_after_s)
    api._exchange._session, api._breaker = connection, Breaker(clock)  # type: ignore[assignment]
    return api, connection


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(outage.time, "monotonic", clock)
    monkeypatch.setattr(outage.Outage.__init__, "__defaults__", (clock,))
    return clock


def test_a_call_goes_through_hours_later(ticking: Time) -> None:
    api, connection = connected(ticking, 5 * 3600, wait_for_server="12h")
    assert api.get("dataservers") == {}
    assert ticking.now_s < 1000 + 5 * 3600 + 60
    assert connection.asked < 5 * 3600 / outage.PAUSE_S


def test_a_call_fails_when_the_server_stays_down(ticking: Time) -> None:
    api, _ = connected(ticking, 5 * 3600, wait_for_server="1h")
    with pytest.raises(ServerUnreachable):
        api.get("dataservers")
    assert 3600 <= ticking.now_s - 1000 <= 3700


def test_a_call_fails_at_once_unless_it_is_told_to_wait(ticking: Time) -> None:
    api, connection = connected(ticking, 5 * 3600)
    with pytest.raises(ServerUnreachable, match="cannot reach"):
        api.get("dataservers")
    assert connection.asked == 1


class Down(FakePI):
    """A server with one tag that goes down and comes back."""

    def __init__(self) -> None:
        super().__init__({})
        self.down = False
        self.now = datetime(2024, 5, 1, tzinfo=timezone.utc)
        self.replies = {
            "dataservers": lambda _: DOWN if self.down else self._servers(),
            "dataservers/DSA/points": lambda _: {
                "Items": [{"WebId": "W", "Name": "T", "PointType": "Float32"}]
            },
        }

    def _servers(self) -> Any:
        return {
            "Items": [
                {"WebId": "DSA", "Name": "S", "ServerTime": self.now.isoformat().replace("+00:00", "Z")}
            ]
        }


class TestAStream:
    """Whose server is down when it asks for the latest offset."""

    @pytest.fixture
    @staticmethod
    def pi(monkeypatch: pytest.MonkeyPatch) -> Down:
        server = Down()
        monkeypatch.setattr(client, "shared", lambda _: server)
        monkeypatch.setattr(data_servers, "INTERVAL_S", 0.0)
        return server

    @staticmethod
    def reader(**given: str) -> PIStreamReader:
        return PIStreamReader(Options.parse({"url": "h", "tag_filter": "T", **given}), schema.timeseries())

    def test_has_nothing_new_while_it_waits_and_goes_on_afterwards(self, pi: Down, ticking: Time) -> None:
        stream = self.reader(wait_for_server="12h")
        end = stream.latestOffset(stream.initialOffset())
        pi.down = True
        for _ in range(11):
            ticking.sleep(3600)
            assert stream.latestOffset(end) == end
            assert window_of(stream.reportLatestOffset()).end == window_of(end).end
        pi.down, pi.now = False, pi.now + timedelta(hours=11)
        later = stream.latestOffset(end)
        assert (window_of(later).start, window_of(later).end) == (
            window_of(end).end,
            pi.now - timedelta(seconds=5),
        )

    def test_fails_when_patience_ends(self, pi: Down, ticking: Time) -> None:
        stream = self.reader(wait_for_server="2h")
        end = stream.latestOffset(stream.initialOffset())
        pi.down = True
        assert stream.latestOffset(end) == end
        ticking.sleep(7200)
        with pytest.raises(ServerUnreachable):
            stream.latestOffset(end)

    def test_fails_at_once_in_one_sentence_without_patience(self, pi: Down) -> None:
        stream = self.reader()
        end = stream.latestOffset(stream.initialOffset())
        pi.down = True
        with pytest.raises(ServerUnreachable) as caught:
            stream.latestOffset(end)
        assert is_told_alone(caught.value)

    def test_tells_little_while_it_waits(
        self, pi: Down, ticking: Time, caplog: pytest.LogCaptureFixture
    ) -> None:
        stream = self.reader(wait_for_server="1h")
        end = stream.latestOffset(stream.initialOffset())
        pi.down = True
        with caplog.at_level(logging.WARNING):
            for _ in range(100):
                ticking.sleep(10)
                stream.latestOffset(end)
        assert caplog.text.count("\n") == 2
