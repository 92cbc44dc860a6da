"""Connections that break, fall silent or carry damaged HTTP: one more connection, or one error; never a traceback."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pi_datasource.errors import ServerError, ServerTimeout, ServerUnreachable, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import deadline_adapter, outage, retry
from pi_datasource.webapi.client import PIClient

Step = bytes | Callable[[socket.socket], None]
GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"Items":[]}'


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def ends(connection: socket.socket) -> None:
    connection.close()


class Wire:
    """Plays for each connection in turn a list of answers, one for each request, and is silent when they end."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/piwebapi"
        self.script: list[list[Step]] = []
        self.requests: list[int] = []  # the number of the connection that each request came on
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection, len(self._open) - 1)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        steps = list(self.script[min(number, len(self.script) - 1)])
        with connection, contextlib.suppress(OSError):
            while self._request(connection):
                self.requests.append(number)
                if steps:
                    step = steps.pop(0)
                    step(connection) if callable(step) else connection.sendall(step)

    @staticmethod
    def _request(connection: socket.socket) -> bool:
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                return False
            got += more
        top, _, body = got.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in top.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        return True

    def close(self) -> None:
        for one in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


Reach = Callable[..., PIClient]


@pytest.fixture
def reach(wire: Wire, naps: list[float]) -> Iterator[Reach]:
    made: list[PIClient] = []

    def make(**options: str) -> PIClient:
        parsed = Options.parse({"url": wire.url, "timeout": "2s", "max_retries": "2", **options})
        made.append(PIClient(parsed, naps.append))
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


def items(api: PIClient) -> Any:
    return api.get("dataservers")["Items"]


@pytest.mark.parametrize("fault", [resets, ends], ids=["reset", "end"])
@pytest.mark.parametrize("send", [items, lambda api: api.batch({"0": "u"})], ids=["get", "post"])
def test_a_kept_connection_that_was_closed_costs_one_reconnection(
    wire: Wire, reach: Reach, naps: list[float], send: Callable[[PIClient], Any], fault: Step
) -> None:
    wire.script = [[GOOD, fault], [GOOD]]
    api = reach(max_retries="1")
    send(api)
    send(api)
    assert (wire.requests, naps) == ([0, 0, 1], [])
    assert (api.metrics.calls, api.metrics.retries) == (3, 1)


def test_a_kept_connection_that_is_silent_costs_one_time_out_and_a_reconnection(
    wire: Wire, reach: Reach, naps: list[float]
) -> None:
    wire.script = [[GOOD], [GOOD]]
    api = reach(timeout="0.3s")
    assert [items(api), items(api)] == [[], []]
    assert (wire.requests, naps) == ([0, 0, 1], [])


def test_a_server_that_is_silent_on_a_fresh_connection_too_is_slow(wire: Wire, reach: Reach) -> None:
    wire.script = [[GOOD], []]
    api = reach(timeout="0.2s", max_retries="5", wait_for_server="1h")
    items(api)
    with pytest.raises(ServerTimeout) as caught:
        items(api)
    assert wire.requests == [0, 0, 1]
    assert not outage.is_temporary(caught.value)


def test_an_answer_that_began_on_a_kept_connection_is_slow_and_not_lost(wire: Wire, reach: Reach) -> None:
    wire.script = [[GOOD, b"HTTP/1.1 200 OK\r\n"], [GOOD]]
    api = reach(timeout="0.2s")
    items(api)
    with pytest.raises(ServerTimeout):
        items(api)
    assert wire.requests == [0, 0]


def test_without_retries_a_silent_kept_connection_is_an_outage_that_passes(
    wire: Wire, reach: Reach, naps: list[float]
) -> None:
    wire.script = [[GOOD], [GOOD]]
    api = reach(timeout="0.2s", max_retries="0")
    items(api)
    with pytest.raises(ServerTimeout) as caught:
        items(api)
    assert outage.is_temporary(caught.value)
    wire.requests.clear()
    patient = reach(timeout="0.2s", max_retries="0", wait_for_server="1h")
    wire.script = [[GOOD]] * 2 + [[GOOD], [GOOD]]
    assert [items(patient), items(patient)] == [[], []]
    assert naps == [outage.PAUSE_S]


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    wire: Wire, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]
    real = time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: real() + ahead[0])
    wire.script = [[GOOD] * 3, [GOOD]]
    api = reach()
    items(api)
    ahead[0] += deadline_adapter.LONGEST_IDLE_S - 5
    items(api)
    ahead[0] += deadline_adapter.LONGEST_IDLE_S + 1
    items(api)
    assert wire.requests == [0, 0, 1]


