"""Streams of attributes: read from their points by the API's own calls, then converted to the attribute's units."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from mock_server.af.attributes import Attribute
from mock_server.af.event_frame import Frame
from mock_server.af.units import IncompatibleUnits, conversion, unit_named
from mock_server.plant import ticks
from mock_server.plant.checkpoints import checkpoint
from mock_server.plant.point import Point
from mock_server.webapi.af import replies
from mock_server.webapi.call import Call
from mock_server.webapi.messages import ApiError, Request, refusal
from mock_server.webapi.router import dispatch

METHODS = (
    "value",
    "end",
    "recorded",
    "recordedattime",
    "recordedattimes",
    "interpolated",
    "interpolatedattimes",
    "plot",
    "summary",
)
_ATTRIBUTE_PARAMETERS = {  # parameters of attributes, not of their points
    "webid",
    "selectedfields",
    "desiredunits",
    "sortfield",
    "namefilter",
    "categoryname",
    "templatename",
    "showexcluded",
    "showhidden",
    "searchfullhierarchy",
}
_DIFFERENCES = ("Range", "StdDev", "PopulationStdDev")
_WITHOUT_UNITS = ("Count", "PercentGood")


@dataclass(frozen=True)
class Scale:
    """Factor and offset applied to numbers, and the resulting unit."""

    factor: float
    offset: float
    units: str

    def apply(self, value: Any) -> Any:
        """A reply, or part of one, with its numbers and units converted."""
        if isinstance(value, list):
            return [self.apply(each) for each in value]
        if not isinstance(value, dict):
            return value
        checkpoint()
        if value.get("Type") in _WITHOUT_UNITS:
            return value
        if "Type" in value and isinstance(value.get("Value"), dict):
            return value | {"Value": self._of_summary(str(value["Type"])).apply(value["Value"])}
        changed = {name: self.apply(inner) for name, inner in value.items()}
        if "Timestamp" in value and type(value.get("Value")) in (int, float):
            changed["Value"] = self._number(value["Value"])
        if value.get("UnitsAbbreviation"):
            changed["UnitsAbbreviation"] = self.units
        return changed

    def _number(self, value: float) -> float:
        return value if (self.factor, self.offset) == (1.0, 0.0) else value * self.factor + self.offset

    def _of_summary(self, kind: str) -> "Scale":
        if kind.startswith("Total") and self.offset:
            raise refusal(409, f"A total cannot be converted to '{self.units}', whose zero is another one.")
        return Scale(self.factor, 0.0, self.units) if kind in _DIFFERENCES else self


def scale_of(attribute: Attribute, desired: str) -> Scale:
    """The conversion from the numbers of the point, or a static value, to the attribute in the requested unit.

    Answers 400 for an unknown unit, 409 for one of another quantity.
    """
    factor, offset = attribute.linear
    if not desired:
        return Scale(factor, offset, attribute.units)
    wanted = unit_named(desired)
    if wanted is None:
        raise refusal(400, f"The unit of measure '{desired}' is unknown.")
    try:
        further, shift = conversion(attribute.units, wanted)
    except IncompatibleUnits as error:
        message = f"The unit '{attribute.units}' of '{attribute.name}' cannot be converted to '{desired}'."
        raise refusal(409, message) from error
    return Scale(factor * further, offset * further + shift, wanted.abbreviation)


def kept_parameters(call: Call, *besides: str) -> list[tuple[str, str]]:
    """The call's parameters that are passed on to the calls for points."""
    left_out = _ATTRIBUTE_PARAMETERS | set(besides)
    return [
        (name, value)
        for name, value in call.request.parameters
        if name.lower().removesuffix("[]") not in left_out
    ]


def frame_times(call: Call, owner: Any, method: str) -> list[tuple[str, str]]:
    """The times of an event frame as defaults for the times that the call omits."""
    if not isinstance(owner, Frame):
        return []
    if method == "value":
        return [] if call.text("time") else [("time", ticks.to_iso(owner.last_instant))]
    if method in ("recorded", "interpolated", "plot", "summary"):
        given = {"startTime": owner.start, "endTime": owner.last_instant}
        return [(name, ticks.to_iso(at)) for name, at in given.items() if not call.text(name)]
    return []


def read_point(call: Call, point: Point, method: str, times: list[tuple[str, str]]) -> Any:
    """The parsed reply for one point; raises its error."""
    query = urlencode([*kept_parameters(call, "webidtype"), *times])
    return _answer(call, f"/piwebapi/streams/{point.web_id()}/{method}", query)


def read_points(
    call: Call, points: list[Point], method: str, times: list[tuple[str, str]]
) -> dict[int, dict[str, Any]]:
    """The items of a stream set of points, by point index."""
    unique = list({point.index: point for point in points}.values())
    if not unique:
        return {}
    ids = [("webId", point.web_id("IDOnly")) for point in unique]
    query = urlencode([*kept_parameters(call), *times, *ids])
    items = _answer(call, f"/piwebapi/streamsets/{method}", query)["Items"]
    return {point.index: item for point, item in zip(unique, items, strict=True)}


def stream_item(call: Call, attribute: Attribute, rest: dict[str, Any]) -> dict[str, Any]:
    """The item of a stream set for an attribute."""
    by_name = {
        "WebId": call.web_id(attribute),
        "Name": attribute.name,
        "Path": attribute.path,
        "Links": {"Source": replies.link(call, "attributes", attribute)},
    }
    return by_name | {name: value for name, value in rest.items() if name not in by_name}


def failed_value(error: ApiError) -> dict[str, Any]:
    """A value that carries an error, inside a successful reply."""
    return {
        "Timestamp": ticks.to_iso(0),
        "Value": None,
        "Good": False,
        "Questionable": False,
        "Substituted": False,
        "Annotated": False,
        "Errors": [{"FieldName": "Value", "Message": error.errors}],
    }


def _answer(call: Call, path: str, query: str) -> Any:
    request = call.request
    inner = Request("GET", path, query, request.headers, origin=request.origin)
    response = dispatch(call.server, inner, call.now)
    if response.status != 200:
        raise ApiError(response)
    return orjson.loads(response.body)
