"""Options into credentials, as servers receive and check them."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spnego
from requests.auth import AuthBase

from pi_datasource.errors import AuthenticationFailed, MissingPackage, UnexpectedReply
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import auth, transport
from pi_datasource.webapi.client import PIClient
from tests.unit.fakes import WebServer, reply, says
from tests.unit.identity import Identity

Connect = Callable[..., PIClient]


def sent(web: WebServer, connect: Connect, **options: str) -> str | None:
    """The Authorization header that these options send."""
    web.answers(says({}))
    connect(**options).get("x")
    return web.asked[-1].headers.get("Authorization")


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, "anonymous"),
        ({"username": "u", "password": "p"}, "basic"),
        ({"token": "t"}, "bearer"),
        ({"username": "u", "password": "p", "token": "t"}, "bearer"),
        ({"username": "u", "password": "p", "token": "t", "auth": "basic"}, "basic"),
        ({"token": "t", "auth": "anonymous"}, "anonymous"),
        ({"auth": "kerberos"}, "kerberos"),
    ],
)
def test_auto_takes_the_kind_whose_options_are_there_and_a_name_wins(
    options: dict[str, str], kind: str
) -> None:
    assert auth.chosen(Options.parse({"url": "h", **options})) == kind


@pytest.mark.parametrize(
    ("username", "password"),
    [("DOMAIN\\user", "pw"), ("jörg@plant", "pä€ß:wörd"), ("u", ""), ("用户", "密码")],
)
def test_basic_sends_letters_of_any_alphabet_as_utf8(
    web: WebServer, connect: Connect, username: str, password: str
) -> None:
    assert sent(web, connect, username=username, password=password) == basic(username, password)


def test_bearer_sends_the_token(web: WebServer, connect: Connect) -> None:
    assert sent(web, connect, token="abc.def") == "Bearer abc.def"


def test_anonymous_sends_nothing(web: WebServer, connect: Connect) -> None:
    assert sent(web, connect) is None
    assert sent(web, connect, username="u", password="p", auth="anonymous") is None


@pytest.mark.parametrize(("kind", "module"), [("kerberos", "requests_kerberos"), ("ntlm", "requests_ntlm")])
def test_a_kind_whose_package_is_missing_names_the_command_that_brings_it(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingPackage) as caught:
        transport.session(Options.parse({"url": "h", "auth": kind, "username": "u", "password": "p"}))
    assert str(caught.value) == (
        f"auth={kind!r} needs one more package on every machine: pip install 'pi-datasource[{kind}]'"
    )


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ~/.netrc that knows the test server."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login stranger password stolen\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))


@pytest.mark.usefixtures("netrc")
def test_netrc_is_not_used(web: WebServer, connect: Connect) -> None:
    assert sent(web, connect) is None
    assert sent(web, connect, token="t") == "Bearer t"
    Identity(web)
    web.asked.clear()
    connect(client_id="spark", client_secret="s3cret").get("x")
    assert [asked.headers.get("Authorization") for asked in web.asked] == [None, None, "Bearer token-1"]


ENDS = "check that the server offers NTLM and that no proxy splits its connections, or use another 'auth'"


class Challenges:
    """A server that signs callers in with NTLM, by the acceptor of pyspnego: it checks the proof of the password."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        known = folder / "users"
        known.write_text("PLANT:reader:pä55\n", encoding="utf-8")
        monkeypatch.setenv("NTLM_USER_FILE", str(known))
        self.users: list[str] = []

    def __call__(self, handler: Any) -> None:
        """Plays one reply; a connection that has signed in stays so."""
        scheme, _, text = handler.headers.get("Authorization", "").partition(" ")
        if getattr(handler, "user", None) is None and scheme != "NTLM":
            reply(401, b"{}", WWW_Authenticate="NTLM")(handler)
            return
        if scheme == "NTLM":
            if not hasattr(handler, "acceptor"):
                handler.acceptor = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
            try:
                challenge = handler.acceptor.step(base64.b64decode(text))
            except spnego.exceptions.SpnegoError:
                reply(401, b"{}")(handler)
                return
            if not handler.acceptor.complete:
                reply(401, b"{}", WWW_Authenticate=f"NTLM {base64.b64encode(challenge).decode()}")(handler)
                return
            handler.user = handler.acceptor.client_principal
        self.users.append(handler.user)
        batch = {"0": {"Status": 200, "Content": {"Items": []}}}
        says(batch if handler.path.endswith("/batch") else {"Items": []})(handler)


NTLM = {"auth": "ntlm", "username": "PLANT\\reader", "password": "pä55"}


