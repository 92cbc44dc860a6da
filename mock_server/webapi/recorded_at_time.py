"""`recordedattime(s)`: the event that a retrieval mode finds, or an error."""

from typing import Any

from mock_server.archive.interpolation import RETRIEVAL_MODES, reader, recorded_at
from mock_server.plant import ticks
from mock_server.plant.point import Point
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import value_objects


def retrieval_mode(call: Call) -> str:
    """The call's `retrievalMode`."""
    return call.choice("retrievalMode", "Auto", RETRIEVAL_MODES)


def nearest_value(call: Call, point: Point, instant: int, mode: str) -> dict[str, Any] | None:
    """The event that is found, as PI Web API shows it, or None."""
    found = recorded_at(reader(call.archive, point, call.now), instant, mode)
    return None if found is None else value_objects(call, found)[0][0]


def nearest_or_error(call: Call, point: Point, instant: int, mode: str) -> dict[str, Any]:
    """The same; a value with `Errors` where none is found."""
    found = nearest_value(call, point, instant, mode)
    if found is not None:
        return found
    return {
        "Timestamp": ticks.to_iso(instant),
        "Value": None,
        "UnitsAbbreviation": "",
        "Good": False,
        "Questionable": False,
        "Substituted": False,
        "Errors": [{"FieldName": "Value", "Message": [nothing_found(instant, mode)]}],
    }


def nothing_found(instant: int, mode: str) -> str:
    """The message when no event is found."""
    return f"No recorded value was found at '{ticks.to_iso(instant)}' with retrieval mode '{mode}'."
