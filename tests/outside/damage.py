"""Damages to answers, each a function of a random generator and what is to be sent.

What a client cannot find out is not among them: an event that is missing in the middle of a page, or two answers to single
streams whose contents were exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

Replies = dict[str, Any]
Damage = Callable[
    [Random, Replies], bytes | None
]  # changes the replies, or returns what to send in their place

_WORDS = {"Errors": ["The archive is down."]}
_NOT_PAGES: list[Any] = [
    {"Errors": ["down"]},
    {"Message": "Authorization has been denied for this request."},
    {"error": "quota exceeded"},
    {"WebException": {"StatusCode": 502, "Errors": ["Error while writing."]}},
    "<html><body>Who are you?</body></html>",
    [],
    7,
    None,
]
_OUT_OF_ORDER, _ERROR_ENTRY = 3, 5  # events that a page needs at least


def _member(rng: Random, replies: Replies) -> Any:
    return replies[rng.choice(sorted(replies))]


def _streams(member: Any) -> list[Any]:
    """The streams of a member: those of a set, or itself."""
    content = member["Content"]
    if not isinstance(content, dict) or not isinstance(content.get("Items"), list):
        return []
    items = content["Items"]
    return items if items and "WebId" in items[0] else [content]


def _stream(rng: Random, replies: Replies, least: int = 0) -> Any:
    streams = [
        s for key in sorted(replies) for s in _streams(replies[key]) if len(s.get("Items", [])) >= least
    ]
    return rng.choice(streams) if streams else None


def stream_fails(rng: Random, replies: Replies) -> None:
    """One stream carries a failure beside all, some or none of its events."""
    if (stream := _stream(rng, replies)) is not None:
        stream["Items"] = stream["Items"][: rng.randint(0, len(stream["Items"]))]
        stream.update(
            rng.choice([_WORDS, {"WebException": {"StatusCode": 500, **_WORDS}}, {"Message": "No."}])
        )


LASTING: tuple[Any, ...] = (
    _WORDS,
    {"Message": "No."},
    {"WebException": {"StatusCode": 500, **_WORDS}},
    "disorder",
)


def fail(member: Any, web_id: str, failure: Any) -> None:
    """The stream of ``web_id``, in a set or alone, carries ``failure``, or its events are in disorder."""
    for stream in _streams(member):
        if stream.get("WebId", web_id) != web_id:
            continue
        if failure == "disorder":
            stream["Items"] = stream["Items"][::-1]
        else:
            stream["Items"] = []
            stream.update(failure)


def not_a_page(rng: Random, replies: Replies) -> None:
    """One member has status 200 and a content that holds no events."""
    _member(rng, replies).update(Status=200, Content=rng.choice(_NOT_PAGES))


def items_in_small_letters(rng: Random, replies: Replies) -> None:
    """One member's list of events has another name."""
    content = _member(rng, replies)["Content"]
    if isinstance(content, dict) and "Items" in content:
        content["items"] = content.pop("Items")


def member_refused(rng: Random, replies: Replies) -> None:
    """One member fails for the moment."""
    _member(rng, replies).update(Status=rng.choice([408, 429, 500, 502, 503, 504]), Content=_WORDS)


def member_missing(rng: Random, replies: Replies) -> None:
    """One member is not answered."""
    del replies[rng.choice(sorted(replies))]


def member_foreign(rng: Random, replies: Replies) -> None:
    """One member is answered under an id that nobody asked for."""
    key = rng.choice(sorted(replies))
    replies[rng.choice(["x", f"{key}0", "0"]) if len(key) > 1 else f"{key}x"] = replies.pop(key)


def member_doubled(rng: Random, replies: Replies) -> bytes:
    """One id is answered twice, the second time without events."""
    key = rng.choice(sorted(replies))
    empty = {"Status": 200, "Headers": {}, "Content": {"Items": [], "UnitsAbbreviation": ""}}
    return json.dumps(replies).encode()[:-1] + f",{json.dumps(key)}:{json.dumps(empty)}}}".encode()


def stream_missing(rng: Random, replies: Replies) -> None:
    """A set lacks one of its streams."""
    member = _member(rng, replies)
    if len(streams := _streams(member)) > 1:
        streams.pop(rng.randrange(len(streams)))


def stream_foreign(rng: Random, replies: Replies) -> None:
    """A stream of a set is another one than was asked for."""
    stream = _stream(rng, replies)
    if stream is not None and "WebId" in stream:
        stream["WebId"] = "I1DPforeign"


