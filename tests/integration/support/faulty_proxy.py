"""A proxy in front of the simulator that lets some of what goes through it fail."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.integration.support.faults import FAULTS

ALWAYS = 1_000_000
_KEPT = ("Accept", "Authorization", "Content-Type", "X-Requested-With")


@dataclass(frozen=True)
class SubFault:
    """How the sub-requests for one point fail: with ``status``, the first ``times`` times."""

    status: int
    times: int = ALWAYS


@dataclass
class Proxy:
    """What goes wrong: sub-requests by WebId, and every batch call as a whole (the name of a fault)."""

    upstream: str
    points: Mapping[str, SubFault] = field(default_factory=dict)
    batch: str | None = None
    url: str = ""
    failed: Counter[str] = field(default_factory=Counter)  # sub-requests that were made to fail, by WebId
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, resource: str) -> SubFault | None:
        """The fault that this sub-request meets now, if any."""
        with self._lock:
            for web_id, fault in self.points.items():
                if web_id in resource and self.failed[web_id] < fault.times:
                    self.failed[web_id] += 1
                    return fault
        return None


@contextmanager
def faulty_proxy(
    upstream: str, points: Mapping[str, SubFault] | None = None, batch: str | None = None
) -> Iterator[Proxy]:
    """Forwards to ``upstream`` but for the faults; the proxy's ``url`` is what to read from."""
    proxy = Proxy(upstream, points or {}, batch)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}/piwebapi"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.stop.set()
            server.shutdown()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: ClassVar[Proxy]

    def do_GET(self) -> None:
        self._reply(*self._forward(None))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.proxy.batch is not None:
            self.close_connection = True
            with suppress(OSError):
                FAULTS[self.proxy.batch](self.wfile.write, self.proxy.stop)
            return
        wanted: dict[str, dict[str, Any]] = json.loads(body)
        faults = {key: fault for key, one in wanted.items() if (fault := self._fault(one))}
        good = {key: one for key, one in wanted.items() if key not in faults}
        status, answer = 207, b"{}"
        if good:
            text = json.dumps(good).replace(self.proxy.url, self.proxy.upstream)
            status, answer = self._forward(text.encode())
        if status != 207:
            self._reply(status, answer)
            return
        replies = json.loads(answer)
        for key, fault in faults.items():
            content = {"Errors": [f"made to fail with {fault.status}"]}
            replies[key] = {"Status": fault.status, "Headers": {}, "Content": content}
        self._reply(207, json.dumps({key: replies[key] for key in wanted}).encode())

    def _fault(self, sub_request: dict[str, Any]) -> SubFault | None:
        return self.proxy.fault_of(sub_request["Resource"])

    def _forward(self, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=30)
        try:
            headers = {name: self.headers[name] for name in _KEPT if name in self.headers}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the tests look at what the client says."""
