"""Whole answers of streams and their events, put together by a single copy: bodies are large."""

from functools import lru_cache

import orjson

from mock_server.call import Call
from mock_server.catalog import Point
from mock_server.events import Block
from mock_server.wire import Piece, event_lists


def stream_body(block: Block) -> bytes:
    """The body of `streams/…/recorded` for the block's only stream, with all its fields."""
    (point,), (events,) = block.points, event_lists(block)
    return b"".join([b'{"Links":{},"Items":', *events, _units(point if len(block.ticks) else None), b"}"])


def streamset_body(call: Call, block: Block) -> bytes:
    """The body of `streamsets/recorded`, with all its fields."""
    base, kind = call.base, call.web_id_type
    pieces: list[Piece] = [b'{"Links":{},"Items":[']
    for point, count, events in zip(block.points, block.counts.tolist(), event_lists(block), strict=True):
        pieces += (_head(base, kind, point), *events, _units(point if count else None), b"},")
    if len(block.points):
        pieces[-1] = b"}"
    pieces.append(b"]}")
    return b"".join(pieces)


def _units(point: Point | None) -> bytes:
    """The member that follows the events; a stream without any has no units."""
    return _units_member(point.engineering_units if point else "")


@lru_cache(maxsize=256)
def _units_member(units: str) -> bytes:
    return b',"UnitsAbbreviation":' + orjson.dumps(units)


@lru_cache(maxsize=16_384)
def _head(base: str, kind: str, point: Point) -> bytes:
    """A stream's members before its events."""
    web_id = point.web_id(kind)
    members = {
        "WebId": web_id,
        "Name": point.name,
        "Path": point.path,
        "Links": {"Source": f"{base}/points/{web_id}"},
    }
    return orjson.dumps(members)[:-1] + b',"Items":'
