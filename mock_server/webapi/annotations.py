"""The annotations of events, for `associations=Annotations`."""

import uuid
from datetime import timezone
from typing import Any

from mock_server.plant import pitime, ticks
from mock_server.plant.point import Point
from mock_server.webapi.call import Call
from mock_server.webapi.messages import refusal

_REMARKS = (
    "Checked by hand",
    "Sensor was cleaned",
    "Confirmed by the laboratory",
    "Line flushed before the sample",
)
_DELAY = 15 * 60 * ticks.PER_SECOND


def annotations_wanted(call: Call) -> bool:
    """Whether the call requests annotations and the simulated release supports them."""
    names = [name.strip().lower() for name in call.text("associations").split(";") if name.strip()]
    if not call.server.generation.has("annotations of values"):
        return False
    if unknown := [name for name in names if name != "annotations"]:
        raise refusal(400, f"The value '{unknown[0]}' is not valid for parameter 'associations'.")
    return bool(names)


def with_annotations(point: Point, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The values, each with the list of its annotations."""
    return [{**value, "Annotations": _of(point, value) if value.get("Annotated") else []} for value in values]


def _of(point: Point, value: dict[str, Any]) -> list[dict[str, Any]]:
    identity = uuid.uuid5(point.server.guid, f"{point.point_id} {value['Timestamp']}")
    made = min(pitime.parse(value["Timestamp"], 0, timezone.utc) + _DELAY, ticks.LAST)
    written = ticks.to_iso(made)
    return [
        {
            "Id": str(identity),
            "Name": "Annotation",
            "Description": "",
            "Value": _REMARKS[identity.int % len(_REMARKS)],
            "Creator": "SIM\\operator",
            "CreationDate": written,
            "Modifier": "SIM\\operator",
            "ModifyDate": written,
        }
    ]
