"""Bodies of time-series replies, assembled as bytes from blocks."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import orjson

from mock_server.plant.checkpoints import paced
from mock_server.plant.events import Block
from mock_server.plant.point import Point, Points
from mock_server.webapi import selected_fields
from mock_server.webapi.call import Call
from mock_server.webapi.json.events import VALUE_FIELDS, event_texts, timed_values
from mock_server.webapi.messages import ApiError, Response, refusal

_OMITTED = b""
_ITEMS_AT_ONCE = 256
Pairs = list[tuple[str, bytes]]


def stream_lists(call: Call, block: Block) -> list[bytes]:
    """For each stream the body of a `streams/…/recorded` reply."""
    tree = call.tree
    if tree is None and len(block.points) == 1 and _is_complete(call, block):
        return [_complete_stream(block)]
    return [_object([("Links", b"{}"), *pairs], tree) or b"{}" for pairs in _item_pairs(call, block, tree)]


def single_values(call: Call, block: Block) -> list[bytes]:
    """For each stream of one event the event itself."""
    return [item or b"{}" for item in _single_values(call, block, call.tree)]


def streamset_body(call: Call, block: Block, member: str) -> bytes:
    """The body of a stream set; each stream has its events as `Items` or its only event as `Value`."""
    tree = call.tree
    if tree is None and member == "Items" and _is_complete(call, block):
        return _complete_streamset(call, block)
    if not selected_fields.wanted(tree, "Items"):
        return _object([("Links", b"{}")], tree) or b"{}"
    inner = selected_fields.below(tree, "Items")
    if member == "Items":
        contents = _item_pairs(call, block, inner)
    else:
        below = selected_fields.below(inner, "Value") if selected_fields.wanted(inner, "Value") else {}
        contents = [[("Value", text)] for text in _single_values(call, block, below)]
    streams = [
        _object([*_head_pairs(call, point), *pairs], inner)
        for point, pairs in zip(block.points, contents, strict=True)
    ]
    return _object([("Links", b"{}"), ("Items", _list(streams))], tree) or b"{}"


def _is_complete(call: Call, block: Block) -> bool:
    """Whether the streams are points and the release has all members of their events."""
    generation = call.server.generation
    return Points.of(block.points).are_plain and generation.has("Annotated") and generation.has("webIdType")


def list_reply(call: Call, links: dict[str, str], items: Iterable[dict[str, Any]]) -> Response:
    """The reply that `call.reply` makes for a list of objects, encoded in chunks because it can be large."""
    parts = [orjson.dumps(selected_fields.prune({"Links": links}, call.tree))[1:-1]]
    if selected_fields.wanted(call.tree, "Items"):
        tree = selected_fields.below(call.tree, "Items")
        texts, left, remaining = [], False, paced(items)
        while part := list(islice(remaining, _ITEMS_AT_ONCE)):
            pruned = [selected_fields.prune(item, tree) for item in part]
            left = left or any(pruned)
            texts.append(orjson.dumps(pruned)[1:-1])
        if left or not texts:
            parts.append(b'"Items":[' + b",".join(texts) + b"]")
    return Response(200, b"{" + b",".join(part for part in parts if part) + b"}")


def several(call: Call, modes: tuple[str, ...], find: Callable[[str, str], dict[str, Any]]) -> Response:
    """A list of what `find` returns for each `webId` and `path` (its type and text); 207 when one of them failed.

    `modes` are the accepted values of `includeMode`.
    """
    named = {"WebId": call.texts("webId"), "Path": call.texts("path")}
    items = [_found(find, kind, text) for kind, texts in named.items() for text in texts]
    if not items:
        raise refusal(400, "Parameter 'webId' or 'path' is required.")
    failed = ["Exception" in item for item in items]
    mode = call.choice("includeMode", "All", modes)
    if mode != "All":
        wanted = mode == "ItemsWithException"
        items = [item for item, has_failed in zip(items, failed, strict=True) if has_failed is wanted]
    return call.items(items, 207 if any(failed) else 200)


def _found(find: Callable[[str, str], dict[str, Any]], kind: str, text: str) -> dict[str, Any]:
    item: dict[str, Any] = {"Identifier": text, "IdentifierType": kind}
    try:
        item["Object"] = find(kind, text)
    except ApiError as error:
        item["Exception"] = {"Errors": error.errors}
    return item


def stream_head(call: Call, point: Point) -> dict[str, Any]:
    """The first members of a stream in a stream set."""
    web_id = call.web_id(point)
    source = call.link(f"/{collection_of(point)}/{web_id}")
    return {"WebId": web_id, "Name": point.name, "Path": point.path, "Links": {"Source": source}}


def collection_of(point: Point) -> str:
    """The collection of the object a stream belongs to, by default `points`."""
    return str(getattr(point, "collection", "points"))


def value_objects(call: Call, block: Block) -> list[list[dict[str, Any]]]:
    """For each stream its events as objects, for replies that extend them."""
    return [orjson.loads(text) for text in timed_values(block, _value_fields(call))]


def sorted_streams(call: Call, points: Sequence[Point]) -> Sequence[Point]:
    """The streams sorted by `sortField`, which can only be Name, and `sortOrder`; else as they came."""
    descending = call.descending
    if not call.text("sortField"):
        return points
    call.choice("sortField", "Name", ("Name",))
    return sorted(points, key=lambda point: point.name.casefold(), reverse=descending)


def _value_fields(call: Call) -> frozenset[str]:
    """The members of a value that the simulated release has."""
    lacking = set() if call.server.generation.has("Annotated") else {"Annotated"}
    return frozenset(VALUE_FIELDS) - lacking


def _item_pairs(call: Call, block: Block, tree: selected_fields.Tree) -> list[Pairs]:
    """For each stream its `Items` and `UnitsAbbreviation`, if `tree` keeps them."""
    lists = (
        _kept_lists(call, block, selected_fields.below(tree, "Items"))
        if selected_fields.wanted(tree, "Items")
        else None
    )
    pairs: list[Pairs] = []
    for place, (point, count) in enumerate(zip(block.points, block.counts.tolist(), strict=True)):
        units = point.engineering_units if count else ""
        items = lists[place] if lists else _OMITTED
        pairs.append([("Items", items), ("UnitsAbbreviation", orjson.dumps(units))])
    return pairs


def _kept_lists(call: Call, block: Block, tree: selected_fields.Tree) -> list[bytes]:
    """For each stream its events as a JSON list of the kept members; `_OMITTED` where nothing of them is left."""
    if tree is None:
        return timed_values(block, _value_fields(call))
    if tree.get("value"):  # parts of a value: rare, so a slow path will do
        return [_pruned(text, tree) for text in timed_values(block, _value_fields(call))]
    chosen = frozenset(name for name in _value_fields(call) if name.lower() in tree)
    texts = timed_values(block, chosen) if chosen else [b"[]"] * len(block.points)
    return [
        text if text != b"[]" or not count else _OMITTED
        for text, count in zip(texts, block.counts.tolist(), strict=True)
    ]


def _pruned(text: bytes, tree: selected_fields.Tree) -> bytes:
    kept = selected_fields.prune(orjson.loads(text), tree)
    return _OMITTED if kept == {} else orjson.dumps(kept)


def _single_values(call: Call, block: Block, tree: selected_fields.Tree) -> list[bytes]:
    return [text[1:-1] for text in _kept_lists(call, block, tree)]


def _head_pairs(call: Call, point: Point) -> Pairs:
    inner = (
        selected_fields.below(selected_fields.below(call.tree, "Items"), "Links")
        if _links_wanted(call.tree)
        else None
    )
    head = stream_head(call, point)
    links = _object([("Source", orjson.dumps(head.pop("Links")["Source"]))], inner)
    return [*((name, orjson.dumps(value)) for name, value in head.items()), ("Links", links)]


def _links_wanted(tree: selected_fields.Tree) -> bool:
    return selected_fields.wanted(selected_fields.below(tree, "Items"), "Links")


def _list(items: list[bytes]) -> bytes:
    """A JSON list; omitted when all of its items are."""
    if items and not any(items):
        return _OMITTED
    return b"[" + b",".join(item or b"{}" for item in items) + b"]"


def _object(pairs: Pairs, tree: selected_fields.Tree) -> bytes:
    """A JSON object of the pairs that `tree` keeps; omitted when there is none."""
    kept = [
        b'"' + name.encode() + b'":' + text
        for name, text in pairs
        if text and selected_fields.wanted(tree, name)
    ]
    return b"{" + b",".join(kept) + b"}" if kept else _OMITTED


def _complete_stream(block: Block) -> bytes:
    """The body of `streams/…/recorded` for the block's only stream, with all members, joined by one copy."""
    (point,), (events,) = block.points, event_texts(block)
    return b"".join((b'{"Links":{},"Items":[', events, _end(point.engineering_units if len(events) else "")))


def _complete_streamset(call: Call, block: Block) -> bytes:
    """The body of `streamsets/recorded`, with all members."""
    around = _envelopes(call.base, call.web_id_type, Points.of(block.points))
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
def _envelopes(base: str, kind: str, points: Points) -> Sequence[tuple[bytes, bytes]]:
    """For each stream the JSON before its events, from a comma on, and the JSON after them."""
    return [_envelope(base, kind, point) for point in points]


@lru_cache(maxsize=16_384)
def _envelope(base: str, kind: str, point: Point) -> tuple[bytes, bytes]:
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
