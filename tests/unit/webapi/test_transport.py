"""Trust, client certificates and proxies against real sockets; an option outdoes the environment."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_datasource.errors import (
    AuthenticationFailed,
    Call,
    InvalidOption,
    ServerError,
    ServerTimeout,
    ServerUnreachable,
)
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import deadline_adapter, transport
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.http_errors import Failures
from tests.unit import fakes
from tests.unit.certificates import Authority, encrypt
from tests.unit.fakes import WebServer, reply, says

Connect = Callable[..., PIClient]
LOCKED = "pä55 word"


def comes_in(api: PIClient, path: str = "x") -> bool:
    """Whether a call gets the empty answer of the scripted server."""
    return set(api.get(path)) == {"Date"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "requests_ca_bundle",
        "curl_ca_bundle",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestTrust:
    """Whose certificates are believed."""

    def test_the_authority_that_is_given_is_believed_and_no_other(
        self, web: WebServer, connect: Connect, authority: Authority, tmp_path: Path
    ) -> None:
        url = encrypt(web, authority)
        assert comes_in(connect(url=url, ca_bundle=str(authority.place)))
        for given in ({}, {"ca_bundle": str(Authority(tmp_path, "stranger").place)}):
            with pytest.raises(ServerUnreachable, match=r"no trusted connection to .*ca_bundle"):
                connect(url=url, max_retries="0", **given).get("x")

    def test_a_check_that_is_switched_off_believes_anyone(
        self, web: WebServer, connect: Connect, authority: Authority, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = encrypt(web, authority)
        certificate, key = authority.sign("reader")
        off = {"url": url, "verify_tls": "false"}
        assert comes_in(connect(**off))
        assert comes_in(connect(**off, client_cert=str(certificate), client_key=str(key)))
        assert caplog.messages == [f"the certificate of {url} is not checked: verify_tls is false"] * 2

    @pytest.mark.parametrize("name", ["ca_bundle", "client_cert"])
    @pytest.mark.parametrize(
        ("content", "why"),
        [(b"", "No such file or directory"), (b"no certificate", "it is not a PEM file of that kind (")],
    )
    def test_a_file_that_is_no_certificate_is_told_before_any_request(
        self, connect: Connect, tmp_path: Path, name: str, content: bytes, why: str
    ) -> None:
        place = tmp_path / "it.pem"
        if content:
            place.write_bytes(content)
        with pytest.raises(InvalidOption) as caught:
            connect(**{name: str(place)})
        told = str(caught.value)
        assert told.startswith(f"option {name!r}: the file {str(place)!r} cannot be used on this machine: ")
        assert why in told


class TestClientCertificate:
    """A certificate that the caller shows."""

    @pytest.mark.parametrize("password", [None, LOCKED], ids=["plain", "locked"])
    def test_it_opens_a_server_that_asks_for_one(
        self, web: WebServer, connect: Connect, authority: Authority, password: str | None
    ) -> None:
        url = encrypt(web, authority, asks_clients=True)
        certificate, key = authority.sign("reader", password)
        given = {"client_cert": str(certificate), "client_key": str(key), "ca_bundle": str(authority.place)}
        if password:
            given["client_key_password"] = password
        assert comes_in(connect(url=url, **given))

    def test_both_may_be_in_one_file(self, web: WebServer, connect: Connect, authority: Authority) -> None:
        url = encrypt(web, authority, asks_clients=True)
        certificate, key = authority.sign("reader")
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
        api = connect(url=url, client_cert=str(certificate), ca_bundle=str(authority.place))
        assert comes_in(api)

    def test_without_it_such_a_server_is_closed(
        self, web: WebServer, connect: Connect, authority: Authority
    ) -> None:
        url = encrypt(web, authority, asks_clients=True)
        with pytest.raises(ServerUnreachable):
            connect(url=url, ca_bundle=str(authority.place), max_retries="0").get("x")
        assert web.asked == []

    @pytest.mark.parametrize("given", [{}, {"client_key_password": "wr0ng"}])
    def test_a_key_that_cannot_be_unlocked_is_told_without_asking_at_the_terminal(
        self, connect: Connect, authority: Authority, given: dict[str, str]
    ) -> None:
        certificate, key = authority.sign("reader", LOCKED)
        with pytest.raises(InvalidOption) as caught:
            connect(client_cert=str(certificate), client_key=str(key), **given)
        assert str(caught.value).startswith(f"option 'client_key': the file {str(key)!r} cannot be used")
        assert "client_key_password" in str(caught.value)
        assert "wr0ng" not in str(caught.value)


class TestProxy:
    """The way to the server."""

    def test_the_proxy_that_is_given_is_asked_for_the_whole_address(
        self, web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        proxy = web.url.removesuffix("/piwebapi")
        api = connect(url="http://pi.example", proxy=proxy)
        assert comes_in(api)
        assert web.asked[0].path == "http://pi.example/piwebapi/x"

    def test_its_password_is_sent_to_it_and_appears_nowhere(
        self, web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        host = web.url.removeprefix("http://").removesuffix("/piwebapi")
        monkeypatch.setenv("PLANT_PROXY", f"http://u:s3cr%20et@{host}")
        web.answers(reply(407, b"You are not u:s3cr et"))
        api = connect(url="http://pi.example", proxy="env:PLANT_PROXY")
        with pytest.raises(ServerError) as caught:
            api.get("x")
        assert "You are not u:***" in str(caught.value)
        assert (
            base64.b64decode(web.asked[0].headers["Proxy-Authorization"].removeprefix("Basic "))
            == b"u:s3cr et"
        )

    def test_a_variable_names_the_proxy_and_none_goes_past_it(
        self, web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with WebProxy() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/piwebapi"))
            assert comes_in(connect(), "a")
            assert comes_in(connect(proxy="none"), "b")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            assert comes_in(connect(), "c")
            assert [asked.path for asked in proxy.asked] == [f"{web.url}/a"]
        assert [asked.path for asked in web.asked] == ["/piwebapi/b", "/piwebapi/c"]

    def test_a_proxy_that_is_not_there_is_told(self, connect: Connect) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            proxy = f"http://127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(ServerUnreachable) as caught:
                connect(url="https://pi.example", proxy=proxy, max_retries="0").get("x")
        assert str(caught.value).startswith(
            "GET x: the proxy before https://pi.example/piwebapi gives no connection ("
        )
        assert str(caught.value).endswith(
            "); check the option 'proxy' and the environment variables HTTPS_PROXY and NO_PROXY"
        )

    def test_a_proxy_that_trickles_meets_the_deadline(self, web: WebServer, connect: Connect) -> None:
        web.answers(fakes.trickles_headers)
        with pytest.raises(ServerTimeout):
            connect(url="http://pi.example", proxy=web.url.removesuffix("/piwebapi"), timeout="0.1s").get("x")
        assert [asked.method for asked in web.asked] == ["GET"]

    @pytest.mark.parametrize("text", ["pi.example:80", "socks5://h:1", "http://", "nonsense"])
    def test_what_is_no_proxy_is_refused_without_repeating_it(self, connect: Connect, text: str) -> None:
        with pytest.raises(InvalidOption, match=r"^option 'proxy' ") as caught:
            connect(proxy=text)
        assert text not in str(caught.value).replace("http://HOST:PORT", "")


class WebProxy(WebServer):
    """A scripted server as a context manager."""

    def __enter__(self) -> WebProxy:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def test_a_wait_that_the_server_asks_for_does_not_count_against_the_time_out(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer has the whole time-out; only 'Retry-After' may be longer."""
    ahead = [0.0]
    real = time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: real() + ahead[0])
    api = connect(timeout="60s")
    api.sleep = lambda seconds: ahead.__setitem__(0, ahead[0] + seconds)
    web.answers(reply(429, Retry_After="90"), says({"Items": [1]}))
    assert api.get("x")["Items"] == [1]
    assert ahead == [90.0]


