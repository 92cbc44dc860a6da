"""A PI Web API that repeats what it was sent, in every place of an answer that can hold a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote

from .fakes import ids_of

Text = str
Play = Callable[[Any, Text], None]

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as sent": lambda text: text,
    "upper case": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "base64": lambda text: base64.b64encode(f"x{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "cut by the server": lambda text: text[: len(text) * 2 // 3],
    **{f"behind {size} others": lambda text, size=size: "." * size + text for size in (105, 285, 485, 580)},  # type: ignore[misc]
}


def reflected(handler: Any, option: str) -> str:
    """The secret that a request carries: as in its header, or without its encoding, as a server's log may show it."""
    asked = handler.server.asked[-1]
    header = asked.headers.get("Proxy-Authorization" if option.startswith("proxy") else "Authorization", "")
    if option == "client_secret" and asked.body.startswith(b"grant_type"):
        return parse_qs(asked.body.decode())["client_secret"][0]
    if header.startswith("Basic "):
        return base64.b64decode(header[6:]).decode("utf-8", "replace").partition(":")[2]
    return header.removeprefix("Bearer ")


def headed(handler: Any, option: str) -> str:
    """The header itself, scheme and all."""
    asked = handler.server.asked[-1]
    return asked.headers.get("Proxy-Authorization" if option.startswith("proxy") else "Authorization", "")


def raw(head: str, body: bytes = b"{}", *, length: bool = True) -> bytes:
    """An answer, byte for byte."""
    more = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"{head}\r\n{more}Connection: close\r\n\r\n".encode() + body


def written(answer: Callable[[str], bytes]) -> Play:
    def play(handler: Any, text: str) -> None:
        handler.wfile.write(answer(text))
        handler.close_connection = True

    return play


def _json(content: Callable[[str], Any], status: str = "200 OK", head: str = "") -> Play:
    return written(lambda text: raw(f"HTTP/1.1 {status}{head}", json.dumps(content(text)).encode()))


def _each(member: Callable[[str], Any]) -> Play:
    """The same member for every sub-request of a batch."""

    def play(handler: Any, text: str) -> None:
        ids = ids_of(handler.server.asked[-1]) or ["0"]
        handler.wfile.write(raw("HTTP/1.1 207 OK", json.dumps(dict.fromkeys(ids, member(text))).encode()))
        handler.close_connection = True

    return play


def _member(
    content: Callable[[str], Any], status: int = 200, headers: Callable[[str], Any] = lambda _: {}
) -> Play:
    return _each(lambda t: {"Status": status, "Headers": headers(t), "Content": content(t)})


def _event(timestamp: str, **more: Any) -> dict[str, Any]:
    return {"Timestamp": timestamp, "Value": 1.5, "Good": True, **more}


SERVERS = {"Items": [{"WebId": "S", "Name": "SRV", "ServerTime": "2024-05-01T06:00:00Z"}]}

