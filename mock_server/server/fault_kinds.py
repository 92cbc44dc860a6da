"""The kinds of faults, each one entry of `KINDS`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson

from mock_server.server import error_pages
from mock_server.webapi.messages import Delivery, Request, Response, framework_refusal, json_response, refusal

SLOW_S = 0.5
HANG_S = 60.0
_RETRY_S = 1
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Case:
    """A request with a fault: `serve` returns the correct response, `draw` in [0, 1) decides details of the fault."""

    request: Request
    serve: Callable[[], Response]
    draw: float
    now: datetime


@dataclass(frozen=True)
class Kind:
    """One kind of fault: its description and its action; `member` if it can occur within a batch."""

    about: str
    act: Callable[[Case], Response]
    member: bool = False


def _always(response: Response) -> Callable[[Case], Response]:
    return lambda _case: response


def _connection_ends(delivery: Delivery) -> Callable[[Case], Response]:
    """No response; the connection ends as `delivery` says."""
    return lambda _case: Response(0, b"", delivery=replace(delivery, ends=True, head=False))


def _slow(case: Case) -> Response:
    return replace(case.serve(), delivery=Delivery(delay_s=SLOW_S))


def _cut(case: Case) -> Response:
    return replace(case.serve(), delivery=Delivery(ends=True, share=case.draw))


def _cut_chunked(case: Case) -> Response:
    return replace(case.serve(), delivery=Delivery(ends=True, share=case.draw, chunked=True))


def _trickle(case: Case) -> Response:
    return replace(case.serve(), delivery=Delivery(ends=True, share=0.0, drip_s=HANG_S))


def _malformed(case: Case) -> Response:
    answer = case.serve()
    return replace(answer, body=answer.body[: int(len(answer.body) * case.draw)])


def _retry_date(case: Case) -> Response:
    when = format_datetime(case.now + timedelta(seconds=_RETRY_S), usegmt=True)
    return error_pages.nginx(503, headers={"Retry-After": when})


def _reason_only(_case: Case) -> Response:
    delivery = Delivery(ends=True, reason="Rate limit was reached")
    return Response(429, b"", delivery=delivery)


def _web_exception(case: Case) -> Response:
    """The server fails while it writes: half of the items, and a WebException."""
    answer = case.serve()
    value = _read(answer)
    if not isinstance(value, dict):
        return answer
    items = value.get("Items")
    if isinstance(items, list):
        value["Items"] = items[: len(items) // 2]
    errors = ["Error occurred during writing of the output stream."]
    return json_response({**value, "WebException": {"StatusCode": 500, "Errors": errors}}, answer.status)


def _value_errors(case: Case) -> Response:
    """One value of the reply carries `Errors`."""
    answer = case.serve()
    value = _read(answer)
    values = [*_values(value)]
    if not values:
        return answer
    chosen = values[int(case.draw * len(values))]
    message = ["[-11059] No Good Data For Calculation"]
    chosen.update(Value=None, Good=False, Errors=[{"FieldName": "Value", "Message": message}])
    return json_response(value, answer.status, answer.headers)


def _read(answer: Response) -> Any:
    """The parsed body, or None if it is not JSON."""
    return (
        orjson.loads(answer.body)
        if answer.body and answer.content_type.startswith("application/json")
        else None
    )


def _values(value: Any) -> Iterator[dict[str, Any]]:
    """Every timed value in a reply."""
    if isinstance(value, list):
        for each in value:
            yield from _values(each)
    elif isinstance(value, dict):
        if "Timestamp" in value:
            yield value
        else:
            for each in value.values():
                yield from _values(each)


def _errors(status: int, text: str, more: str = "") -> Kind:
    return Kind(f"{status} with Errors{more}", _always(refusal(status, text).response), member=True)


def _bare_text(status: int, text: str, more: str = "") -> Kind:
    act = _always(Response(status, text.encode(), _TEXT))
    return Kind(f"{status} with a bare text{more}", act, member=True)


def _unauthorized(about: str, challenge: str) -> Kind:
    return Kind(about, _always(framework_refusal(401, _DENIED, {"WWW-Authenticate": challenge}).response))


_DENIED = "Authorization has been denied for this request."
_EXPIRED = 'Bearer error="invalid_token", error_description="The token expired"'
_STOPPED = error_pages.http_sys(503, "Service Unavailable", "The service is unavailable.")

KINDS: dict[str, Kind] = {
    "slow": Kind(f"the right answer, {SLOW_S:g} s late", _slow),
    "hang": Kind(
        f"nothing for {HANG_S:g} s, then the end of the connection",
        _connection_ends(Delivery(delay_s=HANG_S)),
    ),
    "trickle": Kind(f"the head, then a blank every 50 ms for {HANG_S:g} s", _trickle),
    "reset": Kind("the connection is reset before any answer", _connection_ends(Delivery(reset=True))),
    "close": Kind("the connection is closed before any answer", _connection_ends(Delivery())),
    "cut": Kind("less of the body than Content-Length announces, then the end", _cut),
    "cut-chunked": Kind("a chunked body without its last chunks, then the end", _cut_chunked),
    "malformed": Kind("JSON that stops in the middle of a body that is complete for HTTP", _malformed),
    "empty": Kind("200 with an empty body", _always(Response(200, b""))),
    "portal": Kind("200 with the sign-in page of a proxy", _always(error_pages.portal())),
    "401": _unauthorized("401 as the framework answers", "Bearer"),
    "401-expired": _unauthorized("401 because the token expired", _EXPIRED),
    "403": _errors(403, "Access is denied."),
    "404": _errors(404, "The requested object was not found."),
    "404-message": Kind(
        "404 with a Message, as for a wrong address",
        _always(framework_refusal(404, "No HTTP resource was found that matches the request URI.").response),
        member=True,
    ),
    "409-text": _bare_text(
        409, "The following ParentIds did not complete successfully: 1.", ", as for a failed parent"
    ),
    "429": _errors(429, "Rate limit was reached", ", as PI Web API 2023 SP1"),
    "429-reason": Kind("429 that says so in the reason phrase only, as PI Web API 2023 SP2", _reason_only),
    "500": _errors(500, "An unexpected error occurred."),
    "500-text": _bare_text(500, "An error has occurred."),
    "502": Kind("502 with the page of a proxy", _always(error_pages.nginx(502))),
    "503": _errors(503, "The PI Data Archive is not available."),
    "503-page": Kind("503 with the page of HTTP.sys while the service is down", _always(_STOPPED)),
    "503-seconds": Kind(
        f"503 with Retry-After: {_RETRY_S}",
        _always(error_pages.nginx(503, headers={"Retry-After": str(_RETRY_S)})),
    ),
    "503-date": Kind(f"503 with Retry-After as a date {_RETRY_S} s ahead", _retry_date),
    "504": Kind("504 with the page of a proxy", _always(error_pages.nginx(504))),
    "web-exception": Kind("200 with half of the items and a WebException", _web_exception, member=True),
    "value-errors": Kind("200 in which one value carries Errors", _value_errors, member=True),
}
