"""Where secrets are found: the environment, files, and a Databricks workspace asked by its own SDK."""

from __future__ import annotations

import base64
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from pi_datasource import secrets, transport
from pi_datasource.client import PIClient
from pi_datasource.datasource import PIDataSource
from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.options import Options

from .fakes import WebServer, reply, says

Connect = Callable[..., PIClient]
VALUE = "CANARY-päss"
PLACE = "secret:plant/pi-password"


def sent(web: WebServer, connect: Connect, **options: str) -> str | None:
    """The Authorization header that these options send."""
    web.answers(says({}))
    connect(**options).get("x")
    return web.asked[-1].headers.get("Authorization")


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def test_a_secret_is_read_from_the_environment_when_it_is_used(
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options.parse({"url": web.url, "username": "u", "password": "env:PI_TEST_PW"})
    monkeypatch.setenv("PI_TEST_PW", "from env")
    assert secrets.secret("password", options.password) == "from env"
    assert sent(web, connect, username="u", password="env:PI_TEST_PW") == basic("u", "from env")


def test_a_secret_is_read_from_a_file_without_its_line_end(
    web: WebServer, connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("abc\n", encoding="utf-8")
    assert sent(web, connect, token=f"file:{tmp_path}/token") == "Bearer abc"


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PI_TEST_PW", raising=False)
    with pytest.raises(InvalidOption) as caught:
        transport.session(Options.parse({"url": "h", "token": "env:PI_TEST_PW"}))
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
        transport.session(Options.parse({"url": "h", "username": "u", "password": f"file:{place}"}))
    assert (
        str(caught.value)
        == f"option 'password' refers to the file {str(place)!r}, which cannot be read: {why}"
    )


@pytest.fixture
def workspace(web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WebServer:
    """A Databricks workspace that holds one secret and lets one token in."""

    def play(handler: Any) -> None:
        parts = urlsplit(handler.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path != "/api/2.0/secrets/get":
            reply(404, b"{}")(handler)
        elif handler.headers["Authorization"] != "Bearer dapi-token":
            says({"error_code": "PERMISSION_DENIED", "message": "no"}, 403)(handler)
        elif asked == {"scope": "plant", "key": "pi-password"}:
            says({"key": "pi-password", "value": base64.b64encode(VALUE.encode()).decode()})(handler)
        else:
            says({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no secret {asked}"}, 404)(handler)

    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_HOST", web.url.removesuffix("/piwebapi"))
    monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-token")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    web.answers(play)
    secrets._from_workspace.cache_clear()
    return web


def test_a_databricks_secret_is_asked_of_the_workspace_once(workspace: WebServer) -> None:
    for _ in range(2):
        assert secrets.secret("password", SecretStr(PLACE)) == VALUE
    assert [asked.path for asked in workspace.asked if "secrets" in asked.path] == [
        "/api/2.0/secrets/get?scope=plant&key=pi-password"
    ]


@pytest.mark.parametrize(
    ("place", "environment", "why"),
    [
        ("plant/other", {}, "the workspace says RESOURCE_DOES_NOT_EXIST"),
        ("plant/pi-password", {"DATABRICKS_TOKEN": "dapi-wrong"}, "the workspace says PERMISSION_DENIED"),
        ("plant/pi-password", {"DATABRICKS_TOKEN": ""}, "no workspace can be asked here (ValueError)"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_a_databricks_secret_that_cannot_be_read_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, place: str, environment: dict[str, str], why: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidOption) as caught:
        transport.session(Options.parse({"url": "h", "token": f"secret:{place}"}))
    key = place.partition("/")[2]
    assert str(caught.value) == (
        f"option 'token' refers to the Databricks secret {key!r} of the scope 'plant', which cannot be read: {why}; "
        "check the names and the right READ on the scope, sign in to a workspace (DATABRICKS_HOST and a token or "
        "profile), or use env:NAME or file:PATH"
    )
    assert "dapi-" not in str(caught.value)


@pytest.mark.parametrize("place", ["plant", "plant/", "/key", ""])
def test_a_databricks_secret_is_a_scope_and_a_key(place: str) -> None:
    with pytest.raises(InvalidOption, match=r"is written secret:SCOPE/KEY$"):
        secrets.secret("token", SecretStr(f"secret:{place}"))


def test_a_databricks_secret_without_the_sdk_names_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "databricks.sdk", None)
    secrets._from_workspace.cache_clear()
    with pytest.raises(MissingPackage, match=r"pip install 'pi-datasource\[databricks\]'$"):
        secrets.secret("token", SecretStr(PLACE))


@pytest.mark.parametrize("kind", ["reader", "streamReader"])
def test_a_databricks_secret_is_looked_up_where_a_read_is_planned_and_travels_to_the_tasks(
    workspace: WebServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    given = {"url": "h", "username": "u", "password": PLACE, "token": "env:PI_LATER"}
    source = PIDataSource(given)
    assert workspace.asked == []
    reader = getattr(source, kind)(source.schema())
    monkeypatch.delenv("DATABRICKS_HOST")  # a task cannot ask the workspace
    secrets._from_workspace.cache_clear()
    there = pickle.loads(pickle.dumps(reader)).options
    assert secrets.secret("password", there.password) == VALUE
    assert there.token.get_secret_value() == "env:PI_LATER"  # a task looks this up itself
    assert VALUE.encode() not in pickle.dumps(source)
    assert VALUE not in repr(there) + str(there) + repr(reader.__dict__)


def test_a_secret_that_looks_like_a_reference_is_taken_as_it_is() -> None:
    """Else its text would be told as the name of a place where nothing is."""
    found = pickle.loads(pickle.dumps(secrets.Found("env:PI_NOT_SET")))
    assert secrets.secret("password", found) == "env:PI_NOT_SET"
    options = Options.parse({"url": "h", "token": "t"}).model_copy(
        update={"token": secrets.Found("secret:x")}
    )
    assert secrets.looked_up(options) is options


def test_options_without_databricks_secrets_are_left_alone() -> None:
    options = Options.parse({"url": "h", "token": "env:PI_LATER", "username": "u", "password": "p"})
    assert secrets.looked_up(options) is options


def test_all_that_is_sent_in_secret_is_unspeakable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_TEST_PW", "pw")
    given = {
        "username": "u", "password": "env:PI_TEST_PW", "token": "tk", "client_id": "c", "client_secret": "cs",
        "client_key_password": "kp", "proxy": "http://u:p%20x@h:1",
    }  # fmt: skip
    assert sorted(secrets.unspeakable(Options.parse({"url": "h", **given}))) == sorted(
        ["pw", "tk", "cs", "kp", "p x", base64.b64encode(b"u:pw").decode()]
    )
    assert secrets.unspeakable(Options.parse({"url": "h", "token": "env:PI_NOT_SET", "proxy": "none"})) == []


def test_what_a_task_carries_holds_references_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The value is looked up in the process that runs the task."""
    monkeypatch.setenv("PI_TEST_PW", VALUE)
    (tmp_path / "token").write_text(VALUE, encoding="utf-8")
    given = {"url": "h", "username": "u", "password": "env:PI_TEST_PW", "token": f"file:{tmp_path}/token"}
    source = PIDataSource(given)
    for made in (source.reader(source.schema()), source.streamReader(source.schema())):
        carried = pickle.dumps(made)
        assert b"PI_TEST_PW" in carried
        assert VALUE.encode() not in carried
