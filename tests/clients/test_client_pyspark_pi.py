"""pyspark-pi, another Spark data source for PI Web API, reads the simulator.

It estimates the distance of a point's events, a day at most, and reads a whole number of such distances from the
start of the window: its end is cut off. The window therefore ends more than a day after the present.
"""

from __future__ import annotations

import struct
import sys
from datetime import timedelta
from typing import Any

import pytest

from mock_server import Event, Point, State
from tests.clients.conftest import Site, microseconds
from tests.clients.environments import ask_with_spark

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="pyspark-pi needs Python 3.11"),
]

HOURS = 3
TYPES = ("Float32", "Digital")


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    options = {
        "host": site.url.removesuffix("/piwebapi"),
        "authMethod": "basic",
        "username": "PLANT\\reader",
        "password": "pa:ssword",
        "requestType": "recorded",
        "startTime": site.start(HOURS).replace("+00:00", "Z"),
        "endTime": (site.now + timedelta(hours=25)).isoformat().replace("+00:00", "Z"),
        "rowLevelErrorHandling": "exclude",
    }
    paths = {kind: [f"\\\\{site.data_server.name}\\{p.name}" for p in site.points(kind)] for kind in TYPES}
    folder = tmp_path_factory.mktemp("pyspark-pi")
    return ask_with_spark("pyspark-pi", "read_with_pyspark_pi.py", folder, options=options, paths=paths)


def expected(point: Point, event: Event) -> list[Any] | None:
    """The row pyspark-pi makes of an event: floats in single precision, states by name, no system states else."""
    value: Any = event.value
    if isinstance(value, State):
        if point.point_type != "Digital":
            return None
        value = value.name
    if point.point_type == "Float32":
        value = struct.unpack("f", struct.pack("f", value))[0]
    flags = [event.good, event.questionable, event.substituted, event.annotated]
    return [point.name, microseconds(event).replace("+00:00", ""), value, *flags, point.engineering_units]


@pytest.mark.parametrize("kind", TYPES)
def test_every_event_arrives(site: Site, answer: Any, kind: str) -> None:
    wanted = [
        row
        for point in site.points(kind)
        for event in site.truth(point, HOURS)
        if (row := expected(point, event)) is not None
    ]
    assert answer[kind] == wanted
    assert wanted
