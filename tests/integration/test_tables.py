"""The tables as they are created, and those of an older version as they are taken over."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from pi_datasource.delta import Lakehouse, audit, definitions, schema_setup
from pi_datasource.options.declaration import Options
from tests.integration.old_checkpoints.scenario import GENERATIONS, INGESTION
from tests.integration.support.site import forget

pytestmark = pytest.mark.integration

OPTIONS = Options.parse({**INGESTION, "url": "http://localhost:1/piwebapi"})


@pytest.fixture
def session(spark: Any) -> Iterator[Any]:
    forget(spark)
    yield spark
    forget(spark)


def tables_of(lakehouse: Lakehouse) -> dict[str, DeltaTable]:
    """Each table, read without Spark."""
    return {
        table.name: DeltaTable(f"{lakehouse.directory}/{table.name.replace('`', '').replace('.', '/')}")
        for table in definitions.all_tables(lakehouse, audit.SCHEMA)
    }


def versions(lakehouse: Lakehouse) -> dict[str, int]:
    return {name: table.version() for name, table in tables_of(lakehouse).items()}


def nullable(table: DeltaTable) -> dict[str, bool]:
    return {field.name: field.nullable for field in table.schema().fields}


def test_new_tables_say_what_they_hold_and_refuse_events_without_a_key(session: Any, tmp_path: Path) -> None:
    lakehouse = Lakehouse.in_directory(tmp_path / "it's a lake")
    columns = schema_setup.prepare(session, lakehouse, OPTIONS)
    assert set(versions(lakehouse).values()) == {0}  # one commit each
    schema_setup.prepare(session, lakehouse, OPTIONS)
    assert set(versions(lakehouse).values()) == {0}
    tables = tables_of(lakehouse)
    for table in tables.values():
        assert table.metadata().description
        assert table.protocol().min_reader_version == 1
        assert table.metadata().configuration["delta.enableDeletionVectors"] == "false"
        assert table.metadata().configuration["delta.checkpointPolicy"] == "classic"
    bronze = tables[lakehouse.bronze]
    assert bronze.metadata().configuration["delta.enableChangeDataFeed"] == "true"
    assert not any(nullable(bronze)[name] for name in ("tag_webid", "timestamp", "sequence"))
    assert nullable(bronze)["value"]
    assert not any(nullable(tables[lakehouse.gold])[name] for name in ("tag_webid", "hour"))
    comments = {
        field.name: field.metadata.get("comment") for field in tables[lakehouse.audit].schema().fields
    }
    assert comments["bronze_version"] == "Gold includes the changes of bronze up to this version"
    row = session.createDataFrame([(None,) * len(columns)], columns_without_rules(columns))
    with pytest.raises((PySparkException, Py4JJavaError), match="NOT NULL"):
        row.write.format("delta").mode("append").saveAsTable(lakehouse.bronze)


def columns_without_rules(columns: Any) -> Any:
    free = type(columns)()
    for field in columns:
        free.add(field.name, field.dataType)
    return free


@pytest.mark.parametrize("generation", GENERATIONS, ids=lambda path: path.name)
def test_tables_of_an_older_version_get_what_they_lack_once(
    session: Any, tmp_path: Path, generation: Path
) -> None:
    shutil.copytree(generation / "pipeline", tmp_path / "lake")
    lakehouse = Lakehouse.in_directory(tmp_path / "lake")
    before = (
        session.read.format("delta").load(f"{tmp_path}/lake/checkpoints/pi_ingestion_checkpoint").collect()
    )
    schema_setup.prepare(session, lakehouse, OPTIONS)
    completed = versions(lakehouse)
    schema_setup.prepare(session, lakehouse, OPTIONS)
    assert versions(lakehouse) == completed
    tables = tables_of(lakehouse)
    for table in tables.values():
        assert table.metadata().description
    assert tables[lakehouse.bronze].metadata().configuration["delta.enableChangeDataFeed"] == "true"
    fields = {field.name: field for field in tables[lakehouse.audit].schema().fields}
    assert set(audit.SCHEMA.names) == set(fields)
    assert all(field.metadata.get("comment") for field in fields.values())
    assert fields["stream_id"].nullable  # Spark cannot make a column NOT NULL that was not
    # What was recorded counts as done, and the stream goes on where it stands.
    (stream,) = {row["stream_id"] for row in before}
    found = audit.reports(session, lakehouse, stream)
    assert [(each.batch_id, each.rows_read) for each in found] == [
        (row["batch_id"], row["rows_read"]) for row in sorted(before, key=lambda row: row["batch_id"])
    ]
    assert {(each.kind, each.status, each.bronze_version) for each in found} == {(None, None, None)}
    covered = audit.covered_window(session, lakehouse, stream)
    assert covered is not None
    assert (covered.start, covered.end) == (found[0].window_start, found[-1].window_end)
    assert audit.gold_version(session, lakehouse) is None
