"""Lists that are asked for in one call: what is asked for again, how often, and after which pause."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from pi_datasource.errors import ServerFailed, UnexpectedReply
from pi_datasource.webapi import batch
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import FailedPart
from pi_datasource.webapi.lists import Listed
from tests.unit.fakes import WebServer, reply, says

Connect = Callable[..., PIClient]
BUSY = {"Status": 429, "Headers": {}, "Content": {"Errors": ["Rate limit was reached."]}}
URLS = ["https://pi/piwebapi/a", "https://pi/piwebapi/b", "https://pi/piwebapi/c"]


class Item(msgspec.Struct):
    """An item of a list."""

    Name: str


class Lists:
    """Answers each sub-request with a list of one item, the name of which is its path, unless it is told another answer."""

    def __init__(self, *told: dict[str, Any]) -> None:
        self._told = list(told)  # of each call: answers by path
        self.asked: list[list[str]] = []

    def __call__(self, handler: Any) -> None:
        told = self._told.pop(0) if self._told else {}
        asked = json.loads(handler.server.asked[-1].body)
        paths = {key: urlsplit(each["Resource"]).path[-1] for key, each in asked.items()}
        self.asked.append(list(paths.values()))
        members = {
            key: told.get(path, {"Status": 200, "Content": {"Items": [{"Name": path}]}})
            for key, path in paths.items()
        }
        says(members, 207)(handler)


def read(api: PIClient) -> list[Any]:
    return batch.lists_of(api, URLS, Item, "x")


def of(name: str) -> Listed[Item]:
    return Listed([Item(name)])


def test_the_lists_come_in_the_order_asked_for(connect: Connect, web: WebServer) -> None:
    server = Lists({"b": {"Status": 403, "Content": {"Message": "no"}}})
    web.answers(server)
    assert read(connect()) == [of("a"), FailedPart(403, "no"), of("c")]
    assert server.asked == [["a", "b", "c"]]


def test_only_what_the_rate_limit_refused_is_asked_for_again(
    connect: Connect, web: WebServer, naps: list[float]
) -> None:
    server = Lists({"a": BUSY, "c": BUSY}, {"c": {**BUSY, "Headers": {"Retry-After": "9"}}})
    web.answers(server)
    api = connect()
    assert read(api) == [of("a"), of("b"), of("c")]
    assert server.asked == [["a", "b", "c"], ["a", "c"], ["c"]]
    assert naps == [1, 9]
    assert (api.metrics.calls, api.metrics.retries, api.metrics.throttled_seconds) == (3, 3, 10)


def test_a_rate_limit_that_outlasts_the_retries_is_an_error_with_the_servers_words(
    connect: Connect, web: WebServer
) -> None:
    web.answers(Lists(*[{"b": BUSY}] * 3))
    with pytest.raises(ServerFailed) as caught:
        read(connect())
    error = caught.value
    assert (error.status, error.errors, error.method, error.path) == (
        429,
        ("Rate limit was reached.",),
        "POST",
        "batch",
    )
    assert len(web.asked) == 3


def test_a_rate_limit_is_waited_for_as_the_options_say(
    connect: Connect, web: WebServer, naps: list[float]
) -> None:
    server = Lists(*[{"b": BUSY}] * 5)
    web.answers(server)
    assert read(connect(max_retries="1", wait_for_server="1h")) == [of("a"), of("b"), of("c")]
    assert (len(server.asked), naps) == (6, [1, 2, 4, 8, 16])


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_all_reasons_together_cost_no_more_than_the_retries(
    connect: Connect, web: WebServer, max_retries: int
) -> None:
    """A call fails in transport, then answers are those of another call, for ever."""
    foreign = says({"1_0": {"Status": 200, "Content": {"Items": []}}}, 207)
    web.answers(reply(503), *[foreign] * 9)
    with pytest.raises((ServerFailed, UnexpectedReply)):
        read(connect(max_retries=str(max_retries)))
    assert len(web.asked) == max_retries + 1


def test_an_answer_of_another_call_is_asked_for_again_on_a_new_connection(
    connect: Connect, web: WebServer
) -> None:
    ports: list[int] = []
    server = Lists()

    def late(handler: Any) -> None:
        ports.append(handler.client_address[1])
        first = len(ports) == 1
        (says({"1_0": {"Status": 200, "Content": {"Items": []}}}, 207) if first else server)(handler)

    web.answers(late)
    assert read(connect()) == [of("a"), of("b"), of("c")]
    assert ports[0] != ports[1]
