"""Whole answers of streams and their events, put together by a single copy: bodies are large."""

from functools import lru_cache

import numpy as np
import orjson

from mock_server.call import Call
from mock_server.catalog import Point
from mock_server.events import Block
from mock_server.wire import event_texts


def stream_body(block: Block) -> bytes:
    """The body of `streams/…/recorded` for the block's only stream, with all its fields."""
    (events,), (end,) = event_texts(block), _ends(block)
    return b"".join((b'{"Links":{},"Items":[', events, end))


def streamset_body(call: Call, block: Block) -> bytes:
    """The body of `streamsets/recorded`, with all its fields."""
    base, kind = call.base, call.web_id_type
    heads = [_head(base, kind, point) for point in block.points]
    if heads:
        heads[0] = heads[0].removeprefix(b",")
    pieces: list[bytes | memoryview] = [b'{"Links":{},"Items":[']
    for stream in zip(heads, event_texts(block), _ends(block), strict=True):
        pieces += stream
    return b"".join((*pieces, b"]}"))


def _ends(block: Block) -> list[bytes]:
    """What follows the events of each stream; one without any has no units."""
    ends = [_end(point.engineering_units) for point in block.points]
    for empty in np.flatnonzero(block.counts == 0).tolist():
        ends[empty] = _end("")
    return ends


@lru_cache(maxsize=256)
def _end(units: str) -> bytes:
    return b'],"UnitsAbbreviation":' + orjson.dumps(units) + b"}"


@lru_cache(maxsize=16_384)
def _head(base: str, kind: str, point: Point) -> bytes:
    """A comma, and a stream's members before its events."""
    web_id = point.web_id(kind)
    members = {
        "WebId": web_id,
        "Name": point.name,
        "Path": point.path,
        "Links": {"Source": f"{base}/points/{web_id}"},
    }
    return b"," + orjson.dumps(members)[:-1] + b',"Items":['
