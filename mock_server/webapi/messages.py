"""Requests and responses as plain values, independent of sockets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` is percent-decoded, header names are lower-case, `origin` is like `http://host:80`.

    `raw_path` is the path as received, `client` the address of the client.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = "http://localhost"
    raw_path: str = ""
    client: str = ""

    @cached_property
    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters in order, percent-decoded."""
        if "%" in self.query or "+" in self.query:
            return [_parameter(part) for part in self.query.split("&") if part]
        # Nothing to decode: faster for hundreds of WebIDs.
        parts = [part.partition("=") for part in self.query.split("&") if part]
        return [(name, value) for name, _, value in parts]

    @cached_property
    def named(self) -> dict[str, list[str]]:
        """The values of the parameters by lower-case name."""
        values: dict[str, list[str]] = {}
        # Hundreds of parameters have the same few names.
        lists = {name: values.setdefault(name.lower(), []) for name in {name for name, _ in self.parameters}}
        for name, value in self.parameters:
            lists[name].append(value)
        return values


def _parameter(part: str) -> tuple[str, str]:
    """Name and value."""
    if "%" in part or "+" in part:
        return parse_qsl(part, keep_blank_values=True, errors="replace")[0]
    name, _, value = part.partition("=")
    return name, value


@dataclass(frozen=True)
class Delivery:
    """How a response is delivered, when not at once and complete.

    It waits for `delay_s`. If it `ends` the connection, the server sends the head (with `reason` as its phrase), then
    `share` of the body, then a blank every 50 ms for `drip_s` seconds; the end is a reset with `reset`.
    """

    delay_s: float = 0.0
    ends: bool = False
    head: bool = True
    share: float = 1.0
    drip_s: float = 0.0
    chunked: bool = False
    reset: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Response:
    """One complete HTTP response; `sub_requests` counts the requests of a batch, `fault` names an injected fault."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery()
    sub_requests: int = 0
    fault: str = ""


class ApiError(Exception):
    """An error response as an exception."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response

    @property
    def errors(self) -> list[str]:
        """The messages of the error."""
        body = orjson.loads(self.response.body)
        return list(body.get("Errors") or [body.get("Message", "")])


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with `value` as JSON."""
    return Response(status, orjson.dumps(value), headers=headers or {})


def refusal(status: int, *errors: str) -> ApiError:
    """An error with PI Web API's body, `{"Errors": [...]}`."""
    return ApiError(json_response({"Errors": list(errors)}, status))


def framework_refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """An error with the body of ASP.NET, `{"Message": "..."}`."""
    return ApiError(json_response({"Message": message}, status, headers))