def test_each_wait_is_only_as_long_as_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a server which trickles and then falls silent does not get its time anew with each byte."""
    moments = iter([100.0, 103.0, 109.5, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    waits: list[float] = []

    class Socket(io.BytesIO):
        settimeout = staticmethod(waits.append)

    sock: Any = Socket(b"abc")
    answer = deadline_adapter._TimedBytes(sock, sock, 110.0)
    assert [answer.readinto(bytearray(1)) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(TimeoutError):
        answer.readinto(bytearray(1))
    assert waits == [10.0, 7.0, 0.5]


def test_a_kerberos_failure_is_a_failed_sign_in() -> None:
    kind = type(
        "MutualAuthenticationError",
        (transport.requests.RequestException,),
        {"__module__": "requests_kerberos.exceptions"},
    )
    told = Failures("https://h", 5.0, True).no_answer(Call("GET", "x"), kind("no ticket"))
    assert isinstance(told, AuthenticationFailed)
    assert "kinit" in str(told)


def test_a_session_is_read_from_options_alone(web: WebServer) -> None:
    made: Any = transport.session(Options.parse({"url": web.url}))
    assert made.get(web.url + "/x", timeout=5).json() == {}


@pytest.mark.parametrize(
    ("url", "compression", "asked"),
    [
        ("https://pi.example/piwebapi", "auto", "gzip"),
        ("http://localhost:8010/piwebapi", "auto", "identity"),
        ("http://127.0.0.1:8010/piwebapi", "auto", "identity"),
        ("http://[::1]:8010/piwebapi", "auto", "identity"),
        ("http://127.0.0.1:8010/piwebapi", "gzip", "gzip"),
        ("https://pi.example/piwebapi", "none", "identity"),
    ],
)
def test_answers_come_compressed_where_that_pays_or_as_asked_for(
    url: str, compression: str, asked: str
) -> None:
    made = transport.session(Options.parse({"url": url, "compression": compression}))
    assert made.headers["Accept-Encoding"] == asked
