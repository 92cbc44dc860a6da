"""A PI Web API server that simulates a plant: the same seed, tag and time always give the same events.

Run it with `python -m mock_server --help`, or inside a test::

    plant = Plant(seed=1)
    with running(plant) as url:
        ...
    truth = plant.oracle(plant.points[0].name, start, end)
"""

from mock_server.plant.catalog import TAG_PATTERN
from mock_server.plant.events import Event, State
from mock_server.plant.point import Point
from mock_server.server.app import create_app
from mock_server.server.faults import Faults
from mock_server.server.oidc import Oidc
from mock_server.server.server import Server
from mock_server.server.server_thread import running
from mock_server.simulation import Plant

__all__ = [
    "TAG_PATTERN",
    "Event",
    "Faults",
    "Oidc",
    "Plant",
    "Point",
    "Server",
    "State",
    "create_app",
    "running",
]
