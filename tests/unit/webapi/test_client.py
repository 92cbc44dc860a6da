"""The HTTP session against a real socket: retries, time-outs, and errors that name the call."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import socket
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import certifi
import pytest
import requests
from requests.adapters import HTTPAdapter

from pi_datasource.errors import (
    AccessDenied,
    AuthenticationFailed,
    PIError,
    RequestRefused,
    ServerError,
    ServerFailed,
    ServerTimeout,
    ServerUnreachable,
    UnexpectedReply,
)
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import client, retry
from pi_datasource.webapi.client import PIClient
from tests.unit import fakes
from tests.unit.fakes import WebServer, chunked, cut, reply, says, zipped

Connect = Callable[..., PIClient]
CANARY = "CANARY-7f3a"
AUTHORITIES = certifi.where()
GOOD_BATCH = {"0": {"Status": 200, "Content": {"Items": []}}}
HTML = b"<html><head><title>Sign in</title></head><body>Who are you?</body></html>"


def failure(api: PIClient, call: str = "GET dataservers") -> ServerError:
    """The error of one call, which must name the call."""
    send = (
        (lambda: api.get(call.removeprefix("GET ")))
        if call.startswith("GET")
        else (lambda: api.batch({"0": "u"}))
    )
    with pytest.raises(ServerError) as caught:
        send()
    assert str(caught.value).startswith(f"{call}: ")
    assert f"{caught.value.method} {caught.value.path}" == call
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, RequestRefused, ""),
        (401, AuthenticationFailed,
         "; sign in with the options 'username' and 'password', or 'token'"),
        (403, AccessDenied, "; ask for the right to read, or use another account"),
        (404, RequestRefused, "; check that 'url' ends in /piwebapi and that this account may read the object"),
        (409, RequestRefused, ""),
        (413, RequestRefused, "; set a smaller 'batch_size'"),
        (429, ServerFailed, "; the server limits its request rate: use fewer 'num_partitions', or ask later"),
        (500, ServerFailed, ""),
        (501, ServerFailed, ""),
        (502, ServerFailed, "; the proxy cannot reach PI Web API, or PI Web API the archive"),
        (503, ServerFailed, "; the PI Web API service is not running, or starting"),
        (504, ServerFailed, "; the proxy gave up waiting: read a shorter window, or set a smaller 'page_size'"),
    ],
)  # fmt: skip
def test_a_status_is_an_error_class_with_the_servers_words_and_a_hint(
    web: WebServer, connect: Connect, status: int, kind: type[ServerError], hint: str
) -> None:
    web.answers(says({"Errors": ["No.", "Really not."]}, status))
    error = failure(connect())
    assert type(error) is kind
    assert error.status == status
    assert str(error) == f"GET dataservers: HTTP {status}: No.; Really not{hint or '.'}"
    assert len(web.asked) == (3 if status in retry.RETRIED else 1)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", ""),
        (b'{"Message":"Authorization has been denied."}', ": Authorization has been denied."),
        (b'"bare"', ": bare"),
        (b"5", ""),
        (HTML, ": 'Sign in Who are you?'"),
        (b'{"Errors":["' + b"x" * 900 + b'"]}', ": " + "x" * 500 + "… (900 characters)"),
    ],
)
def test_any_form_of_error_body_is_told_in_short(
    web: WebServer, connect: Connect, body: bytes, text: str
) -> None:
    web.answers(reply(400, body))
    assert str(failure(connect())) == f"GET dataservers: HTTP 400{text}"


@pytest.mark.parametrize(
    ("body", "kind", "errors"),
    [
        (b'{"Errors":["No.","Really not."]}', "application/json; charset=utf-8", ("No.", "Really not.")),
        (b'{"Errors":"No."}', "application/json", ("No.",)),
        (b'{"Errors":["No."]}', "text/html", ()),
        (b'{"Errors":["No."]}', None, ()),
        (b'{"Errors":[]}', "application/json", ()),
        (b'{"Errors":[{"Message":"No."}]}', "application/json", ()),
        (b'{"Message":"No HTTP resource was found"}', "application/json", ()),
        (b'{"error":"No."}', "application/json", ()),
        (b'["No."]', "application/json", ()),
        (b"", "application/json", ()),
        (HTML, "application/json", ()),
        (HTML, "text/html", ()),
    ],
)
def test_pi_web_apis_own_words_are_kept_apart_from_anybody_elses(
    web: WebServer, connect: Connect, body: bytes, kind: str | None, errors: tuple[str, ...]
) -> None:
    web.answers(reply(404, body, kind=kind))
    assert failure(connect()).errors == errors


def test_pi_web_apis_own_words_hold_no_secret(web: WebServer, connect: Connect) -> None:
    web.answers(says({"Errors": [f"{CANARY} is no password"]}, 404))
    assert failure(connect(username="u", password=CANARY)).errors == ("*** is no password",)


def test_pi_web_apis_own_words_are_kept_in_short(web: WebServer, connect: Connect) -> None:
    web.answers(says({"Errors": ["x" * 495 + CANARY] * 30}, 404))
    errors = failure(connect(username="u", password=CANARY)).errors
    assert errors == ("x" * 495 + "***",) * 20


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({}, "sign in with the options 'username' and 'password', or 'token'"),
        (
            {"token": "t"},
            "check 'username' and 'password' (or 'token'), and that the server allows this 'auth'",
        ),
    ],
)
def test_a_refused_sign_in_lists_the_schemes_that_the_server_offers(
    web: WebServer, connect: Connect, given: dict[str, str], hint: str
) -> None:
    web.answers(reply(401, WWW_Authenticate='Negotiate, Basic realm="pi", Bearer'))
    assert str(failure(connect(**given))) == (
        f"GET dataservers: HTTP 401; {hint}; it offers Basic, Bearer, Negotiate"
    )


def test_the_parameters_of_a_scheme_are_no_scheme(web: WebServer, connect: Connect) -> None:
    web.answers(reply(401, WWW_Authenticate='Basic realm="plant 1, unit 2"'))
    assert str(failure(connect())).endswith("; it offers Basic")


def test_a_failure_hidden_in_a_200_is_a_failure(web: WebServer, connect: Connect) -> None:
    web.answers(says({"WebException": {"StatusCode": 502, "Errors": ["Error while writing."]}}))
    error = failure(connect())
    assert (type(error), error.status) == (ServerFailed, 502)
    assert str(error).startswith("GET dataservers: HTTP 502: Error while writing; ")


@pytest.mark.parametrize(
    "said",
    [{"Message": "Authorization has been denied for this request."}, {"Errors": ["The archive is down."]}],
)
def test_an_answer_of_words_with_status_200_is_a_failure(web: WebServer, connect: Connect, said: Any) -> None:
    web.answers(says(said))
    error = failure(connect())
    assert (type(error), error.status) == (ServerFailed, 500)
    assert text_of(said) in str(error)


def text_of(said: dict[str, Any]) -> str:
    return str(said.get("Message") or said["Errors"][0])


def test_a_null_web_exception_in_a_200_is_none(web: WebServer, connect: Connect) -> None:
    web.answers(says({"WebException": None, "Items": []}))
    assert connect().get("dataservers")["Items"] == []


def test_a_hidden_failure_with_an_odd_status_is_a_failure_all_the_same(
    web: WebServer, connect: Connect
) -> None:
    web.answers(says({"WebException": {"StatusCode": "InternalServerError"}}))
    failure(connect())


@pytest.mark.parametrize("call", ["GET dataservers", "POST batch"])
def test_html_is_told_as_such_with_its_first_words(web: WebServer, connect: Connect, call: str) -> None:
    web.answers(reply(200, HTML, kind="text/html"))
    error = failure(connect(), call)
    assert type(error) is UnexpectedReply
    assert str(error) == (
        f"{call}: {web.url} did not answer with PI Web API's JSON but with text/html, starting with "
        "'Sign in Who are you?'; check that 'url' is the address of PI Web API (https://HOST/piwebapi)"
    )


def test_an_empty_answer_is_told_as_such(web: WebServer, connect: Connect) -> None:
    web.answers(reply(200, b"", kind=None))
    assert "but with no content type, starting with nothing;" in str(failure(connect()))


@pytest.mark.parametrize("call", ["GET dataservers", "POST batch"])
@pytest.mark.parametrize(
    "broken",
    [
        cut(json.dumps(GOOD_BATCH).encode() * 9, 40),
        cut(json.dumps(GOOD_BATCH).encode(), 0),
        chunked(b'{"0":', ends=False),
        chunked(ends=False),
        zipped(json.dumps(GOOD_BATCH).encode(), 30),
    ],
    ids=["length", "length-nothing", "chunked", "chunked-nothing", "gzip"],
)
def test_a_cut_body_is_asked_for_again_and_then_told(
    web: WebServer, connect: Connect, call: str, broken: fakes.Reply
) -> None:
    web.answers(broken)
    error = failure(connect(max_retries="2"), call)
    assert type(error) is UnexpectedReply
    assert str(error).startswith(f"{call}: the answer of {web.url} was cut short 3 time(s) in a row (")
    assert str(error).endswith("); check for a proxy that limits answers, or set a smaller 'page_size'")
    assert len(web.asked) == 3
    web.asked.clear()
    web.answers(broken, says(GOOD_BATCH))
    assert connect().batch({"0": "http://h/x"}) == json.dumps(GOOD_BATCH).encode()
    assert len(web.asked) == 2


@pytest.mark.parametrize("call", ["GET dataservers", "POST batch"])
@pytest.mark.parametrize(
    "slow", [fakes.hangs, fakes.hangs_in_body, fakes.trickles], ids=lambda play: play.__name__
)
def test_a_server_that_is_too_slow_is_told_once_with_the_time_out(
    web: WebServer, connect: Connect, call: str, slow: fakes.Reply
) -> None:
    web.answers(slow)
    error = failure(connect(timeout="0.5s"), call)
    assert type(error) is ServerTimeout
    assert str(error) == (
        f"{call}: no complete answer from {web.url} within 0.5 s; set a smaller 'page_size' or 'batch_size', or a "
        "longer 'timeout'"
    )
    assert len(web.asked) == 1  # what was slow once would be slow again


def test_headers_that_trickle_meet_the_deadline_too(web: WebServer, connect: Connect) -> None:
    web.answers(fakes.trickles_headers)
    with pytest.raises(ServerTimeout):
        connect(timeout="0.1s").get("dataservers")
    assert [asked.method for asked in web.asked] == ["GET"]  # and not yet "all headers sent"


def test_a_broken_connection_is_made_again(web: WebServer, connect: Connect) -> None:
    web.answers(fakes.resets, says(GOOD_BATCH))
    assert connect().batch({"0": "http://h/x"}) == json.dumps(GOOD_BATCH).encode()
    assert len(web.asked) == 2


def test_a_connection_that_always_breaks_is_told(web: WebServer, connect: Connect) -> None:
    web.answers(fakes.resets)
    error = failure(connect(), "POST batch")
    assert type(error) is ServerUnreachable
    assert str(error).startswith(f"POST batch: cannot reach {web.url} (")
    assert str(error).endswith("); check the option 'url', the network, and that PI Web API is running")
    assert len(web.asked) == 3


def test_an_address_where_nothing_listens_is_told(connect: Connect) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/piwebapi"
        error = failure(connect(url=url))
    assert type(error) is ServerUnreachable
    assert str(error).startswith(f"GET dataservers: cannot reach {url} (")
    assert "efused" in str(error)


def test_plain_http_on_a_tls_address_is_no_trusted_connection(web: WebServer, connect: Connect) -> None:
    error = failure(connect(url=web.url.replace("http:", "https:"), max_retries="0"))
    assert type(error) is ServerUnreachable
    assert str(error).startswith("GET dataservers: no trusted connection to https://127.0.0.1:")
    assert str(error).endswith("; give the authority's certificate as option 'ca_bundle'")


@pytest.mark.parametrize("status", retry.RETRIED)
def test_a_passing_refusal_is_asked_again_until_it_works(
    web: WebServer, connect: Connect, status: int
) -> None:
    web.answers(says({"Errors": ["busy"]}, status), reply(status), says(GOOD_BATCH))
    assert connect().batch({"0": "http://h/x"}) == json.dumps(GOOD_BATCH).encode()
    assert [asked.method for asked in web.asked] == ["POST"] * 3


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(web: WebServer, connect: Connect, naps: list[float], status: int) -> None:
    web.answers(reply(status, Retry_After="7"), says({"Items": []}))
    connect().get("dataservers")
    assert naps == [7]


def test_waits_between_attempts_grow_and_are_bounded(
    web: WebServer, connect: Connect, naps: list[float]
) -> None:
    web.answers(reply(503))
    assert failure(connect(max_retries="12")).attempt == len(web.asked) == 13
    assert all(a <= b + 0.3 for a, b in itertools.pairwise(naps))
    assert max(naps) <= 30.3


def test_no_retries_means_one_attempt(web: WebServer, connect: Connect, naps: list[float]) -> None:
    web.answers(reply(503))
    assert failure(connect(max_retries="0")).attempt == 1
    web.answers(cut(b"{}" * 50, 3))
    failure(connect(max_retries="0"))
    assert (len(web.asked), naps) == (2, [])


def test_failed_sub_requests_wait_a_second_and_then_longer_up_to_thirty(
    connect: Connect, naps: list[float]
) -> None:
    api = connect()
    for attempt in range(7):
        api.pause(attempt)
    assert naps == [1, 2, 4, 8, 16, 30, 30]


def test_a_batch_is_one_post_of_absolute_gets_that_pi_does_not_refuse(
    web: WebServer, connect: Connect
) -> None:
    answer = {"a": GOOD_BATCH["0"], "b": {"Status": 404, "Content": {"Message": "gone"}}}
    web.answers(says(answer, 207))
    api = connect()
    url = api.resource(
        "streams/W1/recorded", {"startTime": "2024-05-01T00:00:00+02:00", "maxCount": 5, "x": None}
    )
    assert url == f"{web.url}/streams/W1/recorded?startTime=2024-05-01T00%3A00%3A00%2B02%3A00&maxCount=5"
    assert json.loads(api.batch({"a": url, "b": "u"})) == answer
    (asked,) = web.asked
    assert (asked.method, asked.path) == ("POST", "/piwebapi/batch")
    assert json.loads(asked.body) == {
        "a": {"Method": "GET", "Resource": url},
        "b": {"Method": "GET", "Resource": "u"},
    }
    assert {k: asked.headers[k] for k in ("X-Requested-With", "Content-Type", "Accept")} == {
        "X-Requested-With": "pi-datasource",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }


def test_whole_answers_arrive_in_any_transfer_form(web: WebServer, connect: Connect) -> None:
    body = json.dumps({"Items": list(range(1000))}).encode()
    for form in (reply(200, body), zipped(body), chunked(body[:100], body[100:])):
        web.answers(form)
        assert connect().get("dataservers")["Items"] == list(range(1000))


def test_the_servers_date_comes_with_a_reply(web: WebServer, connect: Connect) -> None:
    web.answers(says({"Items": []}))
    assert parsedate_to_datetime(connect().get("dataservers")["Date"]).tzinfo is not None


def test_special_characters_in_parameters_are_percent_encoded(web: WebServer, connect: Connect) -> None:
    web.answers(says({}))
    connect().get("points", {"path": "\\\\SRV\\A B+C#D&E|F/Ü", "none": None})
    assert web.asked[0].path == "/piwebapi/points?path=%5C%5CSRV%5CA%20B%2BC%23D%26E%7CF%2F%C3%9C"


@pytest.mark.parametrize(
    "options", [{"username": "u", "password": CANARY}, {"token": CANARY}], ids=["basic", "bearer"]
)
@pytest.mark.parametrize(
    "broken",
    [
        reply(401, WWW_Authenticate="Basic"), reply(403), reply(500, HTML), reply(200, HTML), cut(b"{" * 99, 9),
        fakes.hangs, fakes.resets,
    ],
    ids=["401", "403", "500", "html", "cut", "hang", "reset"],
)  # fmt: skip
def test_no_message_and_no_log_record_holds_a_secret(
    web: WebServer,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    broken: fakes.Reply,
    options: dict[str, str],
) -> None:
    web.answers(broken)
    api = connect(timeout="0.2s", max_retries="1", **options)
    with caplog.at_level(logging.DEBUG):
        error: BaseException | None = failure(api)
    assert web.asked
    assert "Authorization" in web.asked[0].headers
    told = [record.getMessage() for record in caplog.records]
    while error is not None:
        told += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not [text for text in told if CANARY in text or "Basic " in text or "Bearer " in text]


@pytest.mark.parametrize("status", [400, 500, 200])
def test_a_secret_that_the_server_echoes_is_not_repeated(
    web: WebServer, connect: Connect, status: int
) -> None:
    basic = base64.b64encode(f"u:{CANARY}".encode()).decode()
    web.answers(reply(status, f"<p>You sent {basic} for {CANARY}".encode()))
    told = str(failure(connect(username="u", password=CANARY, max_retries="0")))
    assert "You sent" in told
    assert CANARY not in told
    assert basic not in told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_with_its_place_and_not_followed(
    web: WebServer, connect: Connect, status: int
) -> None:
    web.answers(reply(status, Location="https://login.example/sign-in?ticket=1"))
    error = failure(connect(), "POST batch")
    assert (type(error), error.status) == (UnexpectedReply, status)
    assert str(error) == (
        f"POST batch: {web.url} redirects to https://login.example/sign-in; give PI Web API's own address "
        "as 'url'"
    )
    assert len(web.asked) == 1


def test_a_disabled_certificate_check_is_logged(caplog: pytest.LogCaptureFixture, connect: Connect) -> None:
    connect(url="https://h", verify_tls="false")
    assert [record.getMessage() for record in caplog.records] == [
        "the certificate of https://h/piwebapi is not checked: verify_tls is false"
    ]


@pytest.mark.parametrize(
    ("given", "trusted"),
    [
        ({}, True),
        ({"verify_tls": "false"}, False),
        ({"ca_bundle": AUTHORITIES}, AUTHORITIES),
        ({"ca_bundle": AUTHORITIES, "verify_tls": "false"}, False),
    ],
)
def test_the_authority_given_is_the_one_trusted_whatever_the_environment_says(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], trusted: bool | str
) -> None:
    sent: list[Any] = []

    def send(self: HTTPAdapter, request: Any, **settings: Any) -> Any:  # noqa: ARG001 - as inherited
        sent.append(settings["verify"])
        raise requests.ConnectionError

    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    if given:  # without options of ours the environment may say what to trust
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/other.pem")
    monkeypatch.setattr(HTTPAdapter, "send", send)
    failure(connect(url="https://h", max_retries="0", **given))
    assert sent == [trusted]


def test_equal_options_share_one_client_of_the_process() -> None:
    a, b = (Options.parse({"url": "http://h", "max_retries": n}) for n in "12")
    assert client.shared(a) is client.shared(a.model_copy())
    assert client.shared(a) is not client.shared(b)


def test_every_client_error_is_one_of_ours(web: WebServer, connect: Connect) -> None:
    for status in (300, 304, 418, 451, 511, 599):
        web.answers(reply(status, kind=None))
        with pytest.raises(PIError):
            connect().get("x")


def test_a_pause_for_parts_of_a_batch_is_bounded_and_logged_when_it_is_long(
    connect: Connect, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    api = connect()
    with caplog.at_level(logging.INFO):
        api.pause(0, 5.0)
        api.pause(0, 86_400.0, requests=3, refused=True)
    assert naps == [5.0, retry.LONGEST_PAUSE_S]
    assert api.metrics.throttled_seconds == retry.LONGEST_PAUSE_S
    assert caplog.messages == [
        "POST batch: 3 sub-request(s) failed for the moment; sending it again in 300.0 s; the server asks for 86400 s, more "
        "than the 300 s that are waited at most"
    ]


def test_a_long_wait_for_the_rate_is_logged(
    web: WebServer, connect: Connect, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    web.answers(says(GOOD_BATCH))
    api = connect(requests_per_second="0.05")
    for _ in range(2):
        api.batch({"0": "http://h/x"})
    assert naps[0] == pytest.approx(1.0, abs=0.1)
    assert naps[1] == pytest.approx(20.0, abs=0.1)
    assert [message for message in caplog.messages if "requests_per_second" in message] == [
        f"the next call waits for {naps[1]:.1f} s, to keep 'requests_per_second'"
    ]
