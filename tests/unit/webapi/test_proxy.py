"""The option ``proxy``: how its password is given, sent, and never shown."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Callable

import pytest

from pi_datasource import redaction
from pi_datasource.errors import InvalidOption, PIError
from pi_datasource.options.declaration import Options
from pi_datasource.webapi import transport
from pi_datasource.webapi.client import PIClient
from tests.unit.fakes import WebServer, says

Connect = Callable[..., PIClient]
CANARY = "CANARY-4711"


def signed(web: WebServer, connect: Connect, **options: str) -> str | None:
    """What the proxy was sent to sign in, in clear."""
    web.answers(says({}))
    connect(url="http://pi.invalid/piwebapi", **options).get("x")
    assert web.asked[-1].path == "http://pi.invalid/piwebapi/x"
    scheme, _, pair = web.asked[-1].headers.get("Proxy-Authorization", "").partition(" ")
    assert scheme in ("Basic", "")
    return base64.b64decode(pair).decode("latin-1") if pair else None


def place(web: WebServer) -> str:
    return web.url.removesuffix("/piwebapi").removeprefix("http://")


@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("pw", "pw"),
        ("p%23s%40s", "p#s@s"),
        ("p#s/s?s", "p#s/s?s"),
        ("p@s:s", "p@s:s"),
        ("p%25s ä", "p%s ä"),
        ("", ""),
    ],
)
def test_a_proxy_by_reference_may_hold_a_password_percent_encoded_or_not(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, written: str, password: str
) -> None:
    monkeypatch.setenv("PI_TEST_PROXY", f" http://gate:{written}@{place(web)}/\n")
    assert signed(web, connect, proxy="env:PI_TEST_PROXY") == f"gate:{password}"


@pytest.mark.parametrize("password", ["pw", "p#s@s:/?%", "ä ö"])
def test_a_proxys_user_name_and_password_are_options(web: WebServer, connect: Connect, password: str) -> None:
    signing = {"proxy_username": "PLANT\\gate", "proxy_password": password}
    assert signed(web, connect, proxy=f"http://{place(web)}", **signing) == f"PLANT\\gate:{password}"


def test_a_proxy_without_a_user_name_is_not_signed_in_to(web: WebServer, connect: Connect) -> None:
    assert signed(web, connect, proxy=f"http://{place(web)}") is None


@pytest.mark.parametrize("address", ["h:99999", "h:port", "h:1:2", "[::1", "", "h h", "h:0", "/h", "h/path"])
@pytest.mark.parametrize("signing", [f"u:{CANARY}@", f"u:{CANARY}#x@", f"{CANARY}/@"])
def test_a_proxy_that_is_no_address_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str, signing: str
) -> None:
    monkeypatch.setenv("PI_TEST_PROXY", f"http://{signing}{address}")
    with pytest.raises(InvalidOption) as caught:
        transport.session(Options.parse({"url": "h", "proxy": "env:PI_TEST_PROXY"}))
    assert str(caught.value) == "option 'proxy' is not a valid address; use http://HOST:PORT, or none"
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_in_clear_holds_no_password() -> None:
    with pytest.raises(InvalidOption) as caught:
        Options.parse({"url": "h", "proxy": f"http://u:{CANARY}@h:1"})
    assert str(caught.value) == (
        "option 'proxy': holds a user name or password, which Spark would show in plans; give these as the options "
        "'proxy_username' and 'proxy_password', or the whole as env:NAME, file:PATH or secret:SCOPE/KEY"
    )


def test_a_proxys_password_that_its_sign_in_cannot_hold_is_refused() -> None:
    given = {"url": "h", "proxy": "http://h:1", "proxy_username": "u", "proxy_password": f"{CANARY}€"}
    with pytest.raises(InvalidOption) as caught:
        transport.session(Options.parse(given))
    assert str(caught.value) == (
        "option 'proxy': its user name or password holds a character that cannot be sent to a proxy (not in Latin-1)"
    )
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("given", "needs"),
    [({"proxy_username": "u"}, "proxy"), ({"proxy_password": "p", "proxy": "http://h"}, "proxy_username")],
)
def test_a_proxys_sign_in_needs_the_rest_of_it(given: dict[str, str], needs: str) -> None:
    with pytest.raises(InvalidOption, match=f"needs the option '{needs}'$"):
        Options.parse({"url": "h", **given})


def test_the_password_of_a_proxy_of_the_environment_is_in_no_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://u:{CANARY}@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    options = Options.parse({"url": "http://pi.invalid/piwebapi", "max_retries": "0"})
    with caplog.at_level(logging.DEBUG), PIClient(options) as api, pytest.raises(PIError) as caught:
        api.get("x")
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + caplog.text
    assert redaction.redact(CANARY) == "***"
