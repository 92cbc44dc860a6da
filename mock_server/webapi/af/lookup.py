"""AF objects by WebID or path; 400 when malformed, 404 when there is none."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mock_server.af.attributes import Attribute
from mock_server.af.event_frame import Frame
from mock_server.af.framework import Analysis, Element
from mock_server.af.ids import Kind
from mock_server.af.objects import AFObject
from mock_server.plant import webid
from mock_server.webapi.af import analyses, definitions, replies
from mock_server.webapi.af.event_frames import frame_json
from mock_server.webapi.call import Call, read_web_id
from mock_server.webapi.messages import refusal

Find = Callable[[Call, str, uuid.UUID | None, str], Any]
Show = Callable[[Call, Any], dict[str, Any]]


@dataclass(frozen=True)
class Resource:
    """A kind of object with an address: its markers, its name in errors, and how to find and show it."""

    markers: tuple[str, ...]
    what: str
    find: Find
    show: Show


def by_web_id(call: Call, collection: str, text: str) -> Any:
    """The object of a collection that a WebID names, by id first and else by path."""
    resource = RESOURCES[collection]
    read = read_web_id(text)
    owner = call.plant.assets.library.server.guid
    found = None
    if read.marker in resource.markers and read.server in (None, owner):
        guid = read.object_id or read.server
        found = resource.find(
            call, read.marker, guid if isinstance(guid, uuid.UUID) else None, read.name or ""
        )
    if found is None:
        raise refusal(404, f"The {resource.what} with WebID '{text}' was not found.")
    return found


def by_path(call: Call, collection: str, path: str) -> Any:
    """The object of a collection at a path."""
    resource = RESOURCES[collection]
    plain = path.removeprefix("\\\\").upper()
    for marker in resource.markers if path.startswith("\\\\") else ():
        found = resource.find(call, marker, None, plain)
        if found is not None:
            return found
    raise refusal(404, f"The {resource.what} with path '{path}' was not found.")


def database(call: Call, text: str) -> AFObject:
    """The asset database a WebID names."""
    found: AFObject = by_web_id(call, "assetdatabases", text)
    return found


def element(call: Call, text: str) -> Element:
    """The element a WebID names."""
    found: Element = by_web_id(call, "elements", text)
    return found


def attribute(call: Call, text: str) -> Attribute:
    """The attribute, of an element or event frame, that a WebID names."""
    found: Attribute = by_web_id(call, "attributes", text)
    return found


def frame(call: Call, text: str) -> Frame:
    """The event frame a WebID names."""
    found: Frame = by_web_id(call, "eventframes", text)
    return found


def _declared(call: Call, marker: str, guid: uuid.UUID | None, path: str) -> Any:
    return call.plant.assets.library.find(marker, guid, path)


def _element(call: Call, _: str, guid: uuid.UUID | None, path: str) -> Element | None:
    return call.plant.assets.find_element(guid, path)


def _attribute(call: Call, marker: str, guid: uuid.UUID | None, path: str) -> Attribute | None:
    if marker == webid.FRAME_ATTRIBUTE:
        return call.plant.frames.find_attribute(guid, path, call.now)
    return call.plant.assets.find_attribute(guid, path)


def _frame(call: Call, _: str, guid: uuid.UUID | None, path: str) -> Frame | None:
    return call.plant.frames.find(guid, path, call.now)


def _analysis(kind: Kind) -> Find:
    def find(call: Call, _: str, guid: uuid.UUID | None, path: str) -> Analysis | None:
        found = call.plant.assets.find_analysis(guid, path)
        return found if found is not None and found.kind == kind else None

    return find


def _category(marker: str, kind: str) -> Resource:
    return Resource((marker,), f"{kind} category", _declared, definitions.category_json)


RESOURCES: dict[str, Resource] = {
    "assetservers": Resource((webid.ASSET_SERVER,), "asset server", _declared, replies.asset_server_json),
    "assetdatabases": Resource((webid.ASSET_DATABASE,), "asset database", _declared, replies.database_json),
    "elements": Resource((webid.ELEMENT,), "element", _element, replies.element_json),
    "attributes": Resource(
        (webid.ELEMENT_ATTRIBUTE, webid.FRAME_ATTRIBUTE), "attribute", _attribute, replies.attribute_json
    ),
    "eventframes": Resource((webid.EVENT_FRAME,), "event frame", _frame, frame_json),
    "elementtemplates": Resource(
        (webid.ELEMENT_TEMPLATE,), "element template", _declared, definitions.template_json
    ),
    "attributetemplates": Resource(
        (webid.ATTRIBUTE_TEMPLATE,), "attribute template", _declared, definitions.attribute_template_json
    ),
    "elementcategories": _category(webid.ELEMENT_CATEGORY, "element"),
    "attributecategories": _category(webid.ATTRIBUTE_CATEGORY, "attribute"),
    "analysiscategories": _category(webid.ANALYSIS_CATEGORY, "analysis"),
    "tablecategories": _category(webid.TABLE_CATEGORY, "table"),
    "tables": Resource((webid.TABLE,), "table", _declared, definitions.table_json),
    "unitclasses": Resource((webid.UNIT_CLASS,), "unit class", _declared, definitions.unit_class_json),
    "units": Resource((webid.UNIT,), "unit", _declared, definitions.unit_json),
    "analyses": Resource((webid.ANALYSIS,), "analysis", _analysis(Kind.ANALYSIS), analyses.analysis_json),
    "analysistemplates": Resource(
        (webid.ANALYSIS_TEMPLATE,), "analysis template", _declared, definitions.analysis_template_json
    ),
    "analysisrules": Resource(
        (webid.ANALYSIS_RULE,), "analysis rule", _analysis(Kind.ANALYSIS_RULE), analyses.analysis_rule_json
    ),
    "timerules": Resource(
        (webid.TIME_RULE,), "time rule", _analysis(Kind.TIME_RULE), analyses.time_rule_json
    ),
    "enumerationsets": Resource(
        (webid.ENUMERATION_SET,), "enumeration set", _declared, definitions.enumeration_set_json
    ),
    "enumerationvalues": Resource(
        (webid.ENUMERATION_VALUE,), "enumeration value", _declared, definitions.enumeration_value_json
    ),
}
