"""Replies of the batch endpoint → columns. Pure; no Python object per row is built beyond what the parser makes.

Rules are those of PI Web API: a value's JSON type may change from row to row, ``Good`` and ``IsSystem`` decide what
it is (reference: JSON shapes), a timestamp has 0 to 7 fraction digits, and a 2xx body may still carry a failure.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pi_datasource import schema, timespec
from pi_datasource.errors import UnexpectedReply
from pi_datasource.model import Point

EXACT_INTEGER = 2**53  # a double holds every integer up to here
_INT32 = range(-(2**31), 2**31)
_INFINITE = {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}
_TEXT_TYPES = ("String", "Blob")


NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # what decoding a foreign body may raise


class TimedValue(msgspec.Struct, gc=False):
    """One event as PI writes it."""

    Timestamp: str
    Value: Any = None
    Good: bool | None = None
    Questionable: bool | None = None
    Substituted: bool | None = None
    Annotated: bool | None = None
    Errors: Any = None


class Content(msgspec.Struct):
    """The body of one sub-reply: events when it worked, texts when it did not."""

    Items: list[TimedValue] = []
    UnitsAbbreviation: str | None = None
    Errors: Any = None
    Message: str | None = None
    WebException: Any = None


class SubReply(msgspec.Struct):
    """One sub-reply of a batch."""

    Status: int = 0
    Content: Content | str | None = None
    Headers: Any = None
    StatusCode: int | None = None  # of a WebException in place of the replies
    Errors: Any = None


@dataclass(frozen=True)
class Page:
    """What one sub-request brought: the events, or the status and text of its failure (never both)."""

    items: list[TimedValue] = field(default_factory=list)
    units: str | None = None
    status: int = 200
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the events are to be trusted."""
        return self.status == 200


_DECODER = msgspec.json.Decoder(dict[str, SubReply | None])


def batch_reply(body: bytes) -> dict[str, Page]:
    """The pages of a batch reply by request id.

    Raises:
        UnexpectedReply: the body is cut or no batch reply; nothing of it was used.
    """
    try:
        replies = _DECODER.decode(body)
    except NOT_JSON as cause:
        message = f"POST batch: the body is no batch reply ({cause}); it starts with {opening(body)}"
        raise UnexpectedReply(message) from cause
    broken = replies.pop("WebException", None)
    if broken is not None:
        message = (
            f"POST batch: the server failed while it answered: {text_of(broken.Errors) or 'no reason given'}"
        )
        raise UnexpectedReply(message, broken.StatusCode)
    return {key: _page(reply or SubReply()) for key, reply in replies.items()}


def opening(body: bytes) -> str:
    """The first words of a body, fit for an error message."""
    text = re.sub(r"<[^>]*>", " ", body[:600].decode("utf-8", "replace"))
    return repr(" ".join(text.split())[:120]) if text.split() else "nothing"


def text_of(errors: Any) -> str:
    """One line from any of PI's forms of error text: a string, a list of them, or field errors."""
    if isinstance(errors, str):
        return errors
    if isinstance(errors, dict):
        return text_of(errors.get("Message") or errors.get("Errors"))
    if isinstance(errors, list):
        return "; ".join(filter(None, map(text_of, errors)))
    return ""


def status_of(web_exception: dict[str, Any]) -> int:
    """The HTTP status that a ``WebException`` stands for; 500 where it says none."""
    code = web_exception.get("StatusCode")
    return code if type(code) is int else 500


def _page(reply: SubReply) -> Page:
    content = reply.Content
    if isinstance(content, Content):
        if isinstance(content.WebException, dict):
            failure = content.WebException
            return Page(status=status_of(failure), message=text_of(failure.get("Errors")))
        if reply.Status == 200:
            return Page(content.Items, content.UnitsAbbreviation)
        return Page(status=reply.Status or 500, message=text_of(content.Errors) or content.Message or "")
    if reply.Status == 200:
        return Page(status=500, message=f"HTTP 200 without events: {content!r}")
    return Page(status=reply.Status or 500, message=content or "")


@dataclass
class Numbering:
    """How far one point's ``sequence`` has counted: carried from page to page."""

    timestamp_us: int | None = None
    next: int = 0


@dataclass(frozen=True)
class Rows:
    """Consecutive events of one point, in server order."""

    point: Point
    items: Sequence[TimedValue]
    units: str | None
    numbering: Numbering


def timestamps(texts: list[str]) -> pa.Array:
    """Timestamps as PI writes them → ``timestamp[us, UTC]``, cut and never rounded.

    Raises:
        UnexpectedReply: a text that is no timestamp.
    """
    try:
        exact = pa.array(texts, pa.string()).cast(pa.timestamp("ns", "UTC"))
        return pc.floor_temporal(exact, unit="microsecond").cast(schema.TIMESTAMP)
    except pa.ArrowInvalid:  # outside 1677 to 2262, or no timestamp at all
        return pa.array([moment(text) for text in texts], schema.TIMESTAMP)


