"""Many exact names are looked up in few calls; whatever is doubtful among them is asked for alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_datasource.errors import RequestRefused
from pi_datasource.model import DataServer
from pi_datasource.options.declaration import Options
from pi_datasource.points import discovery, listing
from tests.unit.fakes import FakePI
from tests.unit.points.test_discovery import A, B, plant
from tests.unit.points.test_discovery import listing as points_of

NAMES = [f"T{i:03}" for i in range(250)]


def found(server: FakePI, servers: list[DataServer], **given: str) -> list[str]:
    """The paths of what the options select."""
    wanted = Options.parse({"url": "h", "include_metadata": "true", **given})
    return [p.path for p in discovery.points(server, servers, wanted)]  # type: ignore[arg-type]


def batches(server: FakePI) -> list[int]:
    """Notes how many requests each batch call of ``server`` holds, from now on."""
    sizes: list[int] = []
    plain = server.batch

    def counted(urls: dict[str, str], _attempts: Any = None) -> bytes:
        sizes.append(len(urls))
        return plain(urls)

    server.batch = counted  # type: ignore[method-assign]
    return sizes


def test_many_names_take_few_calls_and_keep_their_order() -> None:
    server = plant(A=points_of("SRVA", NAMES))
    sizes = batches(server)
    server.most_gets = 1000
    backwards = NAMES[::-1]
    assert found(server, [A], tags=",".join(backwards)) == [f"\\\\SRVA\\{name}" for name in backwards]
    assert sizes == [100, 100, 50]


def test_a_name_on_two_servers_is_two_points_and_case_does_not_matter() -> None:
    server = plant(A=points_of("SRVA", ["X", "Y"]), B=points_of("SrvB", ["x"]))
    sizes = batches(server)
    assert found(server, [A, B], tags="x,y") == ["\\\\SRVA\\X", "\\\\SrvB\\x", "\\\\SRVA\\Y"]
    assert sizes == [4]


def test_a_name_that_begins_very_many_others_is_looked_up_page_by_page() -> None:
    crowd = [f"T{i:03}" for i in range(300)]
    server = plant(A=points_of("SRVA", [*crowd, "T", "U"]))
    assert found(server, [A], tags="T,U") == ["\\\\SRVA\\T", "\\\\SRVA\\U"]


def test_patterns_among_the_names_stay_patterns() -> None:
    server = plant(A=points_of("SRVA", ["A1", "A2", "B", "C"]))
    assert found(server, [A], tags="C,A*,B") == [f"\\\\SRVA\\{name}" for name in ("C", "A1", "A2", "B")]


def test_a_server_that_refuses_the_batch_is_asked_name_by_name() -> None:
    server = plant(A=points_of("SRVA", ["A", "B"]))

    def refused(_urls: dict[str, str], _attempts: Any = None) -> bytes:
        message = "POST batch: HTTP 404"
        raise RequestRefused(message, 404)

    server.batch = refused  # type: ignore[method-assign]
    assert found(server, [A], tags="A,B") == ["\\\\SRVA\\A", "\\\\SRVA\\B"]


def test_a_call_holds_no_more_than_half_of_the_rate() -> None:
    server = plant(A=points_of("SRVA", NAMES[:9]))
    sizes = batches(server)
    assert len(found(server, [A], tags=",".join(NAMES[:9]), requests_per_second="8")) == 9
    assert sizes == [4, 4, 1]
    assert listing.named(server, [A], ["A", "B"], ("WebId", "Name"), most_requests=1) == {}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["events", "points"])
def test_points_in_another_calls_answer_are_not_used(kind: str) -> None:
    """A proxy answers the first call with what an earlier one has asked for."""
    server = plant(A=points_of("SRVA", NAMES[:3]))
    plain = server.batch
    foreign = {"WebId": "W_Z", "Name": "T000", "Path": "another", "PointType": "Float64"}
    content = {"Items": [foreign if kind == "points" else {"Timestamp": "2024-05-01T00:00:00Z"}]}

    def late(urls: dict[str, str], _attempts: Any = None) -> bytes:
        server.batch = plain  # type: ignore[method-assign]
        other = {f"late_{number}": {"Status": 200, "Content": content} for number in range(len(urls))}
        return json.dumps(other).encode()

    server.batch = late  # type: ignore[method-assign]
    assert found(server, [A], tags="T000,T001") == [f"\\\\SRVA\\{name}" for name in NAMES[:2]]
    assert (server.dropped, server.pauses) == (1, [0])
