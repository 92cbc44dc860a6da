"""OpenID Connect client credentials against a provider on a socket, and bearer tokens that change."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_datasource.errors import (
    AuthenticationFailed,
    InvalidOption,
    ServerError,
    ServerFailed,
    ServerUnreachable,
    UnexpectedReply,
)
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import auth, tokens
from pi_datasource.webapi.client import PIClient
from tests.unit.fakes import WebServer, reply, says
from tests.unit.identity import Identity

Connect = Callable[..., PIClient]
CLIENT = {"client_id": "spark", "client_secret": "s3cret"}


class Moments:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def seen(api: PIClient) -> str:
    """The token that a call was let in with."""
    return str(api.get("dataservers")["seen"])


def paths(web: WebServer) -> list[str]:
    return [f"{asked.method} {asked.path.partition('?')[0]}" for asked in web.asked]


@pytest.mark.parametrize("post", [True, False], ids=["post", "basic"])
def test_a_client_finds_the_provider_asks_once_and_sends_its_token(
    web: WebServer, connect: Connect, post: bool
) -> None:
    identity = Identity(web, "spärk", "s:3 €", post=post)
    api = connect(client_id="spärk", client_secret="s:3 €")
    assert [seen(api), seen(api)] == ["token-1", "token-1"]
    assert paths(web) == [
        "GET /piwebapi/.well-known/openid-configuration", "POST /identitymanager/connect/token",
        "GET /piwebapi/dataservers", "GET /piwebapi/dataservers",
    ]  # fmt: skip
    (form,) = identity.asked
    assert (form["grant_type"], form["scope"]) == ("client_credentials", "system")
    assert "Authorization" not in web.asked[0].headers  # what is asked before signing in carries no sign-in


def test_a_token_address_that_is_given_is_not_looked_for(web: WebServer, connect: Connect) -> None:
    identity = Identity(web)
    assert seen(connect(**CLIENT, token_url=identity.token_url, scope="pi read")) == "token-1"
    assert identity.asked[0]["scope"] == "pi read"
    assert paths(web)[0] == "POST /identitymanager/connect/token"


@pytest.mark.parametrize(("lifetime", "kept"), [(3600, 3539), (100, 74)])
def test_a_token_is_renewed_before_it_ends(
    web: WebServer, connect: Connect, lifetime: int, kept: int
) -> None:
    """A minute before, or a quarter of a short life."""
    identity, clock = Identity(web), Moments()
    identity.lifetime = lifetime
    api = connect(**CLIENT)
    given = api._session.auth
    assert isinstance(given, tokens.Bearer)
    given._clock = clock
    assert seen(api) == "token-1"
    clock.now += kept
    assert seen(api) == "token-1"
    clock.now += 2
    assert [seen(api), seen(api)] == ["token-2", "token-2"]


def test_a_token_without_an_end_is_kept(web: WebServer, connect: Connect) -> None:
    identity, clock = Identity(web), Moments()
    identity.lifetime = None
    api = connect(**CLIENT)
    given = api._session.auth
    assert isinstance(given, tokens.Bearer)
    given._clock = clock
    assert seen(api) == "token-1"
    clock.now += 1e9
    assert seen(api) == "token-1"


def test_a_token_that_is_refused_is_fetched_again_and_the_call_repeated(
    web: WebServer, connect: Connect
) -> None:
    identity = Identity(web)
    api = connect(**CLIENT)
    assert seen(api) == "token-1"
    identity.revoked = {"token-1"}
    assert seen(api) == "token-2"
    assert paths(web)[-4:] == [
        "GET /piwebapi/dataservers", "GET /piwebapi/.well-known/openid-configuration",
        "POST /identitymanager/connect/token", "GET /piwebapi/dataservers",
    ]  # fmt: skip


def test_a_provider_that_gives_no_other_token_is_told(web: WebServer, connect: Connect) -> None:
    identity = Identity(web)
    api = connect(**CLIENT)
    assert seen(api) == "token-1"
    identity.revoked, identity.client = {"token-1"}, ("spark", "changed")
    with pytest.raises(AuthenticationFailed, match=r"^signing in: POST .* HTTP 400: invalid_client"):
        seen(api)


def test_a_batch_that_is_refused_is_repeated_with_its_body(web: WebServer, connect: Connect) -> None:
    identity = Identity(web)
    api = connect(**CLIENT)
    seen(api)
    identity.revoked = {"token-1"}
    api.batch({"0": "http://h/x"})
    first, second = (asked for asked in web.asked if asked.path == "/piwebapi/batch")
    assert first.body == second.body != b""
    assert (first.headers["Authorization"], second.headers["Authorization"]) == (
        "Bearer token-1",
        "Bearer token-2",
    )


def test_a_call_whose_fresh_token_is_refused_too_fails_once(web: WebServer, connect: Connect) -> None:
    identity = Identity(web)
    identity.revoked = {f"token-{number}" for number in range(9)}
    with pytest.raises(AuthenticationFailed) as caught:
        connect(**CLIENT).get("dataservers")
    assert caught.value.status == 401
    assert identity.issued == 2
    assert "token-" not in str(caught.value)  # though the server repeats it
    assert "denied for ***" in str(caught.value)


def test_a_client_that_the_provider_does_not_know_is_told_without_its_secret(
    web: WebServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    identity = Identity(web)
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationFailed) as caught:
        connect(client_id="spark", client_secret="wr0ng").get("dataservers")
    assert str(caught.value) == (
        f"signing in: POST {identity.token_url}: HTTP 400: invalid_client: no such client, nor ***; check 'client_id', "
        "'client_secret' and 'scope'"
    )
    assert "wr0ng" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (reply(404), AuthenticationFailed,
         "HTTP 404; give the address of the token endpoint as 'token_url'"),
        (says({"issuer": "x"}), UnexpectedReply,
         "this is not the answer of an OpenID Connect provider; check the option 'token_url'"),
        (reply(200, b"<html>"), UnexpectedReply,
         "this is not the answer of an OpenID Connect provider; check the option 'token_url'"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_name_its_provider_is_told(
    web: WebServer, connect: Connect, answer: Callable[..., None], kind: type[ServerError], text: str
) -> None:
    web.answers(answer)
    with pytest.raises(kind) as caught:
        connect(**CLIENT).get("dataservers")
    assert str(caught.value) == f"signing in: GET {web.url}/.well-known/openid-configuration: {text}"


@pytest.mark.parametrize(
    ("refusal", "pauses"),
    [(reply(503), [1]), (reply(429, Retry_After="7"), [7]), (reply(500, Retry_After="9999"), [300])],
)
def test_a_provider_that_is_busy_for_the_moment_is_asked_again(
    web: WebServer, connect: Connect, naps: list[float], refusal: Callable[..., None], pauses: list[int]
) -> None:
    identity = Identity(web)
    script = iter([refusal])
    web.answers(lambda handler: next(script, identity)(handler))  # noqa: PLW0108 - a new one for each request
    assert seen(connect(**CLIENT)) == "token-1"
    assert [max(1, round(nap)) for nap in naps] == pauses


@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_stays_busy_is_not_available(web: WebServer, connect: Connect, status: int) -> None:
    web.answers(reply(status))
    with pytest.raises(ServerFailed) as caught:
        connect(**CLIENT).get("dataservers")
    assert caught.value.status == status
    assert str(caught.value).endswith(
        f"HTTP {status}; the identity provider is not available now; try again later"
    )
    assert len(web.asked) == 3


def test_a_provider_that_is_not_there_is_told(web: WebServer, connect: Connect) -> None:
    Identity(web)
    nowhere = "http://127.0.0.1:9/connect/token"
    with pytest.raises(ServerUnreachable) as caught:
        connect(**CLIENT, token_url=nowhere, max_retries="0").get("dataservers")
    assert str(caught.value).startswith(f"signing in: POST {nowhere}: cannot be reached (")


def test_no_secret_goes_to_a_provider_without_tls_that_a_server_with_tls_names() -> None:
    class Session:
        def __enter__(self) -> Session:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def request(self, method: str, *_: object, **sent: object) -> object:
            assert (method, sent.get("data")) == ("GET", None)
            found = type("Answer", (), {})()
            found.status_code, found.content = 200, b'{"token_endpoint": "http://elsewhere/token"}'
            return found

    options = Options.parse({"url": "https://h", **CLIENT})
    with pytest.raises(
        InvalidOption, match=r"names a token endpoint without TLS, to which no secret is sent"
    ):
        tokens.ClientCredentials(options, Session)()  # type: ignore[arg-type]


def test_a_client_secret_that_is_not_there_is_told_before_any_request(
    connect: Connect, web: WebServer
) -> None:
    with pytest.raises(
        InvalidOption, match="'client_secret' refers to the environment variable 'PI_NOT_SET'"
    ):
        connect(client_id="spark", client_secret="env:PI_NOT_SET")
    assert web.asked == []


def test_a_token_file_that_was_replaced_is_read_again_when_the_old_token_is_refused(
    web: WebServer, connect: Connect, tmp_path: Path
) -> None:
    identity = Identity(web)
    identity.issued = 2
    place = tmp_path / "token"
    place.write_text("token-1\n", encoding="utf-8")
    api = connect(token=f"file:{place}")
    assert seen(api) == "token-1"
    place.write_text("token-2\n", encoding="utf-8")
    identity.revoked = {"token-1"}
    assert seen(api) == "token-2"
    identity.revoked = {"token-1", "token-2"}
    web.asked.clear()
    with pytest.raises(AuthenticationFailed):
        seen(api)
    assert len(web.asked) == 1  # the same token again would be refused again


def test_a_grant_shows_no_token() -> None:
    assert "abc" not in repr(tokens.Grant("abc", 5))


def test_a_client_id_is_the_sign_in_unless_another_is_named() -> None:
    chosen = [
        auth.chosen(Options.parse({"url": "h", **CLIENT, **more}))
        for more in ({}, {"token": "t"}, {"auth": "anonymous"})
    ]
    assert chosen == ["oidc", "bearer", "anonymous"]
