"""Compares the bronze table with the simulator's oracle, row by row, through an engine that wrote neither.

The rules by which an event becomes a row are written here a second time, from the table catalogue, so that a
misunderstanding in the data source cannot hide in the check.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from mock_server import Plant

SHOWN = 5

# One row of the oracle → one row of bronze. Timestamps are cut to microseconds; `sequence` counts events of a tag
# that are equal then, in the server's order.
_EXPECTED = """
SELECT p.web_id AS tag_webid, o.tag_name,
       make_timestamp(o.ticks // 10) AS timestamp,
       (row_number() OVER (PARTITION BY o.tag_name, o.ticks // 10 ORDER BY o.position) - 1)::INTEGER AS sequence,
       o.number AS value, o.text AS value_string, o.state_code, o.kind AS value_kind,
       o.good, o.questionable, o.substituted, o.annotated, nullif(o.units, '') AS units, p.point_type
FROM oracle o JOIN points p ON p.name = o.tag_name
"""
_COLUMNS = (
    "tag_webid, tag_name, timestamp, sequence, value, value_string, state_code, value_kind, good, questionable, "
    "substituted, annotated, units, point_type"
)
_BRONZE = f"SELECT {_COLUMNS.replace(' timestamp,', ' make_timestamp(epoch_us(timestamp)) AS timestamp,')} FROM bronze"


@dataclass(frozen=True)
class Comparison:
    """How many rows were expected, and examples of those that are missing or too many, as text."""

    rows: int
    missing: int
    unexpected: int
    examples: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the table holds exactly the oracle's events."""
        return not self.missing and not self.unexpected

    def __str__(self) -> str:
        if self.equal:
            return f"bronze equals the oracle: {self.rows:,} rows"
        return (
            f"bronze differs from the oracle ({self.rows:,} rows expected): {self.missing:,} rows are missing, "
            f"{self.unexpected:,} are unexpected\n" + "\n".join(self.examples)
        )


def compare(
    plant: Plant,
    bronze: pa.Table,
    start: datetime,
    end: datetime,
    tags: list[str] | None = None,
    *,
    as_of: datetime | None = None,
) -> Comparison:
    """The difference between ``bronze`` and the events of ``plant`` in ``[start, end)``, of all tags or some.

    With ``as_of`` as the server shows them at that instant; without, as they are once every change is made.
    """
    truth = plant.oracle_table(tags, start, end, as_of)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register(
        "oracle", truth.append_column("position", pa.array(range(truth.num_rows), pa.int64()))
    )
    connection.register(
        "points",
        pa.table(
            {
                "name": [point.name for point in plant.points],
                "web_id": [point.web_id("IDOnly") for point in plant.points],
                "point_type": [point.point_type for point in plant.points],
            }
        ),
    )
    connection.register("bronze", bronze)
    connection.execute(f"CREATE TABLE expected AS SELECT {_COLUMNS} FROM ({_EXPECTED})")
    connection.execute(f"CREATE TABLE actual AS {_BRONZE}")
    missing = connection.execute(
        "SELECT * FROM expected EXCEPT ALL SELECT * FROM actual ORDER BY ALL"
    ).fetchall()
    unexpected = connection.execute(
        "SELECT * FROM actual EXCEPT ALL SELECT * FROM expected ORDER BY ALL"
    ).fetchall()
    examples = [f"  missing     {row}" for row in missing[:SHOWN]]
    examples += [f"  unexpected  {row}" for row in unexpected[:SHOWN]]
    return Comparison(truth.num_rows, len(missing), len(unexpected), tuple(examples))


def read_delta(path: str) -> pa.Table:
    """All rows of a Delta table in a folder, read without Spark."""
    return pa.table(DeltaTable(path).to_pyarrow_table())
