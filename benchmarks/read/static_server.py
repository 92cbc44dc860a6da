"""A PI Web API that only sends prepared bytes, so that the measured cost is that of the client.

    python -m benchmarks.read.static_server --tags 1000 --events 1000 --kind numeric

prints its address and serves until its standard input is closed. `GET /counters` tells what it was asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
import uvicorn

from benchmarks.read.recordings import POINT_TYPES, Shape
from benchmarks.read.static_points import Directory, Refused
from benchmarks.read.static_streams import Streams

Query = list[tuple[str, str]]
_ROOT = "/piwebapi"
_JSON = (b"content-type", b"application/json; charset=utf-8")


class StaticServer:
    """Answers one plant of a fixed shape; counts calls, sub-requests of batches and bytes of answers."""

    def __init__(self, shape: Shape) -> None:
        self.directory = Directory(shape)
        self.streams = Streams(shape, self.directory)
        self.counters = {"calls": 0, "sub_requests": 0, "bytes": 0}

    def respond(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of one call from outside."""
        if path == "/counters":
            return 200, orjson.dumps(self.counters)
        self.counters["calls"] += 1
        try:
            status, answer = 200, b""
            if method == "POST" and path.lower() == f"{_ROOT}/batch":
                status, answer = 207, self._batch(body)
            else:
                answer = b"".join(self._get(path, query))
        except Refused as refused:
            status, answer = refused.status, orjson.dumps({"Errors": [refused.message]})
        self.counters["bytes"] += len(answer)
        return status, answer

    def _batch(self, body: bytes) -> bytes:
        """All sub-replies; pieces are joined once, since they are large."""
        pieces: list[bytes | memoryview] = [b"{"]
        for name, job in orjson.loads(body).items():
            self.counters["sub_requests"] += 1
            try:
                _, _, rest = job["Resource"].partition("://")
                _, _, target = rest.partition("/")
                path, _, query = target.partition("?")
                content, status = self._get("/" + path, query), 200
            except Refused as refused:
                content, status = [orjson.dumps({"Errors": [refused.message]})], refused.status
            head = (
                b'{"Status":%d,"Headers":{"Content-Type":"application/json; charset=utf-8"},"Content":'
                % status
            )
            pieces += [orjson.dumps(name), b":", head, *content, b"},"]
        if len(pieces) > 1:
            pieces[-1] = b"}"
        pieces.append(b"}")
        return b"".join(pieces)

    def _get(self, path: str, query: str) -> list[bytes | memoryview]:
        """The pieces of the answer to a GET."""
        if not path.lower().startswith(_ROOT):
            raise Refused(404, f"nothing at {path}")
        parts = [part for part in path[len(_ROOT) :].split("/") if part]
        if len(parts) == 3 and parts[0] == "streams" and parts[2] == "recorded":
            return self.streams.recorded(parts[1], query)
        if parts == ["streamsets", "recorded"]:
            return self.streams.recorded_set(query)
        if len(parts) == 3 and parts[0] == "streams" and parts[2] == "summary":
            return [self.streams.count(parts[1])]
        return [self.directory.answer([unquote(part) for part in parts], tuple(_pairs(query)))]


def _pairs(query: str) -> Query:
    return parse_qsl(query, keep_blank_values=True)


Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def application(
    server: StaticServer, latency_s: float = 0.0
) -> Callable[[dict[str, Any], Receive, Send], Awaitable[None]]:
    """The server as bare ASGI."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, answer = server.respond(scope["method"], scope["path"], scope["query_string"].decode(), body)
        if latency_s:
            await asyncio.sleep(latency_s)
        headers = [_JSON, (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def serve(
    server: StaticServer, listener: socket.socket, stop: threading.Event, latency_s: float = 0.0
) -> None:
    """Answers until ``stop`` is set, each time after waiting ``latency_s``."""
    config = uvicorn.Config(
        application(server, latency_s),
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    host = uvicorn.Server(config)

    async def run() -> None:
        task = asyncio.create_task(host.serve([listener]))
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
        host.should_exit = True
        await task

    asyncio.run(run())


def address(listener: socket.socket) -> str:
    """Where clients find the server behind a listener."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}{_ROOT}"


def main() -> int:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read.static_server", description=__doc__)
    parser.add_argument("--tags", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="of each tag, in one day")
    parser.add_argument("--kind", choices=sorted(POINT_TYPES), default="numeric")
    parser.add_argument("--latency-ms", type=int, default=0, help="wait before each answer")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    stop = threading.Event()
    server = StaticServer(Shape(options.tags, options.events, options.kind))

    def watch() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    sys.stdout.write(address(listener) + "\n")
    sys.stdout.flush()
    serve(server, listener, stop, options.latency_ms / 1000)
    return 0


if __name__ == "__main__":
    sys.exit(main())
