"""Whole answers of streams and their events, put together by a single copy: bodies are large."""

from functools import lru_cache

import numpy as np
import orjson

from mock_server.call import Call
from mock_server.events import Block
from mock_server.point import Point
from mock_server.wire import event_texts


def stream_body(block: Block) -> bytes:
    """The body of `streams/…/recorded` for the block's only stream, with all its fields."""
    (point,), (events,) = block.points, event_texts(block)
    return b"".join((b'{"Links":{},"Items":[', events, _end(point.engineering_units if len(events) else "")))


def streamset_body(call: Call, block: Block) -> bytes:
    """The body of `streamsets/recorded`, with all its fields."""
    base, kind = call.base, call.web_id_type
    around = [_around(base, kind, point) for point in block.points]
    for empty in np.flatnonzero(block.counts == 0).tolist():  # a stream without events has no units
        around[empty] = around[empty][0], _end("")
    pieces: list[bytes | memoryview] = []
    for (head, end), events in zip(around, event_texts(block), strict=True):
        pieces += (b",", head, events, end)
    pieces[:1] = [b'{"Links":{},"Items":[']
    return b"".join((*pieces, b"]}"))


@lru_cache(maxsize=16_384)
def _around(base: str, kind: str, point: Point) -> tuple[bytes, bytes]:
    """A stream's members before its events, and after them."""
    web_id = point.web_id(kind)
    members = {
        "WebId": web_id,
        "Name": point.name,
        "Path": point.path,
        "Links": {"Source": f"{base}/points/{web_id}"},
    }
    return orjson.dumps(members)[:-1] + b',"Items":[', _end(point.engineering_units)


@lru_cache(maxsize=256)
def _end(units: str) -> bytes:
    return b'],"UnitsAbbreviation":' + orjson.dumps(units) + b"}"
