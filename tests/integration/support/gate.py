"""A server before the simulator: a proxy to sign in to, and to those who call it directly one that repeats credentials."""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

_KEPT = ("Accept", "Authorization", "Content-Type", "X-Requested-With")


@contextmanager
def gate(upstream: str, user: str, password: str) -> Iterator[str]:
    """The address of the server, ``http://HOST:PORT``.

    As a proxy it forwards what signs in as ``user``. Under ``/piwebapi`` it forwards each GET to ``upstream``, and refuses each
    POST with status 500 and the credentials that came with it, as they were sent and decoded.
    """
    pair = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()
    handler = type("Handler", (_Handler,), {"upstream": upstream, "signed": f"Basic {pair}"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream: ClassVar[str]
    signed: ClassVar[str]

    def do_GET(self) -> None:
        """Forwards, or wants to be signed in to."""
        self._forward(None)

    def do_POST(self) -> None:
        """The same as a proxy; else repeats the credentials."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("http"):
            self._forward(body)
            return
        sent = self.headers.get("Authorization", "")
        told = [f"refused: {sent}", base64.b64decode(sent.removeprefix("Basic ")).decode()]
        self._reply(500, json.dumps({"Errors": told}).encode())

    def _forward(self, body: bytes | None) -> None:
        if self.path.startswith("http") and self.headers.get("Proxy-Authorization") != self.signed:
            self._reply(407, b"{}")
            return
        parts = urlsplit(self.path)
        connection = http.client.HTTPConnection(parts.netloc or urlsplit(self.upstream).netloc, timeout=30)
        try:
            headers = {name: self.headers[name] for name in _KEPT if name in self.headers}
            connection.request(self.command, parts._replace(scheme="", netloc="").geturl(), body, headers)
            response = connection.getresponse()
            self._reply(response.status, response.read())
        finally:
            connection.close()

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what is sent must be in no log."""
