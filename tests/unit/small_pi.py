"""A PI Web API of a hundred lines on a socket, independent of the simulator: subclass it and override what a test is about."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Query = dict[str, list[str]]
Answer = tuple[int, Any]


def event(timestamp: str, value: Any, **more: Any) -> dict[str, Any]:
    flags = {"Good": True, "Questionable": False, "Substituted": False, "Annotated": False}
    return {"Timestamp": timestamp, "Value": value, "UnitsAbbreviation": "", **flags, **more}


def hours(count: int) -> list[dict[str, Any]]:
    """An event at each full hour of 2024-01-01; its value is the hour."""
    return [event(f"2024-01-01T{hour:02d}:00:00Z", float(hour)) for hour in range(count)]


class SmallPI:
    """``tags`` are (point type, events) by name; all times are whole seconds in UTC."""

    outer = inner = "/piwebapi"  # the path before and behind a proxy
    now = "2024-01-02T00:00:00Z"

    def __init__(self, tags: dict[str, tuple[str, list[dict[str, Any]]]]) -> None:
        self.points = [
            {"WebId": f"I1DPAAAA{i:04d}", "Name": name, "PointType": kind, "EngineeringUnits": ""}
            for i, (name, (kind, _)) in enumerate(tags.items())
        ]
        self.events = {p["WebId"]: tags[p["Name"]][1] for p in self.points}
        self.asked: list[str] = []  # method and path of each call

    def home(self) -> Answer:
        return 200, {"Links": {}}

    def servers(self) -> list[dict[str, Any]]:
        return [{"WebId": "I1DSmain", "Name": "SRV", "IsConnected": True, "ServerTime": self.now}]

    def recorded(self, web_id: str, query: Query) -> Answer:
        if web_id not in self.events:
            return 404, {"Errors": [f"The specified WebID '{web_id}' was not found."]}
        low, high, most = query["startTime"][0], query["endTime"][0], int(query["maxCount"][0])
        found = [each for each in self.events[web_id] if low <= each["Timestamp"] <= high][:most]
        return 200, {"Links": {}, "Items": found, "UnitsAbbreviation": ""}

    def get(self, path: str, query: Query) -> Answer:
        if path in ("", "/"):
            return self.home()
        if path == "/dataservers":
            return 200, {"Links": {}, "Items": self.servers()}
        if re.fullmatch(r"/dataservers/[^/]+/points", path):
            pattern = query.get("nameFilter", ["*"])[0].lower()
            found = [p for p in self.points if fnmatchcase(p["Name"].lower(), pattern)]
            first, most = int(query["startIndex"][0]), int(query["maxCount"][0])
            return 200, {"Links": {}, "Items": found[first : first + most]}
        if match := re.fullmatch(r"/streams/([^/]+)/recorded", path):
            return self.recorded(match[1], query)
        if path == "/streamsets/recorded":
            return 200, {"Items": [{"WebId": w, **self.recorded(w, query)[1]} for w in query["webId"]]}
        return 404, {"Message": f"No HTTP resource was found that matches the request URI '{path}'."}

    def sub_request(self, resource: str) -> Answer:
        parts = urlsplit(resource)
        if not parts.path.startswith(f"{self.inner}/"):
            message = f"No HTTP resource was found that matches the request URI '{resource}'."
            return 404, {"Message": message}
        return self.get(parts.path.removeprefix(self.inner), parse_qs(parts.query))

    def batch(self, asked: dict[str, Any]) -> Answer:
        answers = {key: self.sub_request(each["Resource"]) for key, each in asked.items()}
        return 207, {
            key: {"Status": status, "Headers": {}, "Content": content}
            for key, (status, content) in answers.items()
        }

    def answer(self, method: str, path: str, query: Query, body: bytes) -> Answer:
        self.asked.append(f"{method} {path}")
        if not path.startswith(self.outer):
            return 404, "not found"
        path = path.removeprefix(self.outer)
        return self.batch(json.loads(body)) if (method, path) == ("POST", "/batch") else self.get(path, query)


@contextmanager
def serving(pi: SmallPI) -> Iterator[str]:
    """Yields the address under which ``pi`` answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are sent apart

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            status, content = pi.answer(self.command, unquote(parts.path), parse_qs(parts.query), body)
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET  # noqa: N815 - named by http.server

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{pi.outer}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
