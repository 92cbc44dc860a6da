"""The attributes of a classic PI point."""

from functools import lru_cache
from typing import Any

from mock_server.plant import ticks
from mock_server.plant.point import Point
from mock_server.plant.sensors import NUMERIC_TYPES

POINT_SOURCE = "SIM"
_iso = lru_cache(maxsize=64)(ticks.to_iso)


def attributes_of(point: Point) -> dict[str, Any]:
    """Every attribute a client sees, by its lower-case name, in alphabetical order."""
    sensor = point.sensor
    numeric = point.point_type in NUMERIC_TYPES
    created = _iso(point.created_ticks)
    return {
        "archiving": 1,
        "changedate": created,
        "changer": "SIM\\administrator",
        "compdev": sensor.span * 0.002,
        "compdevpercent": 0.2,
        "compmax": 28_800,
        "compmin": 0,
        "compressing": int(numeric),
        "convers": 1.0,
        "creationdate": created,
        "creator": "SIM\\administrator",
        "datagroup": "piadmins",
        "dataowner": "piadmin",
        "datasecurity": "piadmin: A(r,w) | piadmins: A(r,w) | PIWorld: A(r)",
        "descriptor": point.descriptor,
        "digitalset": point.digital_set_name,
        "displaydigits": -5,
        "engunits": point.engineering_units,
        "excdev": sensor.span * 0.001,
        "excdevpercent": 0.1,
        "excmax": 600,
        "excmin": 0,
        "exdesc": "",
        "filtercode": 0,
        "future": False,
        "instrumenttag": point.name.rpartition(".")[0],
        "location1": 1,
        "location2": 0,
        "location3": 0,
        "location4": 1,
        "location5": 0,
        "pointid": point.point_id,
        "pointsource": POINT_SOURCE,
        "pointtype": point.point_type,
        "ptaccess": "o:rw g:rw w:r",
        "ptclassname": "classic",
        "ptgroup": "piadmins",
        "ptowner": "piadmin",
        "ptsecurity": "piadmin: A(r,w) | piadmins: A(r,w) | PIWorld: A(r)",
        "recno": point.point_id,
        "scan": 1,
        "shutdown": 0,
        "sourcetag": "",
        "span": sensor.span,
        "squareroot": 0,
        "srcptid": 0,
        "step": sensor.step,
        "tag": point.name,
        "totalcode": 0,
        "typicalvalue": sensor.zero + sensor.span / 2,
        "userint1": 0,
        "userint2": 0,
        "userreal1": 0.0,
        "userreal2": 0.0,
        "zero": sensor.zero,
    }
