"""Where secrets are found: the environment, files, and a Databricks workspace asked by its own SDK."""

from __future__ import annotations

import base64
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from pi_datasource.errors import InvalidOption, MissingPackage, UnexpectedReply
from pi_datasource.options import secrets
from pi_datasource.options.declaration import Options
from pi_datasource.spark.datasource import PIDataSource
from pi_datasource.webapi import client, transport
from pi_datasource.webapi.client import PIClient
from tests.unit.fakes import WebServer, answers_each, reply, says

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
    return web


@pytest.fixture(autouse=True)
def _nothing_found_yet() -> None:
    secrets._found_in_workspace.clear()


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
    secrets._found_in_workspace.clear()
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


class Rotating:
    """A workspace whose one secret changes, and a PI Web API that takes the newest only."""

    def __init__(self, web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.value = "token-1-Jx8Qv2Lm6"
        monkeypatch.setenv("DATABRICKS_HOST", web.url.removesuffix("/piwebapi"))
        monkeypatch.setenv("DATABRICKS_TOKEN", "dapi-token")
        web.answers(self)

    def __call__(self, handler: Any) -> None:
        """One answer of either."""
        if handler.path.startswith("/api/2.0/secrets/get"):
            says({"key": "pi", "value": base64.b64encode(f"{self.value}\n".encode()).decode()})(handler)
        elif handler.headers["Authorization"] != f"Bearer {self.value}":
            says({"Message": f"no {handler.headers['Authorization']}"}, 401)(handler)
        elif "/batch" in handler.path:
            said = {"Items": [{"Timestamp": "2024-05-01T05:59:59Z", "Value": 1.5, "Good": True}]}
            answers_each({"Status": 200, "Headers": {}, "Content": said})(handler)
        elif "/points" in handler.path:
            says({"Items": [{"WebId": "P", "Name": "T", "PointType": "Float64"}]})(handler)
        else:
            says({"Items": [{"WebId": "S", "Name": "SRV", "ServerTime": "2024-05-01T06:00:00Z"}]})(handler)


@pytest.fixture
def rotating(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> Rotating:
    return Rotating(web, monkeypatch)


def test_a_databricks_token_that_is_refused_is_looked_up_again(
    web: WebServer, connect: Connect, rotating: Rotating
) -> None:
    options = Options.parse({"url": web.url, "token": "secret:plant/pi"})
    carried = secrets.looked_up(options)
    clients = [connect(token="secret:plant/pi"), PIClient(carried, lambda _: None)]
    for value in ("token-1-Jx8Qv2Lm6", "token-2-Wd0Rt5Yh3", "token-3-Bn4Gf7Ks9"):
        rotating.value = value
        for one in clients:
            assert one.get("dataservers")["Items"]
        assert secrets.looked_up(carried).token == secrets.Found(value)
    web.asked.clear()
    rotating.value = "token-4-Zx1Cv6Op8"
    assert all(one.get("dataservers")["Items"] for one in clients)
    assert len([asked for asked in web.asked if "secrets" in asked.path]) == 1  # for both
    clients[1].__exit__(None, None, None)


@pytest.mark.parametrize("streams", [False, True], ids=["batch", "stream"])
def test_what_is_planned_after_a_databricks_token_was_replaced_carries_the_new_one_to_its_tasks(
    web: WebServer, rotating: Rotating, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    """Spark keeps the reader that runs the tasks as it was when the query began."""
    given = {
        "url": web.url,
        "token": "secret:plant/pi",
        "read_mode": "streams",
        "settle": "0s",
        "max_retries": "0",
    }
    source = PIDataSource(given | ({"start_time": "2024-05-01T05:00:00Z"} if streams else {}))
    planner: Any = (source.streamReader if streams else source.reader)(source.schema())
    begun = pickle.loads(pickle.dumps(planner))
    if streams:
        first = planner.initialOffset()
        planner._clock._answered_at = -10.0
    rotating.value = "token-2-Wd0Rt5Yh3"
    offsets = (first, planner.latestOffset(first)) if streams else ()
    parts = [pickle.loads(pickle.dumps(part)) for part in planner.partitions(*offsets)]
    assert "Wd0Rt5Yh3" not in repr(parts) + str(parts[0].__dict__)
    secrets._found_in_workspace.clear()
    monkeypatch.setattr(secrets, "_asked_of_workspace", _no_workspace)  # as in a task
    client.shared.cache_clear()
    rows = [row for part in parts for batch in begun.read(part) for row in batch.to_pylist()]
    assert [(row["tag_name"], row["value"]) for row in rows] == [("T", 1.5)]


def _no_workspace(name: str, place: str) -> str:
    message = f"option {name!r}: no workspace can be asked for {place}"
    raise InvalidOption(message)


BAD = {
    "line feed": ("ab\ncd", "a line end (character 3)"),
    "carriage return": ("ab\rcd", "a line end (character 3)"),
    "escape": ("ab\x1bcd", "a control character (character 3)"),
    "zero": ("ab\0cd", "a control character (character 3)"),
    "C1": ("ab\x85cd", "a control character (character 3)"),
}
WITH = {
    "password": {"username": "u"},
    "token": {},
    "client_secret": {"client_id": "c"},
    "client_key_password": {"client_cert": "cert.pem"},
    "proxy": {},
    "proxy_password": {"proxy": "http://h:1", "proxy_username": "u"},
}


def _refused(web: WebServer, **options: str) -> str:
    with pytest.raises(InvalidOption) as caught:
        PIClient(Options.parse({"url": web.url, **options}))
    assert web.asked == []
    told = "".join(traceback.format_exception(caught.value))
    assert not [half for half in ("ab", "cd") if f"{half}\\" in told or f"\\{half}" in told]
    return str(caught.value)


@pytest.mark.parametrize("option", WITH)
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("given", ["plain", "env", "file", "workspace"])
def test_a_secret_that_cannot_be_sent_is_refused_by_its_options_name_before_any_request(  # noqa: PLR0917 - fixtures and cases
    web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str, bad: str, given: str
) -> None:
    value, problem = BAD[bad]
    (tmp_path / "it").write_bytes(value.encode())
    monkeypatch.setattr(secrets, "_asked_of_workspace", lambda *_: value)
    if (bad, given) == ("zero", "env"):
        return  # no variable of the environment can hold it
    monkeypatch.setitem(os.environ, "PI_TEST_IT", value.replace("\0", ""))
    reference = {
        "plain": value,
        "env": "env:PI_TEST_IT",
        "file": f"file:{tmp_path}/it",
        "workspace": "secret:a/b",
    }
    place = "" if given == "plain" else f" ({reference[given]})"
    text = _refused(web, **WITH[option], **{option: reference[given]})
    assert text == f"option {option!r}{place}: holds {problem}; give it without"


@pytest.mark.parametrize("value", ["ab€cd", "ab\ufeffcd", "密码"])
def test_a_token_that_no_header_can_hold_is_refused(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("PI_TEST_IT", value)
    place = 1 if value == "密码" else 3
    problem = f"holds a character that no HTTP header may hold (character {place}); give it without"
    assert _refused(web, token=value) == f"option 'token': {problem}"
    assert _refused(web, token="env:PI_TEST_IT") == f"option 'token' (env:PI_TEST_IT): {problem}"


@pytest.mark.parametrize("option", ["username", "client_id", "proxy_username"])
def test_a_user_name_with_a_line_end_is_refused(web: WebServer, option: str) -> None:
    more = {"username": "password", "client_id": "client_secret", "proxy_username": "proxy_password"}[option]
    text = _refused(web, proxy="http://h:1", **{option: "ab\r\ncd", more: "x"})
    assert text == f"option {option!r}: holds a line end (character 3); give it without"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("given", ["plain", "env", "file", "workspace"])
def test_a_line_end_behind_a_secret_is_not_part_of_it(  # noqa: PLR0917
    web: WebServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str, given: str
) -> None:
    value = f"abcd{end}"
    monkeypatch.setenv("PI_TEST_IT", value)
    (tmp_path / "it").write_text(f"\ufeff{value}", encoding="utf-8", newline="")  # as Windows writes it
    monkeypatch.setattr(secrets, "_asked_of_workspace", lambda *_: value)
    reference = {
        "plain": value,
        "env": "env:PI_TEST_IT",
        "file": f"file:{tmp_path}/it",
        "workspace": "secret:a/b",
    }
    assert sent(web, connect, token=reference[given]) == "Bearer abcd"
    assert sent(web, connect, username="u", password=reference[given]) == basic("u", "abcd")


def test_a_token_that_a_provider_gives_is_refused_without_being_shown(
    web: WebServer, connect: Connect
) -> None:
    web.answers(says({"access_token": "ab\r\ncd", "token_type": "Bearer"}))
    api = connect(client_id="c", client_secret="s3cret", token_url=f"{web.url}/token")
    with pytest.raises(UnexpectedReply) as caught:
        api.get("x")
    assert str(caught.value) == (
        f"signing in: POST {web.url}/token: the token in the answer holds a line end (character 3)"
    )


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