def moment(text: str) -> datetime:
    """One timestamp as PI writes it, cut to microseconds.

    Raises:
        UnexpectedReply: the text is no timestamp.
    """
    try:
        return timespec.parse_wire(text)
    except ValueError as cause:
        message = f"an event's Timestamp cannot be read: {cause}"
        raise UnexpectedReply(message) from cause


def to_batch(
    groups: Sequence[Rows], target: pa.Schema, ingestion_time: datetime, pattern: str | None
) -> pa.RecordBatch:
    """Events of several points as one batch of ``target``, in the order given.

    Raises:
        UnexpectedReply: an event without a usable timestamp, or a point's events out of order.
    """
    items = [item for group in groups for item in group.items]
    lengths = [len(group.items) for group in groups]
    stamps = timestamps([item.Timestamp for item in items])
    columns = _values(items, [group.point.point_type for group in groups], lengths)
    columns["timestamp"] = stamps
    columns["sequence"] = _sequences(groups, lengths, stamps)
    columns["ingestion_timestamp"] = _repeated([ingestion_time], [len(items)], schema.TIMESTAMP)
    for name, texts in _labels(groups, pattern).items():
        columns[name] = _repeated(texts, lengths, pa.string())
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def failure_rows(
    points: Sequence[tuple[Point, str]],
    start: datetime,
    target: pa.Schema,
    ingestion_time: datetime,
    pattern: str | None,
) -> pa.RecordBatch:
    """One ``read_failure`` row per (point, JSON text), at the window's start (table catalogue, section 1)."""
    groups = [Rows(point, [TimedValue("")], None, Numbering()) for point, _ in points]
    size = len(points)
    columns: dict[str, pa.Array] = {name: pa.nulls(size, target.field(name).type) for name in target.names}
    columns["timestamp"] = pa.array([start] * size, schema.TIMESTAMP)
    columns["sequence"] = pa.array([0] * size, pa.int32())
    columns["value_kind"] = pa.array([schema.READ_FAILURE] * size)
    columns["value_string"] = pa.array([text for _, text in points], pa.string())
    columns["ingestion_timestamp"] = pa.array([ingestion_time] * size, schema.TIMESTAMP)
    columns.update({name: pa.array(texts, pa.string()) for name, texts in _labels(groups, pattern).items()})
    return pa.RecordBatch.from_arrays([columns[name] for name in target.names], schema=target)


def _labels(groups: Sequence[Rows], pattern: str | None) -> dict[str, list[str | None]]:
    """The text columns that are the same in all rows of a point."""
    points = [group.point for group in groups]
    labels: dict[str, list[str | None]] = {
        "tag_webid": [point.web_id for point in points],
        "tag_name": [point.name for point in points],
        "units": [group.units or group.point.units or None for group in groups],
        "point_type": [point.point_type for point in points],
        "tag_path": [point.path for point in points],
        "server_name": [point.server for point in points],
    }
    if pattern is not None:
        expression = re.compile(pattern)
        matches = [expression.search(point.name) for point in points]
        for name in expression.groupindex:
            labels[name] = [match[name] if match else None for match in matches]
    return labels


