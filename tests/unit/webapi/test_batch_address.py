"""PI Web API behind a proxy that maps another path to it: the sub-requests of a batch never pass that proxy."""

from __future__ import annotations

from typing import Any

import pytest

from pi_datasource import schema
from pi_datasource.errors import RequestRefused
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.recorded import fetch
from pi_datasource.tables.timeseries import Timeseries
from pi_datasource.webapi.client import PIClient
from tests.unit.small_pi import SmallPI, hours, serving

Rows = list[tuple[str, float]]


class Mapped(SmallPI):
    """Known to itself under the usual path; has no summaries, as all servers here."""

    outer = "/plant7/pi"


def read(url: str, **given: str) -> Rows:
    options = Options.parse(
        {"url": url, "start_time": "2024-01-01T00:00:00Z", "end_time": "2024-01-02T00:00:00Z", **given}
    )
    with PIClient(options) as client:
        batches = [
            batch
            for task in Timeseries().plan(client, Pruning(options))
            for batch in fetch.run(client, task, schema.timeseries())
        ]
    rows = [(row["tag_name"], row["value"]) for batch in batches for row in batch.to_pylist()]
    return sorted(rows)


EVENTS = {name: ("Float32", hours(24)) for name in "ABC"}
ROWS = [(name, float(hour)) for name in "ABC" for hour in range(24)]


@pytest.mark.parametrize("tags", ["", "A,B,C"])
def test_the_usual_path_is_tried_where_the_server_does_not_know_its_address(
    tags: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Mapped(EVENTS)) as url:
        assert read(url, tags=tags) == ROWS
    assert [r.getMessage() for r in caplog.records] == [
        f"PI Web API does not know {url}: sub-requests go to {url.replace('/plant7/pi', '/piwebapi')}"
    ]


class SelfAware(Mapped):
    """Links to itself."""

    inner = "/apps/pi"

    def home(self) -> tuple[int, Any]:
        return 200, {"Links": {"DataServers": "https://inside.example/apps/pi/dataservers"}}


def test_the_address_that_the_server_gives_of_itself_is_used() -> None:
    with serving(SelfAware(EVENTS)) as url:
        assert read(url) == ROWS


class Unknown(Mapped):
    """Neither links to itself nor has the usual path."""

    inner = "/apps/pi"


def test_an_address_that_is_not_found_out_is_asked_for_and_one_that_is_given_is_used() -> None:
    with serving(Unknown(EVENTS)) as url:
        with pytest.raises(RequestRefused) as caught:
            read(url)
        assert str(caught.value).startswith(
            f"POST batch: PI Web API answers at {url}, but does not know the sub-requests' address {url}: a proxy maps its "
            "path; give the address under which PI Web API knows itself as option 'batch_url'"
        )
        assert read(url, batch_url="https://any.example/apps/pi") == ROWS


def test_a_server_under_its_own_path_is_not_asked_for_its_address() -> None:
    pi = SmallPI(EVENTS)
    with serving(pi) as url:
        assert read(url) == ROWS
    assert "GET /piwebapi/" not in pi.asked
