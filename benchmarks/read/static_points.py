"""The static server's directory: home, data server, points and their WebIDs."""

from __future__ import annotations

import base64
import fnmatch
import re
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson

from benchmarks.read.recordings import NOW, Shape

NAME = "BENCH"
_GUID = (
    base64.urlsafe_b64encode(uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e").bytes_le).decode().rstrip("=")
)
_PREFIX = {"I": f"I1DP{_GUID}", "F": f"F1DP{_GUID}"}
_ID_END = len(_PREFIX["I"]) + 6
_SENSORS = {"Float64": "TI", "Int32": "SI", "Digital": "XV", "String": "NT"}
_UNITS = {"Float64": "bar", "Int32": "rpm"}


class Refused(Exception):
    """The call is answered with this status and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Directory:
    """What there is on the server; pages are kept once made, so that later answers are prepared bytes."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.now = shape, NOW
        self._page = lru_cache(maxsize=512)(self._new_page)
        self._matching = lru_cache(maxsize=16)(self._new_matching)

    def answer(self, parts: Sequence[str], query: tuple[tuple[str, str], ...]) -> bytes:
        """The body of a GET below the root."""
        options = {name.lower(): value for name, value in query}
        match list(parts):
            case ["dataservers", _, "points"]:
                return self._points(options)
            case ["points", "multiple"]:
                return self._multiple(query, options)
            case ["points"]:
                return orjson.dumps(self._point(self._by_path(options.get("path", "")), *_form(options)))
            case ["points", web_id]:
                return orjson.dumps(self._point(self.tag(web_id), *_form(options)))
        return orjson.dumps(self._site(list(parts), options))

    def _site(self, parts: list[str], options: dict[str, str]) -> dict[str, Any]:
        """What is there but points."""
        match parts:
            case []:
                return {"Links": {}}
            case ["system"]:
                return {"ProductTitle": "PI Web API static", "ProductVersion": "1.19.0.0"}
            case ["dataservers"] if "name" not in options and "path" not in options:
                return {"Links": {}, "Items": [self._server(options)]}
            case ["dataservers"] | ["dataservers", _]:
                return self._server(options)
            case ["dataservers", _, "enumerationsets"]:
                return {"Links": {}, "Items": []}
        raise Refused(404, f"the static server has nothing at /{'/'.join(parts)}")

    def tag(self, web_id: str) -> int:
        """The place of the tag that a WebID of any form with an id means."""
        if web_id[1:_ID_END][:25] != _PREFIX["I"][1:] or len(web_id) < _ID_END:
            raise Refused(404, f"The WebId '{web_id}' is not known.")
        return _tag_number(web_id[_ID_END - 6 : _ID_END], self.shape.tags)

    def web_id(self, tag: int, form: str = "F") -> str:
        """The WebID of a tag: ``F`` with its path, ``I`` without."""
        number = base64.urlsafe_b64encode((tag + 1).to_bytes(4, "little")).decode().rstrip("=")
        path = f"{NAME}\\{self.name(tag)}".upper().encode()
        rest = "" if form == "I" else base64.urlsafe_b64encode(path).decode().rstrip("=")
        return _PREFIX[form] + number + rest

    def name(self, tag: int) -> str:
        """The name of a tag."""
        return f"PLANT{tag % 4 + 1}.UNIT{tag // 1000:04d}.{_SENSORS[self.shape.point_type(tag)]}{tag:07d}"

    def path(self, tag: int) -> str:
        r"""The path of a tag, ``\\SERVER\NAME``."""
        return rf"\\{NAME}\{self.name(tag)}"

    def _server(self, options: dict[str, str]) -> dict[str, Any]:
        form, _ = _form(options)
        return {
            "WebId": f"{form}1DS{_GUID}",
            "Id": "0f8fad5b-d9cb-469f-a165-70867728950e",
            "Name": NAME,
            "Path": rf"\\PIServers[{NAME}]",
            "IsConnected": True,
            "ServerVersion": "3.4.440.477",
            "ServerTime": self.now.isoformat().replace("+00:00", "Z"),
            "Links": {},
        }

    def _point(self, tag: int, form: str, fields: frozenset[str] | None) -> dict[str, Any]:
        point_type = self.shape.point_type(tag)
        web_id = self.web_id(tag, form)
        whole = {
            "WebId": web_id,
            "Id": tag + 1,
            "Name": self.name(tag),
            "Path": self.path(tag),
            "Descriptor": "",
            "PointClass": "classic",
            "PointType": point_type,
            "DigitalSetName": "BenchStates" if point_type == "Digital" else "",
            "EngineeringUnits": _UNITS.get(point_type, ""),
            "Span": 100.0,
            "Zero": 0.0,
            "Step": False,
            "Future": False,
            "DisplayDigits": -5,
            "Links": {},
        }
        return whole if fields is None else {name: whole[name] for name in whole if name.lower() in fields}

    def _points(self, options: dict[str, str]) -> bytes:
        start, count = int(options.get("startindex", 0)), int(options.get("maxcount", 1000))
        form, fields = _form(options)
        return self._page(options.get("namefilter", "*") or "*", start, count, form, fields)

    def _new_page(
        self, name_filter: str, start: int, count: int, form: str, fields: frozenset[str] | None
    ) -> bytes:
        found = self._matching(name_filter)
        items = [self._point(tag, form, fields) for tag in found[start : start + count]]
        links = {"Next": f"startIndex={start + count}"} if start + count < len(found) else {}
        return orjson.dumps({"Links": links, "Items": items})

    def _new_matching(self, name_filter: str) -> Sequence[int]:
        if name_filter == "*":
            return range(self.shape.tags)
        wanted = re.compile(fnmatch.translate(name_filter), re.IGNORECASE).match
        return [tag for tag in range(self.shape.tags) if wanted(self.name(tag))]

    def _by_path(self, path: str) -> int:
        name = path.rpartition("\\")[2]
        if (number := re.search(r"(\d{7})$", name)) and int(number[1]) < self.shape.tags:
            tag = int(number[1])
            if self.name(tag).upper() == name.upper():
                return tag
        raise Refused(404, f"PI Point '{path}' was not found.")

    def _multiple(self, query: tuple[tuple[str, str], ...], options: dict[str, str]) -> bytes:
        form, _ = _form(options)
        paths = [value for name, value in query if name.lower() == "path"]
        fields = frozenset(
            text.rpartition(".")[2] for text in options.get("selectedfields", "").lower().split(";") if text
        )
        items = [{"Object": self._point(self._by_path(path), form, fields or None)} for path in paths]
        return orjson.dumps({"Items": items})


@lru_cache(maxsize=65_536)
def _tag_number(text: str, tags: int) -> int:
    tag = int.from_bytes(base64.urlsafe_b64decode(text + "=="), "little") - 1
    if not 0 <= tag < tags:
        raise Refused(404, f"there is no point {tag + 1}")
    return tag


def _form(options: dict[str, str]) -> tuple[str, frozenset[str] | None]:
    """The form of WebIDs and the fields of a point that the call asks for."""
    form = "I" if options.get("webidtype", "").lower() == "idonly" else "F"
    wanted = options.get("selectedfields", "").lower()
    if not wanted:
        return form, None
    names = {text.removeprefix("items.") for text in wanted.split(";")}
    return form, None if "items" in names else frozenset(names)
