"""Whole answers of streams and their events, put together by a single copy: bodies are large."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import orjson

from mock_server.call import Call
from mock_server.events import Block
from mock_server.point import Point, Points
from mock_server.wire import event_texts


def stream_body(block: Block) -> bytes:
    """The body of `streams/…/recorded` for the block's only stream, with all its fields."""
    (point,), (events,) = block.points, event_texts(block)
    return b"".join((b'{"Links":{},"Items":[', events, _end(point.engineering_units if len(events) else "")))


def streamset_body(call: Call, block: Block) -> bytes:
    """The body of `streamsets/recorded`, with all its fields."""
    around = _around(call.base, call.web_id_type, Points.of(block.points))
    empty = np.flatnonzero(block.counts == 0).tolist()
    if empty:
        around = list(around)
        for place in empty:  # a stream without events has no units
            around[place] = around[place][0], _end("")
    pieces: list[bytes | memoryview] = []
    for (head, end), events in zip(around, event_texts(block), strict=True):
        pieces += (head, events, end)
    pieces[:1] = [b'{"Links":{},"Items":[', pieces[0][1:]] if pieces else [b'{"Links":{},"Items":[']
    return b"".join((*pieces, b"]}"))


@lru_cache(maxsize=64)
def _around(base: str, kind: str, points: Points) -> Sequence[tuple[bytes, bytes]]:
    """For each stream a comma and its members before its events, and those after them."""
    return [_around_one(base, kind, point) for point in points]


@lru_cache(maxsize=16_384)
def _around_one(base: str, kind: str, point: Point) -> tuple[bytes, bytes]:
    web_id = point.web_id(kind)
    members = {
        "WebId": web_id,
        "Name": point.name,
        "Path": point.path,
        "Links": {"Source": f"{base}/points/{web_id}"},
    }
    return b"," + orjson.dumps(members)[:-1] + b',"Items":[', _end(point.engineering_units)


@lru_cache(maxsize=256)
def _end(units: str) -> bytes:
    return b'],"UnitsAbbreviation":' + orjson.dumps(units) + b"}"