def test_all_kept_connections_go_when_one_was_dropped(wire: Wire, reach: Reach) -> None:
    wire.script = [[GOOD, resets], [GOOD], [GOOD]]
    api = reach()
    items(api)
    manager: Any = api._session.get_adapter(wire.url)
    before = manager.poolmanager.connection_from_url(wire.url)
    items(api)
    assert manager.poolmanager.connection_from_url(wire.url) is not before


def test_sockets_notice_a_dead_peer() -> None:
    names = {(level, name) for level, name, _ in deadline_adapter._socket_options()}
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE) in names
    assert not hasattr(socket, "TCP_USER_TIMEOUT") or (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) in names


def test_a_peer_that_acknowledges_nothing_is_a_broken_connection_and_not_a_slow_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dead:
        settimeout = staticmethod(lambda _: None)

        def readinto(self, _: Any) -> int:
            raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(deadline_adapter.errno, "ETIMEDOUT", 110)
    dead: Any = Dead()
    with pytest.raises(ConnectionAbortedError):
        deadline_adapter._TimedBytes(dead, dead, time.monotonic() + 9).readinto(bytearray(1))


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


@pytest.mark.parametrize(
    "interim",
    [HINTS, HINTS * 2, b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS],
)
def test_interim_answers_are_passed_over(wire: Wire, reach: Reach, interim: bytes) -> None:
    wire.script = [[interim + GOOD, interim + GOOD]]
    api = reach()
    assert [items(api), items(api)] == [[], []]
    assert wire.requests == [0, 0]


DAMAGED = {
    "length-words": head("Content-Length: abc") + b"{}",
    "length-list": head("Content-Length: 5, 5") + b'{"a":1}',
    "length-twice": head("Content-Length: 2", "Content-Length: 7") + b'{"a":1}',
    "length-negative": head("Content-Length: -5") + b"{}",
    "length-float": head("Content-Length: 2.0") + b"{}",
    "length-huge": head("Content-Length: " + "9" * 5000) + b"{}",
    "length-empty": head("Content-Length: ") + b"{}",
    "length-letters-of-another-script": head("Content-Length: \xb2") + b"{}",
    "coding": head("Transfer-Encoding: gzip, chunked") + b"2\r\n{}\r\n0\r\n\r\n",
    "status-words": b"HTTP/1.1 fine\r\n\r\n",
    "status-negative": b"HTTP/1.1 -200 OK\r\n\r\n",
    "status-no-http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "status-version": b"HTTP/7.7 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "status-long": b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
    "header-long": head("X-Long: " + "x" * 70_000) + b"{}",
    "headers-many": head(*(f"X-{i}: 1" for i in range(200))) + b"{}",
}


@pytest.mark.parametrize("answer", DAMAGED.values(), ids=DAMAGED)
def test_an_answer_that_is_not_http_is_asked_for_again_and_then_an_error(
    wire: Wire, reach: Reach, answer: bytes
) -> None:
    wire.script = [[answer], [GOOD]]
    assert items(reach()) == []
    wire.script = [[answer]]
    wire.requests.clear()
    with pytest.raises(UnexpectedReply, match=r"^GET dataservers: the answer of http.* is damaged \(\w+\)"):
        items(reach())
    assert len(wire.requests) == 3


