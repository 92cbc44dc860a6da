"""``pi_points``: the points themselves, with all that PI Web API says of a point (table catalogue, section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, cast

import pyarrow as pa

from pi_datasource import schema as schemas
from pi_datasource.model import DataServer
from pi_datasource.options.declaration import Options
from pi_datasource.planning.pruning import Pruning
from pi_datasource.planning.tiling import shares
from pi_datasource.points import discovery
from pi_datasource.points.listing import REQUIRED_FIELDS, Found
from pi_datasource.tables.table import Table, Task
from pi_datasource.webapi import data_servers
from pi_datasource.webapi.client import PIClient

ROWS_PER_BATCH = 10_000
_ATTRIBUTES = (  # column, type, PI's name of the attribute
    ("webid", pa.string(), "WebId"),
    ("point_id", pa.int32(), "Id"),
    ("name", pa.string(), "Name"),
    ("path", pa.string(), "Path"),
    ("descriptor", pa.string(), "Descriptor"),
    ("point_class", pa.string(), "PointClass"),
    ("point_type", pa.string(), "PointType"),
    ("digital_set_name", pa.string(), "DigitalSetName"),
    ("engineering_units", pa.string(), "EngineeringUnits"),
    ("zero", pa.float64(), "Zero"),
    ("span", pa.float64(), "Span"),
    ("step", pa.bool_(), "Step"),
    ("future", pa.bool_(), "Future"),
    ("display_digits", pa.int32(), "DisplayDigits"),
)


@dataclass(frozen=True)
class ListTask:
    """The points of these data servers that the options select."""

    table: str
    servers: tuple[DataServer, ...]
    ingestion_time: datetime
    requests_per_second: float | None = None

    def __str__(self) -> str:
        return f"{self.table}: the points of {', '.join(server.name for server in self.servers)}"


class Points(Table):
    """One row per point."""

    name = "pi_points"
    grain = "one PI point"
    key = ("webid",)

    def schema(self, options: Options) -> pa.Schema:
        """All columns: the point's attributes, its data server, the groups of ``tag_pattern``, lineage."""
        attributes = [
            pa.field(name, kind, nullable=pi not in REQUIRED_FIELDS) for name, kind, pi in _ATTRIBUTES
        ]
        data_server = [
            pa.field("dataserver_webid", pa.string(), nullable=False),
            pa.field("dataserver_name", pa.string(), nullable=False),
        ]
        return pa.schema(
            [*attributes, *data_server, *schemas.text_columns(options.pattern_columns), *schemas.LINEAGE]
        )

    def plan(self, client: PIClient, pruning: Pruning) -> Sequence[ListTask]:
        """One task for each data server; one for all of them where the options say which points there have to be."""
        options = pruning.options
        servers = data_servers.select(client, options)
        now = data_servers.server_now(servers)
        if not _selects(options) and not any(data_servers.has_points(client, server) for server in servers):
            raise discovery.no_match(["*"], servers, options)
        groups = [tuple(servers)] if _selects(options) else [(server,) for server in servers]
        rates = shares(options.requests_per_second, len(groups))
        return [ListTask(self.name, group, now, rate) for group, rate in zip(groups, rates, strict=True)]

    def read(
        self, client: PIClient, task: Task, schema: pa.Schema, options: Options
    ) -> Iterator[pa.RecordBatch]:
        """The points page by page; only the fields that the columns need are asked for."""
        task = cast(ListTask, task)
        client.pace(task.requests_per_second)
        wanted = [pi for name, _, pi in _ATTRIBUTES if name in schema.names]
        fields = tuple(dict.fromkeys((*REQUIRED_FIELDS, *wanted)))
        found = discovery.selected(client, list(task.servers), options, fields, strict=_selects(options))
        columns = _columns(task, options)
        while page := list(islice(found, ROWS_PER_BATCH)):
            arrays = [pa.array([columns[field.name](each) for each in page], field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _selects(options: Options) -> bool:
    return bool(options.tags or options.tag_filter)


def _columns(task: ListTask, options: Options) -> dict[str, Callable[[Found], Any]]:
    """What each column holds of a point."""

    def attribute(name: str) -> Callable[[Found], Any]:
        return lambda found: None if (value := getattr(found[0], name)) == "" else value

    def group(name: str) -> Callable[[Found], str | None]:
        expression = re.compile(options.tag_pattern or "")
        return lambda found: match[name] if (match := expression.search(found[0].Name)) else None

    return {
        **{column: attribute(name) for column, _, name in _ATTRIBUTES},
        **{name: group(name) for name in options.pattern_columns},
        "dataserver_webid": lambda found: found[1].web_id,
        "dataserver_name": lambda found: found[1].name,
        "ingestion_timestamp": lambda _: task.ingestion_time,
    }
