"""A request and its response as plain values, so that everything between works without a socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` is percent-decoded, header names are lower-case, `origin` is like `http://host:80`."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = "http://localhost"

    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters in order, percent-decoded."""
        return parse_qsl(self.query, keep_blank_values=True, errors="replace")


@dataclass(frozen=True)
class Response:
    """One HTTP response, complete."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A refusal, carrying the response that says so."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response

    @property
    def errors(self) -> list[str]:
        """The texts of the refusal."""
        body = orjson.loads(self.response.body)
        return list(body.get("Errors") or [body.get("Message", "")])


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with `value` as JSON."""
    return Response(status, orjson.dumps(value), headers=headers or {})


def refusal(status: int, *errors: str) -> ApiError:
    """PI Web API's own error body, `{"Errors": [...]}`."""
    return ApiError(json_response({"Errors": list(errors)}, status))


def framework_refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error body of the framework beneath, `{"Message": "..."}`."""
    return ApiError(json_response({"Message": message}, status, headers))