def _repeated(values: Sequence[Any], lengths: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Each value as often as its length says."""
    if len(values) == 1:
        return pa.repeat(pa.scalar(values[0], kind), lengths[0])
    indices = pa.concat_arrays([pa.repeat(pa.scalar(i, pa.int32()), n) for i, n in enumerate(lengths)])
    return pa.array(values, kind).take(indices)


def _sequences(groups: Sequence[Rows], lengths: Sequence[int], stamps: pa.Array) -> pa.Array:
    """Numbers among equal timestamps; remembers in each group where its next page goes on."""
    micros = stamps.cast(pa.int64())
    numbers = [0] * len(micros)
    spans = [range(end - n, end) for end, n in zip(itertools.accumulate(lengths), lengths, strict=True)]
    filled = [(group.numbering, span) for group, span in zip(groups, spans, strict=True) if span]
    borders = {span.start - 1 for _, span in filled}  # from one point to the next, time may go back
    steps = pc.subtract(micros.slice(1), micros.slice(0, max(len(micros) - 1, 0)))
    falls = set(pc.indices_nonzero(pc.less(steps, 0)).to_pylist()) - borders
    heads = {span.start: micros[span.start].as_py() for _, span in filled}
    falls |= {s.start for n, s in filled if n.timestamp_us is not None and heads[s.start] < n.timestamp_us}
    if falls:
        raise _disorder(groups, lengths, min(falls))
    for carried, span in filled:
        head = heads[span.start]
        numbers[span.start] = carried.next if head == carried.timestamp_us else 0
    for row in pc.indices_nonzero(pc.equal(steps, 0)).to_pylist():
        if row not in borders:
            numbers[row + 1] = numbers[row] + 1
    for carried, span in filled:
        carried.timestamp_us = micros[span.stop - 1].as_py()
        carried.next = numbers[span.stop - 1] + 1
    return pa.array(numbers, pa.int32())


def _disorder(groups: Sequence[Rows], lengths: Sequence[int], row: int) -> UnexpectedReply:
    names = [group.point.name for group, length in zip(groups, lengths, strict=True) for _ in range(length)]
    return UnexpectedReply(
        f"the server sent the events of {names[row]} out of order, which would lose some of them"
    )


def _values(
    items: Sequence[TimedValue], point_types: Sequence[str], lengths: Sequence[int]
) -> dict[str, pa.Array]:
    """The columns that come from the events themselves."""
    raw = [item.Value for item in items]
    odd = _odd_rows(items, raw)
    types = [kind for kind, n in zip(point_types, lengths, strict=True) for _ in range(n)] if odd else []
    texts: dict[int, str] = {}
    codes: dict[int, int] = {}
    kinds: dict[int, str] = {}
    for row in odd:
        raw[row], text, code, kinds[row] = _classify(items[row], types[row])
        if text is not None:
            texts[row] = text
        if code is not None:
            codes[row] = code
    return {
        "value": pa.array(raw, pa.float64()),
        "value_string": _sparse(texts, len(items), None, pa.string()),
        "state_code": _sparse(codes, len(items), None, pa.int32()),
        "value_kind": _sparse(kinds, len(items), schema.NUMBER, pa.string()),
        "good": _flags([item.Good for item in items]),
        "questionable": _flags([item.Questionable for item in items]),
        "substituted": _flags([item.Substituted for item in items]),
        "annotated": _flags([item.Annotated for item in items]),
    }


def _sparse(values: dict[int, Any], size: int, default: Any, kind: pa.DataType) -> pa.Array:
    """An array of ``default`` but for the rows of ``values``."""
    if not values:
        return pa.repeat(pa.scalar(default, kind), size)
    return pa.array([values.get(row, default) for row in range(size)], kind)


def _odd_rows(items: Sequence[TimedValue], raw: Sequence[Any]) -> list[int]:
    """The rows that are not plainly a number."""
    errors = any(item.Errors for item in items)
    types = set(map(type, raw))
    if not errors and types <= {float}:
        return []
    if (
        not errors
        and types <= {float, int}
        and all(-EXACT_INTEGER <= value <= EXACT_INTEGER for value in raw)
    ):
        return []
    return [
        row
        for row, value in enumerate(raw)
        if (
            type(value) is not float and not (type(value) is int and -EXACT_INTEGER <= value <= EXACT_INTEGER)
        )
        or items[row].Errors
    ]


def _flags(values: list[bool | None]) -> pa.Array:
    truths = values.count(True)
    if truths == len(values) or (truths == 0 and None not in values):
        return pa.repeat(pa.scalar(bool(truths)), len(values))
    return pa.array(values, pa.bool_())


_Typed = tuple[float | None, str | None, int | None, str]


def _classify(item: TimedValue, point_type: str) -> _Typed:
    """(value, value_string, state_code, value_kind) of an event: the table of the catalogue, section 1."""
    value = item.Value
    if item.Errors:
        return None, text_of(item.Errors) or None, None, schema.ERROR
    if isinstance(value, bool):
        return float(value), str(value).lower(), None, schema.BOOLEAN
    if isinstance(value, int):
        return _classify_integer(value)
    if isinstance(value, str):
        return _classify_text(value, item.Good, point_type)
    if isinstance(value, dict):
        return _classify_object(value, item.Good)
    if value is None:
        return None, None, None, schema.NONE
    return None, msgspec.json.encode(value).decode(), None, schema.JSON


def _classify_integer(value: int) -> _Typed:
    digits = None if -EXACT_INTEGER <= value <= EXACT_INTEGER else str(value)
    try:
        return float(value), digits, None, schema.NUMBER
    except OverflowError:
        return None, digits, None, schema.JSON


def _classify_text(value: str, good: bool | None, point_type: str) -> _Typed:
    if good is False:
        return None, value, None, schema.ERROR
    if point_type == "Timestamp":
        return None, value, None, schema.TIMESTAMP_TEXT
    if point_type not in _TEXT_TYPES and value.lower() in _INFINITE:
        return float(_INFINITE[value.lower()]), None, None, schema.NUMBER
    return None, value, None, schema.STRING


def _classify_object(value: dict[str, Any], good: bool | None) -> _Typed:
    if set(value) == {"Errors"}:
        return None, text_of(value["Errors"]) or None, None, schema.ERROR
    name, code = value.get("Name"), value.get("Value")
    if isinstance(name, str) and (code is None or (type(code) is int and code in _INT32)):
        system = value.get("IsSystem") is True or good is False
        return None, name, code, schema.SYSTEM if system else schema.DIGITAL
    return None, msgspec.json.encode(value).decode(), None, schema.JSON
