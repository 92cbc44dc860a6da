"""Tags whose names hold characters that PI takes for wildcards."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from mock_server import Plant, running
from pi_datasource.errors import NoTagMatches
from tests.unit.tables.rows import read

NAMES = ("TANK[1].LEVEL", "TANK[2].LEVEL", "TANK1.LEVEL")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (r"TANK\[1\].LEVEL", ["TANK[1].LEVEL"]),
        (r"TANK\[1\].LEVEL,TANK\[2\].LEVEL", ["TANK[1].LEVEL", "TANK[2].LEVEL"]),
        ("TANK[12].LEVEL", ["TANK1.LEVEL"]),
        (r"\\{server}\TANK[2].LEVEL", ["TANK[2].LEVEL"]),
    ],
)
def test_a_backslash_makes_the_next_character_literal(tags: str, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("tag,timestamp,value\n" + "".join(f"{name},2026-01-01T00:00:00Z,1\n" for name in NAMES))
    plant = Plant(data=file)
    with running(plant, clock=lambda: datetime(2026, 1, 2, tzinfo=timezone.utc)) as url:
        chosen = tags.replace("{server}", plant.catalog.server.name)
        rows = read(url=url, table="pi_points", tags=chosen, columns="name")
    assert [row["name"] for row in rows] == expected


def test_a_name_with_brackets_that_matches_nothing_says_how_to_write_it(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("tag,timestamp,value\nTANK[1].LEVEL,2026-01-01T00:00:00Z,1\n")
    with (
        running(Plant(data=file), clock=lambda: datetime(2026, 1, 2, tzinfo=timezone.utc)) as url,
        pytest.raises(NoTagMatches, match=r"a bracket in a name is written \\\[$"),
    ):
        read(url=url, table="pi_points", tags="TANK[1].LEVEL")
