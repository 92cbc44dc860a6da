"""A server repeats the secrets that it was sent, in every place, as in every form; none of it leaves the process."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from pi_datasource.model import Point, ReadTask
from pi_datasource.options.declaration import Options
from pi_datasource.recorded import fetch
from pi_datasource.tables import registry
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient
from tests.unit import echo
from tests.unit.fakes import WebServer, answers_each, point, window

PASSWORD = 'Zq7"x\\Kw9/Vb3+Tn5 mRä-8sD'
TOKEN = "Tk5.Yp3/Xc8+Rf1_Gh6~Bn4="
SIGNING: dict[str, dict[str, str]] = {
    "password": {"username": "PLANT\\reader", "password": PASSWORD},
    "token": {"token": TOKEN},
    "client_secret": {"client_id": "spark", "client_secret": PASSWORD},
    "proxy_password": {"proxy_username": "gate", "proxy_password": PASSWORD.replace("ä", "+")},
    "proxy": {"proxy": "env:PI_TEST_PROXY"},
}
SECRETS = [PASSWORD, PASSWORD.replace("ä", "+"), TOKEN, "gr4nted-Jx8Qv2Lm6Wd0"]


def _forms(secret: str) -> Iterator[str]:
    pairs = [secret, *(f"{user}:{secret}" for user in ("PLANT\\reader", "spark", "gate")), f"x{secret}"]
    yield from (
        secret,
        json.dumps(secret),
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        repr(secret),
        quote(secret, safe=""),
    )
    yield from (text.encode().hex() for text in pairs)
    yield from (base64.b64encode(text.encode()).decode() for text in pairs)


PIECES = {
    form[at : at + 8].lower() for secret in SECRETS for form in _forms(secret) for at in range(len(form) - 7)
}  # fmt: skip
PIECES -= {
    base64.b64encode(f"{user}:".encode()).decode()[:8].lower() for user in ("PLANT\\reader", "spark", "gate")
}


def leaks(text: str) -> list[str]:
    """Eight characters in a row of any form of a secret."""
    low = text.lower()
    return sorted({low[at : at + 8] for at in range(len(low) - 7)} & PIECES)


class _All(logging.Handler):
    """Formats every record of the process as an application would, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record) + repr(record.args))


@pytest.fixture
def records() -> Iterator[list[str]]:
    handler, root = _All(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.texts
    root.removeHandler(handler)
    root.setLevel(level)


def told(options: Options, on_error: str, points: tuple[Point, ...] = (point(),)) -> Iterator[str]:
    """All that using the library for a while says: errors with their causes, and the text columns of rows."""
    moment = datetime(2024, 5, 1, tzinfo=timezone.utc)
    task = ReadTask("pi_timeseries", window(0, 36_000 * 10_000_000), points, moment, 10, 1000,
                    on_error=on_error, read_mode="streams")  # type: ignore[arg-type]  # fmt: skip
    columns = registry.columns(options)

    def use(what: Callable[[PIClient], Any]) -> Iterator[str]:
        try:
            with PIClient(options, lambda _: None) as api:
                yield repr(what(api))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not tell
            yield (
                "".join(traceback.format_exception(error))
                + repr(error)
                + repr(error.args)
                + repr(vars(error))
            )

    yield from use(lambda api: data_servers.select(api, options))
    yield from use(lambda api: [batch.to_pydict() for batch in fetch.run(api, task, columns)])


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("option", SIGNING)
@pytest.mark.parametrize("place", echo.PLACES)
def test_what_a_server_repeats_is_in_no_text(
    web: WebServer, monkeypatch: pytest.MonkeyPatch, records: list[str], place: str, option: str
) -> None:
    base = web.url.removesuffix("/piwebapi")
    given = {"url": web.url, "max_retries": "0", "timeout": "3s", "data_servers": "OTHER", **SIGNING[option]}
    if option.startswith("proxy"):
        address = urlsplit(base).netloc
        monkeypatch.setenv("PI_TEST_PROXY", f"http://gate:{quote(SECRETS[1], safe='')}@{address}")
        given = {"proxy": base, **given, "url": "http://pi.invalid/piwebapi"}
    if option == "client_secret":
        given["token_url"] = f"{base}/token"
    options = Options.parse(given)
    found: dict[str, list[str]] = {}
    names = echo.ENCODINGS if option == "password" else ("as sent", "percent-encoded", "behind 485 others")
    for name in names:
        for take in (echo.reflected, echo.headed):
            for grants in (True, False)[: 2 if option == "client_secret" else 1]:
                server = echo.Echo(echo.PLACES[place], option, echo.ENCODINGS[name], take)
                server.grants = grants
                web.answers(server)
                texts = [*told(options, "report"), *records]
                records.clear()
                if leaked := [piece for text in texts for piece in leaks(text)]:
                    found[f"{name}, {take.__name__}, {grants}"] = leaked[:3]
    assert found == {}
    assert web.asked


LONG = "No. " * 500_000


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("content", [{"Errors": [LONG]}, {"Message": LONG}, LONG, {"WebException": {"Errors": [LONG]}},
                                     {"Errors": ["No. "] * 500_000}])  # fmt: skip
@pytest.mark.parametrize("status", [404, 503])
def test_two_megabytes_of_text_in_a_member_are_bounded_in_log_rows_and_messages(
    web: WebServer, records: list[str], content: Any, status: int
) -> None:
    points = tuple(point(f"T{number}") for number in range(2))
    member = {"Status": status, "Headers": {}, "Content": content}
    web.answers(answers_each(member))
    options = Options.parse({"url": web.url, "max_retries": "1"})
    texts = [*told(options, "report", points), *told(options, "fail", points)]
    rows = [row for row in texts if "read_failure" in row]
    assert len(rows) == 1
    assert rows[0].count("No. ") > 100
    assert "characters)" in rows[0]
    assert max(map(len, rows)) < 10_000
    assert sum(map(len, [*texts, *records])) < 100_000


@pytest.mark.usefixtures("naps")
def test_of_many_members_that_are_asked_for_again_the_first_are_logged(
    web: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    points = tuple(point(f"T{number}") for number in range(200))
    web.answers(answers_each({"Status": 503, "Content": {"Errors": ["x" * 900]}}))
    list(told(Options.parse({"url": web.url, "max_retries": "1"}), "report", points))
    assert len(caplog.records) == 21
    assert caplog.records[-1].getMessage() == ("further retries of this task are logged at level DEBUG")
