"""Builds the sub-requests of a batch call and their URLs from cursors, which know how far each point has been read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pi_datasource.model import Point
from pi_datasource.recorded.decode import SequenceCounter
from pi_datasource.recorded.window_parts import Parts
from pi_datasource.recorded.wire import FLAGS, TimedValue
from pi_datasource.webapi import envelope
from pi_datasource.webapi.envelope import FailureFields

# The fields of an event that each column is made of: a field that no column needs is not requested.
_FIELDS_OF = {
    "value": ("Value",),
    "value_string": ("Value", "Good"),
    "state_code": ("Value",),
    "value_kind": ("Value", "Good"),
    **{name.lower(): (name,) for name in FLAGS},
}
# A server may leave out fields that are not selected, failures included; it ignores names that it does not know.
_FAILURE_FIELDS = FailureFields.__struct_encode_fields__


@dataclass
class Cursor:
    """How far one point has been read."""

    point: Point
    start: str  # of the next request, as PI writes it, with all its digits
    start_ticks: int
    counter: SequenceCounter = field(default_factory=SequenceCounter)
    attempts: int = 0
    page_size: int = 0  # if not 0, replaces the task's: one timestamp has filled a whole page
    given_up: bool = False
    alone: bool = False  # has a request of its own: truncated, failed or doubtful among others
    parts: Parts = field(default_factory=Parts)
    end: str = ""  # of the current request, as PI writes it
    end_ticks: int = 0
    all_fields: bool = False  # requested without selectedFields: the answer with them was not a page
    unreadable: int = 0  # consecutive answers to its calls that could not be read
    group: int = 0  # only cursors of the same group share a call (see ``bisection``)


@dataclass(frozen=True)
class Request:
    """One sub-request: cursors with the same start and end, for at most ``size`` events each."""

    cursors: Sequence[Cursor]
    size: int


@dataclass(frozen=True)
class Call:
    """The sub-requests of one call of the batch endpoint: all for single streams, or all for stream sets."""

    requests: Sequence[Request]
    sets: bool

    @property
    def cursors(self) -> list[Cursor]:
        """The cursors of all sub-requests."""
        return [cursor for request in self.requests for cursor in request.cursors]

    def urls(self, resource: Callable[..., str], columns: Iterable[str]) -> dict[str, str]:
        """The URL of each sub-request by its id, which no other call uses."""
        needed = {"Timestamp", "Errors", *(name for column in columns for name in _FIELDS_OF.get(column, ()))}
        fields = [name for name in TimedValue.__struct_fields__ if name in needed]
        ids = envelope.new_ids(len(self.requests))
        return {
            each: self._url(request, resource, fields)
            for each, request in zip(ids, self.requests, strict=True)
        }

    def _url(self, request: Request, resource: Callable[..., str], fields: Sequence[str]) -> str:
        first = request.cursors[0]
        selected = [*(f"Items.{name}" for name in fields), "UnitsAbbreviation", *_FAILURE_FIELDS]
        params = {
            "startTime": first.start,
            "endTime": first.end,
            "boundaryType": "Inside",
            "maxCount": request.size,
        }
        if not self.sets:
            chosen = {} if first.all_fields else {"selectedFields": ";".join(selected)}
            return resource(f"streams/{first.point.web_id}/recorded", {**params, **chosen})
        selected = [*(f"Items.{name}" for name in ("WebId", *selected)), *_FAILURE_FIELDS]
        web_ids = [cursor.point.web_id for cursor in request.cursors]
        sets = {"selectedFields": ";".join(selected), "webIdType": "IDOnly", "webId": web_ids}
        return resource("streamsets/recorded", {**params, **sets})
