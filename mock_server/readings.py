"""Reads of events as calls ask for them, and the bodies they are answered with."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from mock_server import fields
from mock_server.call import Call
from mock_server.catalog import Point
from mock_server.events import Block, chained, side_by_side
from mock_server.history import History
from mock_server.wire import VALUE_FIELDS, timed_values

_ALL = frozenset(VALUE_FIELDS)
_GONE = b""
Pairs = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Recording:
    """What a recorded call asks for; both bounds are ticks and inclusive, whatever the direction."""

    low: int
    high: int
    newest_first: bool
    boundary: str
    limit: int


def recording(call: Call, streams: int = 1) -> Recording:
    """The window, direction, boundary type and limit of a recorded call on that many streams."""
    start, end = call.time("startTime", "*-1d"), call.time("endTime", "*")
    boundary = call.choice("boundaryType", "Inside", ("Inside", "Outside", "Interpolated"))
    limit = call.max_count(streams=streams)
    return Recording(min(start, end), max(start, end), end < start, boundary, limit)


def read_recorded(call: Call, points: Sequence[Point], asked: Recording) -> Block:
    """The recorded events asked for, a stream for each point."""
    history = call.server.plant.history
    if asked.boundary == "Inside":
        return history.window(
            points, asked.low, asked.high, now=call.now, limit=asked.limit, newest_first=asked.newest_first
        )
    return side_by_side([_with_bounds(history, point, asked, call.now) for point in points])


def values_at(call: Call, points: Sequence[Point]) -> Block:
    """One value for each point: at `time`, or its snapshot."""
    history = call.server.plant.history
    if not call.text("time"):
        return history.snapshot(points, now=call.now)
    instant = call.time("time", "*")
    return side_by_side([history.value_at(point, instant, now=call.now) for point in points])


def stream_lists(block: Block, tree: fields.Tree) -> list[bytes]:
    """For each stream the body of a `streams/…/recorded` answer."""
    return [_object([("Links", b"{}"), *pairs], tree) or b"{}" for pairs in _item_pairs(block, tree)]


def timed_value(block: Block, tree: fields.Tree) -> list[bytes]:
    """For each stream of one event the event alone."""
    return [item or b"{}" for item in _single_values(block, tree)]


def streamset_body(call: Call, block: Block, member: str) -> bytes:
    """The body of a streamset answer; each stream has its events as `Items` or its only one as `Value`."""
    tree = call.tree
    if not fields.wanted(tree, "Items"):
        return _object([("Links", b"{}")], tree) or b"{}"
    inner = fields.below(tree, "Items")
    if member == "Items":
        contents = _item_pairs(block, inner)
    else:
        below = fields.below(inner, "Value") if fields.wanted(inner, "Value") else {}
        contents = [[("Value", text)] for text in _single_values(block, below)]
    streams = [
        _object([*_stream_pairs(call, point), *pairs], inner)
        for point, pairs in zip(block.points, contents, strict=True)
    ]
    return _object([("Links", b"{}"), ("Items", _list(streams))], tree) or b"{}"


def _with_bounds(history: History, point: Point, asked: Recording, now: int) -> Block:
    """One stream with what boundary types Outside and Interpolated add, cut to the limit."""
    inside = history.window(
        [point], asked.low, asked.high, now=now, limit=asked.limit, newest_first=asked.newest_first
    )
    blocks = [_below(history, point, asked, now), inside, _above(history, point, asked, now)]
    if asked.newest_first:
        blocks.reverse()
    return chained([block for block in blocks if block is not None]).head(asked.limit)


def _below(history: History, point: Point, asked: Recording, now: int) -> Block | None:
    if _has_event(history, point, asked.low, now):
        return None
    if asked.boundary == "Outside":
        return history.last_before(point, asked.low, now=now)
    return history.interpolated(point, asked.low, now=now) if asked.low <= now else None


def _above(history: History, point: Point, asked: Recording, now: int) -> Block | None:
    if _has_event(history, point, asked.high, now):
        return None
    if asked.boundary == "Outside":
        return history.first_after(point, asked.high, now=now)
    return history.interpolated(point, asked.high, now=now) if asked.low < asked.high <= now else None


def _has_event(history: History, point: Point, instant: int, now: int) -> bool:
    return len(history.window([point], instant, instant, now=now, limit=1).ticks) > 0


def _item_pairs(block: Block, tree: fields.Tree) -> list[Pairs]:
    """For each stream its `Items` and `UnitsAbbreviation`, as far as `tree` keeps them."""
    lists = _kept_lists(block, fields.below(tree, "Items")) if fields.wanted(tree, "Items") else None
    pairs: list[Pairs] = []
    for place, (point, count) in enumerate(zip(block.points, block.counts.tolist(), strict=True)):
        units = point.engineering_units if count else ""
        pairs.append(
            [("Items", lists[place] if lists else _GONE), ("UnitsAbbreviation", orjson.dumps(units))]
        )
    return pairs


def _kept_lists(block: Block, tree: fields.Tree) -> list[bytes]:
    """For each stream its events as a JSON list, thinned out; `_GONE` where nothing is left."""
    if tree is None:
        return timed_values(block)
    if tree.get("value"):  # parts of a value: rare, so the plain way
        return [_pruned(text, tree) for text in timed_values(block)]
    chosen = frozenset(name for name in VALUE_FIELDS if name.lower() in tree)
    texts = timed_values(block, chosen) if chosen else [b"[]"] * len(block.points)
    return [_GONE if text == b"[]" else text for text in texts]


def _pruned(text: bytes, tree: fields.Tree) -> bytes:
    kept = fields.prune(orjson.loads(text), tree)
    return orjson.dumps(kept) if kept else _GONE


def _single_values(block: Block, tree: fields.Tree) -> list[bytes]:
    return [text[1:-1] for text in _kept_lists(block, tree)]


def _stream_pairs(call: Call, point: Point) -> Pairs:
    web_id = call.web_id(point)
    source = orjson.dumps(call.link(f"/points/{web_id}"))
    inner = fields.below(fields.below(call.tree, "Items"), "Links") if _links_wanted(call.tree) else None
    links = _object([("Source", source)], inner)
    return [
        ("WebId", orjson.dumps(web_id)),
        ("Name", orjson.dumps(point.name)),
        ("Path", orjson.dumps(point.path)),
        ("Links", links),
    ]


def _links_wanted(tree: fields.Tree) -> bool:
    return fields.wanted(fields.below(tree, "Items"), "Links")


def _list(items: list[bytes]) -> bytes:
    """A JSON list, gone when nothing is left of any item."""
    return b"[" + b",".join(item or b"{}" for item in items) + b"]" if any(items) else _GONE


def _object(pairs: Pairs, tree: fields.Tree) -> bytes:
    """A JSON object of the pairs that `tree` keeps and that are not gone; gone itself when none is."""
    kept = [b'"' + name.encode() + b'":' + text for name, text in pairs if text and fields.wanted(tree, name)]
    return b"{" + b",".join(kept) + b"}" if kept else _GONE
