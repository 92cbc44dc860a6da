"""The SQL that creates the tables, and that completes those of older versions."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from pi_datasource.delta import ddl, definitions
from pi_datasource.delta.ddl import StoredTable, complete_table, create_table
from pi_datasource.delta.definitions import TableDefinition, columns_of
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.schema import TIMESTAMP, hourly, timeseries

TABLE = TableDefinition(
    "`main`.`bronze`.`t`",
    columns_of(
        (("tag", pa.string(), "it's the tag"), ("at", TIMESTAMP, "when"), ("n", pa.float64(), "a \\ b"))
    ),
    "Events; the plant's",
    ("tag", "at"),
    ("at", "tag"),
    {"delta.enableChangeDataFeed": "true"},
)
COLUMNS = "`tag` string NOT NULL COMMENT 'it\\'s the tag', `at` timestamp_ltz NOT NULL COMMENT 'when', "
COLUMNS += "`n` double COMMENT 'a \\\\ b'"


def described(properties: str, comment: str | None = "Events", **columns: str | None) -> StoredTable:
    """As `DESCRIBE TABLE EXTENDED` describes a table with these columns and their comments."""
    rows = [(name, "string", text) for name, text in columns.items()]
    details = [("", "", ""), ("# Detailed Table Information", "", ""), ("Catalog", "spark_catalog", "")]
    details += [("Comment", comment, "")] if comment else []
    details += [("Location", "file:/lake/t", ""), ("Table Properties", f"[{properties}]", "")]
    return StoredTable.of([*rows, *details])


def test_a_table_in_a_folder_is_created_in_one_statement_without_what_other_readers_lack() -> None:
    assert create_table(TABLE, "/la'ke/t", on_platform=False) == (
        f"CREATE TABLE IF NOT EXISTS `main`.`bronze`.`t` ({COLUMNS}) USING delta CLUSTER BY (`at`, `tag`)"
        " COMMENT 'Events; the plant\\'s' TBLPROPERTIES ('delta.checkpointPolicy' = 'classic', "
        "'delta.deletedFileRetentionDuration' = 'interval 7 days', 'delta.enableChangeDataFeed' = 'true', "
        "'delta.enableDeletionVectors' = 'false', 'delta.logRetentionDuration' = 'interval 7 days') LOCATION '/la\\'ke/t'"
    )


def test_a_table_on_the_platform_has_its_key_and_is_maintained_by_the_engine() -> None:
    statement = create_table(TABLE, None, on_platform=True)
    key = ", CONSTRAINT `t_key` PRIMARY KEY (`tag`, `at`) RELY) USING delta"
    assert statement.startswith(f"CREATE TABLE IF NOT EXISTS `main`.`bronze`.`t` ({COLUMNS}{key}")
    for name, value in (
        ("autoOptimize.autoCompact", "true"),
        ("autoOptimize.optimizeWrite", "true"),
        ("enableDeletionVectors", "true"),
        ("checkpointPolicy", "classic"),
    ):
        assert f"'delta.{name}' = '{value}'" in statement
    assert "LOCATION" not in statement
    assert "PRIMARY KEY" not in create_table(replace(TABLE, unique=False), None, on_platform=True)


def test_a_table_that_lacks_nothing_is_left_alone() -> None:
    """Whatever a user has set stays: a comment, a property with another value, a column of their own."""
    properties = (
        'clusteringColumns=[["at"],["tag"]],delta.checkpointPolicy=v2,'
        "delta.deletedFileRetentionDuration=interval 90 days,delta.enableChangeDataFeed=true,"
        "delta.enableDeletionVectors=true,delta.logRetentionDuration=interval 1 day,delta.minReaderVersion=1"
    )
    stored = described(properties, "mine", TAG="my own", at="x", n="y", own=None)
    assert complete_table(TABLE, stored, on_platform=False) == []
    assert (stored.location, stored.comment) == ("file:/lake/t", "mine")


def test_a_table_of_an_older_version_gets_columns_comments_and_properties() -> None:
    stored = described(
        "delta.enableChangeDataFeed=false,delta.checkpointPolicy=v2,x.delta.enableDeletionVectors=1",
        None,
        Tag=None,
    )
    alter = "ALTER TABLE `main`.`bronze`.`t`"
    assert complete_table(TABLE, stored, on_platform=False) == [
        # Stored rows have no value there.
        f"{alter} ADD COLUMNS (`at` timestamp_ltz COMMENT 'when', `n` double COMMENT 'a \\\\ b')",
        "COMMENT ON TABLE `main`.`bronze`.`t` IS 'Events; the plant\\'s'",
        f"{alter} SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 7 days', "
        "'delta.enableChangeDataFeed' = 'true', 'delta.enableDeletionVectors' = 'false', "
        "'delta.logRetentionDuration' = 'interval 7 days')",
        f"{alter} ALTER COLUMN `Tag` COMMENT 'it\\'s the tag'",  # last: it marks the table as complete
    ]


@pytest.mark.parametrize(
    ("catalog", "expected"),
    [(None, False), ("spark_catalog", False), ("hive_metastore", False), ("main", True), ("osipi", True)],
)
def test_keys_and_automatic_maintenance_are_for_catalogs_of_the_platform(
    catalog: str | None, expected: bool
) -> None:
    assert ddl.is_platform_catalog(catalog) is expected


def test_every_table_is_clustered_by_its_columns_and_has_a_key_that_is_never_null() -> None:
    lakehouse = Lakehouse.in_directory("/lake")
    tables = definitions.all_tables(lakehouse, timeseries(["plant"]), ["plant"])
    tables += (definitions.maintenance(lakehouse),)
    assert len({table.name for table in tables}) == 6
    for table in tables:
        assert {*table.key, *table.cluster_by} <= {*table.columns.names}
        assert {*table.key} <= table.required
        assert table.comment
    feeds = [table.name for table in tables if definitions.CHANGE_FEED in table.properties]
    assert feeds == [lakehouse.bronze]
    assert "plant" in tables[0].columns.names
    assert "plant" in hourly(["plant"]).names
    for own in (
        definitions.ERRORS,
        definitions.POINTS,
        definitions.MAINTENANCE,
        definitions.audit(lakehouse).columns,
    ):
        assert all(map(definitions.comment_of, own))