PLACES: dict[str, Play] = {
    "status line": written(lambda t: raw(f"HTTP/1.1 500 {t}")),
    "a status line that is none": written(lambda t: f"HTP {t}\r\n\r\n".encode()),
    "a status that is no number": written(lambda t: raw(f"HTTP/1.1 {t} OK")),
    "401 message": _json(lambda t: {"Message": f"denied for {t}"}, "401 Unauthorized"),
    "WWW-Authenticate": written(lambda t: raw(f"HTTP/1.1 401 No\r\nWWW-Authenticate: {t}, Basic realm={t}")),
    "500 errors": _json(lambda t: {"Errors": [t, t]}, "500 No"),
    "400 field errors": _json(lambda t: {"Errors": [{"Message": t}]}, "400 No"),
    "a page": written(lambda t: raw("HTTP/1.1 403 No", f"<html><b>{t}</b></html>".encode())),
    "a page with status 200": written(lambda t: raw("HTTP/1.1 200 OK", f"<p>{t}".encode())),
    "Location": written(lambda t: raw(f"HTTP/1.1 302 Found\r\nLocation: http://h/{t}?{t}")),
    "Content-Type": written(lambda t: raw(f"HTTP/1.1 200 OK\r\nContent-Type: {t}", b"<p>")),
    "Content-Encoding": written(lambda t: raw(f"HTTP/1.1 200 OK\r\nContent-Encoding: {t}")),
    "a body that is no gzip": written(lambda t: raw("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", t.encode())),
    "Content-Length": written(lambda t: raw(f"HTTP/1.1 200 OK\r\nContent-Length: {t}", length=False)),
    "Retry-After": written(lambda t: raw(f"HTTP/1.1 503 No\r\nRetry-After: {t}")),
    "Date": written(
        lambda t: raw(f"HTTP/1.1 200 OK\r\nDate: {t}", b'{"Items": [{"WebId": "S", "Name": "SRV"}]}')
    ),
    "Set-Cookie": written(lambda t: raw(f"HTTP/1.1 500 No\r\nSet-Cookie: {t}={t}; expires={t}")),
    "a line that is no header": written(lambda t: raw(f"HTTP/1.1 500 No\r\nX: y\r\n{t}\r\nZ: z")),
    "a header's name": written(lambda t: raw(f"HTTP/1.1 500 No\r\n{t}: y")),
    "Transfer-Encoding": written(lambda t: raw(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {t}")),
    "the length of a chunk": written(
        lambda t: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", f"{t}\r\n".encode(), length=False)
    ),
    "103": written(lambda t: f"HTTP/1.1 103 {t}\r\nLink: {t}\r\n\r\n".encode() + raw(f"HTTP/1.1 500 {t}")),
    "WebException": _json(lambda t: {"WebException": {"StatusCode": 502, "Errors": [t]}}),
    "ServerTime": _json(lambda t: {"Items": [{"WebId": "S", "Name": "SRV", "ServerTime": t}]}),
    "names of servers": _json(lambda t: {"Items": [{**SERVERS["Items"][0], "Name": t}]}),
    "a key": _json(lambda t: {t: {t: {t: 1}}, "Items": [{t: t}]}),
    "a key alone": _json(lambda t: {t: {t: {t: 1}}}),
    "a value of another type": _json(lambda t: {"Items": t}),
    "a key of a member": _each(lambda t: {"Status": 200, t: t, "Content": {t: t, "Items": [{t: t}]}}),
    "a key of no events": _member(lambda t: {t: t}),
    "a member that is a text": _each(lambda t: t),
    "a status that is a text": _each(lambda t: {"Status": t, "Content": {}}),
    "a member's errors": _member(lambda t: {"Errors": [t]}, 500),
    "a member's message": _member(lambda t: {"Message": t}, 404),
    "a member's text": _member(lambda t: t, 400),
    "a member's text with status 200": _member(lambda t: t),
    "a member's WebException": _member(lambda t: {"WebException": {"StatusCode": 500, "Errors": [t]}}),
    "a member's headers": _member(
        lambda _: {"Errors": ["x"]}, 503, lambda t: {"Retry-After": t, "Content-Type": t}
    ),
    "a timestamp": _member(lambda t: {"Items": [_event(t)]}),
    "an event's errors": _member(
        lambda t: {"Items": [_event("2024-05-01T00:00:00Z", Errors=[{"Message": t}])]}
    ),
    "errors as a value": _member(
        lambda t: {"Items": [{"Timestamp": "2024-05-01T00:00:00Z", "Value": {"Errors": [t]}, "Good": False}]}
    ),
    "a member's errors of its own": _member(lambda t: {"Errors": [t, {"Message": t}]}, 404),
    "errors beside events": _member(lambda t: {"Errors": [t], "Items": [_event("2024-05-01T00:00:00Z")]}),
    "an error entry at the end": _member(
        lambda t: {"Items": [{"Timestamp": "2024-05-01T00:00:00Z", "Errors": [t]}]}
    ),
    "a list as content": _member(lambda t: [t]),
    "404 with PI's own errors": _json(
        lambda t: {"Errors": [t, t]}, "404 No", "\r\nContent-Type: application/json"
    ),
}


class Echo:
    """Plays ``place`` with what each request carries; grants any client a token, unless it is asked to repeat that, too."""

    def __init__(
        self, place: Play, option: str, encode: Callable[[str], str], take: Callable[..., str]
    ) -> None:
        self.place, self.option, self.encode, self.take = place, option, encode, take
        self.token = "gr4nted-Jx8Qv2Lm6Wd0"
        self.grants = True

    def __call__(self, handler: Any) -> None:
        """One answer."""
        asked = handler.server.asked[-1]
        if b"grant_type" in asked.body and self.grants:
            granted = {"access_token": self.token, "token_type": "Bearer"}
            handler.wfile.write(raw("HTTP/1.1 200 OK", json.dumps(granted).encode()))
            handler.close_connection = True
            return
        self.place(handler, self.encode(self.take(handler, self.option)))
