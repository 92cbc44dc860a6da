"""A proxy before the simulator that damages what goes through it, by a seed."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mock_server import Server
from mock_server.server.middleware import answer
from mock_server.webapi.messages import Request

from . import damage

_SHARE_WITH_A_VICTIM = 0.3  # of the seeds: one tag fails whenever it is asked for
_SILENT_S = 5.0  # how long an answer that never comes keeps its thread


class DamagingProxy:
    """Damages calls by turns: how often, in what ways and for how long follows from ``seed``."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.rng = Random(seed)
        self.share = self.rng.choice([0.2, 0.5, 0.9])  # of calls that are damaged
        self.left = self.rng.choice([1, 2, 5, 20, 100])  # damages, after which all is well
        self.kinds = self.rng.sample(damage.ANSWERS, self.rng.randint(1, 3))
        victims = [point.web_id("IDOnly") for point in server.plant.points]
        self.victim = self.rng.choice(victims) if self.rng.random() < _SHARE_WITH_A_VICTIM else None
        self.failure = self.rng.choice(damage.LASTING)
        self.done: list[str] = []
        self.calls = 0
        self.silent = False
        self.before: dict[str, bytes] = {}  # the last answer to a batch, and to a GET
        self.lock = threading.Lock()
        self.stop = threading.Event()

    def reply(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Status and body of the answer as the server gives it."""
        response = answer(self.server, Request(method, path, query, headers, body))
        if method == "GET" or self.victim is None or response.status != 207:
            return response.status, bytes(response.body)
        content = json.loads(response.body)
        for key, asked in json.loads(body).items():
            if self.victim in asked["Resource"]:
                damage.fail(content[key], self.victim, self.failure)
        return response.status, json.dumps(content).encode()

    def changed(self, method: str, status: int, body: bytes) -> bytes | None:
        """The body that is sent; None where none is sent."""
        with self.lock:
            self.calls += 1
            before = self.before.get(method)
            self.before[method] = body
            share = self.share if method == "POST" else self.share / 4  # lists are read once
            if self.left <= 0 or self.rng.random() > share or status not in (200, 207):
                return body
            self.left -= 1
            return self._damaged(method, body, before)

    def way(self, ways: list[Any]) -> Any:
        """One of ``ways`` in which an answer can go wrong; one that is silent comes once, because it costs a time-out."""
        with self.lock:
            way = self.rng.choice(ways)
            if way == "silence" and self.silent:
                way = "reset"
            self.silent |= way == "silence"
        return way

    def _damaged(self, method: str, body: bytes, before: bytes | None) -> bytes | None:
        rng = self.rng
        if rng.random() < 0.15:
            self.done.append("HTTP")
            return None
        if rng.random() < 0.15 and before is not None:
            self.done.append("the answer before")
            return before
        content = json.loads(body)
        if method == "GET":
            change = rng.choice(damage.LISTS)
            self.done.append(change.__name__)
            return json.dumps(change(rng, content)).encode()
        kind = rng.choice(self.kinds)
        self.done.append(kind.__name__)
        if not content:
            return body
        sent = kind(rng, content)
        return json.dumps(content).encode() if sent is None else sent


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart
    proxy: ClassVar[DamagingProxy]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, plain = self.proxy.reply(self.command, parts.path, parts.query, headers, body)
        sent = self.proxy.changed(self.command, status, plain)
        with suppress(OSError):
            if sent is None:
                self._badly(plain)
            else:
                self._whole(status, sent)

    do_POST = do_GET  # noqa: N815 - named by http.server

    def _whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _badly(self, body: bytes) -> None:
        """Sends bytes that are not quite HTTP, a reset, or nothing at all."""
        self.close_connection = True
        way = self.proxy.way([*damage.heads(body), "reset", "silence"])
        if way == "silence":
            self.proxy.stop.wait(_SILENT_S)
        elif way == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.wfile.write(way)

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - http.server has it
        """The ``Date`` of every answer, which is the clock of a server that tells no other: the simulator's, not today."""
        return formatdate(self.proxy.server.clock().timestamp(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients hang up, and so does the proxy


@contextmanager
def damaging(server: Server, seed: int) -> Iterator[tuple[str, DamagingProxy]]:
    """Yields the proxy's address and itself."""
    proxy = DamagingProxy(server, seed)
    listener = _Listener(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}/piwebapi", proxy
    finally:
        proxy.stop.set()
        listener.shutdown()
        thread.join()
        listener.server_close()
