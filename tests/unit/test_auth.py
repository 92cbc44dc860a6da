"""Options into credentials, and where secrets are found."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from pi_datasource import auth
from pi_datasource.client import PIClient
from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.options import Options

from .fakes import WebServer, says

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


def test_a_secret_is_read_from_the_environment_when_it_is_used(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options.parse({"url": web.url, "username": "u", "password": "env:PI_TEST_PW"})
    monkeypatch.setenv("PI_TEST_PW", "from env")
    assert auth.secret("password", options.password) == "from env"
    assert sent(web, connect, username="u", password="env:PI_TEST_PW") == basic("u", "from env")


def test_a_secret_is_read_from_a_file_without_its_line_end(
    web: WebServer, connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("abc\n", encoding="utf-8")
    assert sent(web, connect, token=f"file:{tmp_path}/token") == "Bearer abc"


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PI_TEST_PW", raising=False)
    with pytest.raises(InvalidOption) as caught:
        auth.authentication(Options.parse({"url": "h", "token": "env:PI_TEST_PW"}))
    assert str(caught.value) == (
        "option 'token' refers to the environment variable 'PI_TEST_PW', which is not set in this process"
    )


@pytest.mark.parametrize(
    ("content", "why"), [(None, "FileNotFoundError"), (b"\xff\xfe", "UnicodeDecodeError")]
)
def test_a_file_that_cannot_be_read_is_named_but_never_quoted(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    place = tmp_path / "pw"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(InvalidOption) as caught:
        auth.authentication(Options.parse({"url": "h", "username": "u", "password": f"file:{place}"}))
    assert (
        str(caught.value)
        == f"option 'password' refers to the file {str(place)!r}, which cannot be read: {why}"
    )


@pytest.mark.parametrize(("kind", "module"), [("kerberos", "requests_kerberos"), ("ntlm", "requests_ntlm")])
def test_a_kind_whose_package_is_missing_names_the_command_that_brings_it(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingPackage) as caught:
        auth.authentication(Options.parse({"url": "h", "auth": kind, "username": "u", "password": "p"}))
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