def stream_doubled(rng: Random, replies: Replies) -> None:
    """A set holds one of its streams twice, the second time without its last events."""
    member = _member(rng, replies)
    if len(streams := _streams(member)) > 1:
        again = dict(rng.choice(streams))
        again["Items"] = again.get("Items", [])[:1]
        streams.append(again)


def ends_in_an_error(rng: Random, replies: Replies) -> None:
    """A page breaks off with an entry that says why."""
    if (stream := _stream(rng, replies, _ERROR_ENTRY)) is not None:
        events = stream["Items"]
        at = rng.randrange(1, len(events))
        error = {"FieldName": "Value", "Message": ["Timeout while reading."]}
        stream["Items"] = [*events[:at], {**events[at], "Value": None, "Good": False, "Errors": [error]}]


def out_of_order(rng: Random, replies: Replies) -> None:
    """Two events of different times are exchanged."""
    if (stream := _stream(rng, replies, _OUT_OF_ORDER)) is not None:
        events = stream["Items"]
        at = rng.randrange(len(events) - 1)
        events[at], events[at + 1] = events[at + 1], events[at]


def bare_nan(rng: Random, replies: Replies) -> None:
    """A token that is not JSON."""
    _member(rng, replies)["Elapsed"] = float("nan")


def cut_json(rng: Random, replies: Replies) -> bytes:
    """The JSON ends early, though the answer is whole for HTTP."""
    body = json.dumps(replies).encode()
    return body[: rng.randrange(len(body))]


def web_exception(rng: Random, replies: Replies) -> None:
    """The server failed after it had begun to answer."""
    replies["WebException"] = {"StatusCode": rng.choice([500, 503]), **_WORDS}


def page_of_a_gateway(rng: Random, _: Replies) -> bytes:
    """Something else in place of the answer."""
    return rng.choice(
        [b"", b"<html>Sign in</html>", b"[]", b'{"Message":"No."}', b'{"Errors":["down"]}', b"null"]
    )


ANSWERS: tuple[Damage, ...] = (
    stream_fails,
    not_a_page,
    items_in_small_letters,
    member_refused,
    member_missing,
    member_foreign,
    member_doubled,
    stream_missing,
    stream_foreign,
    stream_doubled,
    ends_in_an_error,
    out_of_order,
    bare_nan,
    cut_json,
    web_exception,
    page_of_a_gateway,
)


def other_list(rng: Random, content: Any) -> Any:
    """In place of a list of points or data servers: words, another list, or one whose entries lack what they must have."""
    items = [{"WebId": "F1DSx", "Name": "OTHER", "IsConnected": True}]
    return rng.choice([*_NOT_PAGES[:3], {"Items": items}, {"items": content.get("Items", [])}, [], None])


def jumping_clock(rng: Random, content: Any) -> Any:
    """The clock of the data server is another one in this answer."""
    times = [
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2025-06-02T09:00:00Z",  # hours, not days: a stream that begins there reads them all
        "2025-06-02T11:00:00Z",
        None,
    ]
    for item in content.get("Items", []):
        if "ServerTime" in item:
            item["ServerTime"] = rng.choice(times)
    return content


def not_connected(rng: Random, content: Any) -> Any:
    """The data server is said to be not connected."""
    for item in content.get("Items", []):
        if "ServerTime" in item:
            item["IsConnected"] = rng.choice([False, None])
    return content


LISTS: tuple[Callable[[Random, Any], Any], ...] = (other_list, jumping_clock, not_connected)

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def heads(body: bytes) -> list[bytes]:
    """Answers whose HTTP is wrong, or odd; after each the connection ends."""
    return [
        b"",
        b"HTTP/1.1 200",
        b"HTP/1.1 200 OK\r\n\r\n",
        _HEAD + b"Content-Length: 12",
        _HEAD + b"Content-Length: soon\r\n\r\n" + body,
        _HEAD + b"Content-Length: 5, 7\r\n\r\n" + body,
        _HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + 10) + body,
        _HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2],
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
        _HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        + _HEAD
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body,
        *(
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: " + wait + b"\r\n\r\n"
            for wait in (b"86400", b"-5", b"1.5", b"soon", b"Wed, 01 Jan 1970 00:00:00 GMT", b"9" * 30)
        ),
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n",
    ]
