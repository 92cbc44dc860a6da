"""Answers of a PI server that are damaged in part, or are those of another call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from pi_datasource import schema
from pi_datasource.model import ReadTask
from pi_datasource.recorded import fetch

from .fakes import BASE, SECOND, FakePI, point, window, wire

SCHEMA = schema.timeseries()
FOREVER = 3600 * SECOND
MODES = ("streams", "auto")
Mode = Literal["streams", "auto"]
OnError = Literal["fail", "report"]
Spoil = Callable[[dict[str, Any]], Any]


def steady(count: int = 6) -> list[tuple[int, float]]:
    return [(i * SECOND, float(i)) for i in range(count)]


def task(names: list[str], mode: Mode, on_error: OnError = "report", page_size: int = 1000) -> ReadTask:
    points = tuple(point(name) for name in names)
    return ReadTask("pi_timeseries", window(0, FOREVER), points, BASE, page_size, 1000, on_error, mode)


def read(server: FakePI, asked: ReadTask) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, str]]:
    """(timestamp, sequence, value) of each tag, and the message of each read failure."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    failures = {}
    for batch in fetch.run(server, asked, SCHEMA):  # type: ignore[arg-type]
        names = ("tag_name", "timestamp", "sequence", "value", "value_kind", "value_string")
        for name, *row, kind, text in zip(*(batch.column(n).to_pylist() for n in names), strict=True):
            if kind == schema.READ_FAILURE:
                failures[name] = json.loads(text)["message"]
            else:
                rows.setdefault(name, []).append(tuple(row))
    return rows, failures


class OneBad(FakePI):
    """Spoils the answers for one tag, the first ``times`` of them."""

    def __init__(self, names: list[str], bad: str, spoil: Spoil, times: int = 10_000) -> None:
        super().__init__({f"W_{name}": steady() for name in names})
        self.bad, self.spoil, self.times = f"W_{bad}", spoil, times

    def _content(self, web_id: str, asked: dict[str, str]) -> tuple[int, Any]:
        status, content = super()._content(web_id, asked)
        if web_id == self.bad and self.times > 0:
            self.times -= 1
            return status, self.spoil(content)
        return status, content

    def _set(self, web_ids: list[str], asked: dict[str, str]) -> dict[str, Any]:
        items = []
        for web_id in web_ids:
            _, content = self._content(web_id, asked)
            items.append({"WebId": web_id, **content} if isinstance(content, dict) else content)
        return {"Status": 200, "Headers": {}, "Content": {"Items": items}}


def error_entry(content: dict[str, Any]) -> dict[str, Any]:
    failed = {"FieldName": "Value", "Message": ["Timeout while reading."]}
    entry = {"Timestamp": wire(3 * SECOND), "Value": None, "Good": False, "Errors": [failed]}
    return {**content, "Items": [*content["Items"][:3], entry]}


def changed(number: int, **fields: Any) -> Spoil:
    def spoil(content: dict[str, Any]) -> dict[str, Any]:
        items = [dict(item) for item in content["Items"]]
        items[number].update(fields)
        return {**content, "Items": items}

    return spoil


SPOILED: dict[str, tuple[Spoil, str]] = {
    "Errors": (lambda _: {"Errors": ["down"]}, "down"),
    "Errors beside no items": (lambda c: {**c, "Items": [], "Errors": ["down"]}, "down"),
    "Errors beside some items": (lambda c: {**c, "Items": c["Items"][:2], "Errors": ["down"]}, "down"),
    "Message": (lambda _: {"Message": "Authorization has been denied"}, "Authorization has been denied"),
    "Message beside items": (lambda c: {**c, "Message": "partial"}, "partial"),
    "Exception": (lambda c: {**c, "Items": [], "Exception": {"Errors": ["no archive"]}}, "no archive"),
    "WebException": (
        lambda c: {**c, "Items": c["Items"][:2], "WebException": {"StatusCode": 502, "Errors": ["cut"]}},
        "cut",
    ),
    "WebException with status 200": (lambda c: {**c, "WebException": {"StatusCode": 200}}, "no reason given"),
    "another error": (lambda _: {"error": "quota exceeded"}, "quota exceeded"),
    "small letters": (
        lambda c: {"items": c["Items"], "UnitsAbbreviation": ""},
        'HTTP 200 without events: {"items":[',
    ),
    "nothing": (lambda _: {}, "HTTP 200 without events: {}"),
    "items of null": (lambda c: {**c, "Items": None}, "Expected `array`, got `null`"),
    "a list": (lambda c: c["Items"], "got `array`"),
    "a number": (lambda _: 5, "got `int`"),
    "a page of HTML": (lambda _: "<html>Sign in</html>", "<html>Sign in</html>"),
    "a list in place of an event": (lambda c: {**c, "Items": [[0, 1]]}, "list stands in place of an event"),
    "an unreadable time": (changed(2, Timestamp="2024-13-01T00:00:00Z"), "2024-13-01T00:00:00Z"),
    "an event without time": (changed(2, Timestamp=None), "Expected `str`, got `null`"),
    "a number no double holds": (changed(2, Value=10**400), ""),
    "an error entry at the end": (error_entry, "Timeout while reading."),
    "disorder": (changed(2, Timestamp=wire(5 * SECOND)), "out of order"),
}  # fmt: skip
READ_WELL = ("a number no double holds",)


class Confused(FakePI):
    """Answers the calls whose numbers are in ``at`` with what ``confuse`` makes of this answer and the last one."""

    def __init__(self, at: set[int], confuse: Callable[[bytes, bytes], bytes]) -> None:
        super().__init__({f"W_{name}": steady() for name in "ABCDEF"})
        self.at, self.confuse, self.last = at, confuse, b""

    def _body(self, replies: dict[str, Any]) -> bytes:
        body = super()._body(replies)
        last, self.last = self.last, body
        return self.confuse(body, last) if len(self.calls) in self.at else body


def first_member(body: bytes) -> bytes:
    key, value = next(iter(json.loads(body).items()), ("another", None))
    return f'"{key}":{json.dumps(value)}'.encode()


CONFUSIONS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "the last answer": lambda _, last: last or b"{}",
    "a member twice": lambda body, _: b"%b,%b}" % (body[:-1], first_member(body)),
    "a member of another call": lambda body, last: b"%b,%b}" % (body[:-1], first_member(last or b'{"x":1}')),
    "a member is missing": lambda body, _: json.dumps(dict(list(json.loads(body).items())[1:])).encode(),
    "numbers for ids": lambda body, _: json.dumps(dict(enumerate(json.loads(body).values()))).encode(),
}
