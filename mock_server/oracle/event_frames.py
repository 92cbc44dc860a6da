"""The truth about assets and event frames, derived from the oracle's events and from tag names.

It shares no code with the server: frames come from walking the events of each point, elements from splitting tag
names.
"""

from datetime import datetime
from typing import NamedTuple

from mock_server.oracle.events import events
from mock_server.plant import ticks
from mock_server.plant.events import Event, State
from mock_server.plant.point import Point
from mock_server.plant.sensors import MIX, SENSORS
from mock_server.plant.site import Site

_ONE_SENSOR_OF = {
    "BATCH": "R",
    "COUNT": "PK",
    "VALVE": "FL",
    "PUMP": "P",
    "GRADE": "S",
    "CAL": "A",
}


class TrueFrame(NamedTuple):
    """An event frame as of an instant; times in ticks, `end` is None while it is open."""

    tag_name: str
    template: str
    start: int
    end: int | None
    label: str


def true_frames(site: Site, as_of: datetime) -> list[TrueFrame]:
    """Every batch, pump trip and off-spec product of the whole history as of an instant, without phases."""
    found: list[TrueFrame] = []
    for point in site.points:
        template = {"BATCH": "Batch", "PUMP": "Pump Trip", "GRADE": "Off-Spec"}.get(point.sensor_type)
        if template:
            found += _of_point(site, point, template, as_of)
    return found


def equipment_of(tag_name: str) -> str | None:
    r"""The path of a tag's equipment, `PLANT\AREA\Unit 0001\P-0001`; None for kinds that several of them have."""
    plant, area, rest, _ = tag_name.split(".")
    sensor, number = rest.split("_")
    if sensor not in _ONE_SENSOR_OF:
        return None
    in_a_unit = sum(SENSORS[code].name == sensor for code in MIX)
    unit = (int(number) - 1) // in_a_unit + 1
    return f"{plant}\\{area}\\Unit {unit:04d}\\{_ONE_SENSOR_OF[sensor]}-{unit:04d}"


def _of_point(site: Site, point: Point, template: str, as_of: datetime) -> list[TrueFrame]:
    held: str | None = None
    since = 0
    found: list[TrueFrame] = []
    for event in _last_of_each_instant(site, point, as_of):
        state = _state_of(event)
        if state == held:
            continue
        if held is not None and _counts(template, held):
            found.append(TrueFrame(point.name, template, since, event.ticks, _label(template, held)))
        held, since = state, event.ticks
    if held is not None and _counts(template, held):
        found.append(TrueFrame(point.name, template, since, None, _label(template, held)))
    return found


def _last_of_each_instant(site: Site, point: Point, as_of: datetime) -> list[Event]:
    """The events without system states; of several with one timestamp the last."""
    last: dict[int, Event] = {}
    now = ticks.from_datetime(as_of)
    for event in events(site.history, point, ticks.FIRST, now, now):
        if not (isinstance(event.value, State) and event.value.is_system):
            last[event.ticks] = event
    return list(last.values())


def _state_of(event: Event) -> str:
    return event.value.name if isinstance(event.value, State) else str(event.value)


def _counts(template: str, state: str) -> bool:
    return template == "Batch" or state == ("TRIP" if template == "Pump Trip" else "Off-spec; rework")


def _label(template: str, state: str) -> str:
    return state if template == "Batch" else ""
