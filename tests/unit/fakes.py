"""A PI Web API in memory and one on a socket; neither shares a line with the code under test."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import struct
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

from pi_datasource.errors import RequestRefused, ServerError
from pi_datasource.model import Point, Window
from pi_datasource.recorded.window_parts import LearnedLength
from pi_datasource.webapi.metrics import RequestMetrics

UTC = timezone.utc
BASE = datetime(2024, 5, 1, tzinfo=UTC)
SECOND = 10_000_000  # ticks of 100 ns, PI's own unit
TOO_MANY = "Parameter maxCount is greater than the maximum allowed ({})"


def wire(ticks: int) -> str:
    """BASE + ticks as PI writes it: up to 7 fraction digits, trailing zeros dropped."""
    whole, fraction = divmod(ticks, SECOND)
    text = (BASE + timedelta(seconds=whole)).strftime("%Y-%m-%dT%H:%M:%S")
    return text + (f".{fraction:07d}".rstrip("0") if fraction else "") + "Z"


def ticks_of(text: str) -> int:
    """The inverse of ``wire``, for any ISO text in UTC with up to 7 digits."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?Z", text)
    assert match, text
    whole = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC) - BASE
    return int(whole.total_seconds()) * SECOND + int((match[2] or "").ljust(7, "0"))


