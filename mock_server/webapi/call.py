"""A call of an endpoint: the request's parameters, parsed and validated as the real server does."""

import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property
from typing import Any, NoReturn
from urllib.parse import urlencode

from mock_server.archive import spans
from mock_server.archive.interpolation import Reader, reader
from mock_server.archive.limited import LimitedArchive
from mock_server.plant import pitime, webid
from mock_server.plant.data_archive import Archive
from mock_server.plant.point import Point
from mock_server.simulation import Plant
from mock_server.webapi import selected_fields
from mock_server.webapi.messages import ApiError, Request, Response, json_response, refusal
from mock_server.webapi.service import Service
from mock_server.webapi.time_zones import UnknownZone, zone_named

_INT32_MAX = 2_147_483_647


@dataclass(frozen=True)
class Call:
    """A routed request; `now` (ticks) is the time it is answered for, `args` come from its path."""

    server: Service
    request: Request
    now: int
    args: dict[str, str] = field(default_factory=dict)

    @property
    def plant(self) -> Plant:
        """The simulated plant."""
        return self.server.plant

    @property
    def base(self) -> str:
        """The base address of links."""
        return f"{self.request.origin}/piwebapi"

    def text(self, name: str, default: str = "") -> str:
        """The first non-empty parameter of that name, in any case."""
        return next((value for value in self.request.named.get(name.lower(), ()) if value), default)

    def texts(self, name: str) -> list[str]:
        """Every parameter of that name, with or without `[]`."""
        named, wanted, listed = self.request.named, name.lower(), f"{name.lower()}[]"
        if listed not in named:
            return named.get(wanted, [])
        return [value for key, value in self.request.parameters if key.lower() in (wanted, listed)]

    def required(self, name: str) -> str:
        """The first parameter of that name; 400 when there is none."""
        return self.text(name) or _missing(name)

    def required_texts(self, name: str) -> list[str]:
        """Every parameter of that name; 400 when there is none."""
        return self.texts(name) or _missing(name)

    def integer(self, name: str, default: int, low: int = 0) -> int:
        """The parameter as an int32 of at least `low`."""
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"[+-]?[0-9]{1,10}", text) or abs(int(text)) > _INT32_MAX:
            raise refusal(
                400, f"The value '{text}' is not valid for parameter '{name}': a whole number is expected."
            )
        if int(text) < low:
            raise refusal(400, f"Parameter '{name}' must be at least {low}.")
        return int(text)

    def max_count(self, default: int = 1000, streams: int = 1, cap: int | None = None) -> int:
        """`maxCount`; 400 when `streams` times it exceeds what one call may return."""
        count = self.integer("maxCount", default, low=1)
        limit = self.server.max_items if cap is None else min(cap, self.server.max_items)
        if count > limit or (streams > 1 and count * streams > self.server.max_items):
            raise refusal(400, f"Parameter 'maxCount' is greater than the maximum allowed ({limit}).")
        return count

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """The parameter as one of `allowed`, in any case."""
        text = self.text(name, default)
        for each in allowed:
            if each.lower() == text.lower():
                return each
        raise refusal(
            400, f"The value '{text}' is not valid for parameter '{name}'. Allowed: {', '.join(allowed)}."
        )

    def flag(self, name: str) -> bool:
        """The parameter as a boolean, by default false."""
        return self.choice(name, "false", ("false", "true")) == "true"

    @property
    def descending(self) -> bool:
        """Whether `sortOrder` is Descending."""
        return self.choice("sortOrder", "Ascending", ("Ascending", "Descending")) == "Descending"

    def time(self, name: str, default: str) -> int:
        """The parameter as an instant in ticks, naive strings read in `timeZone`, else in UTC."""
        return self._instant(name, self.text(name, default))

    def times(self, name: str) -> list[int]:
        """Every parameter of that name as an instant; 400 when there is none."""
        texts = [text for text in self.texts(name) if text] or _missing(name)
        return [self._instant(name, text) for text in texts]

    def _instant(self, name: str, text: str) -> int:
        try:
            return pitime.parse(text, self.now, self.zone)
        except pitime.BadTime as error:
            raise refusal(400, f"The time '{text}' of parameter '{name}' could not be parsed.") from error

    def span(self, name: str, default: str = "") -> spans.Span | None:
        """The parameter as a time span; None when neither it nor a default is given."""
        text = self.text(name, default)
        if not text:
            return None
        try:
            return spans.parse(text)
        except spans.BadSpan as error:
            raise refusal(
                400, f"The time span '{text}' of parameter '{name}' is not valid; '10m' or '1h' would be."
            ) from error

    def check_size(self, name: str, count: int) -> None:
        """Reject a call whose parameter `name` makes it return more values than one call may."""
        limit = self.server.max_items
        if count > limit:
            raise refusal(400, f"Parameter '{name}' is greater than the maximum allowed ({limit}).")

    def unsupported(self, *names: str) -> None:
        """Reject parameters that would change the reply and are not simulated."""
        for name in names:
            if self.text(name):
                raise refusal(400, f"Parameter '{name}' is not supported here.")

    def web_id(self, item: Any) -> str:
        """The WebID of an object, of the requested type."""
        return str(item.web_id(self.web_id_type))

    @cached_property
    def web_id_type(self) -> str:
        """`webIdType`; Full by default, and for releases without it."""
        if not self.server.generation.has("webIdType"):
            return "Full"
        return self.choice("webIdType", "Full", tuple(webid.KINDS))

    @cached_property
    def tree(self) -> selected_fields.Tree:
        """The fields that `selectedFields` keeps."""
        return selected_fields.parse(self.text("selectedFields"))

    def reply(self, value: Any, status: int = 200) -> Response:
        """`value` as JSON, reduced to `selectedFields`."""
        return json_response(selected_fields.prune(value, self.tree), status)

    def items(self, items: Iterable[Any], status: int = 200, **members: Any) -> Response:
        """A list as JSON, followed by further members."""
        return self.reply({"Links": {}, "Items": list(items), **members}, status)

    def link(self, path: str, **changes: object) -> str:
        """The address of a resource, or with `changes` this address with other parameters."""
        if not changes:
            return f"{self.base}{path}"
        kept = [(key, value) for key, value in self.request.parameters if key.lower() not in _lower(changes)]
        query = urlencode([*kept, *changes.items()], safe="*")
        return f"{self.request.origin}{self.request.path}?{query}"

    def page_links(self, start: int, count: int, total: int) -> dict[str, str]:
        """The links from one page of a list of `total` items to its neighbours."""
        links = {}
        if start > 0:
            links["First"] = self.link("", startIndex=0)
            links["Previous"] = self.link("", startIndex=max(start - count, 0))
        if start + count < total:
            links["Next"] = self.link("", startIndex=start + count)
            links["Last"] = self.link("", startIndex=(total - 1) // count * count)
        return links

    def point(self, text: str) -> Point:
        """The point a WebID names."""
        return find_point(self.server, text)

    @property
    def archive(self) -> Archive:
        """The archive of streams, with the limits of one query."""
        return LimitedArchive(self.plant.history, self.server.max_collect)

    def stream(self, text: str) -> Point:
        """The stream a WebID names: a point, or another kind in `STREAM_FINDERS`."""
        find = STREAM_FINDERS.get(read_web_id(text).marker)
        return find_point(self.server, text) if find is None else find(self, text)

    def streams(self, texts: list[str]) -> Sequence[Point]:
        """The streams that WebIDs name."""
        try:
            return self.plant.catalog.by_web_ids(texts)
        except (webid.MalformedWebId, KeyError):  # not all of them are existing points
            return [self.stream(text) for text in texts]

    def reader_of(self, name: str) -> Reader | None:
        """The stream that an expression names by tag or path, or None."""
        catalog = self.plant.catalog
        found = catalog.at_path(name) if name.startswith("\\\\") else catalog.by_name(name)
        return reader(self.archive, found, self.now) if found else None

    @cached_property
    def zone(self) -> tzinfo:
        """The zone of naive times and of days: `timeZone`, by default UTC."""
        name = self.text("timeZone")
        try:
            return zone_named(name)
        except UnknownZone as error:
            raise refusal(400, f"The time zone '{name}' is unknown.") from error


STREAM_FINDERS: dict[str, Callable[[Call, str], Point]] = {}
"""How to find streams that are not points, by the marker of their WebIDs; each raises 404 for an unknown one."""

PARENT_FINDERS: dict[str, Callable[[Call, str], Sequence[Point]]] = {}
"""How to find the streams below an element, event frame or attribute, by the marker of its WebID."""


def _missing(name: str) -> NoReturn:
    raise refusal(400, f"Parameter '{name}' is required.")


def _lower(names: dict[str, object]) -> set[str]:
    return {name.lower() for name in names}


def read_web_id(text: str) -> webid.WebId:
    """The decoded WebID; 400 when malformed."""
    try:
        return webid.decode(text)
    except webid.MalformedWebId as error:
        raise malformed(text) from error


def malformed(text: str) -> ApiError:
    """The error for a text that is not a WebID."""
    return refusal(400, f'Unknown or invalid WebID format: "{text}".')


def find_point(server: Service, text: str) -> Point:
    """The point a WebID names, by id first and else by path; 400 when malformed, 404 when there is none."""
    try:
        return server.plant.catalog.by_web_id(text)
    except webid.MalformedWebId as error:
        raise malformed(text) from error
    except KeyError as error:
        raise refusal(404, f"The PI Point with WebID '{text}' was not found.") from error


def check_data_server(server: Service, text: str) -> None:
    """Return when the WebID names the data server; 400 when malformed, 404 when it names another object."""
    read = read_web_id(text)
    owner = server.plant.catalog.server
    same_id = owner.guid in (read.server, read.object_id)
    same_name = (read.name or "").upper() == owner.name
    if read.marker != webid.DATA_SERVER or not (same_id or same_name):
        raise refusal(404, f"The Data Server with WebID '{text}' was not found.")


def guid_of(text: str, marker: str) -> uuid.UUID | str:
    """The object id, or else the name, of a WebID with that marker; 404 for another kind."""
    read = read_web_id(text)
    if read.marker != marker:
        raise refusal(404, f"The object with WebID '{text}' was not found.")
    return read.object_id if isinstance(read.object_id, uuid.UUID) else (read.name or "")