def closing(data: bytes) -> Callable[[socket.socket], None]:
    """Sends ``data`` and ends the connection."""

    def play(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.close()

    return play


CUT = {
    "in-content-length": b"HTTP/1.1 200 OK\r\nContent-Length: 1",
    "before-the-length": b"HTTP/1.1 200 OK\r\nContent-Length: ",
    "in-a-name": b"HTTP/1.1 200 OK\r\nContent-Le",
    "in-the-status": b"HTTP/1.1 2",
    "chunk-size": head("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n0\r\n\r\n",
    "chunk-negative": head("Transfer-Encoding: chunked") + b"-5\r\n{}\r\n0\r\n\r\n",
    "chunk-long": head("Transfer-Encoding: chunked") + b"1" * 70_000 + b"\r\n{}",
    "gzip": head("Connection: close", "Content-Encoding: gzip", "Content-Length: 2") + b"{}",
    "deflate": head("Connection: close", "Content-Encoding: deflate", "Content-Length: 9") + b'{"a": 12}',
    "codings": head("Connection: close", "Content-Encoding: " + ", ".join(["gzip"] * 99), "Content-Length: 2")
    + b"{}",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_an_answer_that_is_incomplete_or_cannot_be_unpacked_is_asked_for_again(
    wire: Wire, reach: Reach, answer: bytes
) -> None:
    wire.script = [[closing(answer)], [GOOD]]
    assert items(reach()) == []
    wire.script = [[closing(answer)]]
    wire.requests.clear()
    with pytest.raises(ServerError) as caught:
        items(reach())
    assert isinstance(caught.value, UnexpectedReply)
    assert len(wire.requests) == 3


@pytest.mark.parametrize(
    "line",
    [
        "Location: http://[::1",
        "Location: \xff\xfe",
        "Location: http://h:port/",
        "Location: ",
        "X: y",
        "Date: Foo, 99",
    ],
)
def test_a_redirect_to_nowhere_is_an_error_like_any_redirect(wire: Wire, reach: Reach, line: str) -> None:
    wire.script = [[head(line, "Content-Length: 0", status="302 Found")]]
    with pytest.raises(UnexpectedReply, match="redirects to"):
        items(reach())


@pytest.mark.parametrize("value", ["-5", "soon", "nan", "7, 9", "Mon, 99 Foo 2026", "\xff"])
def test_a_retry_after_that_is_none_is_ignored(
    wire: Wire, reach: Reach, naps: list[float], value: str
) -> None:
    busy = head(f"Retry-After: {value}", "Content-Length: 0", status="503 Busy")
    wire.script = [[busy, GOOD]]
    assert items(reach()) == []
    assert len(naps) == 1
    assert naps[0] < 1


@pytest.mark.parametrize(
    "lines",
    [["Retry-After: 3600"], ["Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"], ["Retry-After: " + "9" * 30]],
)
def test_a_retry_after_of_hours_is_bounded_and_logged(
    wire: Wire, reach: Reach, naps: list[float], caplog: pytest.LogCaptureFixture, lines: list[str]
) -> None:
    wire.script = [[head(*lines, "Content-Length: 0", status="429 Slow down"), GOOD]]
    with caplog.at_level(logging.WARNING):
        assert items(reach()) == []
    assert naps == [retry.LONGEST_PAUSE_S]
    (logged,) = caplog.messages
    assert logged.startswith("GET dataservers: HTTP 429;")
    assert "; sending it again in 300.0 s (retry 1 of 2); the server asks for " in logged


def test_all_kinds_of_failure_together_cost_no_more_than_the_retries(wire: Wire, reach: Reach) -> None:
    cut = closing(head("Content-Length: 99") + b"{")
    page = head("Content-Length: 6") + b"<html>"
    busy = head("Content-Length: 0", status="503 Busy")
    wire.script = [[cut], [page, busy, page, resets], [cut], [busy, busy, busy]]
    with pytest.raises(ServerError, match="HTTP 503"):
        items(reach(max_retries="6"))
    assert len(wire.requests) == 7


def test_a_body_that_is_always_cut_costs_no_more_than_the_retries(wire: Wire, reach: Reach) -> None:
    wire.script = [[closing(head("Content-Length: 99") + b"{")]]
    with pytest.raises(UnexpectedReply, match=r"cut short 6 time\(s\)"):
        reach(max_retries="5").batch({"0": "u"})
    assert len(wire.requests) == 6


def test_a_certificate_without_trust_is_not_asked_for_again() -> None:
    import ssl

    import requests

    distrusted = requests.exceptions.SSLError(ssl.SSLCertVerificationError(1, "self-signed"))
    assert deadline_adapter.kind(distrusted) is None
    assert (
        deadline_adapter.kind(requests.exceptions.SSLError(ssl.SSLEOFError(8, "eof")))
        is retry.Failure.NOT_CONNECTED
    )


def test_a_rate_limit_that_lasts_is_waited_for_like_a_server_that_is_down(
    wire: Wire, reach: Reach, naps: list[float]
) -> None:
    busy = head("Content-Length: 0", status="429 Slow down")
    wire.script = [[*[busy] * 7, GOOD]]
    with pytest.raises(ServerError, match="HTTP 429"):
        items(reach(max_retries="1"))
    assert items(reach(max_retries="1", wait_for_server="1h")) == []
    assert naps.count(outage.PAUSE_S) == 3


def test_nothing_listens_is_found_out_within_a_few_attempts(reach: Reach, naps: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ServerUnreachable):
            items(reach(url=f"http://127.0.0.1:{free.getsockname()[1]}", max_retries="20"))
    assert len(naps) == 3
