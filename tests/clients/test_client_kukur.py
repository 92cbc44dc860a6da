"""kukur, a production client by Timeseer.AI, reads the simulator as it reads real servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mock_server import State
from tests.clients.conftest import Site, microseconds
from tests.clients.environments import ask

pytestmark = pytest.mark.integration

HOURS = 6
PAGE = 400
TYPES = ("Float32", "Float64", "Int32", "Digital", "String")
DATA_TYPES = {
    "Float32": "FLOAT32",
    "Float64": "FLOAT64",
    "Int32": "FLOAT64",
    "Digital": "DICTIONARY",
    "String": "STRING",
}


@pytest.fixture(scope="module")
def answer(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = {
        "data_archive_uri": f"{site.url}/dataservers/{site.data_server.web_id()}",
        "username": "PLANT\\reader",
        "password": "pa:ssword",
        "max_returned_items_per_call": PAGE,
    }
    tags = [point.name for point in site.points(*TYPES)]
    folder: Path = tmp_path_factory.mktemp("kukur")
    return ask(
        "kukur",
        "read_with_kukur.py",
        folder,
        config=config,
        tags=tags,
        start=site.start(HOURS),
        end=site.now.isoformat(),
        before=[(site.now - timedelta(days=days)).isoformat() for days in (9000, 8999)],
    )


def test_every_event_but_system_states_arrives(site: Site, answer: Any) -> None:
    """System states are left out by kukur on purpose; a digital state is its code there."""
    pages = 0
    for point in site.points(*TYPES):
        wanted = [
            [
                microseconds(event),
                event.value.code if isinstance(event.value, State) else event.value,
                int(event.good),
            ]
            for event in site.truth(point, HOURS)
            if not (isinstance(event.value, State) and event.value.is_system)
        ]
        assert answer["rows"][point.name] == wanted
        pages += len(wanted) > PAGE
    assert pages >= 3  # reading needed several calls


def test_a_window_without_events_is_empty(answer: Any) -> None:
    assert set(answer["before"].values()) == {0}


def test_every_point_is_found_with_its_configuration(site: Site, answer: Any) -> None:
    known = [point for point in site.plant.points if point.point_type in DATA_TYPES]
    assert list(answer["metadata"]) == [point.name for point in known]
    for point in known:
        found = answer["metadata"][point.name]
        assert found["unit"] == point.engineering_units
        assert found["data type"] == DATA_TYPES[point.point_type]
        assert (found["dictionary name"] or "") == point.digital_set_name
