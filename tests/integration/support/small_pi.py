"""A PI Web API of a few events that a test writes itself, one by one; single streams only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pi_datasource.model import iso_utc

Answer = tuple[int, dict[str, Any]]


class SmallPI:
    """A server whose clock shows ``now``, and which has ``events`` (tag → moment → value); ``broken`` tags answer 500."""

    def __init__(self, now: datetime, events: dict[str, dict[datetime, float]]) -> None:
        self.now, self.events = now, events
        self.broken: set[str] = set()
        self.url = ""

    @property
    def options(self) -> dict[str, str]:
        """What reads it."""
        one_by_one = {"read_mode": "streams", "num_partitions": "1"}
        return {"url": self.url, "settle": "0s", "discovery_interval": "0s", **one_by_one}

    def answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        """To one request."""
        match path.split("/")[2:]:
            case ["dataservers"]:
                server = {"WebId": "S", "Name": "PISRV", "IsConnected": True, "ServerTime": iso_utc(self.now)}
                return 200, {"Items": [server]}
            case ["dataservers", _, "points"]:
                first = int(query.get("startIndex", ["0"])[0])
                return 200, {"Items": [_point(tag) for tag in sorted(self.events)][first:]}
            case ["streams", web_id, "recorded"]:
                return self.recorded(web_id.removeprefix("W_"), query)
        return 404, {"Errors": [f"{path} is not here"]}

    def batch(self, wanted: dict[str, dict[str, Any]]) -> Answer:
        """To a batch of requests."""
        replies = {}
        for key, one in wanted.items():
            parts = urlsplit(one["Resource"])
            status, content = self.answer(parts.path, parse_qs(parts.query))
            replies[key] = {"Status": status, "Headers": {}, "Content": content}
        return 207, replies

    def recorded(self, tag: str, query: dict[str, list[str]]) -> Answer:
        """The events of a tag."""
        if tag in self.broken:
            return 500, {"Errors": ["made to fail"]}
        start, end = (
            datetime.fromisoformat(query[n][0].replace("Z", "+00:00")) for n in ("startTime", "endTime")
        )
        found = [(at, value) for at, value in sorted(self.events[tag].items()) if start <= at <= end]
        items = [{"Timestamp": iso_utc(at), "Value": value, "Good": True} for at, value in found]
        return 200, {"Items": items[: int(query["maxCount"][0])], "UnitsAbbreviation": ""}


def _point(tag: str) -> dict[str, Any]:
    path = rf"\\PISRV\{tag}"
    return {
        "WebId": f"W_{tag}",
        "Name": tag,
        "Path": path,
        "PointType": "Float64",
        "EngineeringUnits": "",
        "Step": False,
    }


@contextmanager
def serving(pi: SmallPI) -> Iterator[SmallPI]:
    """``pi`` behind an address of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._reply(*pi.answer(parts.path, parse_qs(parts.query)))

        def do_POST(self) -> None:
            self._reply(*pi.batch(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _reply(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        pi.url = f"http://127.0.0.1:{server.server_address[1]}/piwebapi"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        try:
            yield pi
        finally:
            server.shutdown()
            thread.join(5)
