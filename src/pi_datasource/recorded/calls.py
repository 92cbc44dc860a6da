"""What one call of the batch endpoint asks for: cursors → sub-requests → URLs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pi_datasource.model import Point
from pi_datasource.recorded.decode import SequenceCounter
from pi_datasource.recorded.window_parts import Parts
from pi_datasource.webapi import request_ids

Resource = Callable[[str, Mapping[str, Any]], str]

# Column → the fields of an event that it is made of; a field that no column needs is not sent.
_FIELDS_OF = {
    "value": ("Value",),
    "value_string": ("Value", "Good"),
    "state_code": ("Value",),
    "value_kind": ("Value", "Good"),
    "good": ("Good",),
    "questionable": ("Questionable",),
    "substituted": ("Substituted",),
    "annotated": ("Annotated",),
}
# What says that an answer is a failure: a selection may leave out what it does not name. Unknown names are ignored.
_FAILURE_FIELDS = ("WebException", "Errors", "Exception", "Message")
_EVENT_FIELDS = ("Timestamp", "Value", "Good", "Questionable", "Substituted", "Annotated", "Errors")


@dataclass
class Cursor:
    """How far one point has been read."""

    point: Point
    start: str  # PI's text of the time to go on from, with all its digits
    start_ticks: int
    counter: SequenceCounter = field(default_factory=SequenceCounter)
    attempts: int = 0
    page_size: int = 0  # above the task's where one timestamp has filled a whole page
    given_up: bool = False
    alone: bool = False  # asked for by a request of its own: cut, failed or doubtful among others
    parts: Parts = field(default_factory=Parts)
    end: str = ""  # PI's text of the end of what is asked for now
    end_ticks: int = 0
    all_fields: bool = False  # asked for without selectedFields: what came with them was no page
    unreadable: int = 0  # answers of its call in a row that could not be read
    group: int = 0  # only cursors of the same group share a call (see ``isolation``)


@dataclass(frozen=True)
class Request:
    """One sub-request: some cursors with the same start and end, each to bring at most ``size`` events."""

    cursors: Sequence[Cursor]
    size: int


@dataclass(frozen=True)
class Call:
    """The sub-requests of one call of the batch endpoint: all for single streams, or all for stream sets."""

    requests: Sequence[Request]
    sets: bool

    @property
    def cursors(self) -> list[Cursor]:
        """All that the call asks for."""
        return [cursor for request in self.requests for cursor in request.cursors]

    def urls(self, resource: Resource, columns: Iterable[str]) -> dict[str, str]:
        """The URL of each sub-request by its id, which no other call has."""
        fields = event_fields(columns)
        ids = request_ids.unique(len(self.requests))
        return {
            each: self._url(request, resource, fields)
            for each, request in zip(ids, self.requests, strict=True)
        }

    def _url(self, request: Request, resource: Resource, fields: Sequence[str]) -> str:
        first = request.cursors[0]
        window = {
            "startTime": first.start,
            "endTime": first.end,
            "boundaryType": "Inside",
            "maxCount": request.size,
        }
        if not self.sets:
            selected = [*(f"Items.{name}" for name in fields), "UnitsAbbreviation", *_FAILURE_FIELDS]
            chosen = {} if first.all_fields else {"selectedFields": ";".join(selected)}
            return resource(f"streams/{first.point.web_id}/recorded", {**window, **chosen})
        of_streams = ["WebId", *(f"Items.{name}" for name in fields), "UnitsAbbreviation", *_FAILURE_FIELDS]
        selected = [*(f"Items.{name}" for name in of_streams), *_FAILURE_FIELDS]
        web_ids = [cursor.point.web_id for cursor in request.cursors]
        asked = {**window, "selectedFields": ";".join(selected), "webIdType": "IDOnly", "webId": web_ids}
        return resource("streamsets/recorded", asked)


def event_fields(columns: Iterable[str]) -> list[str]:
    """The fields of an event that ``columns`` need, in PI's own order; always the timestamp, and what says that it failed."""
    needed = {"Timestamp", "Errors", *(name for column in columns for name in _FIELDS_OF.get(column, ()))}
    return [name for name in _EVENT_FIELDS if name in needed]
