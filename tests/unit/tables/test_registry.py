"""A table is one entry of the registry: whoever reads tables needs nothing else to know of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from pi_datasource.cli.commands import app
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.tables import registry
from pi_datasource.tables.table import Table, Task
from pi_datasource.webapi.client import PIClient
from tests.unit.small_pi import SmallPI, serving
from tests.unit.tables.rows import read


@dataclass(frozen=True)
class LicenseTask:
    """The points of one data server."""

    table: str
    data_server: str


class Licenses(Table):
    """A made-up table: one row per data server."""

    name = "pi_licenses"
    grain = "one data server"
    key = ("data_server",)

    def schema(self, options: Options) -> pa.Schema:  # noqa: ARG002
        return pa.schema([pa.field("data_server", pa.string(), nullable=False), ("tags", pa.int64())])

    def plan(self, client: PIClient, pruning: Pruning) -> Sequence[LicenseTask]:  # noqa: ARG002
        return [LicenseTask(self.name, item["WebId"]) for item in client.get("dataservers")["Items"]]

    def read(
        self,
        client: PIClient,
        task: Task,
        schema: pa.Schema,
        options: Options,  # noqa: ARG002
    ) -> Iterator[pa.RecordBatch]:
        server = cast(LicenseTask, task).data_server
        tags = len(
            client.get(
                f"dataservers/{server}/points", {"startIndex": 0, "maxCount": 1000, "nameFilter": "*"}
            )["Items"]
        )
        yield pa.RecordBatch.from_pylist([{"data_server": server, "tags": tags}], schema)


@pytest.fixture(autouse=True)
def _entry(monkeypatch: pytest.MonkeyPatch) -> None:
    licenses = Licenses()
    monkeypatch.setattr(registry, "TABLES", {**registry.TABLES, licenses.name: licenses})


def test_spark_reads_it() -> None:
    with serving(SmallPI({"A": ("Float32", []), "B": ("Float32", [])})) as url:
        assert read(url=url, table="pi_licenses") == [{"data_server": "I1DSmain", "tags": 2}]
        assert read(url=url, table="pi_licenses", columns="tags") == [{"tags": 2}]


def test_the_command_line_reads_it() -> None:
    with serving(SmallPI({"A": ("Float32", [])})) as url:
        arguments = ["read", "--url", url, "--table", "pi_licenses", "--format", "jsonl"]
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"data_server": "I1DSmain", "tags": 1}


def test_a_table_that_has_no_status_rows_needs_no_column_for_them() -> None:
    options = Options.parse({"url": "h", "table": "pi_licenses", "on_error": "report"})
    assert not registry.has_status_rows(options)
    registry.check_projection(options, pa.schema([("tags", pa.int64())]))


@pytest.mark.parametrize("table", registry.TABLES.values(), ids=lambda table: table.name)
def test_every_table_says_what_it_is(table: Table) -> None:
    schema = table.schema(Options.parse({"url": "h"}))
    assert set(table.key) <= set(schema.names)
    assert not any(schema.field(name).nullable for name in table.key)
    assert registry.lookup(table.name).grain.startswith("one ")


def test_an_unknown_one_suggests_the_nearest() -> None:
    with pytest.raises(InvalidOption, match="did you mean 'pi_licenses'"):
        registry.lookup("pi_licences")
