"""``pi_points`` holds every point once, with all that the server says of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from mock_server import Plant, running
from pi_datasource.errors import NoTagMatches
from tests.unit.small_pi import Answer, Query, SmallPI, serving
from tests.unit.tables.rows import read

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
PLANT = Plant(seed=5, tags=90, plants=3)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(PLANT, clock=lambda: NOW) as address:
        yield address


def expected(pattern: bool = False) -> list[dict[str, Any]]:
    return [
        {
            "webid": point.web_id("IDOnly"),
            "point_id": point.point_id,
            "name": point.name,
            "path": point.path,
            "descriptor": point.descriptor,
            "point_class": "classic",
            "point_type": point.point_type,
            "digital_set_name": point.digital_set_name or None,
            "engineering_units": point.engineering_units or None,
            "zero": float(point.sensor.zero),
            "span": float(point.sensor.span),
            "step": point.sensor.step,
            "future": False,
            "display_digits": -5,
            "dataserver_webid": point.server.web_id("IDOnly"),
            "dataserver_name": point.server.name,
            **({"plant": point.plant} if pattern else {}),
            "ingestion_timestamp": NOW,
        }
        for point in PLANT.points
    ]


def test_all_attributes_of_all_points_are_those_of_the_plant(url: str) -> None:
    assert read(url=url, table="pi_points") == expected()


def test_groups_of_the_tag_pattern_are_columns(url: str) -> None:
    assert read(url=url, table="pi_points", tag_pattern=r"(?P<plant>[^.]+)\.") == expected(pattern=True)


def test_tags_that_overlap_select_each_point_once(url: str) -> None:
    names = [row["name"] for row in read(url=url, table="pi_points", tags="*FLOW*,*A*,*", tag_filter="*A*")]
    assert sorted(names) == sorted(point.name for point in PLANT.points if "A" in point.name)


def test_a_tag_that_selects_nothing_is_an_error_that_names_it(url: str) -> None:
    with pytest.raises(NoTagMatches, match=r"matches 'NO\.SUCH'; check the spelling"):
        read(url=url, table="pi_points", tags="*,NO.SUCH")


class Archives(SmallPI):
    """Two data servers, the second of which has no point; lists come in pages of two, whatever is asked for."""

    def __init__(self, points: int) -> None:
        super().__init__({f"T{i}": ("Float32", []) for i in range(points)})
        self.queries: list[Query] = []

    def servers(self) -> list[dict[str, Any]]:
        (server,) = super().servers()
        return [{**server, "WebId": name, "Name": name} for name in ("I1DSone", "I1DStwo")]

    def get(self, path: str, query: Query) -> Answer:
        if path == "/dataservers/I1DStwo/points":
            return 200, {"Links": {}, "Items": []}
        if path == "/dataservers/I1DSone/points":
            self.queries.append(query)
            start = int(query["startIndex"][0])
            items = [{**point, "Id": i, "Zero": -0.5} for i, point in enumerate(self.points)]
            more = {"Next": "http://h/next"} if start + 2 < len(items) else {}
            return 200, {"Links": more, "Items": items[start : start + 2]}
        return super().get(path, query)


def test_a_server_that_pages_as_it_likes_and_one_without_points() -> None:
    server = Archives(points=7)
    with serving(server) as address:
        rows = read(url=address, table="pi_points")
    assert [(row["name"], row["point_id"], row["zero"]) for row in rows] == [
        (f"T{i}", i, -0.5) for i in range(7)
    ]
    assert {row["dataserver_name"] for row in rows} == {"I1DSone"}
    assert {(row["descriptor"], row["step"]) for row in rows} == {(None, None)}


def test_an_account_that_sees_no_point_is_told_so() -> None:
    with (
        serving(Archives(points=0)) as address,
        pytest.raises(NoTagMatches, match="no tag on I1DSone, I1DStwo"),
    ):
        read(url=address, table="pi_points")


def test_only_the_fields_that_the_columns_need_are_asked_for() -> None:
    server = Archives(points=3)
    with serving(server) as address:
        rows = read(url=address, table="pi_points", columns="engineering_units,name,dataserver_name")
    assert rows[0] == {"engineering_units": None, "name": "T0", "dataserver_name": "I1DSone"}
    fields = {query["selectedFields"][0] for query in server.queries}
    assert fields == {
        "Links.Next;Items.WebId;Items.Name;Items.PointType",  # is there any point at all?
        "Links.Next;Items.WebId;Items.Name;Items.PointType;Items.EngineeringUnits",
    }
