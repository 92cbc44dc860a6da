"""Event frames and their annotations as PI Web API shows them."""

from typing import Any

from mock_server.af.event_frame import Annotation, Frame
from mock_server.plant import ticks
from mock_server.webapi.af import replies
from mock_server.webapi.call import Call

_PERMISSIONS = (
    *("CanAnnotate", "CanDelete", "CanExecute", "CanRead", "CanReadData"),
    *("CanSubscribe", "CanSubscribeOthers", "CanWrite", "CanWriteData", "HasAdmin"),
)
_RIGHTS = ["Read", "ReadData", "Subscribe"]
_SECURITY = {name: name.removeprefix("Can") in _RIGHTS for name in _PERMISSIONS} | {"Rights": _RIGHTS}


def frame_json(call: Call, frame: Frame) -> dict[str, Any]:
    """An event frame as of now; an open one ends with the year 9999."""
    acknowledged = frame.acknowledged
    return replies.head(call, frame) | {
        "TemplateName": frame.template.name,
        "HasChildren": bool(frame.children),
        "CategoryNames": frame.category_names,
        "ExtendedProperties": {},
        "StartTime": ticks.to_iso(frame.start),
        "EndTime": ticks.to_iso(frame.end),
        "Severity": frame.severity,
        "AcknowledgedBy": acknowledged[1] if acknowledged else "",
        "AcknowledgedDate": ticks.to_iso(acknowledged[0] if acknowledged else 0),
        "CanBeAcknowledged": frame.can_be_acknowledged,
        "IsAcknowledged": acknowledged is not None,
        "IsAnnotated": bool(frame.notes),
        "IsLocked": False,
        "AreValuesCaptured": not frame.is_open,
        "RefElementWebIds": [call.web_id(each) for each in frame.elements],
        "Security": _SECURITY,
        "Links": _links(call, frame),
    }


def annotation_json(call: Call, frame: Frame, note: Annotation) -> dict[str, Any]:
    """An annotation of an event frame."""
    return {
        "Id": str(note.guid),
        "Name": note.name,
        "Description": "",
        "Value": note.text,
        "Creator": note.creator,
        "CreationDate": ticks.to_iso(note.created),
        "Modifier": note.creator,
        "ModifyDate": ticks.to_iso(note.created),
        "Links": {
            "Self": replies.link(call, "eventframes", frame, "annotations", str(note.guid)),
            "Owner": replies.link(call, "eventframes", frame),
        },
    }


def _links(call: Call, frame: Frame) -> dict[str, str]:
    below = ("Attributes", "EventFrames", "ReferencedElements", "Categories", "Annotations")
    made = replies.links(call, "eventframes", frame, *below)
    made["Database"] = replies.database_link(call)
    made["PrimaryReferencedElement"] = replies.link(call, "elements", frame.element)
    made["Template"] = replies.link(call, "elementtemplates", frame.template)
    if frame.root:
        made["Parent"] = replies.link(call, "eventframes", frame.root)
    return made | replies.stream_links(call, "streamsets", frame)
