"""One decoder for all answers: a failure is found in events, lists and counts alike, wherever it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pi_datasource.errors import ServerError, UnexpectedReply
from pi_datasource.model import Window
from pi_datasource.points import event_counts
from pi_datasource.recorded import reply
from pi_datasource.webapi import batch, envelope
from pi_datasource.webapi.client import PIClient
from pi_datasource.webapi.envelope import FailedPart
from pi_datasource.webapi.lists import Listed
from tests.unit.fakes import BASE, WebServer, point, says

Json = dict[str, Any]
CUT = {"StatusCode": 502, "Errors": ["Error occurred during writing."]}
EVENTS = {"Items": [{"Timestamp": "2024-05-01T00:00:00Z", "Value": 1.5}], "UnitsAbbreviation": ""}
POINTS = {"Items": [{"WebId": "W_A", "Name": "A", "PointType": "Float64"}]}
COUNTS = {"Items": [{"WebId": "W_A", "Items": [{"Value": {"Value": 5}}]}]}
PAGE = "<html><head></head><body><h1>Bad</h1> gateway</body></html>"


def inside(**failure: Any) -> Callable[[Json], Any]:
    """A member whose content holds data and ``failure``."""
    return lambda good: {"Status": 200, "Headers": {}, "Content": {**good, **failure}}


def beside(**failure: Any) -> Callable[[Json], Any]:
    """A member that holds ``failure`` beside a content of data."""
    return lambda good: {"Status": 200, "Headers": {}, "Content": good, **failure}


def instead(content: Any, status: int = 200) -> Callable[[Json], Any]:
    """A member with ``content`` in place of data."""
    return lambda _: {"Status": status, "Headers": {}, "Content": content}


# Name → the member for a content of data, and the status and text of the failure that it is.
MEMBERS: dict[str, tuple[Callable[[Json], Any], int, str]] = {
    "WebException in the content": (inside(WebException=CUT), 502, "Error occurred during writing."),
    "WebException that is a text": (inside(WebException="down"), 500, "down"),
    "Errors in the content": (inside(Errors=["The archive is down."]), 500, "The archive is down."),
    "Exception in the content": (inside(Exception={"Errors": ["No memory."]}), 500, "No memory."),
    "Message in the content": (inside(Message="Denied."), 500, "Denied."),
    "WebException of the member": (beside(WebException=CUT), 502, "Error occurred during writing."),
    "Errors of the member": (beside(Errors=["The archive is down."]), 500, "The archive is down."),
    "Exception of the member": (beside(Exception={"Message": "No memory."}), 500, "No memory."),
    "Message of the member": (beside(Message="Denied."), 500, "Denied."),
    "WebException in place of the content": (instead({"WebException": CUT}), 502, "Error occurred during writing."),
    "Errors and a status": (instead({"Errors": ["Bad.", "Worse."]}, 400), 400, "Bad.; Worse."),
    "Message and a status": (instead({"Message": "No HTTP resource was found."}, 404), 404, "No HTTP resource was found."),
    "a string and a status": (instead("The parent failed.", 409), 409, "The parent failed."),
    "a string and status 200": (instead("The parent failed."), 500, "The parent failed."),
    "HTML and a status": (instead(PAGE, 502), 502, "Bad gateway"),
    "HTML and status 200": (instead(PAGE), 500, "html"),
    "a list and status 200": (instead([1]), 500, ""),
    "nothing and status 200": (instead(None), 500, ""),
    "nothing and a status": (instead(None, 503), 503, ""),
    "a gateway's object": (instead({"error": "busy"}), 500, "error"),
    "a member that is null": (lambda _: None, 500, ""),
    "a member without a status": (lambda good: {"Content": good}, 500, ""),
    "a member that is a string": (lambda _: "no", 500, ""),
}  # fmt: skip
ALL = pytest.mark.parametrize(("member", "status", "words"), MEMBERS.values(), ids=list(MEMBERS))
# Bodies that are not the answer to a batch.
BODIES = {
    "WebException": json.dumps({"WebException": CUT}),
    "Errors": '{"Errors": ["The archive is down."]}',
    "Message": '{"Message": "Denied."}',
    "HTML": PAGE,
    "a list": "[]",
    "cut": '{"0": {"Status": 200, "Content": {"It',
    "another call's": json.dumps({"1_0": {"Status": 200, "Content": EVENTS}}),
}
WHOLE = pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))


class Item(msgspec.Struct):
    """An item of a list of points."""

    WebId: str
    Name: str


class Answers:
    """A client whose batch calls are all answered alike."""

    url, max_retries, patience_s = "https://pi.example/piwebapi", 0, 0.0

    def __init__(self, member: Any = None, body: str | None = None) -> None:
        self._member, self._body = member, body

    def resource(self, path: str, _: Any) -> str:
        return f"{self.url}/{path}"

    def batch(self, asked: dict[str, str], _: Any = None) -> bytes:
        return (self._body or json.dumps(dict.fromkeys(asked, self._member))).encode()

    def drop_connections(self) -> None:
        pass


def events(client: Any) -> Any:
    ids = envelope.new_ids(1)
    return reply.batch_reply(client.batch(dict.fromkeys(ids, "u")), ids)[ids[0]]


def points(client: Any) -> Any:
    return batch.lists_of(client, ["u"], Item, "points")[0]


def counts(client: Any) -> dict[str, float]:
    return event_counts.counts(client, [point("A")], Window(BASE, BASE + timedelta(hours=1)))


def test_data_without_a_failure_are_data() -> None:
    member = beside(WebException=None, Errors=[])
    assert events(Answers(member(EVENTS))).events.size == 1
    assert points(Answers(member(POINTS))) == Listed([Item("W_A", "A")])
    assert counts(Answers(member(COUNTS))) == {"W_A": 5.0}


@ALL
def test_no_event_comes_from_a_failure(member: Callable[[Json], Any], status: int, words: str) -> None:
    page = events(Answers(member(EVENTS)))
    assert (page.status, page.ok, page.events.size) == (status, False, 0)
    assert words in page.message


@ALL
def test_no_point_comes_from_a_failure(member: Callable[[Json], Any], status: int, words: str) -> None:
    failed = points(Answers(member(POINTS)))
    assert isinstance(failed, FailedPart)
    assert failed.status == status
    assert words in failed.message


@ALL
def test_no_count_comes_from_a_failure(member: Callable[[Json], Any], status: int, words: str) -> None:
    with pytest.raises(UnexpectedReply) as caught:
        counts(Answers(member(COUNTS)))
    assert f"(HTTP {status}" in str(caught.value)
    assert words in str(caught.value)


@WHOLE
@pytest.mark.parametrize("read", [events, points, counts])
def test_a_body_that_answers_no_batch_is_an_error_for_all(read: Callable[[Any], Any], body: str) -> None:
    with pytest.raises(UnexpectedReply, match=r"^POST batch: "):
        read(Answers(body=body))


@pytest.mark.parametrize("name", ["WebException", "Errors", "Exception", "Message"])
def test_an_item_that_is_a_failure_is_no_data(name: str) -> None:
    told = CUT if name == "WebException" else "down"
    streams = {"Items": [{**POINTS["Items"][0], **EVENTS, name: told}]}
    body = json.dumps({"0": {"Status": 200, "Content": streams}}).encode()
    page = reply.batch_reply(body, ["0"], sets=True)["0"].streams["W_A"]
    assert (page.ok, page.events.size) == (False, 0)
    failed = points(Answers(beside()({"Items": [{**POINTS["Items"][0], name: told}]})))
    assert (failed.status, type(failed)) == (page.status, FailedPart)
    with pytest.raises(UnexpectedReply, match="counted no tag"):
        counts(Answers(beside()({"Items": [{**COUNTS["Items"][0], name: told}]})))


@pytest.mark.parametrize("place", ["stream", "summary", "number"])
def test_a_count_beside_which_an_error_stands_is_none(place: str) -> None:
    told = {name: {"Errors": ["no"]} if name == place else {} for name in ("stream", "summary", "number")}
    summary = {"Value": {"Value": 5, **told["number"]}, **told["summary"]}
    streams = {"Items": [{"WebId": "W_A", "Items": [summary], **told["stream"]}]}
    with pytest.raises(UnexpectedReply, match="counted no tag"):
        counts(Answers(beside()(streams)))


@pytest.mark.parametrize(
    ("failure", "status", "words"),
    [
        ({"WebException": CUT}, 502, "Error occurred during writing"),
        ({"WebException": "down"}, 500, "down"),
        ({"Errors": ["The archive is down."]}, 500, "The archive is down"),
        ({"Exception": {"Errors": ["No memory."]}}, 500, "No memory"),
        ({"Message": "Denied."}, 500, "Denied"),
    ],
    ids=["WebException", "text", "Errors", "Exception", "Message"],
)
def test_no_data_come_from_a_get_that_holds_a_failure(
    connect: Callable[..., PIClient], web: WebServer, failure: Json, status: int, words: str
) -> None:
    web.answers(says({**POINTS, **failure}))
    with pytest.raises(ServerError) as caught:
        connect(max_retries="0").get("dataservers/D/points")
    assert caught.value.status == status
    assert words in str(caught.value)
