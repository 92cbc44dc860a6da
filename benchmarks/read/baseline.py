"""A plain reader of PI Web API for Spark, as a baseline: requests, JSON and one tuple per row.

Written as the examples of Spark's Python data source API are: ``read`` yields tuples. It pages correctly, keeps events
that share a timestamp apart, types values, and gives exactly the columns of ``pi_timeseries``; one call reads one page
of one tag. It knows nothing of retries, batches, states of failure or streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import requests
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.types import StructType

SCHEMA = """
    tag_webid string, tag_name string, timestamp timestamp, sequence int, value double, value_string string,
    state_code int, value_kind string, good boolean, questionable boolean, substituted boolean, annotated boolean,
    units string, point_type string, ingestion_timestamp timestamp
"""
Row = tuple[Any, ...]


@dataclass
class Points(InputPartition):
    """The points that one task reads, one after the other."""

    points: list[dict[str, Any]]
    read_at: datetime


class BaselineSource(DataSource):
    """Options: ``url``, ``start_time``, ``end_time`` (ISO, end excluded), ``num_partitions``, ``page_size``."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return "baseline"

    def schema(self) -> str:
        """All columns of ``pi_timeseries``."""
        return SCHEMA

    def reader(self, schema: StructType) -> BaselineReader:
        """A reader of the columns of ``schema``."""
        return BaselineReader(dict(self.options), schema.names)


class BaselineReader(DataSourceReader):
    """Points are listed on the driver and dealt out to tasks."""

    def __init__(self, options: dict[str, str], columns: Sequence[str]) -> None:
        self.url = options["url"]
        self.start, self.end = options["start_time"], options["end_time"]
        self.page_size = int(options.get("page_size", "10000"))
        self.num_partitions = int(options.get("num_partitions", "8"))
        self.columns = list(columns)

    def partitions(self) -> list[InputPartition]:
        """The points of all data servers in ``num_partitions`` parts."""
        with requests.Session() as session:
            servers = _get(session, f"{self.url}/dataservers", {})["Items"]
            points = [point for server in servers for point in self._points(session, server["WebId"])]
        read_at = datetime.now(timezone.utc)
        parts = [points[i :: self.num_partitions] for i in range(self.num_partitions)]
        return [Points(part, read_at) for part in parts if part]

    def read(self, partition: InputPartition) -> Iterator[Row]:
        """The rows of one task."""
        if not isinstance(partition, Points):
            return
        names = [name.split()[0] for name in SCHEMA.split(",")]
        places = [names.index(column) for column in self.columns]
        everything = places == list(range(len(names)))
        with requests.Session() as session:
            for point in partition.points:
                for row in self._events(session, point, partition.read_at):
                    yield row if everything else tuple(row[place] for place in places)

    def _points(self, session: requests.Session, web_id: str) -> Iterator[dict[str, Any]]:
        fields = "Items.WebId;Items.Name;Items.PointType;Items.EngineeringUnits;Links.Next"
        start, page_size = 0, 10_000
        while True:
            page = _get(
                session,
                f"{self.url}/dataservers/{web_id}/points",
                {
                    "startIndex": start,
                    "maxCount": page_size,
                    "selectedFields": fields,
                    "webIdType": "IDOnly",
                },
            )
            yield from page["Items"]
            start += len(page["Items"])
            if len(page["Items"]) < page_size:
                return

    def _events(self, session: requests.Session, point: dict[str, Any], read_at: datetime) -> Iterator[Row]:
        """Every event of the point in ``[start, end)``; a full page is followed by one from its last timestamp on."""
        start, last, sequence = self.start, None, 0
        end = datetime.fromisoformat(self.end)
        page_size = self.page_size
        while True:
            params = {
                "startTime": start,
                "endTime": self.end,
                "boundaryType": "Inside",
                "maxCount": page_size,
            }
            page = _get(session, f"{self.url}/streams/{point['WebId']}/recorded", params)
            items = page["Items"]
            full = len(items) == page_size
            if full:  # the next page brings the events at the last timestamp, all of them
                start = items[-1]["Timestamp"]
                items = [item for item in items if item["Timestamp"] != start]
                page_size = self.page_size if items else page_size * 2
            for item in items:
                moment = _moment(item["Timestamp"])
                if moment >= end:
                    return
                sequence = sequence + 1 if moment == last else 0
                last = moment
                yield _row(point, item, (moment, sequence), page.get("UnitsAbbreviation"), read_at)
            if not full:
                return


def _row(
    point: dict[str, Any],
    item: dict[str, Any],
    place: tuple[datetime, int],
    units: str | None,
    read_at: datetime,
) -> Row:
    moment, sequence = place
    number, text, code, kind = _value(item["Value"])
    return (
        point["WebId"],
        point["Name"],
        moment,
        sequence,
        number,
        text,
        code,
        kind,
        item["Good"],
        item["Questionable"],
        item["Substituted"],
        item.get("Annotated"),
        units or point["EngineeringUnits"] or None,
        point["PointType"],
        read_at,
    )


def _value(value: Any) -> tuple[float | None, str | None, int | None, str]:
    if isinstance(value, dict):
        return None, value["Name"], value["Value"], "system" if value["IsSystem"] else "digital"
    if isinstance(value, bool):
        return None, json.dumps(value), None, "boolean"
    if isinstance(value, (int, float)):
        return float(value), None, None, "number"
    if isinstance(value, str):
        return None, value, None, "string"
    return None, None, None, "none"


def _moment(text: str) -> datetime:
    """A timestamp cut to microseconds; Python 3.10 reads three or six digits only."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    micros = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return datetime.fromisoformat(whole + "+00:00").replace(microsecond=micros)


def _get(session: requests.Session, url: str, params: dict[str, Any]) -> Any:
    answer = session.get(url, params=params, timeout=60)
    answer.raise_for_status()
    return answer.json()