def test_ntlm_answers_the_challenge_of_a_server_that_checks_it(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Challenges(monkeypatch, tmp_path)
    web.answers(server)
    api = connect(**NTLM)
    api.get("dataservers")
    assert server.users == ["PLANT\\reader"]
    assert [asked.headers.get("Authorization", "")[:4] for asked in web.asked] == ["", "NTLM", "NTLM"]
    body = web.asked[-1].body
    api.get("dataservers")  # on the connection that has signed in
    assert len(web.asked) == 4
    assert body == b""


def test_ntlm_sends_a_batch_whole(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    web.answers(Challenges(monkeypatch, tmp_path))
    connect(**NTLM).batch({"0": "http://h/x"})
    assert b"http://h/x" in web.asked[-1].body


def test_ntlm_with_a_wrong_password_is_refused(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Challenges(monkeypatch, tmp_path)
    web.answers(server)
    with pytest.raises(AuthenticationFailed) as caught:
        connect(**{**NTLM, "password": "CANARY"}).get("dataservers")
    assert (caught.value.status, server.users) == (401, [])
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        ("NTLM AAAA", "error"),
        ("NTLM TlRMTVNTUAACAAAA", "rror"),
        ("Basic", "PermissionError"),
        (None, "KeyError"),
    ],
)
def test_a_server_that_breaks_off_ntlm_is_told_in_words(
    web: WebServer, connect: Connect, challenge: str | None, why: str
) -> None:
    second = reply(401) if challenge is None else reply(401, WWW_Authenticate=challenge)
    web.answers(reply(401, WWW_Authenticate="NTLM"), second)
    with pytest.raises(AuthenticationFailed) as caught:
        connect(**NTLM).get("dataservers")
    told = str(caught.value)
    assert told.startswith(f"signing in with NTLM at {web.url}/dataservers came to no end (")
    assert why in told
    assert told.endswith(f"); {ENDS}")


def test_kerberos_accepts_servers_that_do_not_prove_themselves_and_names_what_it_lacks(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Error pages of proxies carry no proof; requests-kerberos would empty them."""

    class Kerberos:
        OPTIONAL = 2

        class HTTPKerberosAuth(AuthBase):
            def __init__(self, **arguments: Any) -> None:
                self.arguments = arguments

            def __call__(self, request: Any) -> Any:
                request.register_hook("response", self.handle_response)
                return request

            def handle_response(self, *_: Any, **__: Any) -> Any:
                message = "GSSAPIProxy requires the Python gssapi library"
                raise ImportError(message)

    monkeypatch.setitem(sys.modules, "requests_kerberos", Kerberos)  # type: ignore[arg-type]
    made = transport.session(Options.parse({"url": "h", "auth": "kerberos"})).auth
    assert isinstance(made, Kerberos.HTTPKerberosAuth)
    assert made.arguments == {"mutual_authentication": Kerberos.OPTIONAL}
    with pytest.raises(MissingPackage, match=r"pip install 'pi-datasource\[kerberos\]'$"):
        connect(auth="kerberos").get("x")


SIGN_IN: list[dict[str, str]] = [
    {"username": "u", "password": "pw-CANARY"},
    {"token": "tk-CANARY"},
    {"client_id": "c", "client_secret": "cs-CANARY", "token_url": "https://id.example/token"},
]


@pytest.mark.parametrize("given", SIGN_IN, ids=["basic", "bearer", "oidc"])
def test_credentials_over_plain_http_to_another_machine_are_warned_of_once(
    given: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    auth._warn_of_plain_http.cache_clear()
    for _ in range(3):
        transport.session(Options.parse({"url": "http://pi.example/piwebapi", **given}))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "credentials are sent to http://pi.example/piwebapi without encryption: whoever is on the way can read "
         "them; use https"),
    ]  # fmt: skip


def test_a_client_secret_over_plain_http_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    auth._warn_of_plain_http.cache_clear()
    given = {**SIGN_IN[2], "token_url": "http://id.example/token?x=1"}
    transport.session(Options.parse({"url": "https://pi.example", **given}))
    assert [record.args for record in caplog.records] == [("http://id.example/token",)]


@pytest.mark.parametrize(
    "url", ["https://pi.example", "http://localhost:1", "http://127.8.0.1", "http://[::1]:1"]
)
def test_credentials_that_nobody_else_can_read_are_not_warned_of(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    auth._warn_of_plain_http.cache_clear()
    for given in SIGN_IN:
        transport.session(Options.parse({"url": url, **given}))
    transport.session(Options.parse({"url": "http://pi.example"}))  # nor is what carries none
    assert caplog.records == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("given", [*SIGN_IN[:2], NTLM], ids=["basic", "bearer", "ntlm"])
def test_a_redirect_is_not_followed_so_that_no_other_place_gets_credentials(
    web: WebServer, connect: Connect, status: int, given: dict[str, str]
) -> None:
    other = WebServer()
    try:
        web.answers(reply(status, b"{}", Location=f"{other.url}/x"))
        api = connect(**given)
        for ask in (lambda: api.get("x"), lambda: api.batch({"0": "http://h/x"})):
            with pytest.raises(UnexpectedReply, match="redirects to"):
                ask()
        assert len(web.asked) == 2
        assert other.asked == []
    finally:
        other.close()


def test_a_provider_that_redirects_gets_no_client_secret_elsewhere(web: WebServer, connect: Connect) -> None:
    other = WebServer()
    try:
        web.answers(reply(307, b"{}", Location=f"{other.url}/token"))
        with pytest.raises(AuthenticationFailed, match="HTTP 307"):
            connect(**{**SIGN_IN[2], "token_url": f"{web.url}/token"}).get("x")
        assert other.asked == []
    finally:
        other.close()