def moment(ticks: int) -> datetime:
    """BASE + ticks cut to whole microseconds."""
    return BASE + timedelta(microseconds=ticks // 10)


def window(start: int, end: int) -> Window:
    """The window between two numbers of ticks, which must be whole microseconds."""
    assert start % 10 == end % 10 == 0
    return Window(moment(start), moment(end))


def point(name: str = "TI7.PV", point_type: str = "Float64", server: str = "SRV") -> Point:
    """A point whose web id follows from its name."""
    return Point(f"W_{name}", name, point_type, "degC", server, f"\\\\{server}\\{name}")


class FakePI:
    """What ``fetch`` and ``discover`` need of a client, over events held in memory.

    ``events`` are (ticks, value) per web id; windows include both ends and may be cut at ``maxCount``, as PI's are.
    """

    url = "https://pi.example/piwebapi"

    def __init__(self, events: dict[str, list[tuple[int, Any]]] | None = None, limit: int = 150_000) -> None:
        self.events = {key: sorted(rows, key=lambda row: row[0]) for key, rows in (events or {}).items()}
        self.limit = limit
        self.limit_text = TOO_MANY
        self.largest_batch = 1000
        self.max_retries = 2
        self.patience_s = 0.0
        self.failures: dict[str, list[tuple[int, str]]] = {}  # the next answers of a stream
        self.always_fails: dict[str, tuple[int, str]] = {}
        self.ignores_start = self.ignores_end = False
        self.calls: list[list[tuple[str, str, int]]] = []  # (web id, startTime, maxCount) of every batch call
        self.shapes: list[list[int]] = []  # streams in each sub-request of every batch call
        self.selected: list[str] = []
        self.headers: dict[str, str] = {}
        self.refuses_sets: tuple[int, str] | None = None
        self.sets_share_the_count = False  # maxCount holds for all streams of a set together
        self.pauses: list[int] = []
        self.dropped = 0  # how often the kept connections were closed
        self.least_pauses_s: list[float] = []
        self.metrics = RequestMetrics()
        self.windows = LearnedLength()
        self.paced: float | None = None
        self.gets: list[tuple[str, dict[str, str]]] = []
        self.replies: dict[str, Callable[[dict[str, str]], Any]] = {}
        self.most_calls, self.most_gets = 10_000, 200

    def resource(self, path: str, params: dict[str, Any]) -> str:
        return f"{self.url}/{path}?{urlencode(params, quote_via=quote, doseq=True)}"

    def server_state(self, kind: type[LearnedLength]) -> LearnedLength:
        assert kind is LearnedLength
        return self.windows

    def pause(self, attempt: int, least_s: float = 0.0, *, requests: int = 1, refused: bool = False) -> None:
        self.pauses.append(attempt)
        self.metrics += RequestMetrics(0, requests, 1.0 if refused else 0.0)
        self.least_pauses_s.append(least_s)

    def pace(self, requests_per_second: float | None) -> None:
        self.paced = requests_per_second

    def drop_connections(self) -> None:
        self.dropped += 1

    def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        asked = {key: str(value) for key, value in (params or {}).items()}
        self.gets.append((path, asked))
        assert len(self.gets) < self.most_gets, "the client never stops asking"
        reply = self.replies[path](asked)
        if isinstance(reply, Exception):
            raise reply
        return json.loads(json.dumps(reply))

    def batch(self, urls: dict[str, str], _attempts: Any = None) -> bytes:
        assert len(self.calls) < self.most_calls, "the client never stops asking"
        if not any(urlsplit(url).path.endswith("/recorded") for url in urls.values()):
            return json.dumps({key: self._listed(url) for key, url in urls.items()}).encode()
        self.metrics += RequestMetrics(calls=1)
        parsed = {key: self._parse(url) for key, url in urls.items()}
        self.calls.append(
            [
                (web_id, asked["startTime"], int(asked["maxCount"]))
                for web_ids, asked in parsed.values()
                for web_id in web_ids
            ]
        )
        self.shapes.append([len(web_ids) for web_ids, _ in parsed.values()])
        if len(self.calls[-1]) > self.largest_batch:
            message = "POST batch: HTTP 413"
            raise RequestRefused(message, 413)
        replies = {
            key: self._reply(web_ids, asked, urls[key].partition("?")[0])
            for key, (web_ids, asked) in parsed.items()
        }
        return self._body(replies)

    def _body(self, replies: dict[str, Any]) -> bytes:
        return json.dumps(replies, separators=(",", ":")).encode()

    def _listed(self, url: str) -> dict[str, Any]:
        """The answer of one GET of a list within a batch."""
        path, _, query = url.removeprefix(f"{self.url}/").partition("?")
        try:
            content = self.get(path, dict(parse_qsl(query)))
        except ServerError as refused:
            return {"Status": refused.status, "Headers": {}, "Content": {"Errors": [str(refused)]}}
        return {"Status": 200, "Headers": {}, "Content": content}

    def _parse(self, url: str) -> tuple[list[str], dict[str, str]]:
        parts = urlsplit(url)
        match = re.fullmatch(r"/piwebapi/(?:streams/([^/]+)|streamsets)/recorded", parts.path)
        assert match, url
        given = parse_qs(parts.query, strict_parsing=True)
        web_ids = [match[1]] if match[1] else given.pop("webId")
        asked = {key: values[0] for key, values in given.items()}
        assert asked["boundaryType"] == "Inside"
        self.selected.append(asked.get("selectedFields", ""))
        return web_ids, asked

    def _reply(self, web_ids: list[str], asked: dict[str, str], path: str) -> dict[str, Any]:
        if path.endswith("/streamsets/recorded"):
            return self._set(web_ids, asked)
        status, content = self._content(web_ids[0], asked)
        return {"Status": status, "Headers": self.headers, "Content": content}

    def _set(self, web_ids: list[str], asked: dict[str, str]) -> dict[str, Any]:
        if self.refuses_sets is not None:
            status, message = self.refuses_sets
            return {"Status": status, "Headers": {}, "Content": {"Errors": [message]}}
        items = []
        left = int(asked["maxCount"])
        for web_id in web_ids:
            status, content = self._content(web_id, asked)
            if status != 200:  # one bad stream fails the whole set
                return {"Status": status, "Headers": self.headers, "Content": content}
            if self.sets_share_the_count:
                content["Items"] = content["Items"][:left]
                left -= len(content["Items"])
            items.append({"WebId": web_id, **content})
        return {"Status": 200, "Headers": {}, "Content": {"Items": items}}

    def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and content of one stream's answer."""
        size = int(asked["maxCount"])
        if size > self.limit:
            return 400, {"Errors": [self.limit_text.format(self.limit)]}
        if self.failures.get(web_id):
            status, message = self.failures[web_id].pop(0)
            return status, {"Errors": [message]}
        if web_id in self.always_fails:
            status, message = self.always_fails[web_id]
            return status, {"Errors": [message]}
        start, end = ticks_of(asked["startTime"]), ticks_of(asked["endTime"])
        rows = self.events.get(web_id, [])
        if start > end and not self.ignores_end:  # PI turns the order round
            rows = [row for row in reversed(rows) if end <= row[0] <= start]
        else:
            rows = [
                row
                for row in rows
                if (self.ignores_start or start <= row[0]) and (self.ignores_end or row[0] <= end)
            ]
        flags = {"Good": True, "Questionable": False, "Substituted": False, "Annotated": False}
        items = [{"Timestamp": wire(t), "Value": value, **flags} for t, value in rows[:size]]
        return 200, {"Items": items, "UnitsAbbreviation": "degC"}


def expected_rows(events: list[tuple[int, Any]], start: int, end: int) -> list[tuple[datetime, int, Any]]:
    """(timestamp, sequence, value) of every event in ``[start, end)``, by the definition."""
    seen: Counter[int] = Counter()
    rows = []
    for ticks, value in sorted(events, key=lambda event: event[0]):
        if start <= ticks < end:
            rows.append((moment(ticks), seen[ticks // 10], value))
            seen[ticks // 10] += 1
    return rows


def is_told_alone(error: BaseException) -> bool:
    """Whether the traceback that Spark shows holds this error only, and none that led to it."""
    told = "".join(traceback.format_exception(error))
    return "During handling" not in told and "direct cause" not in told and told.count("Traceback") == 1


class Asked(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Reply = Callable[["_Handler"], None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Sockets

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    do_GET = do_POST = _answer  # noqa: N815 - named by http.server

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Sockets(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.script: list[Reply] = [reply(200, b"{}")]
        self.over = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients hang up on purpose here


class WebServer:
    """A real HTTP server on a free port that plays a script of replies; the last one is repeated."""

    def __init__(self) -> None:
        self._sockets = _Sockets()
        self._thread = threading.Thread(target=self._sockets.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._sockets.server_address[1]}/piwebapi"

    @property
    def asked(self) -> list[Asked]:
        return self._sockets.asked

    def encrypt(self, context: ssl.SSLContext) -> None:
        """From now on speaks TLS only."""
        self._sockets.socket = context.wrap_socket(
            self._sockets.socket, server_side=True, do_handshake_on_connect=False
        )

    def answers(self, *replies: Reply) -> None:
        self._sockets.script = list(replies)

    def close(self) -> None:
        self._sockets.over.set()
        self._sockets.shutdown()
        self._thread.join()
        self._sockets.server_close()


def reply(status: int, body: bytes = b"", *, kind: str | None = "application/json", **headers: str) -> Reply:
    """A whole reply; header names are given with underscores."""

    def play(handler: _Handler) -> None:
        handler.send_response(status)
        if kind is not None:
            handler.send_header("Content-Type", kind)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return play


def says(content: Any, status: int = 200) -> Reply:
    """A whole JSON reply."""
    return reply(status, json.dumps(content).encode())


def answers_each(content: Any) -> Reply:
    """A batch reply with the same member for every sub-request; to a call of another kind that member alone."""

    def play(handler: _Handler) -> None:
        ids = ids_of(handler.server.asked[-1])
        says(dict.fromkeys(ids, content) if ids else content)(handler)

    return play


def ids_of(asked: Asked) -> list[str]:
    """The ids of the sub-requests of a batch call; none of another call."""
    return list(json.loads(asked.body)) if asked.body.startswith(b"{") else []


def zipped(body: bytes, sent: int | None = None) -> Reply:
    """A gzip body, cut after ``sent`` bytes though its length says otherwise."""

    def play(handler: _Handler) -> None:
        packed = gzip.compress(body)
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(packed)))
        handler.end_headers()
        handler.wfile.write(packed[:sent])
        handler.close_connection = True

    return play


def cut(body: bytes, sent: int) -> Reply:
    """A body that ends after ``sent`` bytes, though its length says otherwise."""

    def play(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:sent])
        handler.close_connection = True

    return play


def chunked(*parts: bytes, ends: bool = True) -> Reply:
    """A chunked body; without ``ends`` the last chunk never comes."""

    def play(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in parts:
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if ends:
            handler.wfile.write(b"0\r\n\r\n")
        handler.close_connection = True

    return play


def hangs(handler: _Handler) -> None:
    """Takes the request and says nothing."""
    handler.server.over.wait(5)
    handler.close_connection = True


def hangs_in_body(handler: _Handler) -> None:
    """Begins an answer and says no more."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")
    hangs(handler)


def trickles(handler: _Handler) -> None:
    """One byte of the body every 20 ms, so that no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        if handler.server.over.wait(0.02):
            break
    handler.close_connection = True


def trickles_headers(handler: _Handler) -> None:
    """One byte of the headers every 20 ms, over half a second, then an empty object and a note of having got there."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(25):
        handler.wfile.write(b"x")
        if handler.server.over.wait(0.02):
            break
    handler.server.asked.append(Asked("all headers sent", "", {}, b""))
    handler.wfile.write(b"\r\nContent-Length: 2\r\n\r\n{}")


def resets(handler: _Handler) -> None:
    """Breaks the connection with a TCP reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
